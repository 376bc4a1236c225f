package p2p

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/wire"
)

// stuckBlocks takes no blocks before it is released.
type stuckBlocks struct {
	Blocks
	released chan struct{}
}

// AddBlocks implements Blocks.
func (b stuckBlocks) AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error {
	select {
	case <-b.released:
	case <-ctx.Done():
	}
	return b.Blocks.AddBlocks(ctx, raws, report)
}

// TestBlocksAheadOfTheChain: however large the blocks are that peers send, and
// however slow the chain is, those that wait for it take bounded memory. Whoever
// sent them is not punished for what we cannot take.
func TestBlocksAheadOfTheChain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		released := make(chan struct{})
		n := w.start("n", func(o *Options) { o.Blocks = stuckBlocks{o.Blocks, released} })
		blocks := make([]*types.Block, 0, maxFlights)
		for state := w.params.GenesisState(); len(blocks) < maxFlights; state = after(state, blocks[len(blocks)-1]) {
			blocks = append(blocks, w.fat(w.build(state, 1)[0], 100))
		}
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		get, _, _ := s.asked()
		if len(get) != firstCaller {
			t.Fatalf("asked for %d blocks", len(get))
		}
		go s.deliver(get, blocks...)
		for range 4 {
			time.Sleep(time.Minute)
			n.sync.mu.Lock()
			if most := maxArrived + int(w.params.MaxBlockWeight); n.sync.arrivedBytes > most {
				t.Errorf("%d bytes wait for the chain, want at most %d", n.sync.arrivedBytes, most)
			}
			n.sync.mu.Unlock()
		}
		close(released)
		w.agree("the chain", tip(blocks), n)
		s.expect(stays, "who sent the blocks", time.Minute)
		s.conn.Close()
	})
}

// fat makes a block larger, by outputs of 9000 bytes.
func (w *world) fat(b *types.Block, outputs int) *types.Block {
	data := make([]byte, 4+9000)
	copy(data, []byte{0x6a, 0x4d, 9000 & 0xff, 9000 >> 8})
	for range outputs {
		b.Txs[0].Outputs = append(b.Txs[0].Outputs, types.TxOut{ScriptPubKey: data})
	}
	b.Header.MerkleRoot = b.Txs[0].TxID()
	return chaintest.Mine(b)
}

// slowPool takes its time.
type slowPool struct {
	*listPool
	takes time.Duration
}

// Accept implements Pool.
func (p slowPool) Accept(ctx context.Context, tx *types.Tx, limit types.FeeRate) (*pending.Entry, error) {
	time.Sleep(p.takes)
	return p.listPool.Accept(ctx, tx, limit)
}

// TestWeAreSlow: a peer whose message takes us long, since the chain is busy, has
// neither fallen silent nor does it stall.
func TestWeAreSlow(t *testing.T) {
	for _, takes := range []time.Duration{3 * stallTimeout, 3 * silenceTimeout / 2} {
		t.Run(takes.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", func(o *Options) { o.Pool = slowPool{newListPool(), takes} })
				block := w.build(w.params.GenesisState(), 1)
				s := w.stranger(n)
				tx := someTx(1)
				s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
				if next[*wire.GetTxs](s, time.Second) == nil {
					t.Fatal("the transaction was not asked for")
				}
				s.send(&wire.Headers{Headers: headersOf(block...)})
				if get, _, _ := s.asked(); len(get) != 1 {
					t.Fatal("the block was not asked for")
				}
				go func() {
					s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
					s.send(&wire.Block{Raw: block[0].AppendTo(nil)})
				}()
				time.Sleep(takes + time.Second)
				synctest.Wait()
				if n.chain.Tip().Hash != tip(block) {
					t.Error("the block that waited was not taken")
				}
				s.expect(stays, "the peer", time.Minute)
				s.conn.Close()
			})
		})
	}
}

// TestSlowPeer: a peer with a slow line may take a minute for a large block, or half an
// hour. Only one that sends nothing may not.
func TestSlowPeer(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // a fragment
		fate  string
	}{{"slow", time.Second, stays}, {"crumbs", 30 * time.Second, stays}, {"nothing", time.Hour, hungUpOn}} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				b := w.fat(w.build(w.params.GenesisState(), 1)[0], 100)
				s := w.stranger(n)
				s.send(&wire.Headers{Headers: headersOf(b)})
				if get, _, _ := s.asked(); len(get) != 1 {
					t.Fatal("the block was not asked for")
				}
				var f wire.Fragmenter
				if err := f.Push(&wire.Block{Raw: b.AppendTo(nil)}); err != nil {
					t.Fatal(err)
				}
				go func() {
					for fragment, more := f.AppendNext(nil); more; fragment, more = f.AppendNext(nil) {
						time.Sleep(c.every)
						if _, err := s.conn.Write(fragment); err != nil {
							return
						}
					}
				}()
				s.expect(c.fate, "the peer", 60*c.every+time.Minute)
				if c.fate == stays && n.chain.Tip().Height != 1 {
					t.Error("the block was not taken")
				}
				s.conn.Close()
				time.Sleep(2 * c.every)
			})
		})
	}
}

// TestLaggard: what is asked of a peer that is much slower than the others, and for
// which they wait, is asked of them too.
func TestLaggard(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), maxFlights)
		slow := w.stranger(n)
		slow.send(&wire.Headers{Headers: headersOf(blocks...)})
		get, _, _ := slow.asked()
		if len(get) != firstCaller {
			t.Fatalf("asked for %d blocks", len(get))
		}
		stop := make(chan struct{})
		defer close(stop)
		go func() { // it sends enough to seem merely slow
			for {
				select {
				case <-time.After(100 * time.Millisecond):
					slow.send(&wire.Inv{WTxIDs: make([]types.Hash, 200)})
				case <-stop:
					return
				}
			}
		}()
		quick := w.stranger(n)
		quick.send(&wire.Headers{Headers: headersOf(blocks...)})
		go quick.serve(blocks...)
		began := time.Now()
		w.agree("the chain", tip(blocks), n)
		if took := time.Since(began); took > 2*laggardTimeout {
			t.Errorf("it took %s", took)
		}
		slow.conn.Close()
		quick.conn.Close()
	})
}
