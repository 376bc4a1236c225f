package mempool

import (
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// anchors has blocks divide coins into n anchors.
func (h *harness) anchors(n int) (coins []types.OutPoint) {
	h.t.Helper()
	const each = 20_000
	for len(coins) < n {
		part := min(each, n-len(coins))
		tx := h.Pay(1000, part, h.coins(1)[0])
		txid := tx.TxID()
		for i := range part {
			coins = append(coins, types.OutPoint{TxID: txid, Index: uint32(i)})
		}
		h.mine(tx)
	}
	return coins
}

// undone is a chain of blocks that are about to be undone, and what shall become of their
// transactions.
type undone struct {
	*harness
	fork       *chaintest.Block
	back, gone []*types.Tx
	twice      []*types.Tx // that the other branch has as well
	rivals     []*types.Tx // that it has in the place of others
}

// grow mines a block for each hundred coins or so: most spend one, and every third is
// spent again in the next block. One in each block is of every kind that does not come
// back.
func (u *undone) grow(blocks int, coins []types.OutPoint) {
	u.t.Helper()
	u.fork = u.tip
	each := len(coins) / blocks
	var children []*types.Tx
	for at := range blocks {
		txs := children
		children = nil
		for i, coin := range coins[at*each : (at+1)*each] {
			tx := u.Pay(50, 1, coin)
			txs = append(txs, tx)
			fate, child := &u.back, i%3 == 0
			switch i {
			case 0: // a coin that another one spends in the other branch
				u.rivals = append(u.rivals, u.Pay(60, 1, coin))
				fate = &u.gone
			case 1:
				u.twice = append(u.twice, tx)
				fate, child = nil, true // whose child comes back
			case 2: // the coin that it waits for is younger than it was
				locked := u.Pay(50, 1, chaintest.Output(tx, 0))
				locked.Inputs[0].Sequence = 1
				u.Note(locked)
				children = append(children, locked)
				u.gone = append(u.gone, locked)
			}
			if fate != nil {
				*fate = append(*fate, tx)
			}
			if child {
				next := u.Pay(50, 1, chaintest.Output(tx, 0))
				children = append(children, next)
				if fate == nil {
					fate = &u.back
				}
				*fate = append(*fate, next)
			}
		}
		if at > maturity { // a coinbase that will never have been
			block := u.tip
			for range maturity - 1 {
				block = block.Parent
			}
			tx := u.Pay(50, 1, types.OutPoint{TxID: block.TxIDs[0]})
			txs = append(txs, tx)
			u.gone = append(u.gone, tx)
		}
		u.mine(txs...)
	}
	for _, tx := range children { // of the last block's: they wait
		if _, err := u.pool.Accept(u.t.Context(), tx, 0); err != nil {
			u.t.Fatal(err)
		}
	}
}

// TestHundredBlocksUndone: whatever is valid comes back, with what was built on it, and
// nothing else.
func TestHundredBlocksUndone(t *testing.T) {
	const blocks = 100
	each := 24
	if testing.Short() {
		each = 6
	}
	u := &undone{harness: newHarness(t, func(o *Options) { o.Policy = DefaultPolicy(); o.MaxBytes = 1 << 30 })}
	u.mineEmpty(10)
	u.grow(blocks, u.anchors(blocks*each))
	u.sync()
	branch := make([][]*types.Tx, blocks+1)
	for i := range blocks {
		branch[i+1] = []*types.Tx{u.twice[i], u.rivals[i]}
	}
	u.branch(u.fork, branch...)
	u.sync()
	if got := u.pool.Info().Count; got != len(u.back) {
		t.Errorf("%d are in the pool, want %d", got, len(u.back))
	}
	for i, tx := range u.back {
		if u.pool.Get(tx.TxID()) == nil {
			t.Fatalf("transaction %d has not come back", i)
		}
	}
	for _, tx := range u.gone {
		if u.pool.Get(tx.TxID()) != nil {
			t.Fatal("one is there that is not valid any more")
		}
	}
	t.Logf("%d came back, %d did not", len(u.back), len(u.gone))
	// All of it makes valid blocks.
	selected, _ := u.pool.Select(pending.Selection{MaxWeight: 3_900_000})
	var txs []*types.Tx
	for _, e := range selected {
		txs = append(txs, e.Tx)
	}
	u.mine(txs...)
	u.sync()
	if got := u.pool.Info().Count + len(txs); got != len(u.back) {
		t.Errorf("%d are left or mined, want %d", got, len(u.back))
	}
}

// BenchmarkReorganise is the pool's work when a hundred blocks of payments are undone.
func BenchmarkReorganise(b *testing.B) {
	const blocks, each = 100, 1000
	h := newHarness(b, func(o *Options) { o.Policy = DefaultPolicy(); o.MaxBytes = 1 << 30 })
	h.mineEmpty(30)
	coins := h.fan(200)
	anchors := h.anchors(blocks * each)
	first := h.tip
	for at := range blocks {
		var txs []*types.Tx
		for i := range each {
			if i == 0 {
				txs = append(txs, h.Spend(100, chaintest.KeyScript(), coins[at]))
				continue
			}
			txs = append(txs, h.Pay(50, 1, anchors[at*each+i]))
		}
		h.mine(txs...)
		if at == 0 {
			first = h.tip
		}
	}
	for b.Loop() {
		b.StopTimer()
		h.sync()
		if err := h.chain.Invalidate(b.Context(), first.Hash); err != nil {
			b.Fatal(err)
		}
		before := processorTime()
		b.StartTimer()
		if err := h.pool.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.ReportMetric((processorTime() - before).Seconds(), "cpu-s")
		if got := h.pool.Info().Count; got != blocks*each {
			b.Fatalf("%d came back", got)
		}
		if err := h.chain.Reconsider(b.Context(), first.Hash); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// TestUndoneBeyondMemory: of more than there is room for, what was in the lower blocks is
// looked at first, since what is above spends it. Memory is bounded all the while.
func TestUndoneBeyondMemory(t *testing.T) {
	const each = 5
	h := newHarness(t, func(o *Options) { o.Policy = DefaultPolicy(); o.MaxBytes = 4 * each * 1200 })
	h.mineEmpty(8)
	fork := h.tip
	coins := h.coins(each)
	var blocks [][]*types.Tx
	for range 30 {
		var txs []*types.Tx
		for i, coin := range coins {
			txs = append(txs, h.Pay(100, 1, coin))
			coins[i] = chaintest.Output(txs[i], 0)
		}
		blocks = append(blocks, txs)
		h.mine(txs...)
	}
	h.sync()
	h.branch(fork, make([][]*types.Tx, 31)...)
	h.sync()
	for i, txs := range blocks {
		for _, tx := range txs {
			if there := h.pool.Get(tx.TxID()) != nil; i < 3 && !there {
				t.Fatalf("what block %d had is gone", i)
			}
		}
	}
	if usage := h.pool.Info().Usage; usage < h.pool.options.MaxBytes/2 {
		t.Errorf("%d bytes are used of %d", usage, h.pool.options.MaxBytes)
	}
}

// TestSignaturesOfBlocks: what a block had is not checked a second time, but for what
// policy minds.
func TestSignaturesOfBlocks(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coin := h.keyCoins(1)[0]
	tx := h.Sign(h.Pay(1000, 1, coin))
	h.mine(tx)
	for _, settled := range []bool{true, false} {
		c, err := h.pool.newCandidate(tx, h.now)
		if err != nil {
			t.Fatal(err)
		}
		c.settled = settled
		out := h.Outputs[coin]
		spent, _ := types.NewCoin(&out, 1, false)
		c.coins = []types.Coin{spent}
		h.pool.verified = verifiedSet{}
		if _, err := h.pool.verify(c); err != nil {
			t.Fatal(err)
		}
		if checked := c.work.Signatures > 0; checked == settled {
			t.Errorf("settled %v, %d signatures are checked", settled, c.work.Signatures)
		}
	}
}
