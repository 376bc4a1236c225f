package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// world is a real chain on a real store, and the tree of its blocks.
type world struct {
	*chaintest.Tree
	t      testing.TB
	params *consensus.Params
	chain  *chain.Chain
	tip    *chaintest.Block
	all    []*chaintest.Block
	random *rand.Rand
	dir    string // of the index
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		t.Fatal(err)
	}
	params.CoinbaseMaturity = 1
	w := &world{t: t, params: params, random: rand.New(rand.NewPCG(seed, 1)), dir: filepath.Join(t.TempDir(), "indexes")}
	w.chain = w.newChain()
	w.Tree = chaintest.NewTree(params.GenesisBlock().Block)
	w.Reward = func(uint32, types.Amount) (outputs []types.TxOut) {
		for i := range 3 {
			outputs = append(outputs, types.TxOut{Value: coin, ScriptPubKey: chaintest.Anyone(len(w.Outputs) + i)})
		}
		return outputs
	}
	w.tip, w.all = w.Genesis, []*chaintest.Block{w.Genesis}
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

const coin = types.Amount(100_000_000)

// pay moves a coin without a fee, and says something beside.
func (w *world) pay(from types.OutPoint) *types.Tx {
	tx := w.Spend(0, w.Anyone(), from)
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: []byte{0x6a, 1, 7}})
	w.Note(tx)
	return tx
}

// grow adds a block with random payments and with those of another branch that
// are possible still, and makes it the tip of the tests if the chain does.
func (w *world) grow(parent *chaintest.Block, others ...*types.Tx) *chaintest.Block {
	w.t.Helper()
	free := parent.Spendable(1, nil)
	var txs []*types.Tx
	take := func(tx *types.Tx) {
		if i := slices.Index(free, tx.Inputs[0].PreviousOutPoint); i >= 0 {
			free[i] = chaintest.Output(tx, 0) // may be spent in the same block
			txs = append(txs, tx)
		}
	}
	for _, tx := range others {
		take(tx)
	}
	for range w.random.IntN(4) {
		if len(free) > 0 {
			take(w.pay(free[w.random.IntN(len(free))]))
			if w.random.IntN(3) == 0 { // what the block makes it also spends
				take(w.pay(chaintest.Output(txs[len(txs)-1], 0)))
			}
		}
	}
	b := w.Block("", parent, txs...)
	w.add(b)
	return b
}

func (w *world) add(b *chaintest.Block) {
	w.t.Helper()
	if err := w.chain.AddBlock(w.t.Context(), b.Raw); err != nil {
		w.t.Fatalf("block at %d: %v", b.Height, err)
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
	var payments []*types.Tx
	for range min(depth, int(base.Height)) {
		for i := range base.Txs[1:] {
			payments = slices.Insert(payments, i, &base.Txs[i+1])
		}
		base = base.Parent
	}
	for n := int(w.tip.Height-base.Height) + more; n > 0; n-- {
		take := w.random.IntN(len(payments) + 1)
		base = w.grow(base, payments[:take]...)
		payments = payments[take:]
	}
}

// open opens the indexes, which the test closes at its end unless it has before.
func (w *world) open(c Chain, o Options) *Set {
	w.t.Helper()
	s := Open(w.dir, c, o)
	w.t.Cleanup(func() { s.Close() })
	if err := problem(s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// keep are the options for some indexes.
func keep(names ...string) Options { return Options{Names: names} }

var (
	both  = keep(indexed.Txs, indexed.Filters)
	every = keep(indexed.Txs, indexed.Spenders, indexed.Filters, indexed.Scripts, indexed.CoinStats)
)

// catchUp lets the indexes follow to the tip.
func (w *world) catchUp(s *Set) {
	w.t.Helper()
	if err := catchUp(w.t.Context(), s); err != nil {
		w.t.Fatal(err)
	}
}

func catchUp(ctx context.Context, s *Set) error {
	limits := map[place]int{}
	for s.advance(ctx, limits) {
	}
	return problem(s)
}

// problem is why an index stands still, nil if none does.
func problem(s *Set) (err error) {
	for _, x := range s.all {
		err = errors.Join(err, x.failed)
	}
	return err
}

// forgive lets the indexes go on, as another run would.
func forgive(s *Set) {
	for _, x := range s.all {
		x.fail(nil)
		x.anew = false
	}
}

// expect compares the index with what the whole chain gives, and looks for every
// transaction that there ever was.
func (w *world) expect(x *Set) {
	w.t.Helper()
	for _, state := range x.States() {
		if !state.Synced || state.At != w.tip.Index() || state.Problem != "" {
			w.t.Fatalf("the index is at %+v, the tip is at %d", state, w.tip.Height)
		}
	}
	where := map[types.Hash]types.TxPlace{}
	var path []*chaintest.Block
	for b := w.tip; b != nil; b = b.Parent {
		path = append(path, b)
		for i, txid := range b.TxIDs {
			offset := bytes.Index(b.Raw, b.Txs[i].AppendTo(nil))
			where[txid] = types.TxPlace{Block: b.Hash, N: uint32(i), Offset: uint32(offset), Size: uint32(b.Txs[i].Size())}
		}
	}
	slices.Reverse(path)
	if x.find(indexed.Spenders) != nil {
		w.expectSpenders(x, path)
	}
	if x.find(indexed.CoinStats) != nil {
		w.expectCoins(x, path)
	}
	if x.find(indexed.Scripts) != nil {
		w.expectScripts(x, path)
	}
	if x.find(indexed.Filters) != nil {
		w.expectFilters(x, path)
	} else if _, _, err := x.Filter(w.tip.Hash); !errors.Is(err, ErrBehind) {
		w.t.Fatalf("a filter that is not kept: %v", err)
	}
	for _, b := range w.all {
		for _, txid := range b.TxIDs {
			got, err := x.FindTx(txid)
			want, there := where[txid]
			if !there || x.find(indexed.Txs) == nil {
				if !errors.Is(err, ErrBehind) || got != (types.TxPlace{}) {
					w.t.Fatalf("transaction %s is on no block of the chain, but found at %v (%v)", txid, got, err)
				}
			} else if err != nil || got != want {
				w.t.Fatalf("transaction %s is at %v (%v), want %v", txid, got, err, want)
			}
		}
	}
}

func (w *world) expectFilters(x *Set, path []*chaintest.Block) {
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
			w.t.Fatalf("filter at %d is %x with header %s (%v), want %x, %s", b.Height, got, header, err, bytes, want)
		}
	}
}

// copyTo copies the index's folder as a crash would leave it: as it was at one moment, though
// LevelDB tidies up at any time.
func (w *world) copyTo(dir string) {
	w.t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		before := listing(w.dir)
		if err = os.RemoveAll(dir); err == nil {
			err = os.CopyFS(dir, os.DirFS(w.dir))
		}
		if err == nil && listing(w.dir) == before {
			return
		}
	}
	w.t.Fatalf("the folder does not stand still: %v", err)
}

// listing is what changes when LevelDB changes a folder: it writes down in a file what files it
// has.
func listing(dir string) string {
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&list, path, info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil { // it changes
		fmt.Fprintln(&list, time.Now().UnixNano(), err)
	}
	return list.String()
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

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
