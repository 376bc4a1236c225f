package p2p

import (
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// tip returns the hash of the last of blocks.
func tip(blocks []*types.Block) types.Hash { return blocks[len(blocks)-1].Hash() }

// TestSyncFromSeveral: a new node fetches a chain from all of its peers at once.
func TestSyncFromSeveral(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a", nil)
		b := w.start("b", nil)
		c := w.start("c", nil)
		blocks := a.mine(500)
		b.add(blocks...)
		c.add(blocks...)
		n := w.start("n", nil, "a", "b", "c")
		w.agree("the chain", tip(blocks), n)
		for _, p := range n.Peers() {
			if p.LastBlock.IsZero() {
				t.Errorf("nothing came from %s", p.UserAgent)
			}
			if p.Best != n.chain.Tip() || len(p.Flying) != 0 {
				t.Errorf("%s is at %s, and asked for %v", p.UserAgent, p.Best, p.Flying)
			}
		}
		// Each block was sent once.
		var sent uint64
		for _, from := range []*testNode{a, b, c} {
			_, bytes := from.Totals()
			sent += bytes
		}
		var size uint64
		for _, b := range blocks {
			size += uint64(b.Size())
		}
		if limit := size*3/2 + 3*500*types.HeaderSize; sent > limit {
			t.Errorf("%d bytes were sent, the blocks have %d", sent, size)
		}
	})
}

// TestCatchUp: a node that was off, or on the lighter side of a partition, ends on
// the chain with the most work, however deep the branch is.
func TestCatchUp(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a", nil)
		b := w.start("b", nil, "a")
		base := a.mine(30)
		w.agree("the beginning", tip(base), b)
		b.stop()
		light := w.build(a.chain.TipState(), 20)
		heavy := a.mine(25)
		b = w.start("b", nil)
		b.add(light...)
		if err := b.AddNode("a:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("the heavier branch", tip(heavy), a, b)
		more := b.mine(1)
		w.agree("and on", tip(more), a)
	})
}

// TestReorgByHeaders: a branch that is announced block by block, with a fork
// farther back than an announcement reaches, is fetched once it has more work.
func TestReorgByHeaders(t *testing.T) {
	simulate(t, func(w *world) {
		n := w.start("n", nil)
		n.mine(10)
		fork := n.chain.TipState()
		n.mine(20)
		branch := w.build(fork, 21)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(branch[13:]...)})
		get := next[*wire.GetHeaders](s, time.Minute)
		if get == nil || !slices.Contains(get.Locator, fork.Index.Hash) && !slices.Contains(get.Locator, w.params.GenesisBlock().Hash) {
			t.Fatalf("asked for headers %v", get)
		}
		s.send(&wire.Headers{Headers: headersOf(branch...)})
		s.serve(branch...)
		w.agree("the branch", tip(branch), n)
		s.conn.Close()
	})
}
