package chain

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// prunedHarness is a pruned node on a chain of 310 blocks.
func prunedHarness(t *testing.T) (h *harness, a []*chaintest.Block) {
	t.Helper()
	h = newHarness(t)
	h.store.prune = true
	h.open()
	a = h.Blocks("a", h.Genesis, 310)
	h.add(a...)
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	return h, a
}

func TestPruneHeight(t *testing.T) {
	h, _ := prunedHarness(t)
	if got := h.chain.PruneHeight(); got != 310-PruneKeep {
		t.Errorf("%d, want %d", got, 310-PruneKeep)
	}
	if got := newHarness(t).chain.PruneHeight(); got != 0 {
		t.Errorf("%d where nothing was pruned", got)
	}
}

// What cannot be undone is not begun: the operator hears why, and the node goes on.
func TestInvalidateBelowWhatIsKept(t *testing.T) {
	h, a := prunedHarness(t)
	err := h.chain.Invalidate(context.Background(), a[10].Hash)
	if !errors.Is(err, ErrPruned) || errors.Is(err, consensus.ErrLocal) {
		t.Fatalf("invalidate a block whose successors were pruned: %v", err)
	}
	h.expectTip(a[309])
	if r, _ := h.chain.Header(a[10].Hash); r.Status.Has(header.StatusInvalid) {
		t.Error("it was marked all the same")
	}
	next := h.Blocks("next", a[309], 1)
	h.add(next...)
	h.expectTip(next[0])
	h.reopen()
	h.expectTip(next[0])
}

// A chain with more work that leaves ours below what is kept stops the node, with
// coins and tip as they were, and says what to do.
func TestReorganisationBelowWhatIsKept(t *testing.T) {
	h, a := prunedHarness(t)
	b := h.Blocks("b", a[9], 302)
	err := h.chain.AddBlocks(context.Background(), func(yield func([]byte) bool) {
		for _, block := range b {
			if !yield(block.Raw) {
				return
			}
		}
	}, func(header.Result) {})
	if !errors.Is(err, ErrPruned) || !errors.Is(err, consensus.ErrLocal) {
		t.Fatalf("reorganise below the pruned height: %v", err)
	}
	t.Log(err)
	h.expectTip(a[309])
	h.store.crash()
	_, err = New(context.Background(), h.params, h.store, Options{Workers: 2, Prune: true})
	if err != nil && !errors.Is(err, ErrPruned) {
		t.Fatalf("restart: %v", err)
	}
}

// Whoever gives up waiting leaves a tip that is good and that the coins are of.
func TestReorganisationGivenUpHalfWay(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 20)
	b := h.Blocks("b", a[4], 10)
	h.add(a...)
	h.add(b...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := h.chain
	if err := c.turn.Take(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := c.tree[a[5].Hash]
	c.refuse(n)
	if err := c.disconnectTo(n.parent); err != nil {
		t.Fatal(err)
	}
	if err := c.activate(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("activate: %v", err)
	}
	c.turn.Give()
	_, state, err := c.Coins(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if state.Index != a[4].Index() {
		t.Errorf("the coins are those of %s, and said to be of %s", a[4].Index(), state.Index)
	}
	h.expectTip(a[4])
	next := h.Blocks("next", b[9], 1)
	h.add(next...)
	h.expectTip(next[0])
}

// What was pruned once is no damage, whether or not the node still prunes.
func TestVerifyWhatWasPrunedBefore(t *testing.T) {
	h, _ := prunedHarness(t)
	h.store.prune = false
	h.reopen()
	blocks, err := h.chain.Verify(context.Background(), 0, VerifyScripts, func(int, int) {})
	if err != nil || blocks < PruneKeep || blocks > PruneKeep+1 {
		t.Fatalf("verified %d blocks: %v", blocks, err)
	}
}

// A pruned block comes back if it is wanted, and only then. The chain goes on as before, and
// the block is there after a restart, until it is pruned once more.
func TestPrunedBlockAgain(t *testing.T) {
	h, a := prunedHarness(t)
	ctx := context.Background()
	there := func(b *chaintest.Block) bool {
		raw, err := h.chain.Block(b.Hash)
		return err == nil && bytes.Equal(raw, b.Raw)
	}
	give := func(raw []byte) error {
		var result error
		if err := h.chain.AddBlocks(ctx, slices.Values([][]byte{raw}), func(r header.Result) { result = r.Err }); err != nil {
			t.Fatal(err)
		}
		return result
	}
	if give(a[10].Raw) != nil || there(a[10]) {
		t.Fatal("a pruned block that nobody wants is stored")
	}
	h.chain.Want(a[10].Hash)
	h.chain.Want(a[309].Hash) // is there
	h.chain.Want(types.Hash{1})
	bad := bytes.Clone(a[10].Raw)
	bad[len(bad)-1] ^= 1
	if give(bad) == nil || there(a[10]) {
		t.Fatal("another body is stored")
	}
	if give(a[10].Raw) != nil || !there(a[10]) || there(a[11]) {
		t.Fatal("a block that is wanted is not stored")
	}
	if got := h.chain.PruneHeight(); got != 310-PruneKeep {
		t.Errorf("blocks are there from height %d", got)
	}
	next := h.Blocks("next", a[309], 1)
	h.add(next...)
	h.expectTip(next[0])
	h.reopen()
	h.expectTip(next[0])
	if err := h.chain.Invalidate(ctx, a[10].Hash); !errors.Is(err, ErrPruned) {
		t.Errorf("what cannot be undone: %v", err)
	}
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	if give(a[10].Raw) != nil || there(a[10]) {
		t.Error("it is wanted for ever")
	}
}

// TestPruneTo: blocks go by hand, also where none go by themselves, but not those that
// somebody needs, nor the last 288.
func TestPruneTo(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 310)
	h.add(a...)
	for _, test := range []struct{ to, keep, want uint32 }{
		{5, 1000, 6}, {9, 4, 6}, {9, 8, 8}, {310, 1000, 310 - PruneKeep + 1}, {1 << 31, 1000, 310 - PruneKeep + 1},
	} {
		h.chain.keep = func() uint32 { return test.keep }
		if err := h.chain.PruneTo(context.Background(), test.to); err != nil {
			t.Fatal(err)
		}
		if got := h.chain.PruneHeight(); got != test.want {
			t.Errorf("up to %d, with %d needed: blocks are there from %d on, want %d", test.to, test.keep, got, test.want)
		}
	}
	h.store.crash()
	h.open() // the coins reflect what is left
	h.expectTip(a[309])
}

// TestFirstSince: times may go down, and the lowest block counts.
func TestFirstSince(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 20)
	h.add(a...)
	for i, b := range append([]*chaintest.Block{h.Genesis}, a...) {
		if got, ok := h.chain.FirstSince(b.Header.Timestamp); !ok || got.Height > uint32(i) {
			t.Errorf("since the time of %d: %s, %v", i, got, ok)
		}
	}
	if got, ok := h.chain.FirstSince(0); !ok || got.Height != 0 {
		t.Errorf("since 1970: %s, %v", got, ok)
	}
	if got, ok := h.chain.FirstSince(^uint32(0)); ok {
		t.Errorf("since 2106: %s", got)
	}
}
