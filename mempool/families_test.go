package mempool

import (
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Tricks of clusters and replacement, with which payments were kept from blocks, or nodes
// busy for nothing, each with what it comes to here. Work is counted and not timed.

func (f *flood) must(txs ...*types.Tx) (work pending.Work) {
	f.t.Helper()
	for i, tx := range txs {
		e, err := f.pool.Accept(f.t.Context(), tx, 0)
		if err != nil {
			f.t.Fatalf("transaction %d: %v", i, err)
		}
		work.Add(e.Work)
	}
	return work
}

// mustNot returns what a refusal has cost.
func (f *flood) mustNot(tx *types.Tx, reason consensus.Reason) pending.Work {
	f.t.Helper()
	_, err := f.pool.Accept(f.t.Context(), tx, 0)
	if !errors.Is(err, reason) {
		f.t.Fatalf("it is %v, want %v", err, reason)
	}
	var refusal *pending.Refusal
	errors.As(err, &refusal)
	return refusal.Work
}

func (f *flood) has(tx *types.Tx) bool { return f.pool.Get(tx.TxID()) != nil }

// TestReplacementCycling: who replaces a payment, and then the replacement by something
// that spends another coin, has emptied the place without a trace. The payment comes in
// again at once, for the fee that it had, and each round has cost the attacker more.
func TestReplacementCycling(t *testing.T) {
	f := newFlood(t, 4<<20)
	shared, own := f.coin(), f.coin()
	payment := f.pay(500, 1, shared)
	fee := types.Amount(1500)
	for round := range 12 {
		f.must(payment)
		f.mustNot(f.pay(f.pool.Info().TotalFee, 1, own, shared), pending.ReasonInsufficientFee)
		replacement := f.pay(fee, 1, shared, own)
		f.must(replacement)
		fee += 20
		other := f.pay(fee, 1, own)
		f.must(other)
		if f.has(payment) || f.has(replacement) || !f.has(other) {
			t.Fatalf("round %d went another way", round)
		}
		// The next replacement spends both coins, and has to pay a better feerate than what is
		// left of this round, which spends one.
		f.mustNot(f.pay(fee+40, 1, shared, own), pending.ReasonNotImproved)
		fee += fee / 2
	}
	f.must(payment)
	if got := f.pool.Info().TotalFee; got < 100*500 {
		t.Errorf("twelve rounds have cost %d", got)
	}
}

// TestFreeRelay: a payment that is replaced again and again has paid for each time that
// it went round the network.
func TestFreeRelay(t *testing.T) {
	f := newFlood(t, 4<<20)
	coin := f.coin()
	fee, relayed := types.Amount(100), 0
	for i := range 200 {
		tx := f.pay(fee, 1, coin)
		f.must(tx)
		relayed += tx.VirtualSize()
		least := DefaultIncrementalRelay.Fee(tx.VirtualSize())
		f.mustNot(f.pay(fee+least-1, 1, coin), pending.ReasonInsufficientFee)
		if i%10 == 0 { // larger, and not better for anybody
			f.mustNot(f.pay(fee+3*least, 8, coin), pending.ReasonNotImproved)
		}
		fee += least
	}
	if total := f.pool.Info().TotalFee; total < DefaultIncrementalRelay.Fee(relayed) {
		t.Errorf("%d virtual bytes were relayed for %d", relayed, total)
	}
	if count := f.pool.Info().Count; count != 1 {
		t.Errorf("%d are there", count)
	}
}

// TestHeavyChild: a child of 100,000 virtual bytes that pays little makes its parent dear
// to replace, by what it pays and no more. To a parent of version 3 nobody can attach it.
func TestHeavyChild(t *testing.T) {
	f := newFlood(t, 4<<20)
	shared := f.coin()
	parent := f.pay(100, 2, shared)
	f.must(parent)
	f.data = make([]byte, 75)
	heavy := f.pay(20_000, 1000, chaintest.Output(parent, 0))
	f.must(heavy)
	f.mustNot(f.pay(19_000, 1, shared), pending.ReasonInsufficientFee)
	f.must(f.pay(20_200, 1, shared))
	if f.has(heavy) {
		t.Error("the child stays without its parent")
	}
	restricted := f.pay(100, 2, f.coin())
	restricted.Version = TRUCVersion
	f.must(restricted)
	for _, version := range []uint32{2, TRUCVersion} {
		pin := f.pay(20_000, 1000, chaintest.Output(restricted, 0))
		pin.Version = version
		if _, err := f.pool.Accept(t.Context(), pin, 0); err == nil {
			t.Errorf("a pin of version %d is attached", version)
		}
	}
	small := f.pay(300, 1, chaintest.Output(restricted, 0))
	small.Version = TRUCVersion
	f.must(small)
	better := f.pay(400, 1, chaintest.Output(restricted, 1)) // of whoever has the other output
	better.Version = TRUCVersion
	f.must(better)
	if f.has(small) || !f.has(better) {
		t.Error("a child of version 3 keeps a better one out")
	}
}

// TestClusterFlood: who fills a family up keeps others from adding to it. What it takes
// to sort it anew is bounded by the size of a family, and whoever shares an output can
// still take the place of what spends it.
func TestClusterFlood(t *testing.T) {
	f := newFlood(t, 8<<20)
	parent := f.pay(1000, 70, f.coin())
	f.must(parent)
	for i := range MaxClusterCount - 1 {
		if work := f.must(f.pay(50, 1, chaintest.Output(parent, uint32(i)))); work.Relatives > i+1 {
			t.Fatalf("child %d was sorted with %d", i, work.Relatives)
		}
	}
	late := f.pay(100_000, 1, chaintest.Output(parent, 65))
	if work := f.mustNot(late, ReasonClusterTooLarge); work.Relatives > MaxClusterCount || work.Opcodes+work.Signatures > 0 {
		t.Errorf("%+v is done for one too many", work)
	}
	f.must(f.pay(100_000, 1, chaintest.Output(parent, 65), chaintest.Output(parent, 3)))
	if got := f.pool.Info().Count; got != MaxClusterCount {
		t.Errorf("%d are there", got)
	}
}

// TestManyParents: a transaction that would join many large families is refused before
// any of them is looked at. One that joins as many as it may is sorted once.
func TestManyParents(t *testing.T) {
	f := newFlood(t, 64<<20)
	var tails []types.OutPoint
	for range 40 {
		from := f.coin()
		for range 50 {
			tx := f.pay(50, 1, from)
			f.must(tx)
			from = chaintest.Output(tx, 0)
		}
		tails = append(tails, from)
	}
	allocations := testing.AllocsPerRun(3, func() {
		f.mustNot(f.pay(1_000_000, 1, tails...), ReasonClusterTooLarge)
	})
	if allocations > 1500 { // a cluster of 50 takes some hundred
		t.Errorf("%v allocations are made for a refusal", allocations)
	}
	var loners []types.OutPoint
	for range MaxClusterCount {
		tx := f.pay(50, 1, f.coin())
		f.must(tx)
		loners = append(loners, chaintest.Output(tx, 0))
	}
	f.mustNot(f.pay(1_000_000, 1, loners...), ReasonClusterTooLarge)
	if work := f.must(f.pay(1_000_000, 1, loners[1:]...)); work.Relatives != MaxClusterCount-1 {
		t.Errorf("%d relatives", work.Relatives)
	}
}

// TestManyConflicts: a transaction that would replace others in too many families is
// refused before they are looked at, and one of thousands of inputs costs no more for
// each of them than others do.
func TestManyConflicts(t *testing.T) {
	f := newFlood(t, 64<<20)
	var coins []types.OutPoint
	for range 2000 {
		coins = append(coins, f.coin())
		f.must(f.pay(50, 1, coins[len(coins)-1]))
	}
	work := f.mustNot(f.pay(50_000_000, 1, coins...), ReasonTooManyReplaced)
	if work.Opcodes+work.Signatures > 0 || work.Relatives > len(coins) || work.Coins > len(coins) {
		t.Errorf("%+v", work)
	}
	if work := f.must(f.pay(50_000_000, 1, coins[:MaxReplacedClusters]...)); work.Relatives != MaxReplacedClusters {
		t.Errorf("%d relatives", work.Relatives)
	}
}

// TestEvictionFlood: what has no room is refused before its scripts run, and what was
// evicted does not come back for the same fee. So memory that is full is no way to have
// transactions relayed for nothing.
func TestEvictionFlood(t *testing.T) {
	f := newFlood(t, 300_000)
	var first *types.Tx
	for i := range 1000 {
		tx := f.pay(types.Amount(1000+i), 1, f.coin())
		if first == nil {
			first = tx
		}
		f.must(tx)
	}
	if f.has(first) {
		t.Fatal("nothing was evicted")
	}
	if work := f.mustNot(first, pending.ReasonMempoolMinFee); work.Opcodes+work.Signatures+work.Relatives > 0 {
		t.Errorf("%+v is done for what was evicted", work)
	}
	// A child that pays for it brings it back, and pays more than what leaves for them.
	before := f.pool.Info().TotalFee
	child := f.pay(0, 1, chaintest.Output(first, 0))
	child.Outputs[0].Value = first.Outputs[0].Value - 5000
	if result, err := f.pool.AcceptPackage(t.Context(), []*types.Tx{first, child}, 0); err != nil {
		t.Errorf("%v, %v", result, err)
	}
	if got := f.pool.Info().TotalFee; got <= before {
		t.Errorf("the pool is worth %d, was %d", got, before)
	}
}

// TestMinimumFlood: a flood makes the minimum rise above what it pays itself by a step,
// and never higher. Whoever pays more comes in, at any time.
func TestMinimumFlood(t *testing.T) {
	f := newFlood(t, 300_000)
	highest := types.FeeRate(0)
	for i := range 3000 {
		tx := f.pay(types.Amount(200+i%50), 1, f.coin())
		highest = max(highest, types.NewFeeRate(types.Amount(200+i%50), tx.VirtualSize()))
		if _, err := f.pool.Accept(t.Context(), tx, 0); err != nil && !errors.Is(err, consensus.ErrPolicy) {
			t.Fatal(err)
		}
		if got := f.pool.MinFeeRate(); got > highest+DefaultIncrementalRelay {
			t.Fatalf("the minimum is %v, the flood pays %v at most", got, highest)
		}
		if i%100 == 0 {
			f.must(f.pay(2000, 1, f.coin()))
		}
	}
	if f.pool.MinFeeRate() <= DefaultMinRelay {
		t.Error("the minimum has not risen")
	}
	if got := f.pool.Estimate(1, false).FeeRate; got != f.pool.MinFeeRate() {
		t.Errorf("what waits has room in the next block, and the estimate is %v", got)
	}
}

// TestWorkForAByte: whatever shape families have, a byte that is taken costs a bounded
// amount of sorting, and no more than a fixed number of relatives stands behind it.
func TestWorkForAByte(t *testing.T) {
	f := newFlood(t, 64<<20)
	bytes, work := 0, pending.Work{}
	take := func(tx *types.Tx) types.OutPoint {
		work.Add(f.must(tx))
		bytes += tx.Size()
		return chaintest.Output(tx, 0)
	}
	for range 10 { // chains, which are the worst to sort, replaced at their middle
		from := f.coin()
		var middle types.OutPoint
		for i := range MaxClusterCount {
			if i == MaxClusterCount/2 {
				middle = from
			}
			from = take(f.pay(50, 1, from))
		}
		for i := range 20 {
			take(f.pay(types.Amount(5000*(i+1)), 1, middle))
		}
	}
	if most := bytes * MaxClusterCount / 65; work.Relatives > most { // 65 bytes is the least that a transaction has
		t.Errorf("%d relatives for %d bytes", work.Relatives, bytes)
	}
}
