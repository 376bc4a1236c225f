package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// hesitantPool takes a while to tell what it has, as a large pool does.
type hesitantPool struct{ Pool }

// Entries implements Pool.
func (p hesitantPool) Entries() []*pending.Entry {
	time.Sleep(time.Second)
	return p.Pool.Entries()
}

// TestBlockComesBeforeItsCompactForm: while a compact block is being put together the
// whole block comes from another. What its peer says of it then is of no use.
func TestBlockComesBeforeItsCompactForm(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.Pool = hesitantPool{o.Pool} })
		base := n.mine(5)
		s := w.stranger(n)
		s.drain()
		b := w.build(n.chain.TipState(), 1, payment(base[0]))[0]
		s.send(compactOf(t, b))
		time.Sleep(100 * time.Millisecond)
		other := w.stranger(n)
		other.send(&wire.Headers{Headers: headersOf(b)})
		go other.serve(b)
		w.agree("the block", b.Hash(), n)
		time.Sleep(2 * time.Second)
		s.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{b.Hash()}})
		s.expect(stays, "who has not what it told of", time.Second)
		n.sync.mu.Lock()
		if left := n.sync.partials(); left != 0 {
			t.Errorf("%d compact blocks wait for what never comes", left)
		}
		n.sync.mu.Unlock()
		s.conn.Close()
		other.conn.Close()
	})
}
