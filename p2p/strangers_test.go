package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// newKey returns a key for a stranger, who may have as many as it likes.
func newKey(t *testing.T) noise.Key {
	t.Helper()
	key, err := noise.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestMutatedBodies: bodies of other blocks under a header with work are taken a few
// times from an address, whatever ids come from there, and whether they are sent
// whole or in compact form.
func TestMutatedBodies(t *testing.T) {
	send := map[string]func(s *stranger, b *types.Block){
		"whole": func(s *stranger, b *types.Block) {
			s.send(&wire.Headers{Headers: headersOf(b)})
			if next[*wire.GetBlocks](s, time.Minute) != nil {
				s.send(&wire.Block{Raw: append(b.AppendTo(nil), 0)})
			}
		},
		"compact": func(s *stranger, b *types.Block) {
			other := *b
			other.Txs = append(append([]types.Tx(nil), b.Txs...), *someTx(1))
			s.send(&wire.CompactBlock{Header: b.Header, Prefilled: []wire.PrefilledTx{
				{Index: 0, Raw: other.Txs[0].AppendTo(nil)}, {Index: 1, Raw: other.Txs[1].AppendTo(nil)},
			}})
			time.Sleep(time.Second)
			s.conn.Close()
		},
	}
	for name, send := range send {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				n.mine(5)
				b := w.build(n.chain.TipState(), 1)[0]
				for range maxStrikes {
					s := w.strangerFrom("evil", "n", newKey(t))
					if s == nil {
						t.Fatal("it is not let in any more")
					}
					send(s, b)
					select {
					case <-s.closed:
					case <-time.After(time.Minute):
						t.Error("it stays")
					}
				}
				if s := w.strangerFrom("evil", "n", newKey(t)); s != nil && s.fate(time.Second) == stays {
					t.Error("it is let in again and again")
				}
				honest := w.stranger(n)
				honest.send(&wire.Headers{Headers: headersOf(b)})
				go honest.serve(b)
				w.agree("the block", b.Hash(), n)
				time.Sleep(banForStrikes)
				if s := w.strangerFrom("evil", "n", newKey(t)); s == nil || s.fate(time.Second) != stays {
					t.Error("an address is banned for ever")
				} else {
					s.conn.Close()
				}
				honest.conn.Close()
			})
		})
	}
}

// TestOldCompactBlocks: a block that cannot become the tip is not looked at in its
// compact form, nor is one that nobody asked for.
func TestOldCompactBlocks(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(30)
		fork := after(w.params.GenesisState(), base[:10]...)
		parent := payment(base[0])
		old := w.build(fork, 1, parent)[0]
		s := w.stranger(n)
		s.send(compactOf(t, old))
		s.send(&wire.Block{Raw: old.AppendTo(nil)})
		if blocks, txs, _ := s.asked(); len(blocks) != 0 || txs != 0 {
			t.Errorf("asked for %d blocks, and for the transactions of %d", len(blocks), txs)
		}
		if got := s.fate(time.Second); got != stays {
			t.Errorf("who sends it is %s", got)
		}
		rival := w.build(after(w.params.GenesisState(), base[:29]...), 1, parent)[0]
		s.send(compactOf(t, rival))
		if next[*wire.GetBlockTxs](s, time.Second) == nil {
			t.Error("a rival of the tip is not looked at")
		}
		s.conn.Close()
	})
}
