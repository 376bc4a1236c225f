package p2p

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/header"
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

// lateBlocks answers for good blocks at the end of a stream, as the chain may: their
// scripts take a while, and a body that is not the header's is seen at once.
type lateBlocks struct{ Blocks }

// AddBlocks implements Blocks.
func (b lateBlocks) AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error {
	var good []header.Result
	err := b.Blocks.AddBlocks(ctx, raws, func(r header.Result) {
		if r.Err != nil {
			report(r)
			return
		}
		good = append(good, r)
	})
	for _, r := range good {
		report(r)
	}
	return err
}

// TestBlameIsNotCrossed: two peers bring a block at the same moment, the second of them
// another body under its header. Whichever the chain answers for first, the second goes.
func TestBlameIsNotCrossed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.Blocks = lateBlocks{o.Blocks} })
		n.mine(5)
		b := w.build(n.chain.TipState(), 1)[0]
		honest, evil := w.stranger(n), w.stranger(n)
		time.Sleep(time.Minute)
		for _, s := range []*stranger{honest, evil} {
			s.send(&wire.Headers{Headers: headersOf(b)})
		}
		for _, s := range []*stranger{honest, evil} {
			if next[*wire.GetBlocks](s, 10*time.Second) == nil {
				t.Fatal("the block is not asked for")
			}
		}
		honest.send(&wire.Block{Raw: b.AppendTo(nil)})
		synctest.Wait()
		evil.send(&wire.Block{Raw: append(b.AppendTo(nil), 0)})
		w.agree("the block", b.Hash(), n)
		honest.expect(stays, "who brought the block", time.Second)
		honest.conn.Close()
		evil.conn.Close()
	})
}
