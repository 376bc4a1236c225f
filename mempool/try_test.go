package mempool

import (
	"errors"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

func (h *harness) try(txs ...*types.Tx) []pending.Verdict {
	h.t.Helper()
	before := h.pool.Info()
	before.MinFeeRate = 0
	results, err := h.pool.Try(h.t.Context(), txs)
	if err != nil {
		h.t.Fatal(err)
	}
	after := h.pool.Info()
	after.MinFeeRate = 0
	if before != after {
		h.t.Fatalf("Test changed the pool from %+v to %+v", before, after)
	}
	checkGraph(h.t, h.pool)
	return results
}

func TestTrySingle(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	h.sync()
	coin := h.coins(1)[0]
	tx := h.Pay(1000, 1, coin)
	result := h.try(tx)[0]
	if result.Err != nil || result.Entry == nil || result.Entry.Fee != 1000 || result.Entry.TxID != tx.TxID() || result.Entry.WTxID != tx.WTxID() {
		t.Errorf("good: %+v", result)
	}
	h.accept(tx)
	if result := h.try(h.Pay(9000, 1, coin))[0]; result.Err != nil || result.Entry.Fee != 9000 {
		t.Errorf("a replacement: %+v", result)
	}
	if result := h.try(tx)[0]; !errors.Is(result.Err, ReasonInPool) {
		t.Errorf("the same again: %+v", result)
	}
	if results := h.try(); len(results) != 0 {
		t.Errorf("nothing: %+v", results)
	}
}

func TestTryPackage(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	h.sync()
	coins := h.coins(30)
	parent := h.Pay(1000, 2, coins[0])
	child := h.Pay(1000, 1, chaintest.Output(parent, 0))
	grandchild := h.Pay(1000, 1, chaintest.Output(child, 0), chaintest.Output(parent, 1), coins[1])
	for _, result := range h.try(parent, child, grandchild) {
		if result.Entry == nil || result.Err != nil || result.PackageErr != nil {
			t.Errorf("a good package: %+v", result)
		}
	}
	inPool := h.Pay(1000, 1, coins[2])
	h.accept(inPool)
	many := []*types.Tx{}
	for _, coin := range coins[3:29] {
		many = append(many, h.Pay(1000, 1, coin))
	}
	heavy := func(coin types.OutPoint) *types.Tx {
		tx := h.Pay(100_000, 2, coin)
		tx.Outputs[1] = types.TxOut{ScriptPubKey: dataScript(60_000)}
		return tx
	}
	long := []*types.Tx{h.Pay(1000, 1, coins[4])}
	h.accept(long[0])
	for range MaxClusterCount - 2 {
		long = append(long, h.Pay(1000, 1, chaintest.Output(long[len(long)-1], 0)))
		h.accept(long[len(long)-1])
	}
	last := h.Pay(1000, 1, chaintest.Output(long[len(long)-1], 0))
	tests := []struct {
		name   string
		txs    []*types.Tx
		all    consensus.Reason // of the package
		failed int
		reason consensus.Reason // of one of them
	}{
		{"too many", many, ReasonPackageCount, 0, ""},
		{"too heavy", []*types.Tx{heavy(coins[5]), heavy(coins[6])}, ReasonPackageWeight, 0, ""},
		{"one twice", []*types.Tx{parent, parent}, ReasonPackageRepeats, 0, ""},
		{"child first", []*types.Tx{child, parent}, ReasonPackageOrder, 0, ""},
		{"conflict", []*types.Tx{parent, h.Pay(2000, 1, coins[0])}, ReasonPackageConflicts, 0, ""},
		{"replacement", []*types.Tx{parent, h.Pay(9000, 1, coins[2])}, "", 1, ReasonNoReplacement},
		{"one without a fee", []*types.Tx{parent, child, h.Pay(0, 1, coins[7])}, "", 2, pending.ReasonMinRelayFee},
		{"a missing input", []*types.Tx{grandchild, parent}, ReasonPackageOrder, 0, ""},
		{"a missing parent", []*types.Tx{parent, grandchild}, "", 1, consensus.ReasonMissingInputs},
		{"an output that is not there", []*types.Tx{parent, h.spendOutput(parent, 5)}, "", 1, consensus.ReasonMissingInputs},
		{"not standard", []*types.Tx{parent, h.version(h.Pay(1000, 1, coins[8]), 9)}, "", 1, ReasonVersion},
		{"in the pool", []*types.Tx{parent, inPool}, "", 1, ReasonInPool},
		{"a cluster that becomes too large", []*types.Tx{last, h.Pay(1000, 1, chaintest.Output(last, 0))}, ReasonClusterTooLarge, 0, ""},
		{"one without a fee, and a wrong signature", []*types.Tx{h.Pay(0, 1, coins[7]), h.Pay(1000, 1, h.keyCoins(1)[0])}, "", 0, pending.ReasonMinRelayFee},
		{"one without a fee, and a missing input", []*types.Tx{parent, h.Pay(0, 1, coins[7]), grandchild}, "", 1, pending.ReasonMinRelayFee},
		{"immature, and not standard", []*types.Tx{h.Pay(1000, 1, types.OutPoint{TxID: h.tip.TxIDs[0]}), h.version(h.Pay(1000, 1, coins[8]), 9)}, "", 0, consensus.ReasonPrematureSpend},
		{"a wrong signature", []*types.Tx{parent, h.Pay(1000, 1, h.keyCoins(1)[0])}, "", 1,
			"mempool-script-verify-flag-failed (Witness program was passed an empty witness)"},
		{"immature", []*types.Tx{parent, h.Pay(1000, 1, types.OutPoint{TxID: h.tip.TxIDs[0]})}, "", 1, consensus.ReasonPrematureSpend},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.t = t
			for i, result := range h.try(test.txs...) {
				// Scripts come last, so that those before the one that fails have passed.
				if passed := strings.Contains(string(test.reason), "script") && i < test.failed; passed != (result.Entry != nil) {
					t.Errorf("%d: %+v", i, result)
				}
				if test.all != "" && !errors.Is(result.PackageErr, test.all) || test.all == "" && result.PackageErr != nil {
					t.Errorf("%d: package error %v", i, result.PackageErr)
				}
				if failed := test.all == "" && i == test.failed; failed && !errors.Is(result.Err, test.reason) || !failed && result.Err != nil {
					t.Errorf("%d: %v", i, result.Err)
				}
			}
		})
	}
}

func (h *harness) spendOutput(tx *types.Tx, index uint32) *types.Tx {
	h.Outputs[chaintest.Output(tx, index)] = types.TxOut{Value: 10_000, ScriptPubKey: chaintest.Anchor}
	return h.Pay(1000, 1, chaintest.Output(tx, index))
}

func (h *harness) version(tx *types.Tx, version uint32) *types.Tx {
	tx.Version = version
	return tx
}
