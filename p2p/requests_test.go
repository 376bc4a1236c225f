package p2p

import (
	"testing"
	"testing/synctest"
	"time"

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
