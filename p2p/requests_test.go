package p2p

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestOwnPeersAreAskedSoon: strangers who call, announce a transaction first and do not
// send it delay it by two seconds, if one that we called has it too.
func TestOwnPeersAreAskedSoon(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		friend := w.start("friend", nil)
		n := w.start("n", nil, "friend")
		base := n.mine(5)
		w.agree("the beginning", tip(base), friend)
		tx := payment(base[0])
		inv := &wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}}
		var evil []*stranger
		for range 20 {
			s := w.stranger(n)
			s.send(inv)
			evil = append(evil, s)
		}
		synctest.Wait()
		friend.pay(tx)
		w.eventually("the transaction", preferAfter+5*meanDelay+time.Second, func() bool { return n.has(tx) })
		for _, s := range evil {
			s.conn.Close()
		}
	})
}

// TestParentsAreAskedFor: who sends a child is asked for its parent, by the id that the
// child tells, and then the next one who has it. Who speaks version 1 is not asked.
func TestParentsAreAskedFor(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		parent := payment(n.mine(5)[0])
		child := spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
		silent, honest, old := w.stranger(n), w.stranger(n), w.strangerOfVersion(n, 1)
		silent.offer(child)
		get := next[*wire.GetParents](silent, time.Second)
		if get == nil || len(get.TxIDs) != 1 || get.TxIDs[0] != parent.TxID() {
			t.Fatalf("asked for %v", get)
		}
		for _, s := range []*stranger{old, honest} {
			s.send(&wire.Inv{WTxIDs: []types.Hash{child.WTxID()}})
			if next[*wire.GetTxs](s, time.Second) != nil {
				t.Error("an orphan is asked for again")
			}
		}
		if get := next[*wire.GetParents](honest, parentTimeout+time.Second); get == nil {
			t.Fatal("nobody else is asked for the parent")
		}
		honest.send(&wire.Tx{Raw: parent.AppendTo(nil)})
		w.eventually("both", 2*time.Second, func() bool { return n.has(parent) && n.has(child) })
		if next[*wire.GetParents](old, time.Second) != nil {
			t.Error("a node of version 1 got a message of version 2")
		}
		for _, s := range []*stranger{silent, honest, old} {
			s.expect(stays, "nobody", time.Millisecond)
			s.conn.Close()
		}
	})
}

// TestParentsAreGiven: a node gives the parents of what it announced.
func TestParentsAreGiven(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		parent := n.pay(payment(n.mine(5)[0]))
		s := w.stranger(n)
		if next[*wire.Inv](s, time.Minute) == nil {
			t.Fatal("nothing is announced")
		}
		s.send(&wire.GetParents{TxIDs: []types.Hash{parent.TxID(), {1}}})
		if lacks := next[*wire.NotFound](s, time.Second); lacks == nil || lacks.What != wire.WhatParents || len(lacks.Hashes) != 1 {
			t.Errorf("not found: %v", lacks)
		}
		if next[*wire.Tx](s, time.Second) == nil {
			t.Error("the parent does not come")
		}
		s.conn.Close()
	})
}

// TestConfirmedIsNotAskedFor: a transaction that is in a block would seem to lack what it
// spends.
func TestConfirmedIsNotAskedFor(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		tx := payment(n.mine(5)[0])
		s := w.stranger(n)
		s.send(&wire.SendCompact{Announce: true})
		synctest.Wait()
		n.mine(1, tx)
		synctest.Wait()
		time.Sleep(time.Second)
		s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](s, time.Second) != nil {
			t.Error("it is asked for")
		}
		s.conn.Close()
	})
}

// TestUndoneIsAskedForAgain: what was in a block that is no longer on the best chain is
// asked for like any other transaction.
func TestUndoneIsAskedForAgain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		genesis := n.chain.TipState()
		tx := payment(n.mine(5)[0])
		s := w.stranger(n)
		s.send(&wire.SendCompact{Announce: true})
		synctest.Wait()
		n.mine(1, tx)
		time.Sleep(time.Second)
		s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](s, time.Second) != nil {
			t.Error("it is asked for while it is in a block")
		}
		n.add(w.build(genesis, 7)...) // without what it spends, so the pool has to let it go
		time.Sleep(time.Second)
		s.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.GetTxs](s, time.Second) == nil {
			t.Error("it is not asked for any more")
		}
		s.conn.Close()
	})
}

// TestRequestsAreForgotten: however often a peer announces and takes back, what is kept
// of its requests is bounded by those that are under way.
func TestRequestsAreForgotten(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(5)
		s := w.stranger(n)
		for i := range 200 {
			var ids []types.Hash
			for j := range 100 {
				ids = append(ids, numbered(1+100*i+j))
			}
			s.send(&wire.Inv{WTxIDs: ids})
			s.send(&wire.NotFound{What: wire.WhatTxs, Hashes: ids})
			time.Sleep(2 * relayTick)
		}
		n.txs.mu.Lock()
		if due, soon, wanted := len(n.txs.due), len(n.txs.soon), len(n.txs.wanted); due > 2000+2*wanted || soon > 2000+2*wanted {
			t.Errorf("%d and %d requests are noted, %d wanted", due, soon, wanted)
		}
		n.txs.mu.Unlock()
		s.expect(stays, "the peer", time.Second)
		s.conn.Close()
	})
}

// TestBacklogIsWeighed: what a peer announces and is not asked for yet counts in the
// budget that all peers share, and no longer when it has gone.
func TestBacklogIsWeighed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(5)
		s := w.stranger(n)
		var ids []types.Hash
		for i := range wire.MaxInv {
			ids = append(ids, numbered(i+1))
		}
		s.send(&wire.Inv{WTxIDs: ids})
		synctest.Wait()
		want := int64((wire.MaxInv - maxTxRequests) * types.HashSize)
		if got := n.budget.held.Load(); got < want || got > want+100_000 {
			t.Errorf("%d bytes are held, want %d", got, want)
		}
		s.conn.Close()
		w.eventually("nothing is held", time.Minute, func() bool { return n.budget.held.Load() == 0 })
	})
}

// TestPairs: a parent that pays nothing comes in with a child that pays for both, whichever
// of them comes first, and one node tells the next.
func TestPairs(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(s *stranger, parent, child *types.Tx)
	}{
		{"the_child_first", func(s *stranger, parent, child *types.Tx) {
			s.offer(child)
			if next[*wire.GetParents](s, time.Second) == nil {
				t.Error("the parent is not asked for")
			}
			s.send(&wire.Tx{Raw: parent.AppendTo(nil)})
		}},
		{"the_parent_first", func(s *stranger, parent, child *types.Tx) {
			s.offer(parent)
			s.offer(child)
			if next[*wire.GetParents](s, time.Second) == nil {
				t.Error("the parent is not asked for")
			}
			s.send(&wire.Tx{Raw: parent.AppendTo(nil)})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				far := w.start("far", nil, "n")
				base := n.mine(5)
				w.agree("the beginning", tip(base), far)
				parent, child := poorFamily(base[0])
				s := w.stranger(n)
				c.send(s, parent, child)
				w.eventually("both", time.Minute, func() bool { return n.has(parent) && n.has(child) })
				w.eventually("both at the next node", time.Minute, func() bool { return far.has(parent) && far.has(child) })
				s.expect(stays, "the peer", time.Second)
				s.conn.Close()
			})
		})
	}
}

// poorFamily is a parent that pays nothing and a child that pays for both.
func poorFamily(b *types.Block) (parent, child *types.Tx) {
	parent = payment(b)
	parent.Outputs[0].Value = b.Txs[0].Outputs[0].Value
	child = spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
	return parent, child
}

// strictPool refuses every transaction alone, and a parent that has a witness.
type strictPool struct{ *listPool }

// Accept implements Pool.
func (p strictPool) Accept(_ context.Context, tx *types.Tx, _ types.FeeRate) (*pending.Entry, error) {
	if tx.Inputs[0].PreviousOutPoint.Index == 0 { // a child, see someTx
		return nil, &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonMissingInputs}
	}
	return nil, &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: pending.ReasonMinRelayFee}
}

// AcceptPackage implements Pool.
func (p strictPool) AcceptPackage(ctx context.Context, txs []*types.Tx, _ types.FeeRate) (pending.Package, error) {
	if len(txs[0].Inputs[0].Witness) > 0 {
		return pending.Package{}, &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: "non-standard witness"}
	}
	return p.listPool.AcceptPackage(ctx, txs, 0)
}

// TestSpoiltPairs: who has a child too and sends another parent of the same id takes nothing
// from others.
func TestSpoiltPairs(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		pool := strictPool{newListPool()}
		w.start("n", func(o *Options) { o.Pool = pool })
		parent := someTx(7)
		child := spend(types.OutPoint{TxID: parent.TxID()}, 40_000)
		spoilt := someTx(7)
		spoilt.Inputs[0].Witness = [][]byte{{1}}
		honest, evil := w.strangerFrom("192.0.2.7", "n", newKey(t)), w.strangerFrom("198.51.100.1", "n", newKey(t))
		honest.offer(child)
		if next[*wire.GetParents](honest, time.Second) == nil {
			t.Fatal("the parent is not asked for")
		}
		evil.send(&wire.Inv{WTxIDs: []types.Hash{child.WTxID()}})
		evil.offer(spoilt)
		synctest.Wait()
		honest.send(&wire.Tx{Raw: parent.AppendTo(nil)})
		w.eventually("both", 10*time.Second, func() bool { return pool.size() == 2 })
		honest.expect(stays, "the honest peer", time.Second)
		evil.expect(stays, "the other, who broke no rule", time.Second)
		honest.conn.Close()
		evil.conn.Close()
	})
}

// again sends a message in short intervals until the function that it returns is called.
func (s *stranger) again(every time.Duration, m wire.Message) (stop func()) {
	ctx, cancel := context.WithCancel(s.w.t.Context())
	go func() {
		for ctx.Err() == nil && s.send(m) == nil {
			time.Sleep(every)
		}
	}()
	return cancel
}

// TestChatterSilencesNobody: who announces something again and again, in intervals shorter
// than those in which the relay looks, keeps it from nothing.
func TestChatterSilencesNobody(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		far := w.start("far", nil, "n")
		base := n.mine(5)
		w.agree("the beginning", tip(base), far)
		evil := w.stranger(n)
		stop := evil.again(relayTick/2, &wire.Inv{WTxIDs: []types.Hash{{1}}})
		time.Sleep(10 * time.Second)
		tx := n.pay(payment(base[0]))
		w.eventually("the payment at the next node", time.Minute, func() bool { return far.has(tx) })
		stop()
		evil.conn.Close()
	})
}

// TestOneAddressOwnsOnce: as many connections of one address as it may have do not keep a
// peer from being an owner of an orphan that it has too.
func TestOneAddressOwnsOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		pool := strictPool{newListPool()}
		w.start("n", func(o *Options) { o.Pool = pool })
		parent := someTx(7)
		child := spend(types.OutPoint{TxID: parent.TxID()}, 40_000)
		var evil []*stranger
		for i := range maxOwners {
			s := w.strangerFrom("198.51.100.1", "n", newKey(t))
			if i == 0 {
				s.offer(child)
			} else {
				s.send(&wire.Inv{WTxIDs: []types.Hash{child.WTxID()}})
			}
			synctest.Wait()
			evil = append(evil, s)
		}
		honest := w.strangerFrom("192.0.2.7", "n", newKey(t))
		honest.send(&wire.Inv{WTxIDs: []types.Hash{child.WTxID()}})
		synctest.Wait()
		honest.offer(parent)
		w.eventually("both", time.Minute, func() bool { return pool.size() == 2 })
		for _, s := range append(evil, honest) {
			s.conn.Close()
		}
	})
}

// TestTurnsOfOwners: who has an orphan and tells of it again and again takes nobody's turn
// to be asked for its parents.
func TestTurnsOfOwners(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.start("n", func(o *Options) { o.Pool = strictPool{newListPool()} })
		child := spend(types.OutPoint{TxID: someTx(7).TxID()}, 40_000)
		evil := w.strangerFrom("198.51.100.1", "n", newKey(t))
		time.Sleep(relayTick/2 + time.Millisecond) // so that its turn comes between two looks
		evil.offer(child)
		synctest.Wait()
		inv := &wire.Inv{WTxIDs: []types.Hash{child.WTxID()}}
		honest := w.strangerFrom("192.0.2.7", "n", newKey(t))
		honest.send(inv)
		stop := evil.again(2*time.Millisecond, inv)
		if next[*wire.GetParents](honest, 4*parentTimeout) == nil {
			t.Error("the honest peer is never asked")
		}
		stop()
		honest.conn.Close()
		evil.conn.Close()
	})
}
