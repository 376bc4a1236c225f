package p2p

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestFloods: what a peer may ask for without end, whether it reads the answers or
// not, takes bounded memory, and others are served meanwhile.
func TestFloods(t *testing.T) {
	many := func(n int) (hashes []types.Hash) {
		for i := range n {
			var h types.Hash
			binary.BigEndian.PutUint32(h[:], uint32(i)+1)
			hashes = append(hashes, h)
		}
		return hashes
	}
	for _, c := range []struct {
		name string
		make func(base []*types.Block) wire.Message
	}{
		{"headers", func([]*types.Block) wire.Message { return &wire.GetHeaders{} }},
		{"blocks", func(base []*types.Block) wire.Message {
			get := &wire.GetBlocks{}
			for _, b := range base[:wire.MaxGetBlocks] {
				get.Hashes = append(get.Hashes, b.Hash())
			}
			return get
		}},
		{"unknown_blocks", func([]*types.Block) wire.Message { return &wire.GetBlocks{Hashes: many(wire.MaxGetBlocks)} }},
		{"block_transactions", func(base []*types.Block) wire.Message {
			return &wire.GetBlockTxs{Hash: tip(base), Indexes: []uint32{0}}
		}},
		{"unknown_transactions", func([]*types.Block) wire.Message { return &wire.GetTxs{WTxIDs: many(wire.MaxInv)} }},
		{"pings", func([]*types.Block) wire.Message { return &wire.Ping{Nonce: 7} }},
		{"addresses", func([]*types.Block) wire.Message { return &wire.GetPeers{} }},
		{"nothing_but_pongs", func([]*types.Block) wire.Message { return &wire.Pong{Nonce: 7} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				base := n.mine(wire.MaxGetBlocks)
				honest := w.start("honest", nil, "n")
				w.agree("the beginning", tip(base), honest)
				evil := w.caller(n) // it does not read
				message := c.make(base)
				go func() {
					for range 5 * messageBurst {
						if evil.send(message) != nil {
							return
						}
					}
				}()
				for range 350 {
					time.Sleep(100 * time.Millisecond)
					for _, p := range n.slots.all() {
						p.out.mu.Lock()
						if got := p.out.queue.Pending(); got > maxQueued+1<<20 {
							t.Errorf("%d bytes wait for one peer", got)
						}
						if got := p.out.queue.Messages(); got > maxMessages {
							t.Errorf("%d messages wait for one peer", got)
						}
						p.out.mu.Unlock()
					}
				}
				block := n.mine(1)
				w.agree("a block", tip(block), honest)
				time.Sleep(2 * silenceTimeout)
				for _, p := range n.Peers() {
					if p.UserAgent == "/stranger/" && c.name != "nothing_but_pongs" && c.name != "addresses" {
						t.Error("who reads nothing is still there")
					}
				}
				if len(honest.Peers()) != 1 {
					t.Error("the honest peer is gone")
				}
				evil.conn.Close()
			})
		})
	}
}

// TestFloodOfRequests: more requests at once than are queued are against the
// protocol.
func TestFloodOfRequests(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.Blocks = slowBlocks{o.Blocks} })
		base := n.mine(1)
		s := w.stranger(n)
		go func() {
			for range maxRequestBytes/requestOverhead + 2 {
				s.send(&wire.GetBlocks{Hashes: []types.Hash{tip(base)}})
			}
		}()
		s.expect(banned, "the flood", time.Minute)
	})
}

// slowBlocks takes a second to read a block.
type slowBlocks struct{ Blocks }

// Block implements Blocks.
func (b slowBlocks) Block(hash types.Hash) ([]byte, error) {
	time.Sleep(time.Second)
	return b.Blocks.Block(hash)
}

// TestMessagesAreThrottled: who sends more than is handled waits, and is not
// punished.
func TestMessagesAreThrottled(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		s := w.stranger(n)
		began := time.Now()
		go func() { // whose pongs wait for their turn
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				n.Ping()
			}
		}()
		const extra = 2500
		for i := range messageBurst + extra {
			s.send(&wire.Pong{Nonce: uint64(i)})
		}
		if took := time.Since(began); took < extra/messageRate*time.Second-2*time.Second {
			t.Errorf("%d messages were taken in %s", messageBurst+extra, took)
		}
		s.expect(stays, "who sends much", time.Minute)
		s.conn.Close()
	})
}

// TestCrumbsAreThrottled: who cuts what it says into records of one byte waits for them,
// and is not punished. Who writes a message in a few parts waits for nothing.
func TestCrumbsAreThrottled(t *testing.T) {
	const messages = messageBurst - 500
	for _, c := range []struct {
		name  string
		piece int
		wait  time.Duration
	}{
		{"crumbs", 1, (messages*(1+16-freeRecords) - messageBurst) / messageRate * time.Second},
		{"parts", wire.FragmentHeaderSize, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				s := w.stranger(n)
				pong := wire.AppendFragment(nil, wire.Fragment{Lane: wire.Urgent, Type: wire.TypePong, Total: 8, Data: make([]byte, 8)})
				began := time.Now()
				for range messages {
					release := s.Hold() // no answer to a ping comes between
					for rest := pong; len(rest) > 0; rest = rest[c.piece:] {
						if _, err := s.conn.Write(rest[:c.piece]); err != nil {
							t.Fatal(err)
						}
					}
					release()
				}
				if took := time.Since(began); took < c.wait-5*time.Second || took > c.wait+5*time.Second {
					t.Errorf("it took %s, want %s", took, c.wait)
				}
				s.expect(stays, "who writes crumbs", time.Minute)
				s.conn.Close()
			})
		})
	}
}

// TestBlocksAreNotThrottled: the answers that we asked for come as fast as they
// can.
func TestBlocksAreNotThrottled(t *testing.T) {
	if testing.Short() {
		t.Skip("a chain longer than the burst")
	}
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		a := w.start("a", nil)
		blocks := a.mine(messageBurst + 1000)
		began := time.Now()
		if err := n.AddNode("a:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("the chain", tip(blocks), n)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%d blocks took %s on a network without delay", len(blocks), took)
		}
	})
}

// TestSilence: a call that does not become a connection, or falls silent, ends.
func TestSilence(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		ends := func(c net.Conn, within time.Duration) bool {
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(within))
			_, err := io.Copy(io.Discard, c)
			var timeout net.Error
			return !errors.As(err, &timeout) || !timeout.Timeout()
		}
		dial := func() net.Conn {
			c, err := w.dial("stranger", "n:1")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if !ends(dial(), handshakeTimeout+time.Second) {
			t.Error("a silent call is held")
		}
		noisy := dial()
		go func() { _, _ = noisy.Write(bytes.Repeat([]byte{0x55}, 4096)) }()
		if !ends(noisy, handshakeTimeout+time.Second) {
			t.Error("a call of noise is held")
		}
		mute := w.caller(n) // says hello, reads, and answers no ping
		if !ends(mute.conn, 3*silenceTimeout) {
			t.Error("who falls silent stays")
		}
		crumbs := w.caller(n) // a message that never ends
		go func() { _, _ = io.Copy(io.Discard, crumbs.conn) }()
		go func() {
			fragment := wire.AppendFragment(nil, wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: 4_000_000, Data: make([]byte, wire.MaxFragmentData)})
			for range 20 {
				time.Sleep(time.Minute)
				if _, err := crumbs.conn.Write(fragment); err != nil {
					return
				}
			}
		}()
		time.Sleep(3 * silenceTimeout)
		synctest.Wait()
		if len(n.Peers()) != 0 {
			t.Errorf("there are still %d peers", len(n.Peers()))
		}
		crumbs.conn.Close()
	})
}
