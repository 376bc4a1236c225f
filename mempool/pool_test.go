package mempool

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

func TestQueries(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	// a ── b ── d
	//  └── c ──┘      e
	coins := h.coins(2)
	a := h.Pay(1000, 2, coins[0])
	b := h.Pay(2000, 1, chaintest.Output(a, 0))
	c := h.Pay(300, 1, chaintest.Output(a, 1))
	d := h.Pay(9000, 1, chaintest.Output(b, 0), chaintest.Output(c, 0))
	e := h.Pay(500, 1, coins[1])
	h.accept(a, b, c, d, e)

	of := func(tx *types.Tx) pending.Details { details, _ := h.pool.Details(tx.TxID()); return details }
	if got := of(d).Ancestors.TxIDs; len(got) != 3 || got[0] != a.TxID() {
		t.Errorf("ancestors of d: %v", got)
	}
	if got := of(a).Descendants.TxIDs; len(got) != 3 || got[2] != d.TxID() {
		t.Errorf("descendants of a: %v", got)
	}
	if got := of(a).Ancestors.TxIDs; len(got) != 0 {
		t.Errorf("ancestors of a: %v", got)
	}
	if got := h.pool.SpentBy(chaintest.Output(a, 1)); got == nil || got.TxID != c.TxID() {
		t.Errorf("a's second output is spent by %v", got)
	}
	if h.pool.SpentBy(chaintest.Output(d, 0)) != nil || h.pool.Get(types.Hash{1}) != nil {
		t.Error("something is there that is not")
	}
	if got := h.pool.GetByWitness(e.WTxID()); got == nil || got.TxID != e.TxID() || got.Fee != 500 || got.Height != h.tip.Height || !got.Time.Equal(h.now) {
		t.Errorf("e: %+v", got)
	}
	details, ok := h.pool.Details(b.TxID())
	if !ok || !slices.Equal(details.Depends, []types.Hash{a.TxID()}) || !slices.Equal(details.SpentBy, []types.Hash{d.TxID()}) {
		t.Errorf("b: %+v", details)
	}
	if details.Ancestors.Fees != 3000 || details.Descendants.Fees != 11_000 || details.Chunk.Fees != 12_300 || details.Chunk.Count != 4 {
		t.Errorf("b: %+v", details)
	}
	if _, ok := h.pool.Details(types.Hash{1}); ok {
		t.Error("details of nothing")
	}
	info := h.pool.Info()
	if info.Count != 5 || info.TotalFee != 12_800 || info.Position != h.chain.Tip() || info.Sequence != 5 || info.MinFeeRate != DefaultMinRelay {
		t.Errorf("info: %+v", info)
	}
}

// The chain of the longest cluster, and one more.
func TestClusterLimit(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(3)
	last := h.Pay(1000, 1, coins[0])
	h.accept(last)
	var chained []*types.Tx
	for range MaxClusterCount - 1 {
		last = h.Pay(1000, 1, chaintest.Output(last, 0))
		chained = append(chained, last)
		h.accept(last)
	}
	h.refuse(h.Pay(1000, 1, chaintest.Output(last, 0)), consensus.ErrPolicy, ReasonClusterTooLarge)
	// A replacement of the last one does not make it longer.
	h.accept(h.Pay(100_000, 1, chaintest.Output(chained[len(chained)-2], 0)))
	// The last one pays for all: they are taken together or not at all.
	weight := 4 * h.pool.Info().VSize
	few, _ := h.pool.Select(pending.Selection{MaxWeight: weight - 1})
	all, _ := h.pool.Select(pending.Selection{MaxWeight: weight})
	if len(few) != 0 || len(all) != MaxClusterCount {
		t.Errorf("%d and %d were selected", len(few), len(all))
	}
	// Confirmed ones no longer count.
	h.mine(h.pool.Entries()[0].Tx)
	h.sync()
	next := h.pool.Entries()[len(h.pool.Entries())-1].Tx
	h.accept(h.Pay(1000, 1, chaintest.Output(next, 0)))
	h.refuse(h.Pay(1000, 1, chaintest.Output(next, 0)), consensus.ErrPolicy, pending.ReasonInsufficientFee)

	// The limit of size.
	big := func(outPoint types.OutPoint, size int) *types.Tx {
		tx := h.Pay(100_000, 2, outPoint)
		tx.Outputs[1] = types.TxOut{ScriptPubKey: dataScript(size)}
		h.Note(tx)
		return tx
	}
	first := big(coins[1], 60_000)
	second := big(chaintest.Output(first, 0), 40_800)
	h.accept(first, second)
	h.refuse(big(chaintest.Output(second, 0), 100), consensus.ErrPolicy, ReasonClusterTooLarge)
	// Two clusters that would become one.
	third := big(coins[2], 30_000)
	h.accept(third)
	h.refuse(h.Pay(1000, 1, chaintest.Output(second, 0), chaintest.Output(third, 0)), consensus.ErrPolicy, ReasonClusterTooLarge)
}

func TestReplacement(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(30)
	coins := h.coins(MaxReplacedClusters + 20)
	old := h.Pay(1000, 1, coins[0], coins[1])
	child := h.Pay(2000, 1, chaintest.Output(old, 0))
	h.accept(old, child)
	vsize := h.Pay(0, 1, coins[0]).VirtualSize()
	more := DefaultIncrementalRelay.Fee(vsize)

	h.refuse(h.Pay(2999, 1, coins[0]), consensus.ErrPolicy, pending.ReasonInsufficientFee)
	h.refuse(h.Pay(3000+more-1, 1, coins[0]), consensus.ErrPolicy, pending.ReasonInsufficientFee)
	h.refuse(h.Pay(50_000, 1, coins[1], chaintest.Output(child, 0)), consensus.ErrInvalid, ReasonSpendsConflict)
	better := h.Pay(3000+more, 1, coins[0])
	h.accept(better)
	h.expect(better)

	// It pays more, but so large that miners would take less from it at first.
	fast := h.Pay(5000, 1, coins[2])
	h.accept(fast)
	slow := h.Pay(12_000, 40, coins[2])
	h.refuse(slow, consensus.ErrPolicy, pending.ReasonNotImproved)

	// The same but for the witness is the same.
	key := h.keyCoins(1)[0]
	signed := h.Sign(h.Pay(1000, 1, key))
	h.accept(signed)
	again := *signed
	again.Inputs = slices.Clone(signed.Inputs)
	h.Sign(&again)
	if again.WTxID() == signed.WTxID() {
		again.Inputs[0].Witness = [][]byte{append(slices.Clone(signed.Inputs[0].Witness[0]), 1)}
	}
	h.refuse(&again, consensus.ErrPolicy, ReasonSameTxID)
	entry, err := h.pool.Accept(t.Context(), signed, 0)
	if entry == nil || entry.TxID != signed.TxID() || !errors.Is(err, ReasonInPool) {
		t.Errorf("a transaction that is there: %v %v", entry, err)
	}

	// As many clusters as may be touched, and one more.
	spread := coins[10 : 10+MaxReplacedClusters+1]
	for _, coin := range spread {
		h.accept(h.Pay(100, 1, coin))
	}
	h.refuse(h.Pay(50_000, 1, spread...), consensus.ErrPolicy, ReasonTooManyReplaced)
	h.accept(h.Pay(50_000, 1, spread[1:]...))
}

// What pays worst leaves when memory is short, and the minimum rises above it and
// falls again.
func TestEviction(t *testing.T) {
	const maxBytes = 50_000
	h := newHarness(t, func(o *Options) { o.MaxBytes = maxBytes })
	h.mineEmpty(20)
	coins := h.coins(100)
	// The parent pays little and its child for both; they stay together.
	parent := h.Pay(20, 1, coins[0])
	child := h.Pay(100_000, 1, chaintest.Output(parent, 0))
	h.accept(parent, child)
	poor := h.Pay(1000, 1, coins[1])
	poorChild := h.Pay(20, 1, chaintest.Output(poor, 0))
	h.accept(poor, poorChild)
	n := 2
	for h.pool.Get(poorChild.TxID()) != nil {
		h.accept(h.Pay(1000+types.Amount(n), 1, coins[n]))
		n++
	}
	if h.pool.Get(poor.TxID()) == nil || h.pool.Get(parent.TxID()) == nil {
		t.Fatal("more than the worst chunk was evicted")
	}
	want := types.NewFeeRate(20, poorChild.VirtualSize()) + DefaultIncrementalRelay
	if got := h.pool.MinFeeRate(); got != want {
		t.Fatalf("the minimum is %v, want %v", got, want)
	}
	h.refuse(h.Pay(20, 1, coins[n]), consensus.ErrPolicy, pending.ReasonMempoolMinFee)
	full := false
	for range 3 {
		tx := h.Pay(want.Fee(100), 1, coins[n])
		_, err := h.pool.Accept(t.Context(), tx, 0)
		full = full || errors.Is(err, pending.ReasonFull)
		checkGraph(t, h.pool)
		n++
	}
	if !full {
		t.Fatal("what pays worse than all others was taken")
	}
	raised := h.pool.MinFeeRate()
	// Without a block it stays; after one it falls to half in twelve hours.
	h.now = h.now.Add(24 * time.Hour)
	if got := h.pool.MinFeeRate(); got != raised {
		t.Errorf("without a block the minimum went from %v to %v", raised, got)
	}
	h.mine()
	h.sync()
	h.now = h.now.Add(rollingHalfLife)
	if got := h.pool.MinFeeRate(); got > raised/2+1 || got < raised/2-1 {
		t.Errorf("after twelve hours the minimum went from %v to %v", raised, got)
	}
	h.now = h.now.Add(4 * rollingHalfLife)
	if got := h.pool.MinFeeRate(); got != DefaultMinRelay {
		t.Errorf("after days the minimum is %v", got)
	}
	if h.pool.rolling.rate != 0 {
		t.Error("the rolling minimum never ends")
	}
}

func TestRollingFeeFallsFasterWhenEmpty(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		usage int
		want  types.FeeRate
	}{{100, 5000}, {50, 5000}, {49, 2500}, {25, 2500}, {24, 625}} {
		var r rollingFee
		r.raise(9900, 100)
		r.raise(100, 100) // less than it is
		r.block(start)
		if got := r.at(start.Add(rollingHalfLife), test.usage, 100, 100); got != test.want {
			t.Errorf("with %d%% in use %v, want %v", test.usage, got, test.want)
		}
	}
}

// TestRollingFeeFallsWithFastBlocks: blocks that come faster than the minimum is
// computed anew do not keep it up.
func TestRollingFeeFallsWithFastBlocks(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var r rollingFee
	r.raise(9900, 100)
	for end := now.Add(rollingHalfLife); now.Before(end); now = now.Add(time.Second) {
		r.block(now)
		r.at(now, 50, 100, 100)
	}
	if got := r.at(now, 50, 100, 100); got < 4990 || got > 5010 {
		t.Errorf("after twelve hours of a block a second %v, want half of 10.000", got)
	}
	// From the rise to the next block it does not fall, however late that is.
	r.raise(9900, 100)
	r.block(now.Add(rollingHalfLife))
	if got := r.at(now.Add(rollingHalfLife+time.Minute), 50, 100, 100); got < 9980 {
		t.Errorf("a minute after the first block %v, want about 10.000", got)
	}
	// A clock that is set back begins anew.
	now = time.Unix(1_700_000_000, 0)
	for _, hours := range []int{0, 12} {
		r.at(now.Add(time.Duration(hours)*time.Hour), 50, 100, 100)
	}
	if r.rate > 5010 {
		t.Errorf("twelve hours after the clock was set back %v", r.rate)
	}
}

func TestExpiry(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(2)
	old := h.Pay(1000, 1, coins[0])
	h.accept(old)
	h.now = h.now.Add(DefaultExpiry)
	child := h.Pay(1000, 1, chaintest.Output(old, 0))
	other := h.Pay(1000, 1, coins[1])
	h.accept(child, other)
	h.pool.expire()
	h.expect(old, child, other)
	h.now = h.now.Add(time.Second)
	h.pool.expire()
	h.expect(other)
}

// What the pool says that it uses is what it uses.
func TestUsage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, test := range []struct {
		name             string
		inputs, outputs  int
		count, coinsEach int
	}{
		{"small", 1, 1, 5000, 0},
		{"many outputs", 1, 100, 1000, 0},
		{"many inputs", 100, 1, 300, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGraph()
			before := heapInUse()
			for i := range test.count {
				tx := &types.Tx{Version: 2}
				for j := range test.inputs {
					var in types.TxIn
					in.PreviousOutPoint.TxID = types.DoubleSHA256([]byte{byte(i), byte(i >> 8), byte(j)})
					in.Witness = [][]byte{make([]byte, 64)}
					tx.Inputs = append(tx.Inputs, in)
				}
				for range test.outputs {
					tx.Outputs = append(tx.Outputs, types.TxOut{Value: types.Amount(i), ScriptPubKey: make([]byte, 34)})
				}
				raw := tx.AppendTo(make([]byte, 0, tx.Size()))
				own, err := types.DecodeTx(raw)
				if err != nil {
					t.Fatal(err)
				}
				e := &pending.Entry{Tx: own, Raw: raw, TxID: own.TxID(), WTxID: own.WTxID(), Weight: own.Weight(), VSize: own.VirtualSize(), Time: time.Now()}
				c, ok := g.prepare(nil, []*txNode{{Entry: e}})
				if !ok {
					t.Fatal("refused")
				}
				g.apply(c)
			}
			used := heapInUse() - before
			ratio := float64(g.usage) / float64(used)
			t.Logf("%d bytes are reckoned, %d are in use: %.2f", g.usage, used, ratio)
			if ratio < 0.85 || ratio > 1.5 {
				t.Errorf("reckoned and used differ by a factor of %.2f", ratio)
			}
			runtime.KeepAlive(g)
		})
	}
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

func TestAcceptedLog(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(3)
	poke, cancel := h.pool.Subscribe()
	var want []types.Hash
	for _, coin := range coins {
		tx := h.Pay(1000, 1, coin)
		h.accept(tx)
		want = append(want, tx.WTxID())
	}
	select {
	case <-poke:
	default:
		t.Error("no poke")
	}
	cancel()
	first, next := h.pool.Accepted(0, 2)
	rest, end := h.pool.Accepted(next, 100)
	if got := append(first, rest...); !slices.Equal(got, want) || end != 3 {
		t.Errorf("the log is %v up to %d", got, end)
	}
	if got, next := h.pool.Accepted(77, 5); len(got) != 0 || next != 3 {
		t.Errorf("beyond the end: %v %d", got, next)
	}
	var long acceptedLog
	for i := range 5 * acceptedKept {
		long.add(types.Hash{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	got, next := long.since(0, 1)
	position := next - 1
	if len(got) != 1 || (got[0] != types.Hash{byte(position), byte(position >> 8), byte(position >> 16)}) || len(long.list) > 2*acceptedKept {
		t.Errorf("the oldest is %v at %d of %d", got, position, len(long.list))
	}
}

func TestVerifiedSet(t *testing.T) {
	var s verifiedSet
	hash := func(i int) types.Hash { return types.Hash{byte(i), byte(i >> 8), byte(i >> 16)} }
	const n = 3*verifiedGeneration + 10
	for i := range n {
		s.add(hash(i))
	}
	for i := n - verifiedGeneration; i < n; i++ {
		if !s.has(hash(i)) {
			t.Fatalf("%d of %d is forgotten", i, n)
		}
	}
	if s.has(hash(0)) || len(s.young)+len(s.old) > 2*verifiedGeneration {
		t.Error("nothing is forgotten")
	}
}

// TestMaxFeeRate: a sender's limit on what is paid, as sendrawtransaction has it. Of
// two faults the other one is told.
func TestMaxFeeRate(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(2)
	accept := func(tx *types.Tx, limit types.FeeRate) (*pending.Entry, error) {
		return h.pool.Accept(t.Context(), tx, limit)
	}
	tx := h.Pay(5000, 1, coins[0])
	if _, err := accept(tx, types.NewFeeRate(4999, tx.VirtualSize())); !errors.Is(err, pending.ReasonMaxFee) || !errors.Is(err, consensus.ErrPolicy) {
		t.Errorf("it pays more than it may: %v", err)
	}
	if got := h.pool.Info(); got.Count != 0 || got.Sequence != 0 {
		t.Errorf("a transaction that pays too much is in the pool: %+v", got)
	}
	if e, err := accept(tx, types.NewFeeRate(5000, tx.VirtualSize())); err != nil || e.Fee != 5000 {
		t.Errorf("it pays as much as it may: %+v, %v", e, err)
	}
	if e, err := accept(tx, 1); !errors.Is(err, ReasonInPool) || e == nil {
		t.Errorf("it is there already: %+v, %v", e, err)
	}
	bad := h.Pay(5000, 1, coins[1])
	bad.Inputs[0].Witness = [][]byte{{1}}
	if _, err := accept(bad, 1); !errors.Is(err, ReasonWitnessStandard) {
		t.Errorf("it pays too much with a wrong witness: %v", err)
	}
	better := h.Pay(9000, 1, coins[0])
	if _, err := accept(better, types.NewFeeRate(8999, better.VirtualSize())); !errors.Is(err, pending.ReasonMaxFee) {
		t.Errorf("it would replace another, and pays more than it may: %v", err)
	}
	h.expect(tx)
	if _, err := accept(better, types.NewFeeRate(9000, better.VirtualSize())); err != nil {
		t.Errorf("it replaces another, and pays as much as it may: %v", err)
	}
	h.expect(better)
	// What a child pays for its parent is the sender's money as well.
	child := h.Pay(20_000, 1, chaintest.Output(better, 0))
	if _, err := accept(child, types.NewFeeRate(19_999, child.VirtualSize())); !errors.Is(err, pending.ReasonMaxFee) {
		t.Errorf("it pays more than it may, for its parent: %v", err)
	}
	if _, err := accept(child, types.NewFeeRate(20_000, child.VirtualSize())); err != nil {
		t.Errorf("it pays as much as it may, for its parent: %v", err)
	}
	h.expect(better, child)
}

// A sender's limit costs nothing: before Accept had it, the transaction was tried
// first.
func BenchmarkAccept(b *testing.B) {
	h := newHarness(b, nil)
	h.mineEmpty(5)
	tx := h.Pay(5000, 2, h.coins(10)...)
	for _, tried := range []bool{true, false} {
		b.Run(fmt.Sprintf("tried=%v", tried), func(b *testing.B) {
			for b.Loop() {
				h.pool.verified = verifiedSet{}
				if tried {
					if verdicts, err := h.pool.Try(b.Context(), []*types.Tx{tx}); err != nil || verdicts[0].Err != nil {
						b.Fatal(err, verdicts[0].Err)
					}
				}
				e, err := h.pool.Accept(b.Context(), tx, types.GrainsPerCoin)
				if err != nil {
					b.Fatal(err)
				}
				h.pool.graph.remove([]*txNode{h.pool.graph.byTxID[e.TxID]})
			}
		})
	}
}
