package p2p

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// listPool is a pool that takes whatever it is given.
type listPool struct {
	mu    sync.Mutex
	list  []*pending.Entry
	local []types.Hash                  // witness ids of those that no peer has
	by    map[types.Hash]*pending.Entry // witness id
	poke.Bell
}

func newListPool() *listPool { return &listPool{by: map[types.Hash]*pending.Entry{}} }

// Accept implements Pool.
func (p *listPool) Accept(_ context.Context, tx *types.Tx, _ types.FeeRate) (*pending.Entry, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &pending.Entry{Tx: tx, Raw: tx.AppendTo(nil), TxID: tx.TxID(), WTxID: tx.WTxID(), Fee: types.FeeRate(1000).Fee(tx.VirtualSize()), VSize: tx.VirtualSize()}
	p.list, p.by[e.WTxID] = append(p.list, e), e
	p.Ring()
	return e, nil
}

// AcceptPackage implements Pool.
func (p *listPool) AcceptPackage(ctx context.Context, txs []*types.Tx, _ types.FeeRate) (pending.Package, error) {
	for _, tx := range txs {
		_, _ = p.Accept(ctx, tx, 0)
	}
	return pending.Package{}, nil
}

// GetByWitness implements Pool.
func (p *listPool) GetByWitness(wtxid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[wtxid]
}

// Get implements Pool.
func (p *listPool) Get(txid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.list {
		if e.TxID == txid {
			return e
		}
	}
	return nil
}

// Entries implements Pool.
func (p *listPool) Entries() []*pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// Accepted implements Pool.
func (p *listPool) Accepted(since uint64, limit int) ([]types.Hash, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since = min(since, uint64(len(p.list)))
	end := min(since+uint64(limit), uint64(len(p.list)))
	var ids []types.Hash
	for _, e := range p.list[since:end] {
		ids = append(ids, e.WTxID)
	}
	return ids, end
}

// Select implements Pool.
func (p *listPool) Select(pending.Selection) ([]*pending.Entry, types.Index) {
	return p.Entries(), types.Index{}
}

// Unbroadcast implements Pool.
func (p *listPool) Unbroadcast() []types.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.local)
}

// Broadcast implements Pool.
func (p *listPool) Broadcast(wtxids ...types.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local = slices.DeleteFunc(p.local, func(id types.Hash) bool { return slices.Contains(wtxids, id) })
}

// MinFeeRate implements Pool.
func (p *listPool) MinFeeRate() types.FeeRate { return 1000 }

// MiningFeeRate implements Pool.
func (p *listPool) MiningFeeRate(wtxid types.Hash) (types.FeeRate, bool) {
	if e := p.GetByWitness(wtxid); e != nil {
		return types.NewFeeRate(e.Fee, e.VSize), true
	}
	return 0, false
}

func (p *listPool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.list)
}

// someTx is a transaction that spends nothing.
func someTx(n int) *types.Tx {
	from := types.OutPoint{Index: uint32(n)}
	binary.BigEndian.PutUint32(from.TxID[:], uint32(n))
	return spend(from, 50_000)
}

// TestWholePoolArrives: of a pool that is larger than what is asked for at once
// nothing is lost.
func TestWholePoolArrives(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const count = 12_000
		full, empty := newListPool(), newListPool()
		for i := range count {
			_, _ = full.Accept(t.Context(), someTx(i), 0)
		}
		w.start("a", func(o *Options) { o.Pool = full })
		w.start("b", func(o *Options) { o.Pool = empty }, "a")
		time.Sleep(5 * time.Minute)
		if got := empty.size(); got != count {
			t.Errorf("%d transactions of %d came", got, count)
		}
	})
}

// TestAnnouncedWhileSyncing: what is announced to a node that is behind is asked
// for when it is not any more.
func TestAnnouncedWhileSyncing(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		blocks := w.build(n.chain.TipState(), 3)
		tx := payment(base[0])
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		if got, _, _ := s.asked(); len(got) != 3 {
			t.Fatalf("asked for %d blocks", len(got))
		}
		s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if get := next[*wire.GetTxs](s, time.Second); get != nil {
			t.Error("a transaction was asked for while blocks are missing")
		}
		for _, b := range blocks {
			s.send(&wire.Block{Raw: b.AppendTo(nil)})
		}
		if get := next[*wire.GetTxs](s, time.Minute); get == nil {
			t.Fatal("the transaction is not asked for any more")
		}
		s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
		w.eventually("the transaction", time.Minute, func() bool { return n.has(tx) })
		s.conn.Close()
	})
}

// TestAnnouncingAgainAndAgain: who announces a transaction many times and does not
// send it keeps nobody else from sending it.
func TestAnnouncingAgainAndAgain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		tx := payment(n.mine(5)[0])
		evil, honest := w.stranger(n), w.stranger(n)
		inv := &wire.Inv{}
		for range 100 {
			inv.WTxIDs = append(inv.WTxIDs, tx.WTxID())
		}
		evil.send(inv)
		if next[*wire.GetTxs](evil, time.Second) == nil {
			t.Fatal("the transaction was not asked for")
		}
		honest.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](honest, txTimeout+2*time.Second) == nil {
			t.Fatal("nobody else is asked")
		}
		evil.drain()
		honest.send(&wire.NotFound{What: wire.WhatTxs, Hashes: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](evil, time.Minute) != nil {
			t.Error("who did not send it is asked again")
		}
		third := w.stranger(n)
		third.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](third, time.Second) == nil {
			t.Error("nobody is asked any more")
		}
		for _, s := range []*stranger{evil, honest, third} {
			s.conn.Close()
		}
	})
}

// TestManyWhoDoNotSend: however many announce a transaction and do not send it, who
// has it is asked, and whom we called ourselves is asked before those who called us.
func TestManyWhoDoNotSend(t *testing.T) {
	const many = 20
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		tx := payment(base[0])
		inv := &wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}}
		var evil []*stranger
		for range many {
			s := w.stranger(n)
			s.send(inv)
			evil = append(evil, s)
		}
		synctest.Wait()
		honest := w.stranger(n)
		honest.send(inv)
		if next[*wire.GetTxs](honest, (many+1)*(txTimeout+time.Second)) == nil {
			t.Error("who has the transaction is never asked")
		}
		honest.conn.Close()
		friend := w.start("friend", nil)
		friend.add(base...)
		if err := n.AddNode("friend:1"); err != nil {
			t.Fatal(err)
		}
		w.eventually("a connection of our own", time.Minute, func() bool { return len(friend.Peers()) == 1 })
		other := payment(base[1])
		for _, s := range evil {
			s.send(&wire.Inv{WTxIDs: []types.Hash{other.WTxID()}})
		}
		synctest.Wait()
		friend.pay(other)
		w.eventually("the transaction from whom we called", txTimeout+5*time.Second, func() bool { return n.has(other) })
		for _, s := range evil {
			s.conn.Close()
		}
	})
}

// TestInvFlood: announcements without end are held in bounded memory, and do not
// keep those of others out.
func TestInvFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		tx := payment(n.mine(5)[0])
		evil := w.stranger(n)
		for i := range 60 {
			inv := &wire.Inv{}
			for j := range wire.MaxInv {
				var id types.Hash
				binary.BigEndian.PutUint64(id[:], uint64(i*wire.MaxInv+j)+1)
				inv.WTxIDs = append(inv.WTxIDs, id)
			}
			evil.send(inv)
		}
		synctest.Wait()
		n.txs.mu.Lock()
		wanted, flying := len(n.txs.wanted), 0
		for p, tp := range n.txs.peers {
			if len(tp.backlog) > maxBacklog {
				t.Errorf("%d announcements wait", len(tp.backlog))
			}
			if flying = tp.flying; flying > maxTxRequests {
				t.Errorf("%d transactions are asked of %s at once", tp.flying, p)
			}
		}
		n.txs.mu.Unlock()
		if wanted > maxTxRequests || flying == 0 {
			t.Errorf("%d transactions are wanted, %d asked for", wanted, flying)
		}
		honest := w.stranger(n)
		honest.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](honest, time.Second) == nil {
			t.Error("a transaction of another is not asked for")
		}
		evil.expect(stays, "the flood", time.Second)
		evil.conn.Close()
		w.eventually("what does not come is forgotten", 10*time.Minute, func() bool {
			n.txs.mu.Lock()
			defer n.txs.mu.Unlock()
			return len(n.txs.wanted) == 0
		})
		honest.conn.Close()
	})
}

// TestOrphansFindTheirParents: an orphan is taken once its parent is there, by
// whatever way that came, and in any order.
func TestOrphansFindTheirParents(t *testing.T) {
	for _, c := range []struct {
		name string
		come func(s *stranger, n *testNode, parent *types.Tx)
	}{
		{"from_the_peer", func(s *stranger, n *testNode, parent *types.Tx) { s.offer(parent) }},
		{"from_a_client", func(s *stranger, n *testNode, parent *types.Tx) { n.pay(parent) }},
		{"in_a_block", func(s *stranger, n *testNode, parent *types.Tx) { n.mine(1, parent) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				parent := payment(n.mine(5)[0])
				child := spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
				grandchild := spend(types.OutPoint{TxID: child.TxID()}, child.Outputs[0].Value)
				s := w.stranger(n)
				s.offer(grandchild)
				s.offer(child)
				time.Sleep(time.Second)
				if n.has(child) {
					t.Fatal("a transaction without its parent is in the pool")
				}
				c.come(s, n, parent)
				w.eventually("orphans are taken", 10*time.Second, func() bool { return n.has(child) && n.has(grandchild) })
				s.conn.Close()
			})
		})
	}
}

// offer announces a transaction and sends it when it is asked for.
func (s *stranger) offer(tx *types.Tx) {
	s.w.t.Helper()
	s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
	if next[*wire.GetTxs](s, time.Second) == nil {
		s.w.t.Fatal("a transaction was not asked for")
	}
	s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
}

// TestOrphansAreBounded: in number and in bytes, and they are forgotten.
func TestOrphansAreBounded(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(5)
		r := n.txs
		s := w.stranger(n)
		var ids []types.Hash
		for i := range maxOrphans + 200 {
			tx := someTx(10 + i)
			s.offer(tx)
			ids = append(ids, tx.WTxID())
		}
		synctest.Wait()
		r.mu.Lock()
		if len(r.orphans.byID) != maxOrphans || r.orphans.byID[ids[0]] != nil || r.orphans.byID[ids[len(ids)-1]] == nil {
			t.Errorf("%d orphans are held; the first and the last: %v, %v", len(r.orphans.byID), r.orphans.byID[ids[0]], r.orphans.byID[ids[len(ids)-1]])
		}
		r.mu.Unlock()
		s.expect(stays, "who sends orphans", orphanLife+time.Minute)
		r.mu.Lock()
		if o := &r.orphans; len(o.byID) != 0 || o.bytes != 0 || o.count != 0 || len(o.held) != 0 || len(o.spend) != 0 {
			t.Errorf("%d orphans of %d bytes are left", o.count, o.bytes)
		}
		r.mu.Unlock()
		s.conn.Close()
	})
}

// TestRejectedIsNotAskedAgain: until another tip may change the verdict.
func TestRejectedIsNotAskedAgain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		tx := payment(n.mine(5)[0])
		tx.Outputs[0].Value += 10_000 // no fee
		s := w.stranger(n)
		offer := func() bool {
			s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
			if next[*wire.GetTxs](s, time.Second) == nil {
				return false
			}
			s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
			return true
		}
		if !offer() {
			t.Error("it was not asked for")
		}
		if offer() {
			t.Error("it was asked for again")
		}
		n.mine(1)
		if !offer() {
			t.Error("it was not asked for after a block")
		}
		s.expect(stays, "who sends it", time.Second)
		s.conn.Close()
	})
}

// TestTransactionsTravel: over nodes in a row, children with their parents; and
// nothing is told to who wants higher fees.
func TestTransactionsTravel(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a := w.start("a", nil)
		b := w.start("b", nil, "a")
		c := w.start("c", nil, "b")
		base := a.mine(5)
		w.agree("the beginning", tip(base), b, c)
		proud := w.stranger(c)
		proud.send(&wire.FeeFilter{MinFeeRate: 1 << 40})
		parent := a.pay(payment(base[0]))
		child := a.pay(spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value))
		w.eventually("both", time.Minute, func() bool { return c.has(parent) && c.has(child) })
		if next[*wire.Inv](proud, time.Minute) != nil {
			t.Error("a cheap transaction was announced against a peer's will")
		}
		block := w.build(a.chain.TipState(), 1, parent, child)
		c.add(block...)
		w.agree("a block of them", tip(block), a, b)
		proud.conn.Close()
	})
}

// TestLocalFaultIsNobodysGuilt: a pool that cannot judge costs nobody anything.
func TestLocalFaultIsNobodysGuilt(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.Pool = faultyPool{newListPool()} })
		s := w.stranger(n)
		tx := someTx(1)
		s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](s, time.Second) == nil {
			t.Fatal("not asked for")
		}
		s.send(&wire.Tx{Raw: tx.AppendTo(nil)})
		s.expect(stays, "the peer", time.Minute)
		s.conn.Close()
	})
}

// faultyPool cannot read its coins.
type faultyPool struct{ *listPool }

// Accept implements Pool.
func (faultyPool) Accept(context.Context, *types.Tx, types.FeeRate) (*pending.Entry, error) {
	return nil, consensus.Local(context.DeadlineExceeded)
}
