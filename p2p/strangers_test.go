package p2p

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
					case <-s.Closed:
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
		s.expect(stays, "who sends it", time.Second)
		rival := w.build(after(w.params.GenesisState(), base[:29]...), 1, parent)[0]
		s.send(compactOf(t, rival))
		if next[*wire.GetBlockTxs](s, time.Second) == nil {
			t.Error("a rival of the tip is not looked at")
		}
		s.conn.Close()
	})
}

// countingBlocks counts how often a block is read.
type countingBlocks struct {
	Blocks
	reads *atomic.Int64
}

// Block implements Blocks.
func (b countingBlocks) Block(hash types.Hash) ([]byte, error) {
	b.reads.Add(1)
	return b.Blocks.Block(hash)
}

// TestUselessRequests: what no honest peer asks for is refused before anything is
// read for it, and the parts of a new block are read once, however many ask.
func TestUselessRequests(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var reads atomic.Int64
		n := w.start("n", func(o *Options) { o.Blocks = countingBlocks{o.Blocks, &reads} })
		base := n.mine(recent + 5)
		for i, m := range []wire.Message{
			&wire.GetBlocks{}, &wire.GetTxs{}, &wire.GetBlockTxs{Hash: tip(base)},
			&wire.GetBlockTxs{Hash: tip(base), Indexes: []uint32{0, 1}},
		} {
			s := w.strangerFrom(fmt.Sprint("stranger", i), "n", newKey(t))
			s.send(m)
			s.expect(banned, fmt.Sprintf("who sends %+v", m), time.Minute)
		}
		before := reads.Load()
		s := w.strangerFrom("friend", "n", newKey(t))
		for _, hash := range []types.Hash{base[0].Hash(), {7}} {
			s.send(&wire.GetBlockTxs{Hash: hash, Indexes: []uint32{0}})
			if got := next[*wire.NotFound](s, time.Second); got == nil || got.Hashes[0] != hash {
				t.Errorf("answered by %v", got)
			}
		}
		for range 100 {
			s.send(&wire.GetBlockTxs{Hash: tip(base), Indexes: []uint32{0}})
			if next[*wire.BlockTxs](s, time.Second) == nil {
				t.Fatal("not answered")
			}
		}
		if n := reads.Load() - before; n > 1 {
			t.Errorf("blocks were read %d times", n)
		}
		s.conn.Close()
	})
}

// TestRecentBlocks: of blocks that do not fit together the newest stay, and asking
// for older ones in turn has none of them read.
func TestRecentBlocks(t *testing.T) {
	r := newRecentBlocks()
	raw := (&types.Block{}).AppendTo(nil)
	for height := range uint32(recent + 1) {
		r.put(&recentBlock{types.Index{Height: height, Hash: types.Hash{byte(height)}}, &types.Block{}, maxRecentBytes / 3})
	}
	reads := 0
	read := func(types.Hash) ([]byte, error) { reads++; return raw, nil }
	for range 100 {
		for height := range uint32(recent + 1) {
			if found := r.load(types.Index{Height: height, Hash: types.Hash{byte(height)}}, read); (found != nil) != (height > recent-3) {
				t.Fatalf("block %d is there: %v", height, found != nil)
			}
		}
	}
	if reads != 0 {
		t.Errorf("%d reads", reads)
	}
	if r.load(types.Index{Height: recent + 1, Hash: types.Hash{99}}, read) == nil || reads != 1 {
		t.Error("a newer block is not taken")
	}
}

// TestSharedMemory: a hundred strangers who leave answers and half messages waiting
// hold no more memory than one budget, and the honest peer is served meanwhile.
func TestSharedMemory(t *testing.T) {
	for name, hold := range map[string]func(w *world, n *testNode, s *stranger, blocks []types.Hash){
		"answers": func(w *world, n *testNode, s *stranger, blocks []types.Hash) {
			for range 20 {
				if s.send(&wire.GetBlocks{Hashes: blocks}) != nil {
					return
				}
			}
		},
		"requests": func(w *world, n *testNode, s *stranger, blocks []types.Hash) {
			for range 2000 {
				if s.send(&wire.GetTxs{WTxIDs: make([]types.Hash, wire.MaxInv)}) != nil {
					return
				}
			}
		},
		"half_messages": func(w *world, n *testNode, s *stranger, _ []types.Hash) {
			part := wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: uint32(w.params.MaxBlockWeight), Data: make([]byte, wire.MaxFragmentData)}
			for range 200 {
				if _, err := s.conn.Write(wire.AppendFragment(nil, part)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				const budget = 16 << 20
				n := w.start("n", func(o *Options) { o.MaxMemory = budget })
				var blocks []types.Hash
				for range 8 {
					b := w.fat(w.build(n.chain.TipState(), 1)[0], 100)
					n.add(b)
					blocks = append(blocks, b.Hash())
				}
				honest := w.start("honest", nil, "n")
				for range 100 {
					evil := w.caller(n)
					go hold(w, n, evil, blocks)
				}
				for range 100 {
					time.Sleep(100 * time.Millisecond)
					if held := n.budget.held.Load(); held > budget+2<<20 {
						t.Fatalf("%d bytes are held", held)
					}
				}
				w.agree("the chain", n.chain.Tip().Hash, honest)
				w.agree("a new block", tip(n.mine(1)), honest)
				for _, p := range n.slots.all() {
					if p.inbound && p.hello.UserAgent == "/stranger/" {
						p.close(errReplaced)
					}
				}
				time.Sleep(time.Second)
				if held := n.budget.held.Load(); held > 1<<20 {
					t.Errorf("%d bytes are still counted when all have gone", held)
				}
			})
		})
	}
}

// TestHelloFirst: of a message that comes before the hello nothing is kept.
func TestHelloFirst(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		raw, err := w.dial("stranger", "n:1")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := noise.Client(t.Context(), raw, newKey(t), w.params.Identity(), nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = conn.Write(wire.AppendFragment(nil, wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: 1 << 20, Data: make([]byte, wire.MaxFragmentData)}))
		}()
		began := time.Now()
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it is heard for %s", took)
		}
		if len(n.Peers()) != 0 {
			t.Error("it is let in")
		}
	})
}

// TestLogFlood: hundreds of calls, good ones and bad ones, are a few lines of the log.
func TestLogFlood(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var log bytes.Buffer
		n := w.start("n", func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		for i := range 500 {
			s := w.strangerFrom(fmt.Sprint("stranger", i), "n", newKey(t))
			if s == nil {
				t.Fatal("a stranger was not let in")
			}
			if i%2 == 0 {
				s.send(&wire.GetBlocks{}) // against the protocol
				<-s.Closed
			}
			s.conn.Close()
			synctest.Wait()
		}
		n.stop()
		if log.Len() > 10_000 {
			t.Errorf("%d bytes in the log", log.Len())
		}
		if !strings.Contains(log.String(), "misbehaved") {
			t.Error("the log is silent")
		}
	})
}
