package mempool

import (
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

func TestSelectPaysForParents(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(3)
	parent := h.Pay(20, 1, coins[0])
	child := h.Pay(5000, 1, chaintest.Output(parent, 0))
	rich := h.Pay(4000, 1, coins[1])
	poor := h.Pay(100, 1, coins[2])
	h.accept(poor, parent, child, rich)
	weight := rich.Weight()
	tests := []struct {
		room int
		want []*types.Tx
	}{
		{weight - 1, nil},
		{weight, []*types.Tx{rich}},
		{2 * weight, []*types.Tx{rich, poor}}, // the family has no room
		{3 * weight, []*types.Tx{rich, parent, child}},
		{4 * weight, []*types.Tx{rich, parent, child, poor}},
	}
	for _, test := range tests {
		selected, position := h.pool.Select(pending.Selection{MaxWeight: test.room})
		if position != h.chain.Tip() || len(selected) != len(test.want) {
			t.Fatalf("%d are selected for a room of %d", len(selected), test.room)
		}
		for i, tx := range test.want {
			if selected[i].TxID != tx.TxID() {
				t.Errorf("in a room of %d another one comes at %d", test.room, i)
			}
		}
	}
}

// TestSelectMinFeeRate: a chunk below the least feerate is left out, and one at it is
// not. What counts is the chunk and not the transaction.
func TestSelectMinFeeRate(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(2)
	parent := h.Pay(20, 1, coins[0])
	child := h.Pay(5000, 1, chaintest.Output(parent, 0))
	poor := h.Pay(300, 1, coins[1])
	h.accept(poor, parent, child)
	family := types.NewFeeRate(5020, parent.VirtualSize()+child.VirtualSize())
	alone := types.NewFeeRate(300, poor.VirtualSize())
	for _, test := range []struct {
		least types.FeeRate
		want  int
	}{{0, 3}, {alone, 3}, {alone + 1, 2}, {family, 2}, {family + 10, 0}} {
		selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000, MinFeeRate: test.least})
		if len(selected) != test.want {
			t.Errorf("from %s on %d are selected, want %d", test.least, len(selected), test.want)
		}
	}
}

// estimate is what has to be outbid, before enough blocks were seen to tell more.
func (h *harness) estimate(blocks int) types.FeeRate {
	h.t.Helper()
	estimate := h.pool.Estimate(blocks, false)
	if estimate.Known {
		h.t.Fatal("the pool knows more than it has seen")
	}
	return estimate.FeeRate
}

func TestEstimate(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	if got := h.estimate(1); got != DefaultMinRelay {
		t.Errorf("an empty pool: %v", got)
	}
	large := func(rate types.Amount, coin types.OutPoint) *types.Tx {
		tx := h.Pay(0, 1, coin)
		tx.Outputs[1] = types.TxOut{ScriptPubKey: dataScript(60_000)}
		tx.Outputs[0].Value -= rate * types.Amount(tx.VirtualSize())
		h.Note(tx)
		return tx
	}
	coins := h.coins(40)
	for i := range 40 { // some 2.4 million virtual bytes for blocks of a million
		h.accept(large(types.Amount(i+1), coins[i]))
	}
	first, second, third := h.estimate(1), h.estimate(2), h.estimate(3)
	// The 17th best has no room in the first block, the 34th none in two.
	if first != 24_000+DefaultIncrementalRelay || second != 7_000+DefaultIncrementalRelay || third != DefaultMinRelay {
		t.Errorf("estimates %v %v %v", first, second, third)
	}
	if h.estimate(0) != first {
		t.Error("no block is not one block")
	}
}

// TestEstimateOfPackages: what has no room is found by packages, as a miner takes
// them. A parent that a child pays for is not the one that waits.
func TestEstimateOfPackages(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	h.params.MaxBlockWeight = 40_000
	coins := h.coins(4)
	large := func(fee func(vsize types.Amount) types.Amount, coin types.OutPoint) *types.Tx {
		tx := h.Pay(0, 1, coin)
		tx.Outputs[1] = types.TxOut{ScriptPubKey: dataScript(3000)}
		tx.Outputs[0].Value -= fee(types.Amount(tx.VirtualSize()))
		h.Note(tx)
		h.accept(tx)
		return tx
	}
	for i, rate := range []types.Amount{10, 20, 30} {
		large(func(vsize types.Amount) types.Amount { return rate * vsize }, coins[i])
	}
	parent := large(func(vsize types.Amount) types.Amount { return vsize }, coins[3])
	h.accept(h.Pay(25*types.Amount(parent.VirtualSize()), 1, chaintest.Output(parent, 0)))
	// Three that are large have room. By itself the parent pays worst of the four.
	if got := h.estimate(1); got != 10_000+DefaultIncrementalRelay {
		t.Errorf("the estimate is %v", got)
	}
}

// A full cluster is sorted anew with each transaction that comes.
func BenchmarkCluster(b *testing.B) {
	for _, shape := range []string{"chain", "fan"} {
		b.Run(shape, func(b *testing.B) {
			nodes := make([]*txNode, MaxClusterCount)
			parents := make([]uint64, len(nodes))
			for i := range nodes {
				nodes[i] = &txNode{Entry: &pending.Entry{TxID: types.DoubleSHA256([]byte{byte(i)}), Fee: types.Amount(i * i % 97), Weight: 400 + i}}
				switch {
				case i > 0 && shape == "chain":
					parents[i] = 1 << (i - 1)
				case i > 0:
					parents[i] = 1
				}
			}
			for b.Loop() {
				newCluster(nodes, parents)
			}
		})
	}
}

// TestMiningFeeRate: a parent counts with the child that pays for it, and a child with
// the parent that does not pay.
func TestMiningFeeRate(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(2)
	poor := h.Pay(20, 1, coins[0])
	h.accept(poor)
	before, there := h.pool.MiningFeeRate(poor.WTxID())
	if !there || before != types.NewFeeRate(20, poor.VirtualSize()) {
		t.Errorf("a loner: %v", before)
	}
	rich := h.Pay(5000, 1, chaintest.Output(poor, 0))
	h.accept(rich)
	want := types.NewFeeRate(5020, (poor.Weight()+rich.Weight()+3)/4)
	for _, tx := range []*types.Tx{poor, rich} {
		if got, _ := h.pool.MiningFeeRate(tx.WTxID()); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if _, there := h.pool.MiningFeeRate(types.Hash{1}); there {
		t.Error("one that is not there has a feerate")
	}
}
