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

func TestFirstSeenWinsATie(t *testing.T) {
	// genesis -> a1 -> a2
	//        \-> b1 -> b2 -> b3
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 2)
	b := h.Blocks("b", h.Genesis, 3)
	h.add(a...)
	h.expectTip(a[1])
	h.add(b[0], b[1])
	h.expectTip(a[1])
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 8 { // the order in which the tree is read back is random
		h.open()
		h.expectTip(a[1])
	}
	h.add(b[2])
	h.expectTip(b[2])
	h.open()
	h.expectTip(b[2])
}

func TestBlocksInAnyOrder(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 40)
	if err := h.chain.AddHeaders(headers(a...)); err != nil {
		t.Fatal(err)
	}
	if got := h.chain.BestHeader(); got != a[39].Index() {
		t.Fatalf("best header %s", got)
	}
	reversed := slices.Clone(a)
	slices.Reverse(reversed)
	h.add(reversed[:39]...)
	h.expectTip(h.Genesis)
	h.add(reversed[39])
	h.expectTip(a[39])
}

func TestUnknownParentIsNotYet(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 2)
	if err := h.chain.AddBlock(context.Background(), a[1].Raw); !errors.Is(err, consensus.ErrNotYet) || !errors.Is(err, consensus.ReasonParentUnknown) {
		t.Fatalf("a block without its parent: %v", err)
	}
	h.add(a...)
	h.expectTip(a[1])
}

// A signature is found wrong long after later blocks were connected on its
// block: everything goes back to the last good block.
func TestBadSignatureInTheMiddleOfAStream(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 3)
	lock := h.Block("lock", a[2], h.Spend(1, chaintest.KeyScript(), h.anyCoin(a[2])))
	out := types.OutPoint{TxID: lock.TxIDs[1]}
	bad := h.Spoiled("bad", lock, consensus.ReasonScript, chaintest.BadSignature, h.Spend(1, h.Anyone(), out))
	above := h.Blocks("above", bad, 5)
	good := h.Block("good", lock, h.Spend(1, h.Anyone(), out))

	verdicts := h.add(slices.Concat(a, []*chaintest.Block{lock, bad}, above, []*chaintest.Block{good})...)
	h.expectTip(good)
	if err := verdicts[bad.Hash]; !errors.Is(err, consensus.ReasonScript) || !errors.Is(err, consensus.ErrInvalid) {
		t.Errorf("the bad block: %v", err)
	}
	for _, b := range above {
		if err := verdicts[b.Hash]; !errors.Is(err, consensus.ErrInvalid) {
			t.Errorf("a block above the bad one: %v", err)
		}
	}
	for _, b := range append(a, lock, good) {
		if err, reported := verdicts[b.Hash]; err != nil || !reported {
			t.Errorf("%s: reported %v, %v", b.Name, reported, err)
		}
	}
	h.open() // the mark persists
	if err := h.chain.AddBlock(context.Background(), bad.Raw); !errors.Is(err, consensus.ReasonDuplicateInvalid) {
		t.Errorf("the bad block after a restart: %v", err)
	}
	if record, _ := h.chain.Header(above[4].Hash); record.Status&header.StatusInvalidAncestor == 0 && record.Height != 0 {
		t.Errorf("the last block above the bad one has status %b", record.Status)
	}
}

func TestReorganisationThatTurnsOutInvalid(t *testing.T) {
	// genesis -> a1 -> a2 -> a3
	//        \-> b1 -> b2 -> b3(greedy) -> b4 -> b5
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 3)
	b := h.Blocks("b", h.Genesis, 2)
	b3 := h.Spoiled("b3", b[1], consensus.ReasonCoinbaseAmount, chaintest.Greedy)
	b4 := h.Blocks("b4-", b3, 2)
	h.add(a...)
	verdicts := h.add(b[0], b[1], b3, b4[0], b4[1])
	h.expectTip(a[2])
	if err := verdicts[b3.Hash]; !errors.Is(err, consensus.ReasonCoinbaseAmount) {
		t.Errorf("b3: %v", err)
	}
	// Two more honest blocks on b2 make it best after all.
	more := h.Blocks("c", b[1], 2)
	h.add(more...)
	h.expectTip(more[1])
}

func TestDeepReorganisation(t *testing.T) {
	h := newHarness(t)
	h.store.flushEvery = 7
	a := h.Blocks("a", h.Genesis, 60)
	b := h.Blocks("b", h.Genesis, 61)
	h.add(a...)
	h.add(b...)
	h.expectTip(b[60])
	if h.store.flushes < 10 {
		t.Errorf("%d flushes; the cache's demands were not heard", h.store.flushes)
	}
}

func TestMutatedBodyIsNotHeldAgainstTheHash(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 2)
	coins := a[1].Spendable(h.params.CoinbaseMaturity, nil)
	honest := h.Block("honest", a[1], h.Spend(1, h.Anyone(), coins[0]), h.Spend(1, h.Anyone(), coins[1]))
	h.add(a...)
	for reason, spoil := range map[consensus.Reason]func(*types.Block){
		consensus.ReasonDuplicateTx: func(b *types.Block) { b.Txs = append(b.Txs, b.Txs[2]) }, // the root stays
		consensus.ReasonWitnessRoot: func(b *types.Block) { b.Txs[0].Inputs[0].Witness = [][]byte{{31: 1}} },
	} {
		twisted, err := types.DecodeBlock(honest.Raw)
		if err != nil {
			t.Fatal(err)
		}
		spoil(twisted)
		err = h.chain.AddBlock(context.Background(), twisted.AppendTo(nil))
		if !errors.Is(err, consensus.ErrInvalid) || !errors.Is(err, reason) || twisted.Hash() != honest.Hash {
			t.Fatalf("mutated body: %v, want %v", err, reason)
		}
	}
	h.add(honest)
	h.expectTip(honest)
}

func TestInvalidateReconsiderPrecious(t *testing.T) {
	ctx := context.Background()
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 4)
	b := h.Blocks("b", a[0], 3) // as much work as a
	h.add(slices.Concat(a, b)...)
	h.expectTip(a[3])

	if err := h.chain.Precious(ctx, b[2].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(b[2])
	if err := h.chain.Precious(ctx, a[3].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(a[3])

	if err := h.chain.Invalidate(ctx, a[1].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(b[2])
	h.open()
	h.expectTip(b[2])
	if err := h.chain.Invalidate(ctx, a[0].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(h.Genesis)
	longer := h.Blocks("c", h.Genesis, 1)
	h.add(longer...)
	h.expectTip(longer[0])
	if err := h.chain.Reconsider(ctx, a[3].Hash); err != nil {
		t.Fatal(err)
	}
	if tip := h.chain.Tip(); tip.Height != 4 {
		t.Fatalf("after reconsidering: tip %s", tip)
	}
	if err := h.chain.Reconsider(ctx, types.Hash{1}); !errors.Is(err, ErrUnknownBlock) {
		t.Errorf("an unknown block: %v", err)
	}
	if err := h.chain.Invalidate(ctx, h.Genesis.Hash); !errors.Is(err, ErrGenesis) {
		t.Errorf("the genesis block: %v", err)
	}
}

// TestReconsiderLeavesBranchesBeside: what leaves the line of the block that is
// reconsidered stays refused, as in Bitcoin Core, and after a restart as well.
func TestReconsiderLeavesBranchesBeside(t *testing.T) {
	// genesis -> t1 -> t2 -> t3 -> a4 … a7
	//                          \-> b4 -> b5
	ctx := context.Background()
	h := newHarness(t)
	trunk := h.Blocks("t", h.Genesis, 3)
	a := h.Blocks("a", trunk[2], 4)
	b := h.Blocks("b", trunk[2], 2)
	h.add(slices.Concat(trunk, a, b)...)
	h.expectTip(a[3])
	if err := h.chain.Invalidate(ctx, trunk[1].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(trunk[0])
	if err := h.chain.Reconsider(ctx, b[1].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(b[1])
	h.open()
	h.expectTip(b[1])
	if verdict := h.add(h.Blocks("c", a[3], 1)...); len(verdict) != 1 {
		t.Fatalf("verdicts on a block above a refused one: %v", verdict)
	}
	h.expectTip(b[1])
	if err := h.chain.Reconsider(ctx, a[0].Hash); err != nil {
		t.Fatal(err)
	}
	h.expectTip(a[3])
}

// follower keeps a coin set by UpdatesSince alone.
type follower struct {
	at    types.Index
	coins map[types.OutPoint]types.Coin
}

func (f *follower) follow(t *testing.T, c *Chain, limit int) {
	t.Helper()
	for {
		reverted, applied, err := c.UpdatesSince(f.at, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(reverted)+len(applied) == 0 {
			return
		}
		if len(reverted)+len(applied) > limit {
			t.Fatalf("%d updates, the limit is %d", len(reverted)+len(applied), limit)
		}
		for _, u := range reverted {
			f.move(t, u.Update.Created, u.Update.Spent)
			f.at = u.Update.Parent
		}
		for _, u := range applied {
			if u.Update.Parent != f.at {
				t.Fatalf("an update of a child of %s at %s", u.Update.Parent, f.at)
			}
			f.move(t, u.Update.Spent, u.Update.Created)
			f.at = u.Update.Block
		}
	}
}

func (f *follower) move(t *testing.T, out, in []consensus.CoinEntry) {
	t.Helper()
	for _, entry := range out {
		if f.coins[entry.OutPoint] != entry.Coin {
			t.Fatalf("coin %s is not there", entry.OutPoint)
		}
		delete(f.coins, entry.OutPoint)
	}
	for _, entry := range in {
		f.coins[entry.OutPoint] = entry.Coin
	}
}

func TestSubscriberIsPokedAndFollowsReorganisations(t *testing.T) {
	h := newHarness(t)
	poke, cancel := h.chain.Subscribe()
	defer cancel()
	f := follower{at: h.Genesis.Index(), coins: maps.Clone(h.Genesis.Coins)}
	a := h.Blocks("a", h.Genesis, 5)
	b := h.Blocks("b", a[1], 6)
	for _, blocks := range [][]*chaintest.Block{a, b} {
		h.add(blocks...)
		select {
		case <-poke:
		default:
			t.Fatal("no poke after the tip moved")
		}
		f.follow(t, h.chain, 2)
		if want := blocks[len(blocks)-1]; f.at != want.Index() || !maps.Equal(f.coins, want.Coins) {
			t.Fatalf("the follower is at %s with %d coins", f.at, len(f.coins))
		}
	}
	if _, _, err := h.chain.UpdatesSince(types.Index{Height: 3, Hash: types.Hash{9}}, 1); !errors.Is(err, ErrUnknownBlock) {
		t.Errorf("an unknown position: %v", err)
	}
}

func TestCrashLosesOnlyWhatWasNotFlushed(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 20)
	h.add(a[:10]...)
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	h.add(a[10:]...) // bodies and headers are durable, coins are not
	h.store.crash()
	h.open()
	h.expectTip(a[19])
}

func TestLocalFaultStopsTheChain(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 6)
	h.add(a[:2]...)
	for fail := 1; fail <= 6; fail++ {
		h.store.failAt = h.store.writes + fail
		var err error
		for _, b := range a[2:] {
			if err = h.chain.AddBlock(context.Background(), b.Raw); err != nil {
				break
			}
		}
		if !errors.Is(err, consensus.ErrLocal) {
			t.Fatalf("a broken disk: %v", err)
		}
		if err := h.chain.Flush(); !errors.Is(err, consensus.ErrLocal) {
			t.Fatalf("after a fault the chain went on: %v", err)
		}
		select {
		case <-h.chain.Failed():
		default:
			t.Fatal("nobody is told of the fault")
		}
		h.store.crash()
		h.open() // no block may have been marked for the disk's fault
		for i, b := range a {
			if record, ok := h.chain.Header(b.Hash); ok && record.Status&statusRefused != 0 {
				t.Fatalf("block %d was marked invalid by a disk fault", i+1)
			}
		}
	}
	h.store.failAt = 0
	h.add(a...)
	h.expectTip(a[5])
	select {
	case <-h.chain.Failed():
		t.Fatal("a fault without a fault")
	default:
	}
}

func TestCancelledContext(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 30)
	ctx, cancel := context.WithCancel(context.Background())
	given := 0
	err := h.chain.AddBlocks(ctx, func(yield func([]byte) bool) {
		for _, b := range a {
			if given++; given == 10 {
				cancel()
			}
			if !yield(b.Raw) {
				return
			}
		}
	}, func(header.Result) {})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	h.add(a...)
	h.expectTip(a[29])
}

func TestVerify(t *testing.T) {
	ctx := context.Background()
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 5)
	pay := h.Block("pay", a[4], h.Spend(1, chaintest.KeyScript(), h.anyCoin(a[4])))
	back := h.Block("back", pay, h.Spend(1, h.Anyone(), types.OutPoint{TxID: pay.TxIDs[1]}))
	h.add(append(a, pay, back)...)
	steps := 0
	for level := VerifyRead; level <= VerifyScripts; level++ {
		for _, depth := range []uint32{0, 2} {
			blocks, err := h.chain.Verify(ctx, depth, level, func(done, total int) { steps = max(steps, done) })
			if want := map[uint32]int{0: 7, 2: 2}[depth]; err != nil || blocks != want {
				t.Fatalf("level %d, depth %d: %d blocks, %v", level, depth, blocks, err)
			}
		}
	}
	if steps != 14 {
		t.Errorf("%d steps at level 4, want 14", steps)
	}
	spent := slices.Clone(h.store.undos[back.Hash])
	faults := map[string]struct {
		level int
		spoil func()
		mend  func()
	}{
		"a missing body": {VerifyRead,
			func() { delete(h.store.bodies, a[2].Hash) }, func() { h.store.bodies[a[2].Hash] = a[2].Raw }},
		"undo data with too few coins": {VerifyUndo,
			func() { h.store.undos[back.Hash] = nil }, func() { h.store.undos[back.Hash] = spent }},
		"a coin too many": {VerifyCoins,
			func() { h.store.coins[types.OutPoint{Index: 7}] = types.Coin{Value: 1} },
			func() { delete(h.store.coins, types.OutPoint{Index: 7}) }},
		"a lost coin": {VerifyCoins,
			func() { delete(h.store.coins, types.OutPoint{TxID: a[3].TxIDs[0]}) },
			func() {
				h.store.coins[types.OutPoint{TxID: a[3].TxIDs[0]}] = back.Coins[types.OutPoint{TxID: a[3].TxIDs[0]}]
			}},
	}
	for name, fault := range faults {
		fault.spoil()
		if _, err := h.chain.Verify(ctx, 0, fault.level, func(int, int) {}); err == nil {
			t.Errorf("%s was not found", name)
		}
		fault.mend()
	}
	if _, err := h.chain.Verify(ctx, 0, VerifyScripts, func(int, int) {}); err != nil {
		t.Errorf("after mending: %v", err)
	}
}

// A pruned node goes on, reorganises as deep as it has undo data, and is not
// led astray by the stump of a branch whose lower bodies are gone.
func TestPrunedNode(t *testing.T) {
	for _, restart := range []bool{false, true} {
		prunedNode(t, restart)
	}
}

func prunedNode(t *testing.T, restart bool) {
	ctx := context.Background()
	h := newHarness(t)
	h.store.prune = true
	h.open()
	a := h.Blocks("a", h.Genesis, 310)
	stump := h.Blocks("stump", a[4], 3)
	h.add(append(a[:8:8], stump...)...)
	h.add(a[8:]...)
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.chain.Block(a[20].Hash); err == nil {
		t.Fatal("block 21 was not pruned")
	}
	if restart {
		h.open()
	}
	h.expectTip(a[309])
	if blocks, err := h.chain.Verify(ctx, 0, VerifyScripts, func(int, int) {}); err != nil || blocks < PruneKeep || blocks > PruneKeep+1 {
		t.Fatalf("verified %d blocks: %v", blocks, err)
	}
	// More work on the stump than on the chain, but without the stump's bodies.
	top := h.Blocks("top", stump[2], 310)
	h.add(top...)
	h.expectTip(a[309])
	// A branch from the lowest block that is still there.
	b := h.Blocks("b", a[309-PruneKeep+1], PruneKeep)
	h.add(b...)
	h.expectTip(b[PruneKeep-1])
	h.open()
	h.expectTip(b[PruneKeep-1])
}

func TestAssumedValidBlocksSkipScripts(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		h := newHarness(t)
		a := h.Blocks("a", h.Genesis, 2)
		lock := h.Block("lock", a[1], h.Spend(1, chaintest.KeyScript(), h.anyCoin(a[1])))
		forged := h.Spoiled("forged", lock, nil, chaintest.BadSignature, h.Spend(1, h.Anyone(), types.OutPoint{TxID: lock.TxIDs[1]}))
		anchor := h.Block("anchor", forged)
		want := lock
		if trusted {
			h.params.AssumeValid = anchor.Hash
			want = anchor
		}
		if err := h.chain.AddHeaders(headers(append(a, lock, forged, anchor)...)); err != nil {
			t.Fatal(err)
		}
		h.add(append(a, lock, forged, anchor)...)
		if tip := h.chain.Tip(); tip != want.Index() {
			t.Errorf("assumed valid %v: tip %s, want %s", trusted, tip, want.Name)
		}
	}
}

func TestBlockFromTheFutureMayComeAgain(t *testing.T) {
	h := newHarness(t)
	future := h.Spoiled("future", h.Genesis, nil, func(b *types.Block) {
		b.Header.Timestamp = uint32(h.now.Unix()) + 2*60*60 + 1
	})
	err := h.chain.AddBlock(context.Background(), future.Raw)
	if !errors.Is(err, consensus.ErrNotYet) || !errors.Is(err, consensus.ReasonTimeTooNew) {
		t.Fatalf("from the future: %v", err)
	}
	h.now = h.now.Add(time.Second)
	h.add(future)
	h.expectTip(future)
}

func TestAncestor(t *testing.T) {
	var nodes []*blockNode
	var tip *blockNode
	for i := range 1000 {
		tip = newBlockNode(tip, types.Header{Bits: 0x207fffff, Nonce: uint32(i)}, types.Hash{byte(i), byte(i >> 8)})
		nodes = append(nodes, tip)
	}
	for from, n := range nodes {
		for to := 0; to < 1001; to += 7 {
			want := (*blockNode)(nil)
			if to <= from {
				want = nodes[to]
			}
			if got := n.ancestor(uint32(to)); got != want {
				t.Fatalf("ancestor of %d at %d is wrong", from, to)
			}
		}
	}
}

// After a crash, too, the chain that was first wins a tie: coins are flushed seldom,
// and both branches begin above what they reflect.
func TestFirstSeenWinsATieAfterACrash(t *testing.T) {
	h := newHarness(t)
	a, b := h.Blocks("a", h.Genesis, 3), h.Blocks("b", h.Genesis, 3)
	h.add(a...)
	h.add(b...)
	h.expectTip(a[2])
	for range 20 {
		h.store.crash()
		h.open()
		h.expectTip(a[2])
	}
}
