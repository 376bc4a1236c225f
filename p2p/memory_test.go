package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/wire"
)

// TestSlowSenderStays: strangers who hold half messages, and keep reading, do not drive
// out the peer that sends the block that was asked of it over a slow line.
func TestSlowSenderStays(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const strangers, pieces = 8, 60
		n := w.start("n", func(o *Options) { o.MaxMemory = strangers * pieces * wire.MaxFragmentData })
		b := w.fat(w.build(w.params.GenesisState(), 1)[0], 100)
		honest := w.stranger(n)
		honest.send(&wire.Headers{Headers: headersOf(b)})
		if next[*wire.GetBlocks](honest, time.Second) == nil {
			t.Fatal("the block is not asked for")
		}
		for i := range strangers {
			s := w.strangerFrom(fmt.Sprint("evil", i), "n", newKey(t))
			go func() {
				part := wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: uint32(w.params.MaxBlockWeight), Data: make([]byte, wire.MaxFragmentData)}
				for range pieces {
					if _, err := s.conn.Write(wire.AppendFragment(nil, part)); err != nil {
						return
					}
				}
				for s.send(&wire.Ping{Nonce: 1}) == nil {
					time.Sleep(time.Second)
				}
			}()
		}
		var f wire.Fragmenter
		if err := f.Push(&wire.Block{Raw: b.AppendTo(nil)}); err != nil {
			t.Fatal(err)
		}
		for fragment, more := f.AppendNext(nil); more; fragment, more = f.AppendNext(nil) {
			time.Sleep(time.Second)
			if _, err := honest.conn.Write(fragment); err != nil {
				t.Fatal("the honest peer is hung up on")
			}
		}
		w.agree("the block", b.Hash(), n)
		n.stop()
		if held := n.budget.held.Load(); held != 0 {
			t.Errorf("%d bytes are counted when all have gone", held)
		}
	})
}
