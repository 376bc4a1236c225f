package mempool

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Rates are compared as fractions are, whatever the signs of fees.
func TestCompareRates(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	fee := func() types.Amount {
		f := types.Amount(random.IntN(7) - 3)
		if random.IntN(3) == 0 {
			f = types.Amount(random.Int64N(2e15) - 1e15)
		}
		return f
	}
	for range 10_000 {
		a, b, v, w := fee(), fee(), 1+random.IntN(5), 1+random.IntN(400_000)
		want := big.NewRat(int64(a), int64(v)).Cmp(big.NewRat(int64(b), int64(w)))
		if got := compareRates(a, v, b, w); got != want {
			t.Fatalf("%d/%d and %d/%d: %d, want %d", a, v, b, w, got, want)
		}
	}
}

func TestSaturatingAdd(t *testing.T) {
	for _, test := range []struct{ a, b, want types.Amount }{
		{1, 2, 3}, {-1, 2, 1}, {math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64}, {math.MinInt64, math.MinInt64, math.MinInt64}, {math.MinInt64, math.MaxInt64, -1},
	} {
		if got := saturatingAdd(test.a, test.b); got != test.want {
			t.Errorf("%d + %d is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// A delta decides what a miner takes first, what comes in, and what replaces what.
func TestPrioritise(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 1)
	coins := h.coins(4)
	poor, rich, free := h.Pay(1000, 1, coins[0]), h.Pay(2000, 1, coins[1]), h.Pay(0, 1, coins[2])
	h.accept(poor, rich)
	first := func() types.Hash {
		selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000})
		return selected[0].TxID
	}
	if first() != rich.TxID() {
		t.Fatal("what pays best should come first")
	}
	ranking, _ := h.pool.snapshot()
	poked, cancel := h.pool.Subscribe()
	defer cancel()
	sequence := h.pool.Info().Sequence
	h.pool.Prioritise(poor.TxID(), 5000)
	checkGraph(t, h.pool)
	select {
	case <-poked:
	default:
		t.Error("a delta should poke")
	}
	if h.pool.Info().Sequence == sequence {
		t.Error("a template of before would be taken for current")
	}
	if first() != poor.TxID() {
		t.Error("a delta should change what comes first")
	}
	for r := range ranking.bestFirst() {
		if r.fee > 2000 || r.cluster.chunks[0].fee > 2000 || r.nodes()[0].modified() > 2000 {
			t.Error("a cluster has changed that others may be reading")
		}
	}
	if d, _ := h.pool.Details(poor.TxID()); d.Fee != 1000 || d.Modified != 6000 || d.Chunk.Fees != 6000 || d.Ancestors.Fees != 6000 {
		t.Errorf("its fees are %+v", d)
	}
	if total := h.pool.Info().TotalFee; total != 3000 {
		t.Errorf("all fees are %d: nobody pays a delta", total)
	}

	h.refuse(free, consensus.ErrPolicy, pending.ReasonMinRelayFee)
	h.pool.Prioritise(free.TxID(), 500)
	h.accept(free)
	h.refuse(h.Pay(400, 1, coins[2]), consensus.ErrPolicy, pending.ReasonInsufficientFee)
	better := h.Pay(900, 1, coins[2])
	h.accept(better)
	if list := h.pool.Prioritised(); len(list) != 2 || list[0].InPool == list[1].InPool {
		t.Errorf("a delta should outlive a replacement: %+v", list)
	}
	h.pool.Prioritise(better.TxID(), -901)
	if selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000}); len(selected) != 2 {
		t.Errorf("%d transactions for a block, want those that are worth something", len(selected))
	}
	h.accept(h.Pay(100, 1, coins[2])) // which is more than less than nothing
}

// What is being examined when a delta changes goes by the new one.
func TestPrioritiseMeanwhile(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 1)
	tx := h.Pay(1000, 1, h.coins(1)[0])
	c, err := h.pool.newCandidate(tx, h.now)
	if err != nil {
		t.Fatal(err)
	}
	g := &group{candidates: []*candidate{c}}
	if _, err := h.pool.examine(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	h.pool.Prioritise(tx.TxID(), -1000)
	if _, err := h.pool.insert(g); !errors.Is(err, pending.ReasonMinRelayFee) {
		t.Fatalf("insert: %v", err)
	}
}

// A block ends the deltas of what it confirms, and of what conflicts with that; an empty
// pool, and one that was far behind, see to it too.
func TestDeltasEnd(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 2)
	coins := h.coins(4)
	deltas := func(want int) {
		t.Helper()
		h.sync()
		if list := h.pool.Prioritised(); len(list) != want {
			t.Fatalf("%d deltas, want %d", len(list), want)
		}
	}
	waits, mined, unknown := h.Pay(1000, 1, coins[0]), h.Pay(1000, 1, coins[1]), h.Pay(1000, 1, coins[2])
	conflict := h.Pay(2000, 1, coins[0])
	h.sync()
	h.accept(waits, mined)
	for _, tx := range []*types.Tx{waits, mined, unknown} {
		h.pool.Prioritise(tx.TxID(), 7)
	}
	h.mine(mined)
	deltas(2)
	h.mine(conflict)
	deltas(1)
	h.mine() // the pool is empty
	deltas(1)
	h.mine(unknown)
	h.mineEmpty(updatesWorth + 1)
	deltas(0)

	h.pool.Prioritise(types.Hash{1}, 0)
	deltas(0)
	h.pool.Prioritise(types.Hash{1}, 5)
	h.pool.Prioritise(types.Hash{1}, -5)
	deltas(0)
}

// A reorganisation makes the graph anew: deltas that came or went meanwhile hold in it.
func TestDeltasOfNewGraph(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(maturity + 1)
	coins := h.coins(3)
	gains, loses, back := h.Pay(1000, 1, coins[0]), h.Pay(1000, 1, coins[1]), h.Pay(1000, 1, coins[2])
	h.accept(gains, loses)
	h.pool.Prioritise(loses.TxID(), 50)
	parent := h.tip
	h.mine(back)
	h.sync()
	h.pool.Prioritise(back.TxID(), 70)
	fresh := newGraph()
	fresh.deltas = h.pool.snapshotDeltas()
	for _, e := range h.pool.Entries() {
		change, err := fresh.replacement(&group{candidates: []*candidate{{Entry: e}}}, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		fresh.apply(change)
	}
	h.pool.Prioritise(loses.TxID(), -50)
	h.pool.Prioritise(gains.TxID(), 60)
	h.pool.mu.Lock()
	h.pool.takeDeltas(fresh)
	h.pool.graph = fresh
	h.pool.mu.Unlock()
	check := func() {
		t.Helper()
		for tx, want := range map[*types.Tx]types.Amount{gains: 1060, loses: 1000} {
			if d, ok := h.pool.Details(tx.TxID()); !ok || d.Modified != want || d.Chunk.Fees != want {
				t.Errorf("it counts for %d, want %d", d.Modified, want)
			}
		}
	}
	check()
	other := h.Block("", parent)
	for _, b := range []*chaintest.Block{other, h.Block("", other)} {
		if err := h.chain.AddBlock(t.Context(), b.Raw); err != nil {
			t.Fatal(err)
		}
	}
	h.sync()
	check()
	if d, ok := h.pool.Details(back.TxID()); !ok || d.Modified != 1070 {
		t.Errorf("what comes back counts for %d", d.Modified)
	}
}

// The table is bounded: a program of the operator's may never stop.
func TestMaxDeltas(t *testing.T) {
	h := newHarness(t, nil)
	for i := range MaxDeltas {
		if !h.pool.Prioritise(types.Hash{byte(i), byte(i >> 8), byte(i >> 16)}, 1) {
			t.Fatalf("delta %d is refused", i)
		}
	}
	if h.pool.Prioritise(types.Hash{31: 1}, 1) {
		t.Error("there is no bound")
	}
	if !h.pool.Prioritise(types.Hash{}, -1) || !h.pool.Prioritise(types.Hash{31: 1}, 1) {
		t.Error("there is no room again")
	}
}
