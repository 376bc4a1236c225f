package index

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
)

// testBlock is a block that a test made, and what can be spent after it.
type testBlock struct {
	*consensus.HashedBlock
	parent *testBlock
	height uint32
	free   []types.OutPoint // that are unspent, all of one value
}

// world is a real chain on a real store, and a maker of blocks for it.
type world struct {
	t       testing.TB
	params  *consensus.Params
	chain   *chain.Chain
	genesis *testBlock
	tip     *testBlock
	all     []*testBlock
	random  *rand.Rand
	counter uint32
	dir     string // of the index
}

func testParams(t testing.TB) *consensus.Params {
	t.Helper()
	data, err := os.ReadFile("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params, err := network.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 1
	return params
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{t: t, params: testParams(t), random: rand.New(rand.NewPCG(seed, 1)), dir: filepath.Join(t.TempDir(), "indexes")}
	w.chain = w.newChain()
	w.genesis = &testBlock{HashedBlock: w.params.GenesisBlock()}
	w.tip, w.all = w.genesis, []*testBlock{w.genesis}
	return w
}

// newChain is an empty chain of the network.
func (w *world) newChain() *chain.Chain {
	w.t.Helper()
	s, err := store.Open(w.t.TempDir(), store.Options{Network: w.params.Identity(), CacheBytes: 16 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	c, err := chain.New(w.t.Context(), w.params, s, chain.Options{Now: now, Workers: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// script can be spent by anyone, and is new at each call.
func (w *world) script() []byte {
	w.counter++
	return binary.BigEndian.AppendUint32([]byte{0x52, 4}, w.counter|1<<31)
}

// coinbaseOutputs is how many outputs a coinbase has, each of a coin.
const coinbaseOutputs = 3

// pay moves a coin without a fee.
func (w *world) pay(from types.OutPoint) types.Tx {
	return types.Tx{
		Version: 2,
		Inputs:  []types.TxIn{{PreviousOutPoint: from, Sequence: 0xffffffff}},
		Outputs: []types.TxOut{{Value: 100_000_000, ScriptPubKey: w.script()}, {ScriptPubKey: []byte{0x6a, 1, 7}}},
	}
}

// build makes a block on a parent.
func (w *world) build(parent *testBlock, txs ...types.Tx) *testBlock {
	w.t.Helper()
	b := &testBlock{parent: parent, height: parent.height + 1, free: slices.Clone(parent.free)}
	w.counter++
	coinbase := types.Tx{Version: 2, Inputs: []types.TxIn{{
		PreviousOutPoint: types.OutPoint{Index: types.NullIndex}, Sequence: 0xffffffff,
		ScriptSig: binary.LittleEndian.AppendUint32(append(consensus.CoinbaseHeight(b.height), 4), w.counter),
	}}}
	for range coinbaseOutputs {
		coinbase.Outputs = append(coinbase.Outputs, types.TxOut{Value: 100_000_000, ScriptPubKey: w.script()})
	}
	block := &types.Block{
		Header: types.Header{
			Version: 4, PrevBlock: parent.Hash, Bits: w.params.Genesis.Bits, Timestamp: parent.Block.Header.Timestamp + 60,
		},
		Txs: append([]types.Tx{coinbase}, txs...),
	}
	consensus.Commit(block)
	for consensus.CheckHeader(w.params, &block.Header, block.Hash()) != nil {
		block.Header.Nonce++
	}
	b.HashedBlock = consensus.HashBlock(block)
	for i := range block.Txs {
		for _, in := range block.Txs[i].Inputs {
			b.free = slices.DeleteFunc(b.free, func(o types.OutPoint) bool { return o == in.PreviousOutPoint })
		}
		for j, out := range block.Txs[i].Outputs {
			if out.Value > 0 {
				b.free = append(b.free, types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)})
			}
		}
	}
	return b
}

// grow adds a block with random payments and with those of another branch that
// are possible still, and makes it the tip of the tests if the chain does.
func (w *world) grow(parent *testBlock, others ...types.Tx) *testBlock {
	w.t.Helper()
	free := slices.Clone(parent.free)
	var txs []types.Tx
	take := func(tx types.Tx) {
		if i := slices.Index(free, tx.Inputs[0].PreviousOutPoint); i >= 0 {
			free[i] = types.OutPoint{TxID: tx.TxID()} // may be spent in the same block
			txs = append(txs, tx)
		}
	}
	for _, tx := range others {
		take(tx)
	}
	for range w.random.IntN(4) {
		if len(free) > 0 {
			take(w.pay(free[w.random.IntN(len(free))]))
		}
	}
	b := w.build(parent, txs...)
	w.add(b)
	return b
}

func (w *world) add(b *testBlock) {
	w.t.Helper()
	if err := w.chain.AddBlock(w.t.Context(), b.Raw); err != nil {
		w.t.Fatalf("block at %d: %v", b.height, err)
	}
	w.all = append(w.all, b)
	if w.chain.Tip().Hash == b.Hash {
		w.tip = b
	}
}

// growBy adds n blocks on the tip.
func (w *world) growBy(n int) {
	w.t.Helper()
	for range n {
		w.grow(w.tip)
	}
}

// fork builds a branch that leaves the best chain depth blocks below the tip and
// is longer by more. The payments of the old branch are in the new one where
// they can.
func (w *world) fork(depth, more int) {
	w.t.Helper()
	base := w.tip
	var payments []types.Tx
	for range min(depth, int(base.height)) {
		payments = append(slices.Clone(base.Block.Txs[1:]), payments...)
		base = base.parent
	}
	for n := int(w.tip.height-base.height) + more; n > 0; n-- {
		take := w.random.IntN(len(payments) + 1)
		base = w.grow(base, payments[:take]...)
		payments = payments[take:]
	}
}

// open opens the index, which the test closes at its end unless it has before.
func (w *world) open(c Chain, o Options) *Index {
	w.t.Helper()
	x, err := Open(w.dir, c, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { x.Close() })
	return x
}

var both = Options{Filters: true, Txs: true}

// catchUp lets the index follow to the tip.
func (w *world) catchUp(x *Index) {
	w.t.Helper()
	if err := catchUp(w.t.Context(), x); err != nil {
		w.t.Fatal(err)
	}
}

func catchUp(ctx context.Context, x *Index) error {
	for {
		if more, err := x.advance(ctx); err != nil || !more {
			return err
		}
	}
}

// expect compares the index with what the whole chain gives, and looks for every
// transaction that there ever was.
func (w *world) expect(x *Index) {
	w.t.Helper()
	if at, synced := x.Position(); !synced || at.Hash != w.tip.Hash || at.Height != w.tip.height {
		w.t.Fatalf("the index is at %s (%t), the tip is at %d", at, synced, w.tip.height)
	}
	where := map[types.Hash]types.Hash{}
	var path []*testBlock
	for b := w.tip; b != nil; b = b.parent {
		path = append(path, b)
		for _, txid := range b.TxIDs {
			where[txid] = b.Hash
		}
	}
	slices.Reverse(path)
	if x.o.Filters {
		w.expectFilters(x, path)
	} else if _, _, err := x.Filter(w.tip.Hash); !errors.Is(err, ErrBehind) {
		w.t.Fatalf("a filter that is not kept: %v", err)
	}
	for _, b := range w.all {
		for _, txid := range b.TxIDs {
			got, err := x.FindTx(txid)
			want, there := where[txid]
			if !there || !x.o.Txs {
				if !errors.Is(err, ErrBehind) || got != (types.Hash{}) {
					w.t.Fatalf("transaction %s is on no block of the chain, but found in %s (%v)", txid, got, err)
				}
			} else if err != nil || got != want {
				w.t.Fatalf("transaction %s is in %s (%v), want %s", txid, got, err, want)
			}
		}
	}
}

func (w *world) expectFilters(x *Index, path []*testBlock) {
	w.t.Helper()
	var want types.Hash
	for _, b := range path {
		u, err := w.chain.BlockUpdate(b.Hash)
		if err != nil {
			w.t.Fatal(err)
		}
		bytes, err := filter.Build(&u)
		if err != nil {
			w.t.Fatal(err)
		}
		want = filter.Header(bytes, want)
		got, header, err := x.Filter(b.Hash)
		if err != nil || string(got) != string(bytes) || header != want {
			w.t.Fatalf("filter at %d is %x with header %s (%v), want %x, %s", b.height, got, header, err, bytes, want)
		}
	}
}

// copyTo copies the index's folder as a crash would leave it.
func (w *world) copyTo(dir string) {
	w.t.Helper()
	var err error
	for range 100 { // LevelDB removes files that it needs no more at any time
		if err = os.RemoveAll(dir); err == nil {
			err = os.CopyFS(dir, os.DirFS(w.dir))
		}
		if err == nil {
			return
		}
	}
	w.t.Fatal(err)
}

// files are the names of the index's files that hold anything.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() > 0 && d.Name() != "LOG" {
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
