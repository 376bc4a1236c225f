package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestFetchBlock: a block beside the best chain is fetched from the peer that the operator
// names, and what cannot be is said in Bitcoin Core's words.
func TestFetchBlock(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(10)
		side := w.build(after(w.params.GenesisState(), base[:5]...), 2)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(side...)})
		time.Sleep(time.Second)
		s.drain()
		number, hash := n.Peers()[0].Number, side[0].Hash()
		refused := func(number int, hash types.Hash, want string) {
			t.Helper()
			if err := n.FetchBlock(number, hash); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		refused(number, types.Hash{7}, "block header missing")
		refused(number, base[3].Hash(), "block already downloaded")
		refused(number+1, hash, "peer does not exist")
		if err := n.FetchBlock(number, hash); err != nil {
			t.Fatal(err)
		}
		refused(number, hash, "already requested from this peer")
		if get := next[*wire.GetBlocks](s, time.Second); get == nil || len(get.Hashes) != 1 || get.Hashes[0] != hash {
			t.Fatalf("asked for %v", get)
		}
		s.sendBlocks([]types.Hash{hash}, side)
		w.eventually("the block", soon, func() bool {
			info, _ := n.chain.Info(hash)
			return info.Status.Has(header.StatusBody)
		})
		if n.chain.Tip().Hash != tip(base) {
			t.Error("the chain has changed")
		}
		s.expect(stays, "the peer", time.Second)
		s.conn.Close()
	})
}

// TestFetchBlockPruned: a pruned node fetches no block ahead of its chain, which would
// keep files from being removed.
func TestFetchBlockPruned(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.Pruned = true })
		ahead := w.build(n.chain.TipState(), 1)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(ahead...)})
		time.Sleep(time.Second)
		err := n.FetchBlock(n.Peers()[0].Number, tip(ahead))
		if want := "in prune mode, only blocks that the node has already synced previously can be fetched from a peer"; err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
		s.conn.Close()
	})
}
