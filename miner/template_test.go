package miner

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// TestTemplatesAreValid fills a pool with chains of payments and takes blocks of
// it, past a halving; some blocks are undone.
func TestTemplatesAreValid(t *testing.T) {
	w := newWorld(t, nil)
	r := rand.New(rand.NewPCG(1, 2))
	for range 146 {
		w.setTime(w.now().Add(time.Minute))
		w.mine()
	}
	most := 0
	for i := range 12 {
		for range r.IntN(20) { // the newest coins are of the pool: chains grow
			which := len(w.free) - 1 - r.IntN(min(len(w.free), 6))
			if w.Outputs[w.free[which]].Value < coin/10 {
				which = 0
			}
			w.accept(w.pay(which, 1+r.IntN(3), types.Amount(2000+r.IntN(50_000))))
		}
		tpl := w.template()
		w.check(tpl)
		most = max(most, len(tpl.Block.Txs))
		if i%2 == 1 {
			block := w.mine()
			if len(block.Txs) != len(tpl.Block.Txs) || block.Txs[0].Outputs[0].Value != tpl.Block.Txs[0].Outputs[0].Value {
				t.Fatalf("a block of %d transactions, the template had %d", len(block.Txs), len(tpl.Block.Txs))
			}
		}
	}
	if most < 5 || w.chain.Tip().Height < 150 {
		t.Fatalf("%d transactions at most, height %d", most, w.chain.Tip().Height)
	}
	// What was undone is mined again.
	before := w.chain.Tip()
	w.accept(w.pay(len(w.free)-1, 1, 3000))
	block := w.mine()
	if err := w.chain.Invalidate(t.Context(), block.Hash()); err != nil {
		t.Fatal(err)
	}
	tpl := w.template()
	w.check(tpl)
	if w.chain.Tip() != before || len(tpl.Block.Txs) < 2 {
		t.Fatalf("%d transactions on %s", len(tpl.Block.Txs), w.chain.Tip())
	}
}

// padded is a transaction of a weight, or a little less.
func padded(weight int) *types.Tx {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{Sequence: 1}}, Outputs: []types.TxOut{{ScriptPubKey: []byte{0x6a}}}}
	for n := weight; ; n-- {
		tx.Inputs[0].Witness = [][]byte{make([]byte, n)}
		if tx.Weight() <= weight {
			return tx
		}
	}
}

// TestWeightLimit: a pool that uses all that it may use, a tag and a script as
// long as they can be make no block too heavy.
func TestWeightLimit(t *testing.T) {
	params := testParams(t)
	params.MaxBlockWeight = 40_000
	c := newFakeChain(params, 1_800_000_000)
	for name, script := range map[string][]byte{
		"short": chaintest.Anchor, "longest program": append([]byte{0x51, 40}, make([]byte, 40)...), "data": append([]byte{0x6a}, make([]byte, 5000)...),
	} {
		for _, txs := range []int{0, 1, 40} {
			asked := 0
			pool := &fakePool{make: func(maxWeight int) (list []*pending.Entry, at types.Index) {
				asked = maxWeight
				for range txs {
					list = append(list, &pending.Entry{Tx: padded(maxWeight / txs), Weight: maxWeight / txs})
				}
				return list, c.state.Index
			}}
			m := New(Options{Params: params, Chain: c, Pool: pool, Tag: strings.Repeat("t", 1000)})
			tpl := m.Template(script)
			if len(tpl.Block.Txs) != 1+txs || tpl.Weight > params.MaxBlockWeight || tpl.Weight != consensus.HashBlock(tpl.Block).Weight {
				t.Errorf("%s script, %d transactions: weight %d", name, txs, tpl.Weight)
			}
			if room := params.MaxBlockWeight - asked - types.WitnessScale*len(script); room > 4000 {
				t.Errorf("%s script: %d weight units are given away", name, room)
			}
		}
	}
}

// TestRealPoolFull: more waits than a block can have; the best fees win.
func TestRealPoolFull(t *testing.T) {
	w := newWorld(t, func(p *consensus.Params, _ *Options) { p.MaxBlockWeight = 40_000 })
	for range 3 {
		w.mine()
	}
	w.accept(w.pay(0, 150, 100_000))
	w.mine()
	var small []types.OutPoint
	for _, outPoint := range w.free {
		if w.Outputs[outPoint].Value < coin {
			small = append(small, outPoint)
		}
	}
	var rich types.Hash
	for i, outPoint := range small[:140] {
		fee := types.Amount(3000)
		if i == 70 {
			fee = 500_000
		}
		tx := w.pay(slices.Index(w.free, outPoint), 1, fee)
		w.accept(tx)
		if i == 70 {
			rich = tx.TxID()
		}
	}
	tpl := w.template()
	w.check(tpl)
	if n := len(tpl.Block.Txs); tpl.Weight < w.params.MaxBlockWeight*8/10 || n > 140 {
		t.Fatalf("%d transactions of %d weight units", n, tpl.Weight)
	}
	if tpl.Block.Txs[1].TxID() != rich {
		t.Fatal("what pays best is not the first")
	}
	w.mine()
	w.check(w.template())
}

// TestCoinbase looks at the script at heights whose pushes differ in length.
func TestCoinbase(t *testing.T) {
	params := testParams(t)
	for _, height := range []uint32{1, 2, 16, 17, 127, 128, 255, 256, 32767, 32768, 1 << 23, 1<<31 - 1} {
		for _, tag := range []string{"", "/karat/", strings.Repeat("x", 1000)} {
			c := newFakeChain(params, 1_800_000_000)
			c.state.Index.Height = height - 1
			m := New(Options{Params: params, Chain: c, Tag: tag})
			tpl := m.Template(chaintest.Anchor)
			block := m.withExtraNonce(tpl, merkleBranch(tpl.Block.Txs))
			block.Txs[0].Outputs[0].Value = 0 // late subsidies are not the question
			for _, b := range []*types.Block{tpl.Block, block} {
				script := b.Txs[0].Inputs[0].ScriptSig
				if !bytes.HasPrefix(script, consensus.CoinbaseHeight(height)) || len(script) < 2 || len(script) > 100 {
					t.Fatalf("height %d: script %x", height, script)
				}
				if !bytes.Contains(script, []byte(tag[:min(len(tag), 60)])) {
					t.Fatalf("height %d: no tag in %q", height, script)
				}
			}
			hashed := consensus.HashBlock(m.withExtraNonce(tpl, nil))
			if err := consensus.ValidateBlock(params, &c.state, hashed); err != nil {
				t.Fatalf("height %d: %v", height, err)
			}
			if err := consensus.CheckBlock(params, hashed); err != nil {
				t.Fatalf("height %d: %v", height, err)
			}
		}
	}
}

// TestCommitment: the witnesses of the others are committed to (BIP141).
func TestCommitment(t *testing.T) {
	w := newWorld(t, nil)
	w.mine()
	w.mine()
	w.accept(w.pay(0, 2, 5000))
	tpl := w.template()
	coinbase := tpl.Block.Txs[0]
	pair := append(make([]byte, 32), make([]byte, 32)...)
	wtxid := tpl.Block.Txs[1].WTxID()
	copy(pair[32:], wtxid[:])
	root := types.DoubleSHA256(pair)
	want := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	if got := coinbase.Outputs[1].ScriptPubKey; !bytes.Equal(got, append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, want[:]...)) {
		t.Fatalf("commitment %x, want %s", got, want)
	}
	if got := coinbase.Inputs[0].Witness; len(got) != 1 || !bytes.Equal(got[0], make([]byte, 32)) {
		t.Fatalf("witness %x", got)
	}
}

// TestAllDiffer: no two templates, and no two searches of one, try the same.
func TestAllDiffer(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, 1_800_000_000)
	m := New(Options{Params: params, Chain: c, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	seen := map[types.Hash]bool{}
	for range 50 {
		tpl := m.Template(chaintest.Anchor)
		before := tpl.Block.Hash()
		for _, b := range []*types.Block{tpl.Block, m.withExtraNonce(tpl, nil), m.withExtraNonce(tpl, nil)} {
			if seen[b.Header.MerkleRoot] || b.Header.MerkleRoot != b.Txs[0].TxID() {
				t.Fatalf("root %s", b.Header.MerkleRoot)
			}
			seen[b.Header.MerkleRoot] = true
		}
		if tpl.Block.Hash() != before || tpl.Block.Txs[0].TxID() != tpl.Block.Header.MerkleRoot {
			t.Fatal("a search has changed the template")
		}
	}
}

// TestMerkleBranch compares with the root of the whole list.
func TestMerkleBranch(t *testing.T) {
	for n := 1; n <= 33; n++ {
		txs := make([]types.Tx, n)
		hashes := make([]types.Hash, n)
		for i := range txs {
			txs[i].LockTime = uint32(i)
			hashes[i] = txs[i].TxID()
		}
		branch := merkleBranch(txs)
		for range 2 {
			want, _ := types.MerkleRoot(hashes)
			if got := merkleRoot(hashes[0], branch); got != want {
				t.Fatalf("%d transactions: %s, want %s", n, got, want)
			}
			hashes[0] = types.Hash{1} // another coinbase
		}
	}
}

// TestTime: a block's time is the clock's, and after the median time past if the
// clock is late. The chain takes both.
func TestTime(t *testing.T) {
	w := newWorld(t, nil)
	for range 11 {
		w.mine()
	}
	state := w.chain.TipState()
	median := int64(state.MedianTimePast())
	for _, c := range []struct{ now, want int64 }{
		{median + 5000, median + 5000}, {median + 1, median + 1}, {median, median + 1}, {median - 3600, median + 1},
	} {
		w.setTime(time.Unix(c.now, 999_999_999))
		tpl := w.template()
		if got := int64(tpl.Block.Header.Timestamp); got != c.want {
			t.Fatalf("clock %d after the median: time %d", c.now-median, got-median)
		}
		w.check(tpl)
	}
	if _, err := w.miner.Generate(t.Context(), 1, chaintest.Anchor, 1<<20); err != nil {
		t.Fatalf("a block just after the median: %v", err)
	}
}

// TestLocks: transactions are in the first block that may have them, not before.
func TestLocks(t *testing.T) {
	for _, c := range []struct {
		name string
		lock func(height, median uint32) (lockTime, sequence uint32)
	}{
		{"height", func(height, _ uint32) (uint32, uint32) { return height, 0 }},
		{"time", func(_, median uint32) (uint32, uint32) { return median, 0 }},
		{"relative height", func(_, _ uint32) (uint32, uint32) { return 0, 3 }},
	} {
		w := newWorld(t, nil)
		for range 12 {
			w.mine()
		}
		// The newest coin has one block; in the second after the next it has three.
		state := w.chain.TipState()
		height, median := state.Index.Height+1, state.MedianTimePast()
		tx := w.pay(len(w.free)-1, 1, 5000)
		tx.LockTime, tx.Inputs[0].Sequence = c.lock(height, median)
		waits := 0
		for ; ; waits++ {
			_, err := w.pool.Accept(t.Context(), tx, 0)
			if err == nil {
				break
			}
			if !errors.Is(err, consensus.ErrNotYet) || waits > 5 {
				t.Fatalf("%s: %v", c.name, err)
			}
			w.mine()
		}
		w.release(tx)
		tpl := w.template()
		w.check(tpl)
		if want := map[string]int{"height": 1, "time": 1, "relative height": 2}[c.name]; waits != want || len(tpl.Block.Txs) != 2 {
			t.Fatalf("%s: it waits for %d blocks, want %d; the template has %d transactions", c.name, waits, want, len(tpl.Block.Txs))
		}
		if block := w.mine(); len(block.Txs) != 2 {
			t.Fatalf("%s: the block has %d transactions", c.name, len(block.Txs))
		}
	}
}

// TestBits: on a network whose difficulty moves a template asks for what the
// chain asks for.
func TestBits(t *testing.T) {
	w := newWorld(t, func(p *consensus.Params, o *Options) {
		p.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 3600}
		p.TargetSpacing = 60
		p.Genesis.Timestamp = 1_799_999_000
		o.Threads = 2
	})
	state := w.chain.TipState()
	for range 100 { // faster than they should, so that it becomes harder
		tpl := w.template()
		w.check(tpl)
		if _, err := w.miner.Generate(t.Context(), 1, chaintest.Anchor, 1<<22); err != nil {
			t.Fatal(err)
		}
	}
	before, _, _ := consensus.ExpandBits(state.Header.Bits)
	state = w.chain.TipState()
	after, _, _ := consensus.ExpandBits(state.Header.Bits)
	if after.Cmp(before) >= 0 {
		t.Fatalf("target %s after %s", after, before)
	}
}

// TestPoolBehind: candidates of another tip are left out.
func TestPoolBehind(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, 1_800_000_000)
	at := c.state.Index
	at.Hash[31] ^= 1
	pool := &fakePool{make: func(int) ([]*pending.Entry, types.Index) { return []*pending.Entry{{Tx: padded(400), Fee: 5}}, at }}
	m := New(Options{Params: params, Chain: c, Pool: pool})
	if tpl := m.Template(chaintest.Anchor); len(tpl.Block.Txs) != 1 || tpl.Fees != 0 || tpl.Block.Txs[0].Outputs[0].Value != 50*coin {
		t.Fatalf("%d transactions, fees %d", len(tpl.Block.Txs), tpl.Fees)
	}
	at = c.state.Index
	if tpl := m.Template(chaintest.Anchor); len(tpl.Block.Txs) != 2 || tpl.Fees != 5 || tpl.Block.Txs[0].Outputs[0].Value != 50*coin+5 {
		t.Fatalf("%d transactions, fees %d", len(tpl.Block.Txs), tpl.Fees)
	}
}

// extraNonce reads what vary changes.
func extraNonce(b *types.Block, tpl *Template) uint64 {
	return binary.LittleEndian.Uint64(b.Txs[0].Inputs[0].ScriptSig[tpl.extraNonceAt():])
}
