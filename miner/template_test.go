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
	"github.com/karatcoin/karat/chain/template"
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
		made := w.check(tpl)
		most = max(most, len(made.Txs))
		if i%2 == 1 {
			block := w.mine()
			if len(block.Txs) != len(made.Txs) || block.Txs[0].Outputs[0].Value != tpl.CoinbaseValue {
				t.Fatalf("a block of %d transactions, the template had %d", len(block.Txs), len(made.Txs))
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
	if w.chain.Tip() != before || len(tpl.Entries) < 1 {
		t.Fatalf("%d transactions on %s", len(tpl.Entries), w.chain.Tip())
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
		for _, reserved := range []int{0, 2000, 9000} {
			for _, txs := range []int{0, 1, 40} {
				asked := 0
				pool := &fakePool{make: func(maxWeight int) (list []*pending.Entry, at types.Index) {
					asked = maxWeight
					for range txs {
						list = append(list, &pending.Entry{Tx: padded(maxWeight / txs), Weight: maxWeight / txs})
					}
					return list, c.state.Index
				}}
				m := New(Options{Params: params, Chain: c, Pool: pool, Tag: strings.Repeat("t", 1000), ReservedWeight: reserved})
				tpl := m.templateFor(script)
				block := m.block(tpl, script)
				if len(block.Txs) != 1+txs || tpl.Weight > params.MaxBlockWeight || tpl.Weight < consensus.HashBlock(block).Weight {
					t.Errorf("%s script, %d transactions: weight %d", name, txs, tpl.Weight)
				}
				least := max(coinbaseWeight+types.WitnessScale*len(script), reserved)
				if reserved == 0 {
					least = max(least, DefaultReservedWeight)
				}
				if room := params.MaxBlockWeight - asked; room != least {
					t.Errorf("%s script: %d weight units are reserved, want %d", name, room, least)
				}
			}
		}
	}
}

// TestLimits: what the operator wants is what the pool is asked for.
func TestLimits(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, 1_800_000_000)
	for _, test := range []struct{ set, want int }{{0, params.MaxBlockWeight}, {100_000, 100_000}, {params.MaxBlockWeight + 1, params.MaxBlockWeight}, {1000, 8000}} {
		var got pending.Selection
		m := New(Options{Params: params, Chain: c, Pool: &askedPool{&got}, MaxWeight: test.set, MinFeeRate: 77})
		if m.Template(); got != (pending.Selection{MaxWeight: test.want - DefaultReservedWeight, MinFeeRate: 77}) {
			t.Errorf("a limit of %d: %+v", test.set, got)
		}
	}
}

// askedPool is empty and notes what it is asked for.
type askedPool struct{ want *pending.Selection }

func (p *askedPool) Select(want pending.Selection) ([]*pending.Entry, types.Index) {
	*p.want = want
	return nil, types.Index{}
}
func (p *askedPool) Info() pending.Info                   { return pending.Info{} }
func (p *askedPool) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

// TestSameTemplate: a template is made anew when the tip or the pool has changed, and
// only then.
func TestSameTemplate(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, 1_800_000_000)
	pool := &fakePool{make: func(int) ([]*pending.Entry, types.Index) { return nil, c.state.Index }}
	m := New(Options{Params: params, Chain: c, Pool: pool, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	last := m.Template()
	for _, step := range []struct {
		name  string
		anew  bool
		after func()
	}{
		{"nothing", false, func() {}},
		{"a transaction", true, func() { pool.info.Sequence++ }},
		{"nothing again", false, func() {}},
		{"the pool follows", true, func() { pool.info.Position.Height++ }},
		{"a tip", true, func() { c.state.Index.Hash[0]++ }},
		{"a count of the pool that tells nothing", false, func() { pool.info.Usage++ }},
	} {
		step.after()
		before := pool.selects
		next := m.Template()
		if anew := next != last; anew != step.anew || pool.selects-before != map[bool]int{true: 1}[anew] {
			t.Errorf("%s: anew is %t, %d choices", step.name, anew, pool.selects-before)
		}
		if next.PoolChanges != pool.info.Sequence || next.Header.PrevBlock != c.state.Index.Hash {
			t.Errorf("%s: the template is of %d, %s", step.name, next.PoolChanges, next.Header.PrevBlock)
		}
		last = next
	}
	// One that is used later has the time of then.
	m.o.Now = func() time.Time { return time.Unix(1_800_000_700, 0) }
	if m.Template() != last || m.block(last, chaintest.Anchor).Header.Timestamp != 1_800_000_700 {
		t.Error("the block has the time at which its template was made")
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
	if n := 1 + len(tpl.Entries); tpl.Weight < w.params.MaxBlockWeight*8/10 || n > 140 {
		t.Fatalf("%d transactions of %d weight units", n, tpl.Weight)
	}
	if tpl.Entries[0].TxID != rich {
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
			block := m.block(m.Template(), chaintest.Anchor)
			script := block.Txs[0].Inputs[0].ScriptSig
			if !bytes.HasPrefix(script, consensus.CoinbaseHeight(height)) || len(script) < 2 || len(script) > 100 {
				t.Fatalf("height %d: script %x", height, script)
			}
			if !bytes.Contains(script, []byte(tag[:min(len(tag), 60)])) {
				t.Fatalf("height %d: no tag in %q", height, script)
			}
			hashed := consensus.HashBlock(block)
			if err := consensus.ValidateBlock(params, &c.state, hashed); err != nil {
				t.Fatalf("height %d: %v", height, err)
			}
			if err := consensus.CheckBlock(params, hashed); err != nil {
				t.Fatalf("height %d: %v", height, err)
			}
		}
	}
}

// TestAllDiffer: no two templates, and no two searches of one, try the same.
func TestAllDiffer(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, 1_800_000_000)
	m := New(Options{Params: params, Chain: c, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	seen := map[types.Hash]bool{}
	tpl := m.Template()
	for range 50 {
		b := m.block(tpl, chaintest.Anchor)
		if seen[b.Header.MerkleRoot] || b.Header.MerkleRoot != b.Txs[0].TxID() {
			t.Fatalf("root %s", b.Header.MerkleRoot)
		}
		seen[b.Header.MerkleRoot] = true
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
		if got := int64(w.check(w.template()).Header.Timestamp); got != c.want {
			t.Fatalf("clock %d after the median: time %d", c.now-median, got-median)
		}
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
		if want := map[string]int{"height": 1, "time": 1, "relative height": 2}[c.name]; waits != want || len(tpl.Entries) != 1 {
			t.Fatalf("%s: it waits for %d blocks, want %d; the template has %d transactions", c.name, waits, want, len(tpl.Entries))
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
	pool.info.Position = at
	if tpl := m.Template(); len(tpl.Entries) != 0 || tpl.Fees != 0 || tpl.CoinbaseValue != 50*coin || !tpl.PoolBehind {
		t.Fatalf("%d transactions, fees %d", len(tpl.Entries), tpl.Fees)
	}
	at, pool.info.Position = c.state.Index, c.state.Index
	if tpl := m.Template(); len(tpl.Entries) != 1 || tpl.Fees != 5 || tpl.CoinbaseValue != 50*coin+5 || tpl.PoolBehind {
		t.Fatalf("%d transactions, fees %d", len(tpl.Entries), tpl.Fees)
	}
}

// extraNonce reads what makes each coinbase another.
func extraNonce(b *types.Block, tpl *template.Template) uint64 {
	return binary.LittleEndian.Uint64(b.Txs[0].Inputs[0].ScriptSig[len(consensus.CoinbaseHeight(tpl.Height))+1:])
}
