package node

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool"
)

// TestPackageReachesAll: a transaction without a fee travels with the child that pays for
// it, from node to node and into a block. Another child takes the place of the first.
func TestPackageReachesAll(t *testing.T) {
	simulate(t, 11, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		c := w.start("c", "b")
		a.mine(5)
		w.agree("blocks", a, b, c)
		send := func(height uint32) (parent, child *types.Tx) {
			coin, value := a.coinOf(height)
			parent = payment(coin, value)
			parent.Outputs[1].Value += 10_000 // all that there is
			child = payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
			if _, err := a.running.Load().pool.AcceptPackage(t.Context(), []*types.Tx{parent, child}, 0); err != nil {
				t.Fatal(err)
			}
			w.eventually("a package", func() bool { return c.has(parent) && c.has(child) && b.has(parent) })
			return parent, child
		}
		parent, child := send(1)
		c.mine(1)
		w.agree("a block with it", a, b, c)
		if a.has(parent) || a.has(child) {
			t.Error("a mined package still waits for a block")
		}
		parent, child = send(2)
		other := payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
		other.Outputs[0].Value -= 90_000
		if _, err := b.running.Load().pool.Accept(t.Context(), other, 0); err != nil {
			t.Fatal(err)
		}
		w.eventually("another child", func() bool { return a.has(other) && c.has(other) && !a.has(child) && a.has(parent) })
	})
}

// TestPackagesOfVersion3: a parent of version 3 without a fee travels with its child. So
// does what replaces both, although its parent alone is refused before its child comes;
// and a second child, which takes the place of the first.
func TestPackagesOfVersion3(t *testing.T) {
	simulate(t, 12, func(t *testing.T, w *world) {
		a := w.start("a")
		b := w.start("b", "a")
		c := w.start("c", "b")
		a.mine(5)
		w.agree("blocks", a, b, c)
		coin, value := a.coinOf(1)
		send := func(n *simNode, parentFee, childFee types.Amount) (parent, child *types.Tx) {
			parent, child = &types.Tx{}, &types.Tx{}
			*parent = *payment(coin, value)
			parent.Version = mempool.TRUCVersion
			parent.Outputs[1].Value += 10_000 - parentFee
			*child = *payment(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value)
			child.Version = mempool.TRUCVersion
			child.Outputs[0].Value -= childFee
			if _, err := n.running.Load().pool.AcceptPackage(t.Context(), []*types.Tx{parent, child}, 0); err != nil {
				t.Fatal(err)
			}
			w.eventually("a package", func() bool { return c.has(parent) && c.has(child) && b.has(parent) && a.has(child) })
			return parent, child
		}
		first, _ := send(a, 0, 10_000)
		second, child := send(c, 1000, 50_000)
		if a.has(first) || b.has(first) {
			t.Error("the first package should have been replaced")
		}
		sibling := payment(types.OutPoint{TxID: second.TxID(), Index: 1}, second.Outputs[1].Value)
		sibling.Version = mempool.TRUCVersion
		sibling.Outputs[0].Value -= 200_000
		if _, err := b.running.Load().pool.Accept(t.Context(), sibling, 0); err != nil {
			t.Fatal(err)
		}
		w.eventually("a sibling", func() bool { return a.has(sibling) && c.has(sibling) && !a.has(child) && !c.has(child) })
	})
}
