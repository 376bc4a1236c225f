package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/dchest/siphash"

	"github.com/karatcoin/karat/chain/types"
)

// testBlock is a block of n transactions, all different, some with witnesses,
// with the witness ids that a HashedBlock has.
func testBlock(n int, r *rand.Rand) (*types.Block, []types.Hash) {
	block := &types.Block{Header: testHeader(byte(n)), Txs: make([]types.Tx, n)}
	wtxids := make([]types.Hash, n)
	for i := range block.Txs {
		tx := &block.Txs[i]
		tx.Version = 2
		tx.Inputs = []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: hash(byte(i)), Index: r.Uint32()}, ScriptSig: []byte{}}}
		if r.IntN(3) > 0 {
			tx.Inputs[0].Witness = [][]byte{bytesOf(1+r.IntN(100), byte(i))}
		}
		tx.Outputs = []types.TxOut{{Value: types.Amount(i), ScriptPubKey: []byte{0x51}}}
		wtxids[i] = tx.WTxID()
	}
	wtxids[0] = types.Hash{} // the coinbase's (BIP141)
	return block, wtxids
}

func mustCompact(t testing.TB, block *types.Block, wtxids []types.Hash, nonce uint64) *CompactBlock {
	t.Helper()
	c, err := NewCompactBlock(block, wtxids, nonce)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(TypeCompactBlock, Encode(c)) // as a peer has it
	if err != nil {
		t.Fatal(err)
	}
	return m.(*CompactBlock)
}

func mustReconstruct(t testing.TB, c *CompactBlock) *Reconstruction {
	t.Helper()
	r, err := NewReconstruction(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSipHash: the vector of SipHash's paper, and Bitcoin Core's of a 32-byte
// hash (hash_tests.cpp).
func TestSipHash(t *testing.T) {
	const k0, k1 = 0x0706050403020100, 0x0f0e0d0c0b0a0908
	if got := siphash.Hash(k0, k1, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}); got != 0xa129ca6149be45e5 {
		t.Errorf("%x", got)
	}
	if got := (ShortIDKey{k0, k1}).ShortID(hash(0)); got != 0x7127512f72f27cce&0xffffffffffff {
		t.Errorf("%x", got)
	}
}

func TestCompactBlock(t *testing.T) {
	block, wtxids := testBlock(5, rand.New(rand.NewPCG(1, 1)))
	c := mustCompact(t, block, wtxids, 77)
	if c.Txs() != 5 || len(c.ShortIDs) != 4 || len(c.Prefilled) != 1 || c.Nonce != 77 || c.Header != block.Header {
		t.Fatalf("%+v", c)
	}
	if !bytes.Equal(c.Prefilled[0].Raw, block.Txs[0].AppendTo(nil)) || c.Prefilled[0].Index != 0 {
		t.Error("the coinbase is not there")
	}
	for i, id := range c.ShortIDs {
		if id != NewShortIDKey(&block.Header, 77).ShortID(wtxids[i+1]) || id>>48 != 0 {
			t.Errorf("short id %d is %x", i, id)
		}
		if id == NewShortIDKey(&block.Header, 78).ShortID(wtxids[i+1]) {
			t.Error("the nonce changes nothing")
		}
	}
	if size := len(Encode(c)); size > c.size() {
		t.Errorf("%d bytes, foreseen were %d", size, c.size())
	}
}

func TestCompactBlockTooLarge(t *testing.T) {
	block, wtxids := testBlock(2, rand.New(rand.NewPCG(1, 1)))
	block.Txs[0].Outputs[0].ScriptPubKey = make([]byte, MaxCompactBlock)
	if _, err := NewCompactBlock(block, wtxids, 1); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	many := &types.Block{Txs: make([]types.Tx, MaxBlockTxs+1)}
	if _, err := NewCompactBlock(many, make([]types.Hash, MaxBlockTxs+1), 1); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// TestReconstruct: whatever part of a block a pool has, among other
// transactions, what is missing is asked for and the block comes out.
func TestReconstruct(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		block, wtxids := testBlock(1+r.IntN(40), r)
		c := mustCompact(t, block, wtxids, seed)
		rec := mustReconstruct(t, c)
		var want []uint32
		for i := 1; i < len(block.Txs); i++ {
			if r.IntN(3) == 0 {
				want = append(want, uint32(i))
				continue
			}
			if !rec.Wants(wtxids[i]) {
				t.Fatalf("seed %d: transaction %d is not wanted", seed, i)
			}
			rec.Offer(wtxids[i], block.Txs[i].AppendTo(nil))
		}
		for range 20 {
			other := types.Hash{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
			if rec.Wants(other) {
				t.Fatalf("seed %d: %x is wanted", seed, other)
			}
			rec.Offer(other, []byte("other"))
		}
		missing := rec.Missing()
		if !equal(missing, want) {
			t.Fatalf("seed %d: missing %d, want %d", seed, missing, want)
		}
		if len(missing) > 0 {
			if raw, ok := rec.Block(); ok || raw != nil {
				t.Fatalf("seed %d: a block with holes", seed)
			}
			fill(t, rec, block, missing)
		}
		if raw, ok := rec.Block(); !ok || !bytes.Equal(raw, block.AppendTo(nil)) || cap(raw) > block.Size()+indexLen {
			t.Fatalf("seed %d: another block came out", seed)
		}
	}
}

func equal(a, b []uint32) bool {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// fill asks the block's owner for what is missing, over the wire.
func fill(t *testing.T, rec *Reconstruction, block *types.Block, missing []uint32) {
	t.Helper()
	request, err := Decode(TypeGetBlockTxs, Encode(&GetBlockTxs{block.Hash(), missing}))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := NewBlockTxs(block, request.(*GetBlockTxs))
	if err != nil || answer.Hash != block.Hash() {
		t.Fatal(err)
	}
	m, err := Decode(TypeBlockTxs, Encode(answer))
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Fill(m.(*BlockTxs)); err != nil || rec.Missing() != nil {
		t.Fatal(err, rec.Missing())
	}
}

// TestPrefilledAnywhere: a peer may hold any transactions whole.
func TestPrefilledAnywhere(t *testing.T) {
	block, wtxids := testBlock(6, rand.New(rand.NewPCG(1, 3)))
	for set := range 64 {
		c := &CompactBlock{Header: block.Header, Nonce: 5}
		for i := range block.Txs {
			if set>>i&1 == 1 {
				c.Prefilled = append(c.Prefilled, PrefilledTx{uint32(i), block.Txs[i].AppendTo(nil)})
			} else {
				c.ShortIDs = append(c.ShortIDs, c.Key().ShortID(wtxids[i]))
			}
		}
		m, err := Decode(TypeCompactBlock, Encode(c))
		if err != nil {
			t.Fatal(err)
		}
		rec := mustReconstruct(t, m.(*CompactBlock))
		for i := range block.Txs {
			rec.Offer(wtxids[i], block.Txs[i].AppendTo(nil))
		}
		if raw, ok := rec.Block(); !ok || !bytes.Equal(raw, block.AppendTo(nil)) {
			t.Fatalf("prefilled %06b: another block came out", set)
		}
	}
}

// TestNewBlockTxsBeyond: a peer asks for what the block does not have.
func TestNewBlockTxsBeyond(t *testing.T) {
	block, _ := testBlock(3, rand.New(rand.NewPCG(1, 1)))
	if _, err := NewBlockTxs(block, &GetBlockTxs{Indexes: []uint32{0, 3}}); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	if m, err := NewBlockTxs(block, &GetBlockTxs{Indexes: []uint32{2}}); err != nil || len(m.Txs) != 1 {
		t.Error(err)
	}
}

// TestFillRefuses: an answer has as many transactions as were asked for, those
// of the short ids and in their order. After a refusal nothing is lost.
func TestFillRefuses(t *testing.T) {
	block, wtxids := testBlock(4, rand.New(rand.NewPCG(1, 4)))
	rec := mustReconstruct(t, mustCompact(t, block, wtxids, 1))
	raw := func(i int) []byte { return block.Txs[i].AppendTo(nil) }
	for name, txs := range map[string][][]byte{
		"none": nil, "too few": {raw(1), raw(2)}, "too many": {raw(1), raw(2), raw(3), raw(3)},
		"turned round": {raw(2), raw(1), raw(3)}, "another": {raw(0), raw(2), raw(3)}, "empty": {{}, {}, {}},
		"the last is another": {raw(1), raw(2), raw(0)},
	} {
		if err := rec.Fill(&BlockTxs{Txs: txs}); !errors.Is(err, ErrProtocol) || len(rec.Missing()) != 3 {
			t.Errorf("%s: %v, missing %d", name, err, rec.Missing())
		}
	}
	fill(t, rec, block, rec.Missing())
}

// TestCollisions: two short ids of one block alike end the attempt; two
// transactions of the pool that meet one short id are both left out.
func TestCollisions(t *testing.T) {
	block, wtxids := testBlock(4, rand.New(rand.NewPCG(1, 5)))
	twice := mustCompact(t, block, wtxids, 1)
	twice.ShortIDs[2] = twice.ShortIDs[0]
	if _, err := NewReconstruction(twice); !errors.Is(err, ErrCollision) || errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	rec := mustReconstruct(t, mustCompact(t, block, wtxids, 1))
	for i := 1; i < 4; i++ {
		rec.Offer(wtxids[i], block.Txs[i].AppendTo(nil))
	}
	rec.Offer(wtxids[3], block.Txs[3].AppendTo(nil)) // the same again is no other
	for range 2 {                                    // no test finds a second witness id for a short id; the first is as good
		rec.Offer(wtxids[2], []byte("another"))
	}
	if missing := rec.Missing(); !equal(missing, []uint32{2}) {
		t.Fatalf("missing %d", missing)
	}
	fill(t, rec, block, []uint32{2})
	if raw, ok := rec.Block(); !ok || !bytes.Equal(raw, block.AppendTo(nil)) {
		t.Error("another block came out")
	}
}

// FuzzReconstruct lets a peer send any compact block and any answer to it:
// what comes out, if anything, holds the pieces in the order of the indexes.
func FuzzReconstruct(f *testing.F) {
	block, wtxids := testBlock(5, rand.New(rand.NewPCG(1, 6)))
	c, err := NewCompactBlock(block, wtxids, 1)
	if err != nil {
		f.Fatal(err)
	}
	answer, err := NewBlockTxs(block, &GetBlockTxs{block.Hash(), []uint32{1, 2, 4}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(Encode(c), Encode(answer))
	f.Add(Encode(&CompactBlock{ShortIDs: []ShortID{1}, Prefilled: []PrefilledTx{{1, []byte("x")}}}), Encode(&BlockTxs{}))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		m, err := Decode(TypeCompactBlock, first)
		if err != nil {
			return
		}
		c := m.(*CompactBlock)
		rec, err := NewReconstruction(c)
		if err != nil {
			if !errors.Is(err, ErrCollision) {
				t.Fatal(err)
			}
			return
		}
		for i, wtxid := range wtxids {
			rec.Offer(wtxid, block.Txs[i].AppendTo(nil))
		}
		if m, err := Decode(TypeBlockTxs, second); err == nil {
			if err := rec.Fill(m.(*BlockTxs)); err != nil && !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
		}
		raw, ok := rec.Block()
		if ok != (len(rec.Missing()) == 0) {
			t.Fatal("a block with holes, or none without")
		}
		for _, p := range c.Prefilled {
			if ok && !bytes.Contains(raw, p.Raw) {
				t.Fatal("a prefilled transaction is not in the block")
			}
		}
	})
}

func BenchmarkReconstruct(b *testing.B) {
	block, wtxids := testBlock(2000, rand.New(rand.NewPCG(1, 7)))
	c, err := NewCompactBlock(block, wtxids, 1)
	if err != nil {
		b.Fatal(err)
	}
	raws := make([][]byte, len(block.Txs))
	for i := range raws {
		raws[i] = block.Txs[i].AppendTo(nil)
	}
	pool := make([]types.Hash, 50_000)
	for i := range pool {
		pool[i] = types.Hash{byte(i), byte(i >> 8), 7}
	}
	for b.Loop() {
		rec, err := NewReconstruction(c)
		if err != nil {
			b.Fatal(err)
		}
		for _, wtxid := range pool {
			rec.Wants(wtxid)
		}
		for i, wtxid := range wtxids {
			rec.Offer(wtxid, raws[i])
		}
		if _, ok := rec.Block(); !ok {
			b.Fatal("no block")
		}
	}
}
