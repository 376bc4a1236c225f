package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/wire"
)

// asked is what a node asked a stranger for by now.
func (s *stranger) asked() (blocks []types.Hash, txs, whole int) {
	synctest.Wait()
	for len(s.Got) > 0 {
		switch m := (<-s.Got).(type) {
		case *wire.GetBlocks:
			blocks = append(blocks, m.Hashes...)
			whole++
		case *wire.GetBlockTxs:
			txs++
		}
	}
	return blocks, txs, whole
}

// TestHeaderOfTheFuture: a header that comes too early does not keep the blocks
// below it from being fetched.
func TestHeaderOfTheFuture(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 4)
		blocks[3].Header.Timestamp = uint32(time.Now().Unix() + 3*3600)
		chaintest.Mine(blocks[3])
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		go s.serve(blocks...)
		w.agree("what has its time", blocks[2].Hash(), n)
		s.expect(stays, "the stranger", time.Minute)
		s.conn.Close()
	})
}

// TestNotFoundIsNotForEver: a peer that lacks a block may have it later.
func TestNotFoundIsNotForEver(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 2)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks[:1]...)})
		get := next[*wire.GetBlocks](s, time.Minute)
		if get == nil {
			t.Fatal("the block was not asked for")
		}
		s.send(&wire.NotFound{What: wire.WhatBlocks, Hashes: get.Hashes})
		if again, _, _ := s.asked(); len(again) != 0 {
			t.Error("the block was asked for again at once")
		}
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		go s.serve(blocks...)
		w.agree("both blocks", tip(blocks), n)
		s.conn.Close()
	})
}

// TestBlockOfAnother: who was not asked for a block cannot take the place of who
// was.
func TestBlockOfAnother(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 1)
		raw := blocks[0].AppendTo(nil)
		honest, evil := w.stranger(n), w.stranger(n)
		honest.send(&wire.Headers{Headers: headersOf(blocks...)})
		if next[*wire.GetBlocks](honest, time.Minute) == nil {
			t.Fatal("the block was not asked for")
		}
		evil.send(&wire.Block{Raw: raw[:len(raw)-1]})
		synctest.Wait()
		honest.drain()
		honest.send(&wire.Block{Raw: raw})
		w.agree("the block", tip(blocks), n)
		if again, _, _ := honest.asked(); len(again) != 0 {
			t.Error("the block was asked for twice")
		}
		evil.expect(stays, "who sent what nobody asked for", time.Minute)
		honest.conn.Close()
		evil.conn.Close()
	})
}

// compactOf is the compact form of a block of which nothing but the coinbase comes
// whole.
func compactOf(t *testing.T, b *types.Block) *wire.CompactBlock {
	t.Helper()
	var wtxids []types.Hash
	for i := range b.Txs {
		wtxids = append(wtxids, b.Txs[i].WTxID())
	}
	c, err := wire.NewCompactBlock(b, wtxids, 7)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCompactBlocks: blocks whose transactions are at hand need nothing more, and
// of others the rest is asked for once, also when the next comes meanwhile.
func TestCompactBlocks(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(20)
		s := w.stranger(n)
		other := w.stranger(n)
		s.drain()
		for i := range 5 { // at hand
			tx := n.pay(payment(base[i]))
			b := w.build(n.chain.TipState(), 1, tx)
			s.send(compactOf(t, b[0]))
			w.agree("a block of what is at hand", tip(b), n)
			if blocks, txs, _ := s.asked(); len(blocks)+txs != 0 {
				t.Errorf("block %d: asked for %d whole and for the rest of %d", i, len(blocks), txs)
			}
		}
		one := w.build(n.chain.TipState(), 1, payment(base[10]))
		two := w.build(after(n.chain.TipState(), one...), 1, payment(base[11]))
		s.drain()
		began := time.Now()
		for range 3 {
			s.send(compactOf(t, one[0]))
			s.send(compactOf(t, two[0]))
		}
		if blocks, txs, _ := s.asked(); len(blocks) != 0 || txs != 2 {
			t.Errorf("asked for %d whole and for the rest of %d, want of 2", len(blocks), txs)
		}
		for _, b := range []*types.Block{one[0], two[0]} {
			s.send(&wire.BlockTxs{Hash: b.Hash(), Txs: [][]byte{b.Txs[1].AppendTo(nil)}})
		}
		w.agree("both", tip(two), n)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		s.conn.Close()
		other.conn.Close()
	})
}

// TestCompactBlockNoLongerNew: a peer that does not answer for the transactions of a
// block alone any more (its chain has gone on) still has the block.
func TestCompactBlockNoLongerNew(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		s := w.stranger(n)
		b := w.build(n.chain.TipState(), 1, payment(base[0]))
		s.send(compactOf(t, b[0]))
		if next[*wire.GetBlockTxs](s, time.Second) == nil {
			t.Fatal("the rest was not asked for")
		}
		s.send(&wire.NotFound{What: wire.WhatBlockTxs, Hashes: []types.Hash{{1}, tip(b), tip(b)}})
		get := next[*wire.GetBlocks](s, time.Second)
		if get == nil || len(get.Hashes) != 1 || get.Hashes[0] != tip(b) {
			t.Fatalf("asked for %v, want the block", get)
		}
		if blocks, _, _ := s.asked(); len(blocks) != 0 {
			t.Error("it was asked for twice")
		}
		s.send(&wire.Block{Raw: b[0].AppendTo(nil)})
		w.agree("the block", tip(b), n)
		s.conn.Close()
	})
}

// TestCompactBlockBeforeScripts: who passes on a compact block has not run its
// scripts (docs/wire-protocol.md), so that a block which breaks a rule is not its
// guilt. Its header is.
func TestCompactBlockBeforeScripts(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(20)
		b := w.build(n.chain.TipState(), 1)[0]
		b.Txs[0].Outputs[0].Value = w.params.MaxMoney
		b.Header.MerkleRoot = b.Txs[0].TxID()
		chaintest.Mine(b)
		s := w.stranger(n)
		s.send(compactOf(t, b))
		s.expect(stays, "who passed it on", time.Minute)
		if n.chain.Tip().Height != 20 {
			t.Error("the block was taken")
		}
		whole := w.stranger(n)
		b = w.build(n.chain.TipState(), 1)[0]
		b.Txs[0].Outputs[0].Value = w.params.MaxMoney
		b.Header.MerkleRoot = b.Txs[0].TxID()
		chaintest.Mine(b)
		whole.send(&wire.Headers{Headers: headersOf(b)})
		go whole.serve(b)
		whole.expect(banned, "who sent one whole", time.Minute)
		s.conn.Close()
	})
}

// TestPrunedPeer: a peer that has the last blocks only is not asked for others.
func TestPrunedPeer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 400)
		w.services = wire.ServiceNetworkLimited
		pruned := w.stranger(n)
		pruned.send(&wire.Headers{Headers: headersOf(blocks...)})
		if got, _, _ := pruned.asked(); len(got) == 0 {
			t.Error("nothing was asked for")
		} else if got[0] == blocks[0].Hash() {
			t.Error("an old block was asked for")
		}
		w.services |= wire.ServiceNetwork
		full := w.stranger(n)
		full.send(&wire.Headers{Headers: headersOf(blocks...)})
		if got, _, _ := full.asked(); len(got) == 0 || got[0] != blocks[0].Hash() {
			t.Error("old blocks were not asked for")
		}
		pruned.conn.Close()
		full.conn.Close()
	})
}

// TestAnnouncementTakesNothingBack: what a node tells a peer does not make it
// forget that the peer has more.
func TestAnnouncementTakesNothingBack(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(5)
		blocks := w.build(n.chain.TipState(), 2)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		if got, _, _ := s.asked(); len(got) != 2 {
			t.Fatalf("asked for %d blocks", len(got))
		}
		s.send(&wire.Block{Raw: blocks[0].AppendTo(nil)}) // which the node then announces
		w.agree("the first", blocks[0].Hash(), n)
		synctest.Wait()
		if best := n.Peers()[0].Best; best.Hash != blocks[1].Hash() {
			t.Errorf("the peer is thought to be at %s", best)
		}
		s.conn.Close()
	})
}

// TestServing: what is there is sent, of what is not the peer is told, and an index
// beyond a block is against the protocol.
func TestServing(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(recent + 5)
		s := w.stranger(n)
		s.send(&wire.GetBlocks{Hashes: []types.Hash{base[0].Hash()}})
		if got := next[*wire.Block](s, time.Second); got == nil || types.DoubleSHA256(got.Raw[:types.HeaderSize]) != base[0].Hash() {
			t.Errorf("sent %v", got)
		}
		s.send(&wire.GetBlocks{Hashes: []types.Hash{{1}, base[0].Hash(), {2}}})
		if got := next[*wire.NotFound](s, time.Second); got == nil || got.What != wire.WhatBlocks || len(got.Hashes) != 2 {
			t.Errorf("sent %v", got)
		}
		s.send(&wire.GetTxs{WTxIDs: []types.Hash{{3}}})
		if got := next[*wire.NotFound](s, time.Second); got == nil || got.What != wire.WhatTxs || got.Hashes[0] != (types.Hash{3}) {
			t.Errorf("sent %v", got)
		}
		for _, c := range []struct {
			hash types.Hash
			sent bool
		}{{tip(base), true}, {base[4].Hash(), true}, {base[3].Hash(), false}, {types.Hash{4}, false}} {
			s.send(&wire.GetBlockTxs{Hash: c.hash, Indexes: []uint32{0}})
			if c.sent {
				if got := next[*wire.BlockTxs](s, time.Second); got == nil || got.Hash != c.hash || len(got.Txs) != 1 {
					t.Errorf("sent %v of %s", got, c.hash)
				}
			} else if got := next[*wire.NotFound](s, time.Second); got == nil || got.What != wire.WhatBlockTxs || got.Hashes[0] != c.hash {
				t.Errorf("sent %v of %s", got, c.hash)
			}
		}
		s.send(&wire.GetHeaders{Locator: []types.Hash{{5}, base[2].Hash()}, Stop: base[4].Hash()})
		if got := next[*wire.Headers](s, time.Second); got == nil || len(got.Headers) != 2 || got.Headers[1] != base[4].Header {
			t.Errorf("sent %v", got)
		}
		s.send(&wire.GetBlockTxs{Hash: tip(base), Indexes: []uint32{1}})
		s.expect(banned, "who asks for what no block can have", time.Minute)
	})
}

// TestStallInTheMiddle: a peer that sends some blocks and then no more is hung up
// on, and the rest comes from another, who is not punished for waiting.
func TestStallInTheMiddle(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 200)
		evil := w.stranger(n)
		evil.send(&wire.Headers{Headers: headersOf(blocks...)})
		get, _, _ := evil.asked()
		if len(get) != firstCaller {
			t.Fatalf("asked for %d blocks", len(get))
		}
		evil.sendBlocks(get[:2], blocks)
		honest := w.start("honest", nil, "n")
		honest.add(blocks...)
		w.agree("the chain", tip(blocks), n)
		if got := evil.fate(3 * stallTimeout); got != stays && got != hungUpOn {
			t.Errorf("who stalls is %s", got)
		}
		if len(honest.Peers()) != 1 {
			t.Error("the honest peer is gone")
		}
		evil.conn.Close()
		// One that has nothing else to offer is given up.
		more := w.build(n.chain.TipState(), 5)
		evil = w.stranger(n)
		evil.send(&wire.Headers{Headers: headersOf(more...)})
		evil.expect(hungUpOn, "who never delivers", 3*stallTimeout)
		honest.add(more...)
		w.agree("the rest", tip(more), n)
	})
}

// TestBodyOfAnotherBlock: bodies that are not the block of the header cost the
// connection or more, and the block is taken from the next.
func TestBodyOfAnotherBlock(t *testing.T) {
	for _, c := range []struct {
		name string
		fate string
		body func(b *types.Block) []byte
	}{
		{"cut", hungUpOn, func(b *types.Block) []byte { raw := b.AppendTo(nil); return raw[:len(raw)-1] }},
		{"longer", hungUpOn, func(b *types.Block) []byte { return append(b.AppendTo(nil), 0) }},
		{"header_only", hungUpOn, func(b *types.Block) []byte { return b.AppendTo(nil)[:types.HeaderSize] }},
		{"other_transactions", hungUpOn, func(b *types.Block) []byte {
			other := *b
			other.Txs = b.Txs[:2]
			return other.AppendTo(nil)
		}},
		{"doubled_transactions", hungUpOn, func(b *types.Block) []byte {
			other := *b
			other.Txs = append(append([]types.Tx(nil), b.Txs...), b.Txs[2])
			return other.AppendTo(nil)
		}},
		{"other_witness", hungUpOn, func(b *types.Block) []byte {
			other := *b
			other.Txs = append([]types.Tx(nil), b.Txs...)
			other.Txs[1].Inputs = append([]types.TxIn(nil), b.Txs[1].Inputs...)
			other.Txs[1].Inputs[0].Witness = [][]byte{{1}}
			return other.AppendTo(nil)
		}},
		{"shorter_than_a_header", banned, func(b *types.Block) []byte { return b.AppendTo(nil)[:types.HeaderSize-1] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				base := n.mine(5)
				parent := payment(base[0])
				b := w.build(n.chain.TipState(), 1, parent, spend(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value))
				evil, honest := w.stranger(n), w.stranger(n)
				evil.send(&wire.Headers{Headers: headersOf(b...)})
				if got, _, _ := evil.asked(); len(got) != 1 {
					t.Fatalf("asked for %d blocks", len(got))
				}
				evil.send(&wire.Block{Raw: c.body(b[0])})
				evil.expect(c.fate, "who sent it", time.Minute)
				honest.send(&wire.Headers{Headers: headersOf(b...)})
				go honest.serve(b...)
				w.agree("the block", tip(b), n)
				honest.expect(stays, "who sent the block", time.Minute)
				honest.conn.Close()
			})
		})
	}
}
