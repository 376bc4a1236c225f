package mempool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// sized is a payment of a size and a feerate, in grains a virtual byte.
func (h *harness) sized(data int, rate types.Amount, coin types.OutPoint) *types.Tx {
	tx := h.Pay(0, 1, coin)
	tx.Outputs[1] = types.TxOut{ScriptPubKey: dataScript(data)}
	tx.Outputs[0].Value -= rate * types.Amount(tx.VirtualSize())
	h.Note(tx)
	return tx
}

// busy has blocks of two payments each, while three come between two of them.
func (h *harness) busy(blocks int) (room int) {
	h.t.Helper()
	for range blocks {
		coins := h.coins(60)
		var pick []types.OutPoint
		for _, coin := range coins {
			if h.pool.SpentBy(coin) == nil {
				pick = append(pick, coin)
			}
		}
		for i, rate := range []types.Amount{2, 20, 40} {
			tx := h.sized(3000, rate, pick[i])
			h.accept(tx)
			room = 2*tx.Weight() + 100
		}
		h.now = h.now.Add(time.Minute) // what waits now has waited for long enough
		selected, _ := h.pool.Select(pending.Selection{MaxWeight: room})
		var txs []*types.Tx
		for _, e := range selected {
			txs = append(txs, e.Tx)
		}
		h.mine(txs...)
		h.sync()
	}
	return room
}

// TestEstimateFromBlocks: blocks that leave what pays little are full, whatever the rules
// allow, and so that has to be outbid, though nothing else waits.
func TestEstimateFromBlocks(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(20)
	h.sync()
	if e := h.pool.Estimate(1, false); e.Known {
		t.Error("old blocks of an empty pool tell nothing")
	}
	h.busy(12)
	economical, conservative := h.pool.Estimate(1, false), h.pool.Estimate(1, true)
	if !economical.Known || economical.FeeRate < 2000 || economical.FeeRate > 2400 {
		t.Errorf("economical: %+v", economical)
	}
	if conservative.FeeRate < economical.FeeRate || conservative.FeeRate > 24_000 {
		t.Errorf("conservative: %+v", conservative)
	}
	// It outlives a restart.
	path := filepath.Join(t.TempDir(), "fee_estimates.dat")
	if err := h.pool.SaveEstimates(path); err != nil {
		t.Fatal(err)
	}
	again := h.newPool(nil)
	for _, e := range h.pool.Entries() {
		if _, err := again.Accept(t.Context(), e.Tx, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.LoadEstimates(path); err != nil {
		t.Fatal(err)
	}
	if got := again.Estimate(3, true); !got.Known || got.FeeRate < 2000 {
		t.Errorf("after a restart: %+v", got)
	}
	// But not for ever, nor damage.
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) > 10_000 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	h.now = h.now.Add(61 * time.Hour)
	old := h.newPool(nil)
	if err := old.LoadEstimates(path); err != nil || old.Estimate(1, false).Known {
		t.Errorf("what is too old is read: %v", err)
	}
	raw[60] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := old.LoadEstimates(path); !errors.Is(err, ErrFile) {
		t.Errorf("damage: %v", err)
	}
	if err := old.LoadEstimates(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no file: %v", err)
	}
}

// TestEstimateAfterReorganisation: blocks that were undone are forgotten.
func TestEstimateAfterReorganisation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(20)
	h.sync()
	fork := h.tip
	h.busy(7)
	if !h.pool.Estimate(1, false).Known {
		t.Fatal("seven blocks are not enough")
	}
	for range 8 {
		fork = h.Block("", fork)
		if err := h.chain.AddBlock(t.Context(), fork.Raw); err != nil {
			t.Fatal(err)
		}
	}
	h.tip = fork
	h.sync()
	if h.pool.Estimate(1, false).Known {
		t.Error("it knows of blocks that were undone")
	}
}

// TestEstimateIgnoresOthers: what a miner pays itself, and what no miner takes, makes
// nobody pay more.
func TestEstimateIgnoresOthers(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(60)
	h.sync()
	unwanted := h.sized(3000, 500, h.tip.Spendable(maturity, chaintest.KeyScript())[0])
	h.Sign(unwanted)
	coins := h.coins(900)
	h.accept(unwanted)
	for i := range 12 {
		var txs []*types.Tx
		for j := range 3 {
			tx := h.sized(3000, 10, coins[10*i+j])
			h.accept(tx)
			txs = append(txs, tx)
		}
		h.now = h.now.Add(time.Minute)
		for j := range 3 { // that never waited
			txs = append(txs, h.sized(3000, 3000, coins[10*i+5+j]))
		}
		h.mine(txs...)
		h.sync()
	}
	if got := h.pool.Estimate(1, true); !got.Known || got.FeeRate != DefaultMinRelay {
		t.Errorf("%+v", got)
	}
}
