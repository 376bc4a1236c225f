package mempool

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

func TestConfirmation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(4)
	a := h.Pay(1000, 1, coins[0])
	b := h.Pay(1000, 1, chaintest.Output(a, 0))
	c := h.Pay(1000, 1, coins[1], coins[2])
	d := h.Pay(1000, 1, chaintest.Output(c, 0))
	e := h.Pay(1000, 1, coins[3])
	h.accept(a, b, c, d, e)
	// The block holds a, and something that nobody knew and that conflicts with c.
	h.mine(a, h.Pay(5000, 1, coins[2]))
	h.expect(b, e)
	if d, _ := h.pool.Details(b.TxID()); d.Ancestors.Count != 1 {
		t.Errorf("b still has %d ancestors", d.Ancestors.Count-1)
	}
	h.refuse(a, consensus.ErrPolicy, pending.ReasonConfirmed) // b spends its output, but in the pool only
	h.mine(b)
	h.refuse(a, consensus.ErrNotYet, consensus.ReasonMissingInputs)
	h.refuse(b, consensus.ErrPolicy, pending.ReasonConfirmed)
	h.expect(e)
}

// A picture of what happens:
//
//	5 ── 6(a) ── 7(b, c)          the old branch
//	 └── 6'(a) ── 7'(x) ── 8'     the new one; x conflicts with c
func TestReorganisation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	fork := h.tip
	coins := h.coins(6)
	a := h.Pay(1000, 2, coins[0])
	b := h.Pay(0, 1, chaintest.Output(a, 0)) // only a miner takes it
	c := h.Pay(1000, 1, coins[1])
	d := h.Pay(1000, 1, chaintest.Output(c, 0)) // unconfirmed, on c
	e := h.Pay(1000, 1, chaintest.Output(b, 0)) // unconfirmed, on b
	f := h.Pay(1000, 1, coins[2])               // on its own
	h.sync()
	h.mine(a)
	h.mine(b, c)
	h.accept(d, e, f)
	log, _ := h.pool.Accepted(0, 100)
	relative := h.Pay(1000, 1, chaintest.Output(a, 1))
	relative.Inputs[0].Sequence = 2 // two blocks above a
	h.Note(relative)
	h.accept(relative)
	soon := h.Pay(1000, 1, chaintest.Output(c, 0), coins[3])
	soon.Inputs[0].Sequence = 1
	h.refuse(soon, consensus.ErrPolicy, pending.ReasonInsufficientFee) // it would replace d
	lock := h.Pay(1000, 2, chaintest.Output(e, 0))
	lock.Inputs[0].Sequence = 1
	h.refuse(lock, consensus.ErrNotYet, consensus.ReasonNonFinalSequence) // e is not confirmed
	soon = h.Pay(1000, 1, chaintest.Output(b, 0), coins[3])
	soon.Outputs[0].Value -= 5000
	soon.Inputs[0].Sequence = 1 // a block above b, which will be none
	h.Note(soon)
	h.accept(soon) // in the place of e
	e = h.Pay(1000, 1, coins[4])
	h.accept(e)

	x := h.Pay(7000, 1, coins[1])
	h.branch(fork, []*types.Tx{a}, []*types.Tx{x}, nil)
	h.expect(b, e, f, relative)
	if got := h.pool.Get(b.TxID()); got.Fee != 0 || got.Height != h.tip.Height {
		t.Errorf("b came back as %+v", got)
	}
	if again, _ := h.pool.Accepted(0, 100); len(again) != len(log)+3 {
		t.Error("what came back is announced")
	}
	if d, _ := h.pool.Details(b.TxID()); d.Descendants.Count != 1 {
		t.Errorf("b has descendants %+v", d.Descendants)
	}
	// They are good: the next block takes them all.
	selected, position := h.pool.Select(pending.Selection{MaxWeight: h.params.MaxBlockWeight})
	if len(selected) != 4 || position.Hash != h.tip.Hash {
		t.Fatalf("%d are selected for %s", len(selected), position)
	}
	var txs []*types.Tx
	for _, e := range selected {
		txs = append(txs, e.Tx)
	}
	h.mine(txs...)
	h.expect()
}

// branch adds blocks on a parent, one for each list, that become the best chain.
func (h *harness) branch(parent *chaintest.Block, lists ...[]*types.Tx) {
	h.t.Helper()
	var blocks []*chaintest.Block
	for _, txs := range lists {
		parent = h.Block("", parent, txs...)
		blocks = append(blocks, parent)
	}
	h.add(blocks...)
}

// The chain becomes shorter: what needed its height is too early again.
func TestShorterChain(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	below := h.tip
	coins := h.coins(3)
	confirmed := h.Pay(1000, 1, coins[0])
	h.mine(confirmed)
	top := h.mine()
	h.sync()
	ripe := h.Pay(1000, 1, types.OutPoint{TxID: below.TxIDs[0]}) // mature at last
	ripeChild := h.Pay(1000, 1, chaintest.Output(ripe, 0))
	locked := h.Pay(1000, 1, coins[1])
	locked.LockTime, locked.Inputs[0].Sequence = h.tip.Height, 0
	h.Note(locked)
	stays := h.Pay(1000, 1, coins[2])
	h.accept(ripe, ripeChild, locked, stays)

	if err := h.chain.Invalidate(t.Context(), top.Hash); err != nil {
		t.Fatal(err)
	}
	h.expect(stays)
	if err := h.chain.Invalidate(t.Context(), h.chain.Tip().Hash); err != nil {
		t.Fatal(err)
	}
	h.expect(stays, confirmed)
	h.tip = below
	h.accept(h.Pay(1000, 1, chaintest.Output(confirmed, 0)))
	if err := h.chain.Reconsider(t.Context(), top.Hash); err != nil {
		t.Fatal(err)
	}
	h.sync()
	if h.pool.Get(confirmed.TxID()) != nil || h.pool.Get(stays.TxID()) == nil || h.pool.Info().Count != 2 {
		t.Errorf("%d transactions after the way back", h.pool.Info().Count)
	}
}

// A pool that is far behind looks at its transactions instead of at the blocks,
// and one that is empty does not look at all.
func TestFarBehind(t *testing.T) {
	h := newHarness(t, nil)
	counting := &countingChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = counting })
	h.mineEmpty(5)
	h.sync()
	coins := h.coins(3)
	a, b, c := h.Pay(1000, 1, coins[0]), h.Pay(1000, 1, coins[1]), h.Pay(1000, 1, coins[2])
	h.accept(a, b, c)
	h.mine(a)
	h.mine(h.Pay(3000, 1, coins[1]))
	h.mineEmpty(updatesWorth)
	h.expect(c)
	if counting.updates != 0 {
		t.Errorf("blocks were read %d times", counting.updates)
	}
	h.mine(c)
	h.expect()
	h.mineEmpty(3)
	h.expect()
}

// countingChain counts what is asked of it, and may fail.
type countingChain struct {
	Chain
	updates int
	fail    error // of the next UpdatesSince
}

func (c *countingChain) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	c.updates++
	if err := c.fail; err != nil {
		c.fail = nil
		return nil, nil, err
	}
	return c.Chain.UpdatesSince(since, limit)
}

func TestFollowerReadsNoMoreThanItMust(t *testing.T) {
	h := newHarness(t, nil)
	counting := &countingChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = counting })
	h.mineEmpty(40)
	h.sync()
	h.mineEmpty(3)
	h.sync()
	if counting.updates != 0 {
		t.Errorf("an empty pool asked for %d updates", counting.updates)
	}
	a := h.Pay(1000, 1, h.coins(1)[0])
	h.accept(a)
	h.mineEmpty(1)
	h.sync()
	h.sync()
	if counting.updates != 1 {
		t.Errorf("a block made %d updates", counting.updates)
	}
	// Pruned blocks: everything is looked at again.
	counting.fail = consensus.ErrNotFound
	h.mine(a)
	h.expect()
	// A fault ends the work, and the next attempt goes on.
	b := h.Pay(1000, 1, h.coins(1)[0])
	h.accept(b)
	counting.fail = consensus.Local(errors.New("the disk is gone"))
	h.mine()
	if err := h.pool.CatchUp(t.Context()); !errors.Is(err, consensus.ErrLocal) {
		t.Errorf("catchUp: %v", err)
	}
	h.expect(b)
}

// A pool that could not finish with a reorganisation takes nothing and offers
// nothing as if it had, and finishes later.
func TestInterruptedReorganisation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	fork := h.tip
	a, b := h.Pay(1000, 1, h.coins(2)[0]), h.Pay(1000, 1, h.coins(2)[1])
	h.sync()
	h.mine(a)
	h.accept(b)
	h.branch(fork, nil, nil)
	// The updates are taken, and then the context ends.
	if err := h.pool.advance(h.chain.Tip()); err != nil {
		t.Fatal(err)
	}
	if _, position := h.pool.Select(pending.Selection{MaxWeight: 1 << 20}); position == h.chain.Tip() {
		t.Error("the pool offers transactions for a tip that it has not reached")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.pool.CatchUp(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("catchUp: %v", err)
	}
	h.expect(a, b)
}

// The clusters of transactions that come back may be too large for the limits.
func TestReturnIntoLargeCluster(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	fork := h.tip
	h.sync()
	root := h.Pay(1000, 2, h.coins(1)[0])
	h.mine(root)
	var chained []*types.Tx
	for side := range uint32(2) {
		last := chaintest.Output(root, side)
		for range 40 {
			tx := h.Pay(1000, 1, last)
			chained = append(chained, tx)
			last = chaintest.Output(tx, 0)
		}
	}
	h.accept(chained...)
	h.branch(fork, nil, nil)
	h.sync()
	if count := h.pool.Info().Count; count != MaxClusterCount {
		t.Errorf("%d transactions are left", count)
	}
}

// hookedChain lets something happen just after coins were looked up.
type hookedChain struct {
	Chain
	after func()
}

func (c *hookedChain) Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	coins, state, err := c.Chain.Coins(ctx, outPoints)
	if after := c.after; after != nil {
		c.after = nil
		after()
	}
	return coins, state, err
}

// The chain and the pool move while a transaction is looked at.
func TestMovesWhileAccepting(t *testing.T) {
	h := newHarness(t, nil)
	hooked := &hookedChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = hooked })
	h.mineEmpty(6)
	coins := h.coins(10)
	keep := h.Pay(1000, 1, coins[0])
	h.accept(keep)

	// A block spends its coin.
	hooked.after = func() {
		h.mine(h.Pay(1000, 1, coins[1]))
		h.sync()
	}
	h.refuse(h.Pay(2000, 1, coins[1]), consensus.ErrNotYet, consensus.ReasonMissingInputs)

	// The chain has moved and the pool has not.
	late := h.Pay(2000, 1, coins[2])
	hooked.after = func() { h.mine() }
	h.accept(late)
	h.expect(keep, late)

	// A reorganisation is half done: the pool must not take anything that the end
	// of it would lose.
	early := h.Pay(2000, 1, coins[3])
	hooked.after = func() {
		if err := h.chain.Invalidate(t.Context(), h.tip.Hash); err != nil {
			t.Error(err)
		}
		if err := h.pool.advance(h.chain.Tip()); err != nil {
			t.Error(err)
		}
	}
	h.accept(early)
	h.expect(keep, late, early)

	// Its parent is replaced, by another goroutine as it were.
	parent := h.Pay(1000, 1, coins[4])
	h.accept(parent)
	hooked.after = func() { h.accept(h.Pay(9000, 1, coins[4])) }
	h.refuse(h.Pay(1000, 1, chaintest.Output(parent, 0), coins[5]), consensus.ErrNotYet, consensus.ReasonMissingInputs)

	// The same for a dry run.
	hooked.after = func() { h.accept(h.Pay(9000, 1, coins[6])) }
	pair := []*types.Tx{h.Pay(1000, 1, coins[7]), h.Pay(1000, 1, coins[6])}
	results, err := h.pool.Try(t.Context(), pair)
	if err != nil || !errors.Is(results[1].Err, ReasonNoReplacement) {
		t.Errorf("Test: %+v %v", results, err)
	}
}

// What was examined is looked at again if something moved before it was put in.
func TestMovesBeforeInsertion(t *testing.T) {
	h := newHarness(t, nil)
	hooked := &hookedChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = hooked })
	h.mineEmpty(6)
	coins := h.coins(4)
	parent := h.Pay(1000, 2, coins[0])
	h.accept(parent)
	examined := func(tx *types.Tx) *group {
		c, err := h.pool.newCandidate(tx, h.now)
		g := &group{candidates: []*candidate{c}}
		if err == nil {
			_, err = h.pool.examine(t.Context(), g)
		}
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	insert := func(g *group) error {
		_, err := h.pool.insert(g)
		return err
	}
	// Another child came first.
	second := examined(h.Pay(1000, 1, chaintest.Output(parent, 1)))
	first := h.Pay(1000, 1, chaintest.Output(parent, 0))
	h.accept(first)
	if err := insert(second); err != nil {
		t.Errorf("a second child: %v", err)
	}
	h.expect(parent, first, second.candidates[0].Tx)
	// The parent has gone.
	third := examined(h.Pay(1000, 1, chaintest.Output(first, 0)))
	other := h.Pay(90_000, 1, coins[0])
	h.accept(other)
	if err := insert(third); !errors.Is(err, errMoved) {
		t.Errorf("without its parent: %v", err)
	}
	// A new graph is being made, which would not have it.
	h.mine()
	h.sync()
	fourth := examined(h.Pay(1000, 1, coins[1]))
	if err := h.chain.Invalidate(t.Context(), h.tip.Hash); err != nil {
		t.Fatal(err)
	}
	hooked.after = func() {
		if err := insert(fourth); !errors.Is(err, errMoved) {
			t.Errorf("into a graph that is given up: %v", err)
		}
	}
	h.expect(other)
	if hooked.after != nil {
		t.Error("nothing was looked up")
	}
}

// Run follows by itself, while others submit; with -race this finds what is not
// guarded.
func TestRun(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins := h.coins(60)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- h.pool.Run(ctx) }()
	poke, unsubscribe := h.pool.Subscribe()
	defer unsubscribe()

	var group sync.WaitGroup
	for part := range 3 {
		var txs []*types.Tx
		for i := range 20 {
			first := h.Pay(1000, 2, coins[part*20+i])
			txs = append(txs, first, h.Pay(1000, 1, chaintest.Output(first, 1)), h.Pay(9000, 1, chaintest.Output(first, 1)))
		}
		group.Go(func() {
			for _, tx := range txs {
				if _, err := h.pool.Accept(ctx, tx, 0); err != nil && !errors.Is(err, consensus.ErrNotYet) && !errors.Is(err, consensus.ErrPolicy) {
					t.Errorf("Accept: %v", err)
				}
				h.pool.Select(pending.Selection{MaxWeight: 100_000})
				h.pool.Estimate(1, false)
				h.pool.Details(txs[0].TxID())
			}
		})
	}
	first := h.tip
	for range 4 {
		h.mineEmpty(2)
	}
	group.Wait()
	branch := make([][]*types.Tx, 9)
	h.branch(first, branch...)
	for h.pool.Info().Position != h.chain.Tip() {
		<-poke
	}
	checkGraph(t, h.pool)
	if got := h.pool.Info().Count; got != 120 {
		t.Errorf("the pool has %d transactions, want 120", got)
	}
	cancel()
	if err := <-result; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := h.pool.Accept(ctx, h.Pay(1000, 1, coins[0]), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Accept after the end: %v", err)
	}
}

func TestRunEndsWithAFault(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	counting := &countingChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = counting })
	h.accept(h.Pay(1000, 1, h.coins(1)[0]))
	counting.fail = consensus.Local(errors.New("the disk is gone"))
	h.mine()
	if err := h.pool.Run(t.Context()); !errors.Is(err, consensus.ErrLocal) {
		t.Errorf("Run: %v", err)
	}
}
