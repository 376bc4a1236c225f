package mempool

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// dusty is a transaction that pays a fee, with an output that holds most of the coin, and
// then others to anchors.
func (h *harness) dusty(fee types.Amount, from types.OutPoint, others ...types.Amount) *types.Tx {
	tx := h.Pay(fee, 1, from)
	for i, value := range others {
		tx.Outputs[0].Value -= value
		tx.Outputs = slices.Insert(tx.Outputs, 1+i, types.TxOut{Value: value, ScriptPubKey: chaintest.Anchor})
	}
	h.Note(tx)
	return tx
}

// Dust is taken if its transaction pays nothing and a child spends it.
func TestEphemeralDust(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(12)
	for i, value := range []types.Amount{0, 1, 239} {
		parent := h.dusty(0, coins[i], value)
		h.refuse(parent, consensus.ErrPolicy, pending.ReasonMinRelayFee) // by itself
		h.acceptPackage(parent, h.Pay(2000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1)))
	}
	h.mine(h.txs()...)
	h.expect()

	// What brings in the dust may spend nothing else of its parent.
	parent := h.dusty(0, coins[3], 100)
	h.acceptPackage(parent, h.Pay(2000, 1, chaintest.Output(parent, 1), coins[4]))
	// Nobody else may spend what is not dust, and leave it.
	h.refuse(h.Pay(9000, 1, chaintest.Output(parent, 0)), consensus.ErrPolicy, ReasonEphemeralDust)

	// In a package the child that leaves it is at fault.
	parent = h.dusty(0, coins[5], 100)
	child := h.Pay(2000, 1, chaintest.Output(parent, 0), coins[6])
	h.refusePackage(-1, consensus.ErrPolicy, ReasonUnspentDust, parent, child)
	want := fmt.Sprintf("missing-ephemeral-spends: tx %s (wtxid=%s) did not spend parent's ephemeral dust", child.TxID(), child.WTxID())
	if result, _ := h.pool.AcceptPackage(t.Context(), []*types.Tx{parent, child}, 0); result.Verdicts[1].Err.Error() != want {
		t.Errorf("%v, want %s", result.Verdicts[1].Err, want)
	}

	// A fee, however little, would let a miner take the parent alone.
	for _, fee := range []types.Amount{1, 1000} {
		parent = h.dusty(fee, coins[7], 100)
		h.refuse(parent, consensus.ErrPolicy, ReasonDust)
		h.refusePackage(0, consensus.ErrPolicy, ReasonDust, parent, h.Pay(2000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1)))
	}
	// So would a fee for which it counts, and a delta does not make a fee none.
	parent = h.dusty(0, coins[8], 100)
	h.pool.Prioritise(parent.TxID(), 10_000)
	h.refuse(parent, consensus.ErrPolicy, ReasonDust)
	parent = h.dusty(1000, coins[8], 100)
	h.pool.Prioritise(parent.TxID(), -1000)
	h.refuse(parent, consensus.ErrPolicy, ReasonDust)

	// One output is enough for all protocols, and two can be left one by one.
	parent = h.dusty(0, coins[9], 100, 100)
	h.refusePackage(0, consensus.ErrPolicy, ReasonDust, parent,
		h.Pay(2000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1), chaintest.Output(parent, 2)))
}

// txs returns what the pool has.
func (h *harness) txs() (txs []*types.Tx) {
	for _, e := range h.pool.Entries() {
		txs = append(txs, e.Tx)
	}
	return txs
}

// Dust of several parents is spent, or the child stays out, wherever they are.
func TestDustOfManyParents(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MinRelay = 0 })
	h.mineEmpty(6)
	coins := h.coins(6)
	var parents []*types.Tx
	var all []types.OutPoint
	for _, coin := range coins[:4] {
		parent := h.dusty(0, coin, 0)
		parents = append(parents, parent)
		all = append(all, chaintest.Output(parent, 0), chaintest.Output(parent, 1))
	}
	h.accept(parents[:3]...) // nobody asks for a fee here
	leaves := h.Pay(2000, 1, all[:7]...)
	if _, err := h.pool.AcceptPackage(t.Context(), []*types.Tx{parents[3], leaves}, 0); !errors.Is(err, ReasonEphemeralDust) {
		t.Errorf("AcceptPackage: %v", err)
	}
	h.expect(parents...)
	h.refuse(leaves, consensus.ErrPolicy, ReasonEphemeralDust)
	results, err := h.pool.Try(t.Context(), []*types.Tx{leaves})
	if err != nil || !errors.Is(results[0].Err, ReasonEphemeralDust) {
		t.Errorf("Try: %+v, %v", results, err)
	}
	h.accept(h.Pay(2000, 1, all...))
}

// A replacement must spend the dust as well.
func TestReplacementSpendsDust(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	parent := h.dusty(0, h.coins(1)[0], 239)
	h.acceptPackage(parent, h.Pay(2000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1)))
	h.refuse(h.Pay(9000, 1, chaintest.Output(parent, 0)), consensus.ErrPolicy, ReasonEphemeralDust)
	better := h.Pay(9000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1))
	h.accept(better)
	h.expect(parent, better)
}

// Once a block has it, dust is an output as any other.
func TestConfirmedDust(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	parent := h.dusty(0, h.coins(1)[0], 100)
	h.mine(parent)
	h.accept(h.Pay(2000, 1, chaintest.Output(parent, 0)))
}

// What a reorganisation brings back need not keep to it, but for what would be refused
// with any child: that is refused then, too.
func TestDustAfterReorganisation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins, fork := h.coins(4), h.tip
	parent := h.dusty(0, coins[0], 100)
	leaves := h.dusty(0, chaintest.Output(parent, 0), 50)
	h.mine(parent, leaves, h.dusty(1, coins[1], 100), h.dusty(0, coins[2], 100, 100))
	child := h.Pay(2000, 1, chaintest.Output(parent, 1), coins[3])
	h.accept(child)
	branch := h.Blocks("x", fork, 2)
	for _, b := range branch {
		if err := h.chain.AddBlock(t.Context(), b.Raw); err != nil {
			t.Fatal(err)
		}
	}
	h.expect(parent, leaves, child)
}

// Without a limit for dust there is none.
func TestNoDust(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.DustRelay = 0 })
	h.mineEmpty(6)
	parent := h.dusty(1000, h.coins(1)[0], 0, 0, 1)
	h.accept(parent, h.Pay(1000, 1, chaintest.Output(parent, 0)))
}
