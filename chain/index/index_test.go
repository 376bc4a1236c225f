package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

func TestFollowsFromNothing(t *testing.T) {
	w := newWorld(t, 1)
	x := w.open(w.chain, both)
	if synced(x) {
		t.Fatal("an empty index is not at the tip, not even of an empty chain")
	}
	if _, _, err := x.Filter(w.Genesis.Hash); !errors.Is(err, ErrBehind) {
		t.Fatalf("filter of the genesis block: %v", err)
	}
	w.catchUp(x)
	w.expect(x)
	w.growBy(30)
	if synced(x) {
		t.Fatal("synced 30 blocks below the tip")
	}
	if _, err := x.FindTx(w.tip.TxIDs[0]); !errors.Is(err, ErrBehind) {
		t.Fatalf("a transaction to come: %v", err)
	}
	w.catchUp(x)
	w.expect(x)
}

// TestReorganisations moves between branches of any depth; the long ones take
// several writes.
func TestReorganisations(t *testing.T) {
	w := newWorld(t, 2)
	x := w.open(w.chain, both)
	w.growBy(40)
	w.catchUp(x)
	for _, depth := range []int{1, 2, 7, 40} {
		old := w.tip
		w.fork(depth, 1)
		w.catchUp(x)
		w.expect(x)
		// What a branch had is known by its hash.
		if _, _, err := x.Filter(old.Hash); err != nil {
			t.Fatalf("filter of a block that has left the chain: %v", err)
		}
	}
}

// TestRandomHistories is the model test: at random times the index follows, is
// opened again, or is what a crash left.
func TestRandomHistories(t *testing.T) {
	steps := 120
	if testing.Short() {
		steps = 40
	}
	for seed := range uint64(4) {
		w := newWorld(t, 100+seed)
		o := []Options{every, every, both, keep(indexed.Filters)}[seed]
		x := w.open(w.chain, o)
		saved := filepath.Join(t.TempDir(), "crash")
		w.copyTo(saved)
		for range steps {
			switch w.random.IntN(10) {
			case 0, 1, 2:
				w.growBy(1 + w.random.IntN(3))
			case 3:
				w.fork(1+w.random.IntN(6), 1)
			case 4:
				w.grow(w.all[w.random.IntN(len(w.all))]) // to a branch that need not win
			case 5, 6:
				w.catchUp(x)
				w.expect(x)
			case 7: // a part of the way, then a restart
				one := x.all[w.random.IntN(len(x.all))]
				reverted, applied, err := w.chain.UpdatesSince(one.at, 1+w.random.IntN(4))
				if err == nil && !one.fresh && len(reverted)+len(applied) > 0 {
					err = one.write(reverted, applied)
				}
				if err != nil {
					t.Fatal(err)
				}
				x.Close()
				x = w.open(w.chain, o)
			case 8:
				w.copyTo(saved)
			case 9: // a crash loses what was written since
				x.Close()
				if err := os.RemoveAll(w.dir); err != nil {
					t.Fatal(err)
				}
				if err := os.CopyFS(w.dir, os.DirFS(saved)); err != nil {
					t.Fatal(err)
				}
				x = w.open(w.chain, o)
			}
		}
		w.catchUp(x)
		w.expect(x)
	}
}

// TestCoreFilters follows a chain that Bitcoin Core made and compares with
// Core's filters and headers.
func TestCoreFilters(t *testing.T) {
	var core struct {
		Blocks []struct {
			Block  string
			Hash   types.Hash
			Filter string       `json:"basic_filter"`
			Header types.Hash   `json:"basic_filter_header"`
			TxIDs  []types.Hash `json:"txids"`
		}
	}
	vectors.ReadJSON(t, "chain/core-regtest-taproot-only.json", &core)
	w := newWorld(t, 3)
	w.params.CoinbaseMaturity = 100
	w.chain = w.newChain()
	x := w.open(w.chain, both)
	for _, b := range core.Blocks {
		if err := w.chain.AddBlock(t.Context(), vectors.Hex(t, b.Block)); err != nil {
			t.Fatal(err)
		}
	}
	w.catchUp(x)
	for i, b := range core.Blocks {
		bytes, header, err := x.Filter(b.Hash)
		if err != nil || string(bytes) != string(vectors.Hex(t, b.Filter)) || header != b.Header {
			t.Fatalf("block %d: filter %x with header %s (%v)", i+1, bytes, header, err)
		}
		for _, txid := range b.TxIDs {
			if got, err := x.FindTx(txid); err != nil || got.Block != b.Hash {
				t.Fatalf("transaction %s is at %v (%v), want block %s", txid, got, err, b.Hash)
			}
		}
	}
	vectors.Ran(t, len(core.Blocks), "filters and headers")
}

// TestSwitches: what is switched off is not answered, and goes on from where it was
// when it is switched on again.
func TestSwitches(t *testing.T) {
	w := newWorld(t, 4)
	w.growBy(20)
	seen := map[string]bool{}
	for i, o := range []Options{
		keep(indexed.Filters), both, keep(indexed.Txs), keep(indexed.Filters), keep(indexed.Txs), both, keep(indexed.Filters), both,
	} {
		x := w.open(w.chain, o)
		for _, x := range x.all {
			if x.fresh == seen[x.name] {
				t.Fatalf("step %d: %s is made anew: %t", i, x.name, x.fresh)
			}
			seen[x.name] = true
		}
		w.catchUp(x)
		w.expect(x)
		w.fork(2, 1)
		w.catchUp(x)
		w.expect(x)
		x.Close()
	}
}

func TestOfAnotherNetwork(t *testing.T) {
	w := newWorld(t, 5)
	w.growBy(5)
	x := w.open(w.chain, both)
	w.catchUp(x)
	x.Close()
	w.params.MaxMoney-- // the same genesis block, other rules
	other := w.newChain()
	x = w.open(other, both)
	for _, x := range x.all {
		if !x.fresh {
			t.Fatalf("the %s of another network was kept", x.name)
		}
	}
}

// TestChainMadeAnew: the chain has forgotten the block where the index is.
func TestChainMadeAnew(t *testing.T) {
	w := newWorld(t, 6)
	w.growBy(9)
	x := w.open(w.chain, both)
	w.catchUp(x)
	x.Close()
	w.chain, w.tip = w.newChain(), w.Genesis
	w.growBy(4)
	x = w.open(w.chain, both)
	w.catchUp(x)
	w.expect(x)
}

// pruned is a chain without the bodies below a height.
type pruned struct {
	Chain
	below uint32
}

func notStored() error { return consensus.Local(consensus.ErrNotFound) }

func (p *pruned) BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error) {
	u, err := p.Chain.BlockUpdate(hash)
	if err == nil && u.Update.Block.Height > 0 && u.Update.Block.Height < p.below {
		return consensus.BlockUpdate{}, notStored()
	}
	return u, err
}

func (p *pruned) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	reverted, applied, err = p.Chain.UpdatesSince(since, limit)
	for _, list := range [][]consensus.BlockUpdate{reverted, applied} {
		for _, u := range list {
			if u.Update.Block.Height < p.below {
				return nil, nil, notStored()
			}
		}
	}
	return reverted, applied, err
}

// TestPruned: filters outlive the bodies; what cannot be made again is not
// removed, and a new index says why it stands still.
func TestPruned(t *testing.T) {
	w := newWorld(t, 7)
	w.growBy(15)
	x := w.open(w.chain, keep(indexed.Filters))
	w.catchUp(x)
	x.Close()
	c := &pruned{w.chain, 10}
	x = w.open(c, both)
	err := catchUp(t.Context(), x)
	if states := x.States(); !errors.Is(err, consensus.ErrNotFound) || !strings.Contains(states[0].Problem, "pruned") || states[1].Problem != "" || !states[1].Synced {
		t.Fatalf("an index that cannot be made: %v, %+v", err, states)
	}
	x.Close()
	x = w.open(c, keep(indexed.Filters))
	w.expect(x)
	w.growBy(3)
	w.catchUp(x)
	w.expect(x)
	x.Close()

	w.dir = filepath.Join(t.TempDir(), "new")
	x = w.open(c, both)
	if err := catchUp(t.Context(), x); !errors.Is(err, consensus.ErrNotFound) || !strings.Contains(err.Error(), "pruned") {
		t.Fatalf("a new index: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- x.Run(ctx) }()
	for x.Needs() != ^uint32(0) { // it must not hold pruning up for ever
		time.Sleep(time.Millisecond)
	}
	if synced(x) {
		t.Fatal("it stands still, and says that it is at the tip")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// A later Run tries again.
	c.below = 0
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- x.Run(ctx) }()
	w.waitFor(x)
	cancel()
	<-done
	w.expect(x)
}

// synced reports whether all indexes are at the tip.
func synced(s *Set) bool {
	for _, state := range s.States() {
		if !state.Synced {
			return false
		}
	}
	return true
}

// waitFor waits until the indexes are at the tip.
func (w *world) waitFor(x *Set) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if synced(x) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the index does not come to the tip")
		}
	}
}

// meanwhile is a chain that does something whenever it is asked for its tip.
type meanwhile struct {
	Chain
	do func()
}

// Tip implements Chain.
func (c meanwhile) Tip() types.Index {
	tip := c.Chain.Tip()
	c.do()
	return tip
}

// TestPositionWhileItMoves: an index at the tip does not seem to be behind because
// both move on while somebody asks.
func TestPositionWhileItMoves(t *testing.T) {
	w := newWorld(t, 8)
	w.growBy(3)
	x := w.open(w.chain, both)
	if err := catchUp(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	one := x.all[0]
	one.chain = meanwhile{w.chain, func() {
		one.chain = w.chain
		w.growBy(1)
		if err := catchUp(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}}
	if state := one.state(); !state.Synced {
		t.Errorf("it is at %s, and says that this is not the tip", state.At)
	}
}

// TestNeeds: bodies are kept for what is not indexed, and for the way back.
func TestNeeds(t *testing.T) {
	w := newWorld(t, 8)
	x := w.open(w.chain, both)
	for _, c := range []struct{ at, want uint32 }{{0, 0}, {10, 0}, {288, 0}, {300, 12}} {
		x.all[0].at.Height, x.all[1].at.Height = c.at, c.at+5
		if got := x.Needs(); got != c.want {
			t.Fatalf("at %d it needs bodies from %d on, want %d", c.at, got, c.want)
		}
	}
}

// faulty is a chain that fails as it is told.
type faulty struct {
	Chain
	err error
}

func (f *faulty) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	return f.Chain.UpdatesSince(since, limit)
}

// TestFaultOfTheChain: a fault of the disk is no reason to throw the index away,
// and one that comes again does not make it anew for ever.
func TestFaultOfTheChain(t *testing.T) {
	w := newWorld(t, 9)
	w.growBy(5)
	c := &faulty{Chain: w.chain}
	x := w.open(c, both)
	w.catchUp(x)
	c.err = consensus.Local(errors.New("the disk broke"))
	if err := catchUp(t.Context(), x); !errors.Is(err, consensus.ErrLocal) || x.all[0].at.Height != 5 {
		t.Fatalf("%v, at %s", err, x.all[0].at)
	}
	if synced(x) {
		t.Fatal("it stands still, and says that it follows")
	}
	forgive(x)
	c.err = errors.New("never heard of it")
	if err := catchUp(t.Context(), x); !errors.Is(err, c.err) {
		t.Fatal(err)
	}
	c.err = nil
	forgive(x)
	w.catchUp(x)
	w.expect(x)
}

// TestRun runs against a chain that grows and forks, with queries all the time;
// what they find is never of another transaction or block.
func TestRun(t *testing.T) {
	w := newWorld(t, 10)
	w.growBy(10)
	blocks := w.all
	x := w.open(w.chain, both)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := x.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				b := blocks[i%len(blocks)]
				if _, _, err := x.Filter(b.Hash); err != nil && !errors.Is(err, ErrBehind) {
					t.Error(err)
				}
				if place, err := x.FindTx(b.TxIDs[0]); err == nil && place.Block != b.Hash || err != nil && !errors.Is(err, ErrBehind) {
					t.Error(place, err)
				}
				x.States()
				x.Needs()
			}
		})
	}
	for range 5 {
		w.growBy(3)
		w.waitFor(x)
		w.fork(4, 1)
	}
	w.waitFor(x)
	w.expect(x)
	cancel()
	wg.Wait()
	if err := errors.Join(x.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := x.FindTx(w.tip.TxIDs[0]); !errors.Is(err, ErrBehind) {
		t.Fatalf("after Close: %v", err)
	}
}

// clockwork is a chain of nothing but a tip.
type clockwork struct {
	Chain
	tip types.Index
}

func (c *clockwork) Tip() types.Index { return c.tip }

// TestGiveWay: the index waits for what is more urgent as long as that gets on,
// and is not slowed down for ever by what does not.
func TestGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockwork{tip: types.Index{Height: 1}}
		later, calls := true, 0
		x := &Set{chain: c, o: Options{Later: func() bool {
			if calls++; calls <= 100 && calls%10 == 0 { // the tip moves each second, ten times
				c.tip.Height++
			}
			return later
		}}}
		waits := func(ctx context.Context) time.Duration {
			began := time.Now()
			x.giveWay(ctx)
			return time.Since(began).Round(time.Second)
		}
		if d := waits(t.Context()); d != 15*time.Second {
			t.Fatalf("it waits %s for a tip that moves for ten seconds", d)
		}
		if d := waits(t.Context()); d != 0 {
			t.Fatalf("it waits %s for a tip that stands still", d)
		}
		c.tip.Height++
		if d := waits(t.Context()); d != 5*time.Second {
			t.Fatalf("it waits %s for the next tip", d)
		}
		c.tip.Height++
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if d := waits(ctx); d != 2*time.Second {
			t.Fatalf("it waits %s for a context that ends", d)
		}
		later = false
		if d := waits(t.Context()); d != 0 {
			t.Fatalf("it waits %s for nothing", d)
		}
	})
}

// TestWait: who waits finds what the tip has, unless the index is far behind.
func TestWait(t *testing.T) {
	w := newWorld(t, 12)
	w.growBy(batchBlocks + 1)
	x := w.open(w.chain, both)
	if x.Wait(t.Context(), indexed.Filters) { // it would wait for long: nothing runs yet
		t.Fatal("what is not there was waited for")
	}
	var running sync.WaitGroup
	var cancel context.CancelFunc
	begin := func() {
		var ctx context.Context
		ctx, cancel = context.WithCancel(t.Context())
		running.Go(func() {
			if err := x.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	begin()
	w.waitFor(x)
	for range 30 {
		w.growBy(1)
		if w.random.IntN(3) == 0 {
			w.fork(2, 1)
		}
		if !x.Wait(t.Context(), indexed.Filters) || !x.Wait(t.Context(), indexed.Txs) {
			t.Fatal("not waited long enough")
		}
		if _, _, err := x.Filter(w.tip.Hash); err != nil {
			t.Fatalf("the filter of the tip: %v", err)
		}
		if _, err := x.FindTx(w.tip.TxIDs[0]); err != nil {
			t.Fatalf("the coinbase of the tip: %v", err)
		}
	}
	cancel()
	running.Wait()

	w.growBy(batchBlocks - 1) // in one go, as generatetoaddress does
	begin()
	if !x.Wait(t.Context(), indexed.Filters) {
		t.Error("a step's blocks are not waited for")
	}
	cancel()
	running.Wait()
}
