package p2p

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// far makes a connection one over which every byte takes a while.
func far(conn net.Conn, delay time.Duration) net.Conn {
	near, middle := net.Pipe()
	carry := func(from, to net.Conn) {
		type piece struct {
			at    time.Time
			bytes []byte
		}
		line := make(chan piece, 1<<16)
		go func() {
			defer close(line)
			for {
				b := make([]byte, 32<<10)
				n, err := from.Read(b)
				if err != nil {
					return
				}
				line <- piece{time.Now().Add(delay), b[:n]}
			}
		}()
		for p := range line {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.bytes); err != nil {
				break
			}
		}
		from.Close()
		to.Close()
		for range line {
		}
	}
	go carry(conn, middle)
	go carry(middle, conn)
	return near
}

// dialFar lets a node's calls go over a line of 100 ms.
func (w *world) dialFar(from string) func(o *Options) {
	return func(o *Options) {
		o.Dial = func(_ context.Context, address string) (net.Conn, error) {
			conn, err := w.dial(from, address)
			if err != nil {
				return nil, err
			}
			return far(conn, 100*time.Millisecond), nil
		}
	}
}

// TestLyingCompactBlocks: a new block comes within a second of virtual time over a
// line of 100 ms, though a hundred strangers have told of it before and never send the
// rest, or send others.
func TestLyingCompactBlocks(t *testing.T) {
	for _, c := range []struct {
		name    string
		inbound bool // the honest peer called us
		lie     func(s *stranger, b *types.Block)
	}{
		{"silent", false, func(s *stranger, b *types.Block) { s.send(compactOf(s.w.t, b)) }},
		{"silent_before_a_caller", true, func(s *stranger, b *types.Block) { s.send(compactOf(s.w.t, b)) }},
		{"headers_only", true, func(s *stranger, b *types.Block) { s.send(&wire.Headers{Headers: headersOf(b)}) }},
		{"other_transactions", true, func(s *stranger, b *types.Block) {
			s.send(&wire.CompactBlock{Header: b.Header, Prefilled: []wire.PrefilledTx{
				{Index: 0, Raw: b.Txs[0].AppendTo(nil)}, {Index: 1, Raw: someTx(1).AppendTo(nil)},
			}})
		}},
		{"trickling", true, func(s *stranger, b *types.Block) {
			s.send(compactOf(s.w.t, b))
			for next[*wire.GetBlockTxs](s, time.Minute) != nil {
				_, _ = s.conn.Write(wire.AppendFragment(nil, wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: 900_000, Data: make([]byte, wire.MaxFragmentData)}))
			}
		}},
		{"not_found", true, func(s *stranger, b *types.Block) {
			s.send(compactOf(s.w.t, b))
			for get := next[*wire.GetBlockTxs](s, time.Minute); get != nil; get = next[*wire.GetBlockTxs](s, time.Minute) {
				s.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{get.Hash}})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n, honest := w.start("n", w.dialFar("n")), w.start("honest", w.dialFar("honest"))
				base := honest.mine(10)
				n.add(base...)
				caller, called := n, honest
				if c.inbound {
					caller, called = honest, n
				}
				if err := caller.AddNode(called.name + ":1"); err != nil {
					t.Fatal(err)
				}
				w.agree("the beginning", tip(base), n)
				var evil []*stranger
				for i := range 100 {
					s := w.strangerFrom(fmt.Sprint("evil", i), "n", newKey(t))
					if s == nil {
						t.Fatal("a stranger was not let in")
					}
					evil = append(evil, s)
				}
				time.Sleep(2 * time.Second)
				for i := range 3 {
					b := w.build(honest.chain.TipState(), 1, payment(base[i]))
					for _, s := range evil {
						go c.lie(s, b[0])
					}
					synctest.Wait()
					began := time.Now()
					honest.add(b...)
					for n.chain.Tip().Hash != tip(b) && time.Since(began) < time.Minute {
						time.Sleep(10 * time.Millisecond)
					}
					most := time.Second
					if c.name == "trickling" { // what comes is waited for once
						most *= 2
					}
					if took := time.Since(began); took > most {
						t.Errorf("block %d took %s", i, took)
					} else {
						t.Logf("block %d took %s", i, took)
					}
				}
				for _, s := range evil {
					s.conn.Close()
				}
			})
		})
	}
}

// TestCompactBlocksForNothing: a peer that sends the same compact block again and again,
// and never the rest, does not have us go through the pool each time.
func TestCompactBlocksForNothing(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		b := w.build(n.chain.TipState(), 1, payment(base[0]))[0]
		s := w.stranger(n)
		asked := 0
		for range 100 {
			s.send(compactOf(t, b))
			if next[*wire.GetBlockTxs](s, 100*time.Millisecond) != nil {
				asked++
				s.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{b.Hash()}})
				if next[*wire.GetBlocks](s, time.Second) != nil {
					s.send(&wire.NotFound{What: wire.WhatBlocks, Hashes: []types.Hash{b.Hash()}})
				}
			}
		}
		if asked > maxTries+2 {
			t.Errorf("the rest was asked for %d times", asked)
		}
		honest := w.stranger(n)
		honest.send(&wire.Headers{Headers: headersOf(b)})
		go honest.serve(b)
		w.agree("the block", b.Hash(), n)
		s.conn.Close()
		honest.conn.Close()
	})
}
