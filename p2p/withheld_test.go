package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// withhold tells nodes of headers, and gives none of their blocks.
func (w *world) withhold(headers []types.Header, nodes ...*testNode) (evil []*stranger) {
	for _, n := range nodes {
		s := w.strangerFrom("evil", n.name, newKey(w.t))
		if s == nil {
			w.t.Fatal("a stranger was not let in")
		}
		s.send(&wire.Headers{Headers: headers})
		evil = append(evil, s)
	}
	time.Sleep(time.Second)
	for _, n := range nodes {
		if n.chain.BestHeader().Hash != headers[len(headers)-1].Hash() {
			w.t.Fatalf("%s does not know the headers", n.name)
		}
	}
	return evil
}

// soon is how long neighbours take to tell each other of a block or a payment.
const soon = 5 * time.Second

// together waits until nodes have the tip, which is soon.
func (w *world) together(what string, tip types.Hash, nodes ...*testNode) {
	w.t.Helper()
	for _, n := range nodes {
		w.eventually(what+": "+n.name, soon, func() bool { return n.chain.Tip().Hash == tip })
	}
}

// TestWithheldBodies: a few headers with more work, whose blocks nobody gives, do not
// keep neighbours from telling each other of blocks and payments: neither while who
// sent them is there, nor when he has gone, nor after a restart.
func TestWithheldBodies(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a := w.start("a", nil)
		base := a.mine(10)
		b := w.start("b", nil, "a")
		w.agree("the beginning", tip(base), b)
		time.Sleep(2 * time.Second)
		evil := w.withhold(w.bareHeaders(a.chain.TipState(), 5), a, b)
		if a.Syncing() || b.Syncing() {
			t.Error("headers make the nodes sync")
		}
		w.together("a block", tip(a.mine(1)), b)
		w.together("a block of the other", tip(b.mine(1)), a)
		tx := a.pay(payment(base[0]))
		w.eventually("a payment", soon, func() bool { return b.has(tx) })
		for _, s := range evil {
			s.conn.Close()
		}
		time.Sleep(time.Minute)
		w.together("a block after he has gone", tip(a.mine(1)), b)

		b.stop()
		missed := a.mine(1) // which has less work than the headers still
		b = w.start("b", nil, "a")
		w.together("a block after a restart", tip(missed), b)
		tx = a.pay(payment(base[1]))
		w.eventually("a payment after a restart", withheldTime+soon, func() bool { return b.has(tx) })
		if b.Syncing() {
			t.Error("headers of which no block comes make a node sync for ever")
		}
	})
}

// TestWithheldFromTheBeginning: a new node whose first neighbour tells of the longest
// chain and gives none of it syncs with the others meanwhile.
func TestWithheldFromTheBeginning(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		evil := w.withhold(w.bareHeaders(w.params.GenesisState(), 400), n)
		honest := w.start("honest", nil)
		blocks := honest.mine(300)
		if err := n.AddNode("honest:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("the chain", tip(blocks), n)
		w.eventually("it counts as synced", withheldTime+soon, func() bool { return !n.Syncing() })
		evil[0].conn.Close()
	})
}

// TestEveryBranch: blocks of each peer's own chain are asked of that peer, of the
// rivals of the tip as well.
func TestEveryBranch(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(10)
		fork := after(w.params.GenesisState(), base[:8]...)
		branches := [][]*types.Block{w.build(fork, 2), w.build(fork, 3), w.build(fork, 5)}
		var strangers []*stranger
		for _, branch := range branches {
			s := w.stranger(n)
			s.send(&wire.Headers{Headers: headersOf(branch...)})
			strangers = append(strangers, s)
		}
		time.Sleep(time.Second)
		for i, s := range strangers {
			blocks, _, _ := s.asked()
			if len(blocks) != min(len(branches[i]), firstCaller) {
				t.Errorf("branch %d: %d blocks are asked for", i, len(blocks))
			}
			for _, hash := range blocks {
				if !containsBlock(branches[i], hash) {
					t.Errorf("branch %d: a block of another is asked for", i)
				}
			}
		}
		strangers[1].sendBlocks([]types.Hash{branches[1][0].Hash(), branches[1][1].Hash(), branches[1][2].Hash()}, branches[1])
		w.together("the branch whose blocks come", tip(branches[1]), n)
		for _, s := range strangers {
			s.conn.Close()
		}
	})
}

func containsBlock(blocks []*types.Block, hash types.Hash) bool {
	for _, b := range blocks {
		if b.Hash() == hash {
			return true
		}
	}
	return false
}

// TestSyncingEnds: a node syncs until it was near the best chain once, which it is not
// before it has the work that the network's file asks for.
func TestSyncingEnds(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		blocks := w.build(w.params.GenesisState(), 50)
		n := w.startWanting(w.workAt(headersOf(blocks...)))
		if n.Syncing() {
			t.Error("a node that knows of nothing syncs")
		}
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		time.Sleep(2 * withheldTime)
		if !n.Syncing() || n.sync.near.Load() {
			t.Error("it does not sync")
		}
		honest := w.start("honest", nil)
		honest.add(blocks...)
		if err := n.AddNode("honest:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("the chain", tip(blocks), n)
		w.eventually("it has synced", soon, func() bool { return !n.Syncing() && n.sync.near.Load() })
		var work consensus.Uint256 = n.chain.TipState().Work
		s.send(&wire.Headers{Headers: w.bareHeaders(n.chain.TipState(), 3)})
		time.Sleep(time.Second)
		if n.Syncing() || n.chain.TipState().Work != work {
			t.Error("it syncs again")
		}
		s.conn.Close()
	})
}

// TestSlowSync: while blocks come, however slowly, a node syncs.
func TestSlowSync(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 20)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		for i, b := range blocks {
			time.Sleep(withheldTime / 2)
			if i > 0 && i < len(blocks)-2 && !n.Syncing() {
				t.Fatalf("it does not sync any more at block %d", i)
			}
			s.send(&wire.Block{Raw: b.AppendTo(nil)})
		}
		w.agree("the chain", tip(blocks), n)
		if n.Syncing() {
			t.Error("it syncs still")
		}
		s.conn.Close()
	})
}
