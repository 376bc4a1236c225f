package p2p

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// testProcessor is a budget of one processor, alone, on a clock that the test moves.
func testProcessor() (b *processor, now *time.Time) {
	now = new(time.Unix(1_800_000_000, 0))
	return newProcessor(1, func() time.Time { return *now }, nil), now
}

// charge charges in parts, of which none is too much at once.
func charge(b *processor, who, group string, spent time.Duration) {
	for ; spent > maxCharge; spent -= maxCharge {
		b.charge(who, group, maxCharge)
	}
	b.charge(who, group, spent)
}

// waits returns how long somebody has to wait.
func waits(t *testing.T, b *processor, who string) time.Duration {
	t.Helper()
	wait, err := b.patience(who)
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	return wait
}

// TestProcessorShare: nobody waits as long as there is enough, and then only those who
// take more than their part, until that is past.
func TestProcessorShare(t *testing.T) {
	b, now := testProcessor()
	charge(b, "greedy", "a", 9*time.Second)
	charge(b, "modest", "b", 200*time.Millisecond)
	if waits(t, b, "greedy") != 0 || waits(t, b, "modest") != 0 || waits(t, b, "unknown") != 0 {
		t.Error("somebody waits though there is enough")
	}
	charge(b, "greedy", "a", 6*time.Second)
	wait := waits(t, b, "greedy")
	if wait == 0 || waits(t, b, "modest") != 0 || waits(t, b, "unknown") != 0 {
		t.Errorf("the greedy one waits %s, the modest one %s", wait, waits(t, b, "modest"))
	}
	*now = now.Add(wait + time.Millisecond)
	if again := waits(t, b, "greedy"); again != 0 && wait < maxPatience {
		t.Errorf("after that it waits %s", again)
	}
	*now = now.Add(time.Hour)
	if b.busy() > 0.01 {
		t.Errorf("%f processors are busy an hour later", b.busy())
	}
}

// TestProcessorGroups: a hundred addresses of one network have the part of one, and those
// who bring something are forgiven.
func TestProcessorGroups(t *testing.T) {
	b, _ := testProcessor()
	for i := range 100 {
		charge(b, fmt.Sprint("evil", i), "evil", 300*time.Millisecond)
	}
	charge(b, "honest", "honest", 3*time.Second)
	if waits(t, b, "honest") != 0 {
		t.Error("the honest one has less than its part")
	}
	if waits(t, b, "evil7") == 0 {
		t.Error("one of many does not wait")
	}
	b.brought("evil7", time.Second)
	if waits(t, b, "evil7") != 0 {
		t.Error("who has paid waits")
	}
	for i := range 3 * maxAccounts {
		charge(b, fmt.Sprint("host", i), fmt.Sprint(i), time.Second)
	}
	if len(b.accounts) > maxAccounts {
		t.Errorf("%d accounts", len(b.accounts))
	}
}

// TestProcessorEnds: who goes on for minutes without bringing anything goes, and its
// address is struck.
func TestProcessorEnds(t *testing.T) {
	b, now := testProcessor()
	for began := *now; ; {
		charge(b, "greedy", "a", 2*time.Second)
		wait, err := b.patience("greedy")
		if errors.Is(err, errCostly) {
			break
		}
		if *now = now.Add(wait + time.Second); now.Sub(began) > 20*time.Minute {
			t.Fatal("it stays")
		}
	}
	if cost, _ := judge(errCostly); cost != hangUp || !offends(errCostly) {
		t.Error("it costs nothing")
	}
}

// TestCostlyHandshakes: an address whose handshakes cost too much is not heard for a
// while, and others are.
func TestCostlyHandshakes(t *testing.T) {
	s := newSlots(Options{Now: time.Now, MaxProcessors: 0.5}, nil)
	for range 100 {
		s.shook(&peer{address: "192.0.2.1:5"}, 100*time.Millisecond)
	}
	if s.admit(&lineConn{from: "192.0.2.1:6"}) != nil {
		t.Error("it is heard")
	}
	if s.admit(&lineConn{from: "198.51.100.1:6"}) == nil {
		t.Error("another is not")
	}
}

// costlyPool takes a second of the processor for each transaction whose version is not
// that of honest ones, and refuses it. It counts these seconds.
type costlyPool struct {
	Pool
	mu    sync.Mutex
	spent time.Duration
}

// Accept implements Pool.
func (p *costlyPool) Accept(ctx context.Context, tx *types.Tx, most types.FeeRate) (*pending.Entry, error) {
	if tx.Version == 2 {
		return p.Pool.Accept(ctx, tx, most)
	}
	time.Sleep(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent += time.Second
	return nil, &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: "costly"}
}

// sendCostly announces and sends one such transaction after the other.
func (s *stranger) sendCostly(base *types.Block) {
	id := s.key.ID()
	for i := uint32(0); ; i++ {
		tx := payment(base)
		tx.Version = 3
		tx.LockTime = i<<16 | uint32(binary.BigEndian.Uint16(id[:]))
		if s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}}) != nil {
			return
		}
		if next[*wire.GetTxs](s, 10*time.Minute) == nil {
			return
		}
		if s.send(&wire.Tx{Raw: tx.AppendTo(nil)}) != nil {
			return
		}
	}
}

// TestCostlyTransactions: strangers who send transactions that cost much and come to
// nothing get no more of the processor than their share, however many they are. An honest
// caller is answered at once meanwhile, and its payment is taken.
func TestCostlyTransactions(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const share = 0.5
		var pool *costlyPool
		n := w.start("n", func(o *Options) {
			pool = &costlyPool{Pool: o.Pool}
			o.Pool, o.MaxProcessors = pool, share
		})
		base := n.mine(5)
		honest := w.strangerFrom("198.51.100.1", "n", newKey(t))
		for i := range 4 {
			evil := w.strangerFrom(fmt.Sprintf("11.%d.0.1", i), "n", newKey(t))
			go evil.sendCostly(base[4])
		}
		began := time.Now()
		for i := range 3 {
			time.Sleep(20 * time.Second)
			asked := time.Now()
			honest.send(&wire.Ping{Nonce: uint64(i) + 1})
			if next[*wire.Pong](honest, time.Minute) == nil || time.Since(asked) > 250*time.Millisecond {
				t.Errorf("a ping takes %s", time.Since(asked))
			}
		}
		tx := payment(base[0])
		honest.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](honest, 5*time.Second) == nil {
			t.Fatal("the honest payment is not asked for")
		}
		honest.send(&wire.Tx{Raw: tx.AppendTo(nil)})
		w.eventually("the honest payment", time.Second, func() bool { return n.has(tx) })
		time.Sleep(time.Minute)
		pool.mu.Lock()
		spent := pool.spent
		pool.mu.Unlock()
		// What may be spent before the first one waits, and the share of the rest.
		if most := share*(time.Since(began)+2*processorMemory).Seconds() + 8; spent.Seconds() > most {
			t.Errorf("strangers have taken %s in %s", spent, time.Since(began))
		}
		time.Sleep(20 * time.Minute)
		for _, p := range n.Peers() {
			if p.ID != honest.key.ID() {
				t.Errorf("%s is still there, having cost %s", p.Address, p.Processor)
			}
		}
		honest.conn.Close()
	})
}

// slowAnswers is a pool that takes its time for transactions of version 3.
type slowAnswers struct {
	Pool
	work   time.Duration // on each
	orphan bool          // the first time that it sees one, a parent is missing
	mu     sync.Mutex
	seen   map[types.Hash]bool
}

// Accept implements Pool.
func (p *slowAnswers) Accept(ctx context.Context, tx *types.Tx, most types.FeeRate) (*pending.Entry, error) {
	if tx.Version != 3 {
		return p.Pool.Accept(ctx, tx, most)
	}
	p.mu.Lock()
	again := p.seen[tx.TxID()]
	p.seen[tx.TxID()] = true
	p.mu.Unlock()
	if p.orphan && !again {
		return nil, &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonMissingInputs}
	}
	time.Sleep(p.work)
	return nil, &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: "slow"}
}

// TestWorkOnTransactions: what a transaction costs is on account of who sent it, also if
// it was an orphan for a while.
func TestWorkOnTransactions(t *testing.T) {
	for _, orphan := range []bool{false, true} {
		t.Run(fmt.Sprintf("orphan=%t", orphan), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", func(o *Options) {
					o.Pool = &slowAnswers{Pool: o.Pool, work: time.Second, orphan: orphan, seen: map[types.Hash]bool{}}
				})
				base := n.mine(5)
				s := w.strangerFrom("192.0.2.1", "n", newKey(t))
				parent := payment(base[0])
				tx := spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
				tx.Version = 3
				s.offer(tx)
				if orphan {
					n.pay(parent)
				}
				time.Sleep(time.Minute)
				if peers := n.Peers(); len(peers) != 1 || peers[0].Processor < time.Second || peers[0].Processor > 2*time.Second {
					t.Errorf("%+v, want one peer that has cost a second", peers)
				}
				s.conn.Close()
			})
		})
	}
}

// BenchmarkPatience asks whether a message has to wait while there are as many accounts as
// there may be, and more is used than the share.
func BenchmarkPatience(b *testing.B) {
	p, _ := testProcessor()
	for i := range maxAccounts - 1 {
		p.charge(fmt.Sprint("address", i), fmt.Sprint("network", i%64), 5*time.Microsecond)
	}
	for range 40 {
		p.charge("greedy", "network", time.Second)
	}
	for b.Loop() {
		p.patience("address1")
	}
}
