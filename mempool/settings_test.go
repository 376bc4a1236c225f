package mempool

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// chained returns n transactions, each of which spends the one before it.
func (h *harness) chained(n int, from types.OutPoint) []*types.Tx {
	txs := make([]*types.Tx, n)
	for i := range txs {
		txs[i] = h.Pay(1000, 1, from)
		from = chaintest.Output(txs[i], 0)
	}
	return txs
}

// Clusters are bounded as the operator says, also after a reorganisation.
func TestSetClusters(t *testing.T) {
	for _, count := range []int{1, 2, 30} {
		h := newHarness(t, func(o *Options) { o.MaxClusterCount = count })
		h.mineEmpty(6)
		txs := h.chained(count+1, h.coins(1)[0])
		h.accept(txs[:count]...)
		h.refuse(txs[count], consensus.ErrPolicy, ReasonClusterTooLarge)
		h.accept(h.Pay(1000, 1, h.coins(2)[1])) // alone
		if info := h.pool.Info(); info.MaxClusterCount != count {
			t.Errorf("it is told to be %d", info.MaxClusterCount)
		}
	}
	h := newHarness(t, nil)
	h.mineEmpty(6)
	txs := h.chained(3, h.coins(1)[0])
	size := txs[0].VirtualSize() + txs[1].VirtualSize()
	h.pool = h.newPool(func(o *Options) { o.MaxClusterVSize = size })
	h.accept(txs[:2]...)
	h.refuse(txs[2], consensus.ErrPolicy, ReasonClusterTooLarge)
	h.pool = h.newPool(func(o *Options) { o.MaxClusterVSize = size - 1 })
	h.accept(txs[0])
	h.refuse(txs[1], consensus.ErrPolicy, ReasonClusterTooLarge)
}

// TestSetClustersReturn: what comes back from blocks keeps to the bounds, too.
func TestSetClustersReturn(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MaxClusterCount = 2 })
	h.mineEmpty(6)
	fork, txs := h.tip, h.chained(3, h.coins(1)[0])
	h.mine(txs...)
	h.sync()
	for _, b := range h.Blocks("x", fork, 2) {
		if err := h.chain.AddBlock(t.Context(), b.Raw); err != nil {
			t.Fatal(err)
		}
	}
	h.expect(txs[:2]...)
}

// The scripts of all outputs of data count together, OP_RETURN included.
func TestSetDataCarrier(t *testing.T) {
	for _, test := range []struct {
		limit int
		sizes []int // of scripts
		ok    bool
	}{
		{0, nil, true}, {0, []int{1}, false},
		{1, []int{1}, true}, {1, []int{2}, false}, {1, []int{1, 1}, false},
		{83, []int{83}, true}, {83, []int{84}, false}, {83, []int{40, 43}, true}, {83, []int{40, 44}, false}, {83, []int{84, 0}, false},
		{DefaultMaxDataCarrier, []int{90_000, 9_000}, true},
	} {
		h := newHarness(t, func(o *Options) { o.MaxDataCarrier = test.limit })
		h.mineEmpty(4)
		tx := h.Pay(100_000, 1, h.coins(1)[0])
		tx.Outputs = []types.TxOut{{Value: 99_000_000, ScriptPubKey: chaintest.KeyScript()}} // of a size that no data is needed for
		for _, size := range test.sizes {
			script := make([]byte, size) // OP_0 is a push
			if size > 0 {
				script[0] = 0x6a
			} else {
				script = chaintest.Anchor // counts for nothing
			}
			tx.Outputs = append(tx.Outputs, types.TxOut{Value: 1000, ScriptPubKey: script})
		}
		if test.ok {
			h.accept(tx)
		} else {
			h.refuse(tx, consensus.ErrPolicy, ReasonDataCarrier)
		}
	}
}

// Without a least feerate what pays nothing comes in too, by itself, until the pool is
// full. Then it must pay more than what had to go, by the increment.
func TestSetNoMinimum(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MinRelay, o.MaxBytes = 0, 3*1200 })
	h.mineEmpty(5)
	coins := h.coins(8)
	free := h.Pay(0, 1, coins[0])
	h.accept(free)
	if got := h.pool.MinFeeRate(); got != 0 {
		t.Errorf("it asks for %s", got)
	}
	h.accept(h.Pay(0, 1, chaintest.Output(free, 0)))
	h.accept(h.Pay(500, 1, coins[1]), h.Pay(500, 1, coins[2]), h.Pay(500, 1, coins[3]))
	if got := h.pool.MinFeeRate(); got < DefaultIncrementalRelay {
		t.Errorf("it is full and asks for %s", got)
	}
	h.refuse(h.Pay(0, 1, coins[4]), consensus.ErrPolicy, pending.ReasonMempoolMinFee)
	if h.pool.Get(free.TxID()) != nil {
		t.Error("what pays nothing stays in a full pool")
	}
}

// The increment is what a replacement pays more. With none it need only be better.
func TestSetIncrement(t *testing.T) {
	for _, increment := range []types.FeeRate{0, 1000, 5000} {
		h := newHarness(t, func(o *Options) { o.IncrementalRelay = increment })
		h.mineEmpty(5)
		first, second := h.Pay(1000, 1, h.coins(1)[0]), h.Pay(1000, 1, h.coins(1)[0])
		h.accept(first)
		more := max(increment.Fee(second.VirtualSize()), 1)
		second.Outputs[0].Value -= more - 1
		reason := pending.ReasonInsufficientFee
		if increment == 0 {
			reason = pending.ReasonNotImproved
		}
		h.refuse(second, consensus.ErrPolicy, reason)
		second.Outputs[0].Value--
		h.accept(second)
		h.expect(second)
	}
}

// The greatest rates that an operator may set overflow nothing.
func TestSetGreatRates(t *testing.T) {
	const coin = types.FeeRate(types.GrainsPerCoin)
	h := newHarness(t, func(o *Options) { o.MinRelay, o.IncrementalRelay, o.DustRelay = coin, coin, coin })
	h.mineEmpty(5)
	coins := h.coins(5)
	h.refuse(h.Pay(1_000_000, 2, coins[:2]...), consensus.ErrPolicy, pending.ReasonMinRelayFee)
	h.accept(h.Pay(50_000_000, 1, coins[0]))
	h.refuse(h.Pay(55_000_000, 1, coins[0]), consensus.ErrPolicy, pending.ReasonInsufficientFee)
	if h.pool.MinFeeRate() != coin || h.pool.Estimate(1, false).FeeRate < coin {
		t.Errorf("minimum %s, estimate %s", h.pool.MinFeeRate(), h.pool.Estimate(1, false).FeeRate)
	}
}

// What has waited for too long leaves when something else comes in, by the clock that the
// pool was given, with what spends it. Its own return is refused by nothing.
func TestSetExpiry(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Expiry = 10 * time.Hour })
	h.mineEmpty(6)
	coins := h.coins(6)
	old, started := h.Pay(1000, 1, coins[0]), h.now
	h.accept(old)
	h.now = started.Add(5 * time.Hour)
	child, other := h.Pay(1000, 1, chaintest.Output(old, 0)), h.Pay(1000, 1, coins[1])
	h.accept(child, other)
	h.now = started.Add(10 * time.Hour)
	h.accept(h.Pay(1000, 1, coins[2]))
	if h.pool.Get(old.TxID()) == nil {
		t.Fatal("it left too early")
	}
	h.now = h.now.Add(time.Second)
	// It leaves with what would have spent it: that came too late.
	h.refuse(h.Pay(1000, 1, chaintest.Output(child, 0)), consensus.ErrPolicy, pending.ReasonFull)
	if h.pool.Get(old.TxID()) != nil || h.pool.Get(child.TxID()) != nil || h.pool.Get(other.TxID()) == nil {
		t.Error("not the old one and its child have left")
	}
	h.accept(old, child)
	// The clock may be set back, and what came later then is older.
	h.now = started.Add(2 * time.Hour)
	early := h.Pay(1000, 1, coins[3])
	h.accept(early)
	h.now = started.Add(12*time.Hour + time.Second)
	h.accept(h.Pay(1000, 1, coins[4]))
	if h.pool.Get(early.TxID()) != nil || h.pool.Get(old.TxID()) == nil {
		t.Error("what came before the clock was set back is older")
	}
}
