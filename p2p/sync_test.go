package p2p

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// tip returns the hash of the last of blocks.
func tip(blocks []*types.Block) types.Hash { return blocks[len(blocks)-1].Hash() }

// TestSyncFromSeveral: the blocks of a chain are asked of all peers that have it, at
// once, and each of one of them.
func TestSyncFromSeveral(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 3*maxFlights+100)
		var strangers []*stranger
		for range 3 {
			s := w.stranger(n)
			strangers = append(strangers, s)
			s.send(&wire.Headers{Headers: headersOf(blocks...)})
		}
		asked := map[types.Hash]int{}
		var requests [3][]types.Hash
		synctest.Wait()
		for i, s := range strangers {
			for get := next[*wire.GetBlocks](s, time.Second); get != nil; get = next[*wire.GetBlocks](s, time.Millisecond) {
				requests[i] = append(requests[i], get.Hashes...)
			}
			for _, hash := range requests[i] {
				asked[hash]++
			}
			if len(requests[i]) != firstCaller {
				t.Errorf("%d blocks are asked of peer %d at once", len(requests[i]), i)
			}
		}
		if len(asked) != 3*firstCaller {
			t.Errorf("%d blocks are asked for in %d requests", len(asked), 3*firstCaller)
		}
		for i, s := range strangers { // what they were asked for, the last first, and all that they are asked for then
			slices.Reverse(requests[i])
			go s.deliver(requests[i], blocks...)
		}
		w.agree("the chain", tip(blocks), n)
		for _, p := range n.Peers() {
			if p.Best != n.chain.Tip() || len(p.InFlight) != 0 {
				t.Errorf("a peer is at %s, and asked for %v", p.Best, p.InFlight)
			}
		}
		for _, s := range strangers {
			s.conn.Close()
			<-s.Closed
		}
	})
}

// TestSyncOfNodes: three nodes and a new one.
func TestSyncOfNodes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a, b, c := w.start("a", nil), w.start("b", nil), w.start("c", nil)
		blocks := a.mine(300)
		b.add(blocks...)
		c.add(blocks[:200]...)
		n := w.start("n", nil, "a", "b", "c")
		w.agree("the chain", tip(blocks), n, c)
		// Each block was sent about once to n and once to c, though two or three had it.
		var size, sent uint64
		for _, b := range blocks {
			size += uint64(b.Size())
		}
		for _, from := range []*testNode{a, b, c} {
			_, bytes := from.Totals()
			sent += bytes
		}
		if limit := size*2 + 3*300*types.HeaderSize; sent > limit {
			t.Errorf("%d bytes were sent, the blocks have %d", sent, size)
		}
	})
}

// TestCatchUp: a node that was off, or on the lighter side of a partition, ends on
// the chain with the most work, however deep the branch is.
func TestCatchUp(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
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
	simulate(t, func(t *testing.T, w *world) {
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
