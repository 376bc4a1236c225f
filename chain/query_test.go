package chain

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// forked is a chain with a tip a8, a side branch of bodies b4..b5, headers
// without bodies c9..c10 above the tip, and an invalid block.
//
//	genesis - a1 - a2 - a3 - a4 - ... - a8 - (c1 - c2)
//	                    |- b1 - b2
//	                    |- bad
func forked(t *testing.T) (h *harness, a, b, c []*chaintest.Block, bad *chaintest.Block) {
	h = newHarness(t)
	a = h.Blocks("a", h.Genesis, 8)
	b = h.Blocks("b", a[2], 2)
	c = h.Blocks("c", a[7], 2)
	h.add(a...)
	h.add(b...)
	bad = h.Spoiled("bad", a[7], consensus.ReasonCoinbaseAmount, chaintest.Greedy)
	h.add(bad)
	if err := h.chain.AddHeaders(headers(c...)); err != nil {
		t.Fatal(err)
	}
	return h, a, b, c, bad
}

func TestTips(t *testing.T) {
	h, a, b, c, bad := forked(t)
	got := map[types.Hash]header.Tip{}
	for _, tip := range h.chain.Tips() {
		got[tip.Index.Hash] = tip
	}
	want := map[types.Hash]header.Tip{
		a[7].Hash: {Index: a[7].Index(), BranchLength: 0, Status: "active"},
		b[1].Hash: {Index: b[1].Index(), BranchLength: 2, Status: "valid-headers"},
		c[1].Hash: {Index: c[1].Index(), BranchLength: 2, Status: "headers-only"},
		bad.Hash:  {Index: bad.Index(), BranchLength: 1, Status: "invalid"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	// A branch that was the best once is a valid fork.
	if err := h.chain.Invalidate(context.Background(), a[3].Hash); err != nil {
		t.Fatal(err)
	}
	if err := h.chain.Reconsider(context.Background(), a[3].Hash); err != nil {
		t.Fatal(err)
	}
	for _, tip := range h.chain.Tips() {
		if tip.Index == b[1].Index() && tip.Status != "valid-fork" {
			t.Errorf("the branch that was connected is %q", tip.Status)
		}
	}
}

func TestInfo(t *testing.T) {
	h, a, b, c, _ := forked(t)
	info, ok := h.chain.Info(a[2].Hash)
	if !ok || !info.OnBestChain || info.Next != a[3].Hash || info.Height != 3 || info.ChainTxs != 4 || info.TxCount != 1 {
		t.Errorf("a3: %+v", info)
	}
	if info.MedianTime != a[1].Header.Timestamp { // of genesis, a1, a2, a3
		t.Errorf("median time %d", info.MedianTime)
	}
	tip, _ := h.chain.Info(a[7].Hash)
	if tip.Work != h.chain.TipState().Work || tip.Next != (types.Hash{}) || !tip.OnBestChain {
		t.Errorf("tip: %+v", tip)
	}
	if side, _ := h.chain.Info(b[1].Hash); side.OnBestChain || side.Next != (types.Hash{}) || side.ChainTxs != 6 {
		t.Errorf("b2: %+v", side)
	}
	if header, _ := h.chain.Info(c[0].Hash); header.OnBestChain || header.ChainTxs != 0 {
		t.Errorf("c1: %+v", header)
	}
	if _, ok := h.chain.Info(types.Hash{1}); ok {
		t.Error("an unknown block is known")
	}
	h.reopen()
	if again, _ := h.chain.Info(a[2].Hash); again != info {
		t.Errorf("after a restart %+v, before %+v", again, info)
	}
	if got := h.chain.MedianTimePast(3); got != info.MedianTime {
		t.Errorf("MedianTimePast is %d, Info's %d", got, info.MedianTime)
	}
	if got := h.chain.MedianTimePast(1000); got != tip.MedianTime {
		t.Errorf("above the tip: %d", got)
	}
}

// reopen flushes and opens the chain again.
func (h *harness) reopen() {
	h.t.Helper()
	if err := h.chain.Flush(); err != nil {
		h.t.Fatal(err)
	}
	h.open()
}

func TestLocatorAndHeadersAfter(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 100)
	h.add(a...)
	locator := h.chain.Locator()
	if locator[0] != a[99].Hash || locator[9] != a[90].Hash || locator[len(locator)-1] != h.Genesis.Hash || len(locator) > 20 {
		t.Errorf("a locator of %d hashes", len(locator))
	}
	other := newHarness(t)
	b := other.Blocks("b", a[59], 3)
	other.add(a[:60]...)
	other.add(b...)
	for _, c := range []struct {
		name        string
		locator     []types.Hash
		stop        types.Hash
		limit       int
		first, last int // heights
	}{
		{"from the genesis block", nil, types.Hash{}, 2000, 1, 100},
		{"from a fork", other.chain.Locator(), types.Hash{}, 2000, 61, 100},
		{"a few", other.chain.Locator(), types.Hash{}, 5, 61, 65},
		{"up to a block", nil, a[9].Hash, 2000, 1, 10},
		{"unknown blocks only", []types.Hash{{1}, {2}}, types.Hash{}, 3, 1, 3},
		{"from the tip", locator, types.Hash{}, 2000, 101, 100},
	} {
		headers := h.chain.HeadersAfter(c.locator, c.stop, c.limit)
		if len(headers) != c.last-c.first+1 {
			t.Errorf("%s: %d headers", c.name, len(headers))
			continue
		}
		for i, header := range headers {
			if header.Hash() != a[c.first-1+i].Hash {
				t.Fatalf("%s: header %d is another", c.name, i)
			}
		}
	}
}

func TestMissingBlocks(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 10)
	if err := h.chain.AddHeaders(headers(a...)); err != nil {
		t.Fatal(err)
	}
	heights := func(list []types.Index) (heights []uint32) {
		for _, at := range list {
			heights = append(heights, at.Height)
		}
		return heights
	}
	if got := heights(h.chain.MissingTowards(a[9].Hash, 3)); !slices.Equal(got, []uint32{1, 2, 3}) {
		t.Errorf("at first: %v", got)
	}
	h.add(a[0], a[1], a[4]) // the fifth waits
	if got := heights(h.chain.MissingTowards(a[9].Hash, 100)); !slices.Equal(got, []uint32{3, 4, 6, 7, 8, 9, 10}) {
		t.Errorf("then: %v", got)
	}
	if got := heights(h.chain.MissingTowards(a[5].Hash, 100)); !slices.Equal(got, []uint32{3, 4, 6}) {
		t.Errorf("towards the sixth: %v", got)
	}
	for _, hash := range []types.Hash{{1}, h.Genesis.Hash} {
		if got := h.chain.MissingTowards(hash, 100); len(got) != 0 {
			t.Errorf("towards %s: %v", hash, got)
		}
	}
	h.add(a...)
	if got := h.chain.MissingTowards(a[9].Hash, 100); len(got) != 0 {
		t.Errorf("at the tip: %v", got)
	}
}

func TestCoinsAndSnapshot(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 3)
	h.add(a...)
	there, gone := types.OutPoint{TxID: a[0].TxIDs[0]}, types.OutPoint{TxID: types.Hash{7}}
	coins, state, err := h.chain.Coins(context.Background(), []types.OutPoint{there, gone})
	if err != nil || !coins[0].Found || coins[0].Coin != a[2].Coins[there] || coins[1].Found || state.Index != a[2].Index() {
		t.Errorf("%v at %s: %v", coins, state.Index, err)
	}
	got := map[types.OutPoint]types.Coin{}
	at, err := h.chain.ForEachCoin(context.Background(), func(outPoint types.OutPoint, coin *types.Coin) error {
		if len(got) == 0 {
			h.add(h.Blocks("b", a[2], 2)...) // the chain is not held up
		}
		got[outPoint] = *coin
		return nil
	})
	if err != nil || at != a[2].Index() || !maps.Equal(got, a[2].Coins) {
		t.Errorf("%d coins at %s: %v", len(got), at, err)
	}
	stop := errors.New("stop")
	if _, err := h.chain.ForEachCoin(context.Background(), func(types.OutPoint, *types.Coin) error { return stop }); err != stop {
		t.Errorf("the visitor's error: %v", err)
	}
}

// TestWaitingEndsWithTheContext: who waits for the chain can stop waiting.
func TestWaitingEndsWithTheContext(t *testing.T) {
	h := newHarness(t)
	if err := h.chain.turn.Take(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, _, err := h.chain.Coins(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Coins: %v", err)
	}
	if err := h.chain.AddBlock(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("AddBlock: %v", err)
	}
	h.chain.turn.Give()
	if _, _, err := h.chain.Coins(context.Background(), nil); err != nil {
		t.Error(err)
	}
}

// TestVerifiedScriptsDoNotRunAgain: a transaction that is said to be verified
// is not looked at, any other is.
func TestVerifiedScriptsDoNotRunAgain(t *testing.T) {
	for _, known := range []bool{false, true} {
		h := newHarness(t)
		base := h.Blocks("base", h.Genesis, int(h.params.CoinbaseMaturity)+1)
		h.add(base...)
		parent := base[len(base)-1]
		pay := h.Block("pay", parent, h.Spend(1, chaintest.KeyScript(), h.anyCoin(parent)))
		h.add(pay)
		tx := h.Spend(1, h.Anyone(), types.OutPoint{TxID: pay.TxIDs[1]})
		tx.Inputs[0].Witness[0][5] ^= 1
		wtxid := tx.WTxID()
		h.reopen()
		c, err := New(context.Background(), h.params, h.store, Options{
			Workers: 2, Now: func() time.Time { return h.now },
			Verified: func(hash types.Hash) bool { return known && hash == wtxid },
		})
		if err != nil {
			t.Fatal(err)
		}
		block := h.Block("spend", pay, tx)
		if err := c.AddBlock(context.Background(), block.Raw); (err == nil) != known {
			t.Errorf("known %v: %v", known, err)
		}
	}
}

// TestKeepHoldsPruningBack: bodies that another still needs stay.
func TestKeepHoldsPruningBack(t *testing.T) {
	h := newHarness(t)
	h.store.prune = true
	needed := uint32(5)
	c, err := New(context.Background(), h.params, h.store, Options{
		Workers: 2, Prune: true, Now: func() time.Time { return h.now }, Keep: func() uint32 { return needed },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.chain = c
	a := h.Blocks("a", h.Genesis, PruneKeep+20)
	h.add(a...)
	for _, want := range []uint32{5, 9, 20} {
		needed = want
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		for height := uint32(1); height <= 20; height++ {
			if _, err := c.Block(a[height-1].Hash); (err == nil) != (height >= want) {
				t.Fatalf("kept from %d on: block %d: %v", want, height, err)
			}
		}
	}
}

func TestBlockUpdate(t *testing.T) {
	h := newHarness(t)
	base := h.Blocks("base", h.Genesis, int(h.params.CoinbaseMaturity)+1)
	h.add(base...)
	parent := base[len(base)-1]
	first := h.Spend(1, h.Anyone(), h.anyCoin(parent))
	second := h.Spend(1, h.Anyone(), chaintest.Output(first, 0))
	b := h.Block("b", parent, first, second)
	h.add(b)
	u, err := h.chain.BlockUpdate(b.Hash)
	if err != nil {
		t.Fatal(err)
	}
	spent := u.SpentCoins()
	if len(spent) != 3 || len(spent[0]) != 0 || len(spent[1]) != 1 || len(spent[2]) != 1 ||
		spent[1][0] != parent.Coins[first.Inputs[0].PreviousOutPoint] ||
		spent[2][0].Value != first.Outputs[0].Value || spent[2][0].Height != b.Height || spent[2][0].IsCoinbase {
		t.Errorf("spent: %v", spent)
	}
	u.Update.Spent = nil
	if u.SpentCoins() != nil {
		t.Error("coins from an update of another block")
	}
	if _, err := h.chain.BlockUpdate(types.Hash{1}); !errors.Is(err, ErrUnknownBlock) {
		t.Errorf("an unknown block: %v", err)
	}
}
