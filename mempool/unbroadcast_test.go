package mempool

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// What clients brought is told apart until a peer has it, or it leaves.
func TestUnbroadcast(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 1)
	coins := h.coins(4)
	asked, mined, replaced, foreign := h.Pay(1000, 1, coins[0]), h.Pay(1000, 1, coins[1]), h.Pay(1000, 1, coins[2]), h.Pay(1000, 1, coins[3])
	h.accept(asked, mined, replaced, foreign)
	for _, tx := range []*types.Tx{asked, mined, replaced, h.Pay(1, 1, coins[0])} {
		h.pool.MarkUnbroadcast(tx.TxID())
	}
	expect := func(txs ...*types.Tx) {
		t.Helper()
		checkGraph(t, h.pool)
		want := []types.Hash{}
		for _, tx := range txs {
			want = append(want, tx.WTxID())
		}
		got := h.pool.Unbroadcast()
		slices.SortFunc(want, compareIDs)
		slices.SortFunc(got, compareIDs)
		if !slices.Equal(got, want) || h.pool.Info().Unbroadcast != len(want) {
			t.Fatalf("%d wait to be broadcast, want %d", len(got), len(want))
		}
	}
	expect(asked, mined, replaced)
	if d, _ := h.pool.Details(asked.TxID()); !d.Unbroadcast {
		t.Error("the details do not say so")
	}
	h.pool.Broadcast(foreign.WTxID(), types.Hash{1}, asked.WTxID())
	expect(mined, replaced)
	if d, _ := h.pool.Details(asked.TxID()); d.Unbroadcast {
		t.Error("a peer has asked for it")
	}
	h.accept(h.Pay(9000, 1, coins[2]))
	expect(mined)
	h.mine(mined)
	h.sync()
	expect()
}

// A cluster is told in its chunks, and the diagram sums all chunks up, the best first.
func TestDiagram(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 1)
	coins := h.coins(2)
	parent := h.Pay(500, 1, coins[0])
	child := h.Pay(3000, 1, chaintest.Output(parent, 0))
	rest := h.Pay(100, 1, chaintest.Output(child, 0))
	loner := h.Pay(1000, 1, coins[1])
	h.accept(parent, child, rest, loner)
	chunks := h.pool.Cluster(rest.TxID())
	if len(chunks) != 2 || !slices.Equal(chunks[0].TxIDs, []types.Hash{parent.TxID(), child.TxID()}) || chunks[0].Fees != 3500 ||
		chunks[0].Weight != parent.Weight()+child.Weight() || !slices.Equal(chunks[1].TxIDs, []types.Hash{rest.TxID()}) {
		t.Errorf("the chunks are %+v", chunks)
	}
	if chunks := h.pool.Cluster(types.Hash{1}); chunks != nil {
		t.Errorf("what is not there has chunks %+v", chunks)
	}
	h.pool.Prioritise(loner.TxID(), -2000)
	first, second := int64(chunks[0].Weight), int64(rest.Weight())
	want := []pending.Corner{{}, {Weight: first, Fees: 3500}, {Weight: first + second, Fees: 3600}, {Weight: first + second + int64(loner.Weight()), Fees: 2600}}
	if got := h.pool.Diagram(); !slices.Equal(got, want) {
		t.Errorf("the diagram is %+v, want %+v", got, want)
	}
}
