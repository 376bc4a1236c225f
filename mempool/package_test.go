package mempool

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// acceptPackage gives the pool a package that it must take.
func (h *harness) acceptPackage(txs ...*types.Tx) pending.Package {
	h.t.Helper()
	result, err := h.pool.AcceptPackage(h.t.Context(), txs, 0)
	if err != nil {
		h.t.Fatalf("AcceptPackage: %v", err)
	}
	checkGraph(h.t, h.pool)
	for i, v := range result.Verdicts {
		if v.Err != nil || v.Entry.TxID != txs[i].TxID() || h.pool.Get(v.Entry.TxID) == nil {
			h.t.Fatalf("transaction %d is not in the pool", i)
		}
		if v.Present != (len(v.With) == 0) {
			h.t.Fatalf("transaction %d: %+v", i, v)
		}
	}
	return result
}

// refusePackage gives the pool a package that it must refuse, and of which nothing must
// remain.
func (h *harness) refusePackage(failed int, kind error, reason consensus.Reason, txs ...*types.Tx) {
	h.t.Helper()
	before := h.pool.Info()
	_, err := h.pool.AcceptPackage(h.t.Context(), txs, 0)
	var refusal *pending.Refusal
	if !errors.Is(err, reason) || !errors.Is(err, kind) || !errors.As(err, &refusal) || refusal.Failed != failed {
		h.t.Fatalf("AcceptPackage: %v (%+v), want %v of %d", err, refusal, reason, failed)
	}
	checkGraph(h.t, h.pool)
	if after := h.pool.Info(); after != before {
		h.t.Fatalf("the pool went from %+v to %+v", before, after)
	}
}

// A parent without a fee comes in with the child that pays for it, and both are mined.
func TestPackage(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(10)
	parent := h.Pay(0, 2, coins[0])
	child := h.Pay(2000, 1, chaintest.Output(parent, 0), coins[1])
	h.refuse(parent, consensus.ErrPolicy, pending.ReasonMinRelayFee)
	h.refuse(child, consensus.ErrNotYet, consensus.ReasonMissingInputs)
	result := h.acceptPackage(parent, child)
	for _, v := range result.Verdicts {
		if v.FeeRate != types.NewFeeRate(2000, parent.VirtualSize()+child.VirtualSize()) || !slices.Equal(v.With, []types.Hash{parent.WTxID(), child.WTxID()}) {
			t.Errorf("%+v", v)
		}
	}
	if d, _ := h.pool.Details(parent.TxID()); d.Chunk.Count != 2 {
		t.Errorf("the parent is in a chunk of %d", d.Chunk.Count)
	}
	if wtxids, _ := h.pool.Accepted(0, 10); !slices.Equal(wtxids, []types.Hash{parent.WTxID(), child.WTxID()}) {
		t.Errorf("%v are announced", wtxids)
	}
	// Again, and with another child: what is there is passed over.
	if again := h.acceptPackage(parent, child); !again.Verdicts[0].Present || !again.Verdicts[1].Present {
		t.Errorf("again: %+v", again)
	}
	second := h.Pay(500, 1, chaintest.Output(parent, 1))
	if result := h.acceptPackage(parent, second); !result.Verdicts[0].Present || len(result.Verdicts[1].With) != 1 {
		t.Errorf("a second child: %+v", result)
	}
	selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000})
	if len(selected) != 3 || selected[0].TxID != parent.TxID() {
		t.Errorf("%d are selected", len(selected))
	}
	h.mine(parent, child)
	h.expect(second)
	// A transaction alone is a package too. Parents that pay enough are asked for no more,
	// and children do not live on what they overpay.
	h.acceptPackage(h.Pay(1000, 1, coins[2]))
	rich, poor := h.Pay(5000, 1, coins[3]), h.Pay(0, 1, coins[4])
	all := h.Pay(300, 1, chaintest.Output(rich, 0), chaintest.Output(poor, 0))
	if result := h.acceptPackage(rich, poor, all); len(result.Verdicts[0].With) != 1 || len(result.Verdicts[1].With) != 2 {
		t.Errorf("with a rich parent: %+v", result)
	}
}

// Each reason, and that nothing remains of a package that is refused.
func TestPackageRefused(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins, key := h.coins(60), h.keyCoins(2)
	parent := h.Pay(0, 2, coins[0])
	child := h.Pay(2000, 1, chaintest.Output(parent, 0))
	paying := func(fee types.Amount, from ...types.OutPoint) *types.Tx {
		return h.Pay(fee, 1, append(from, chaintest.Output(parent, 0))...)
	}
	unsigned := h.Pay(0, 1, key[0])
	wrong := h.Sign(h.Pay(0, 2, key[1]))
	wrong.Inputs[0].Witness[0][40] ^= 1
	inPool := h.Pay(1000, 2, coins[2])
	h.accept(inPool)
	var many []*types.Tx
	var outputs []types.OutPoint
	for _, coin := range coins[20:45] {
		many = append(many, h.Pay(0, 1, coin))
		outputs = append(outputs, chaintest.Output(many[len(many)-1], 0))
	}
	for _, tc := range []struct {
		name   string
		failed int
		kind   error
		reason consensus.Reason
		txs    []*types.Tx
	}{
		{"nothing", -1, consensus.ErrPolicy, ReasonPackageTopology, nil},
		{"strangers", -1, consensus.ErrPolicy, ReasonPackageTopology, []*types.Tx{h.Pay(1000, 1, coins[1]), child}},
		{"a grandparent", -1, consensus.ErrPolicy, ReasonPackageTopology, []*types.Tx{parent, child, h.Pay(2000, 1, chaintest.Output(child, 0))}},
		{"child first", -1, consensus.ErrPolicy, ReasonPackageOrder, []*types.Tx{child, parent}},
		{"too many", -1, consensus.ErrPolicy, ReasonPackageCount, append(many, h.Pay(9000, 1, outputs...))},
		{"a conflict", -1, consensus.ErrPolicy, ReasonPackageConflicts, []*types.Tx{parent, paying(9000, coins[0])}},
		{"not standard", 0, consensus.ErrPolicy, ReasonVersion, []*types.Tx{h.version(h.Pay(0, 1, coins[4]), 9), nil}},
		{"a child that pays too little", 1, consensus.ErrPolicy, pending.ReasonMinRelayFee, []*types.Tx{parent, paying(1)}},
		{"a child that pays for itself", 1, consensus.ErrPolicy, pending.ReasonMinRelayFee,
			[]*types.Tx{parent, paying(DefaultMinRelay.Fee(child.VirtualSize()))}},
		{"another parent missing", 1, consensus.ErrNotYet, consensus.ReasonMissingInputs, []*types.Tx{parent, paying(9000, outputs[0])}},
		{"a parent's parent missing", 0, consensus.ErrNotYet, consensus.ReasonMissingInputs,
			[]*types.Tx{child, h.Pay(9000, 1, chaintest.Output(child, 0))}},
		{"a parent's signature", 0, consensus.ErrInvalid, "mempool-script-verify-flag-failed (Invalid Schnorr signature)",
			[]*types.Tx{wrong, h.Pay(9000, 1, chaintest.Output(wrong, 0))}},
		{"a child's signature", 1, consensus.ErrInvalid, "mempool-script-verify-flag-failed (Witness program was passed an empty witness)",
			[]*types.Tx{parent, paying(9000, unsigned.Inputs[0].PreviousOutPoint)}},
		{"a child that spends too much", 1, consensus.ErrInvalid, consensus.ReasonInputsBelowOutputs, []*types.Tx{parent, paying(-1)}},
		{"a replacement that pays too little", -1, consensus.ErrPolicy, ReasonPackageInsufficientFee, []*types.Tx{parent, paying(1000, coins[2])}},
		{"a replacement of a relative", -1, consensus.ErrPolicy, ReasonPackageAncestors,
			[]*types.Tx{h.Pay(0, 1, coins[2], chaintest.Output(inPool, 0)), nil}},
		{"a replacement by three", -1, consensus.ErrPolicy, ReasonPackageNotPair, []*types.Tx{parent, many[0], paying(9000, outputs[0], coins[2])}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.t = t
			if n := len(tc.txs); n > 0 && tc.txs[n-1] == nil { // the child of the one before
				h.Note(tc.txs[n-2])
				tc.txs[n-1] = h.Pay(9000, 1, chaintest.Output(tc.txs[n-2], 0))
			}
			h.refusePackage(tc.failed, tc.kind, tc.reason, tc.txs...)
		})
	}
	h.t = t
	if _, err := h.pool.AcceptPackage(t.Context(), []*types.Tx{parent, child}, types.NewFeeRate(1999, child.VirtualSize())); !errors.Is(err, pending.ReasonMaxFeeRate) {
		t.Errorf("more than the sender wants to pay: %v", err)
	}
	// Twenty-four parents are not too many.
	h.acceptPackage(append(many[:24:24], h.Pay(9000, 1, outputs[:24]...))...)
}

// What can come in by itself does, whatever is wrong with the rest. What needs the others
// does not, unless they are all right.
func TestPackageInPart(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins := h.coins(8)
	rich := h.Pay(9000, 1, coins[0])
	poor := h.Pay(0, 1, coins[1])
	wrong := h.version(h.Pay(5000, 1, coins[2]), 9)
	h.Note(wrong)
	child := h.Pay(9000, 1, chaintest.Output(rich, 0), chaintest.Output(poor, 0), chaintest.Output(wrong, 0))
	result, err := h.pool.AcceptPackage(t.Context(), []*types.Tx{rich, poor, wrong, child}, 0)
	var refusal *pending.Refusal
	if !errors.As(err, &refusal) || refusal.Failed != 2 || !errors.Is(err, ReasonVersion) {
		t.Errorf("%v %+v", err, refusal)
	}
	for i, want := range []error{nil, pending.ReasonMinRelayFee, ReasonVersion, consensus.ReasonMissingInputs} {
		if v := result.Verdicts[i]; !errors.Is(v.Err, want) || (v.Entry != nil) != (want == nil) {
			t.Errorf("%d: %+v", i, v)
		}
	}
	h.expect(rich)
	// A parent does not pay for a child.
	freeloader := h.Pay(0, 1, chaintest.Output(rich, 0))
	result, err = h.pool.AcceptPackage(t.Context(), []*types.Tx{rich, freeloader}, 0)
	if !errors.Is(err, pending.ReasonMinRelayFee) || !result.Verdicts[0].Present || result.Verdicts[1].Err == nil {
		t.Errorf("%v %+v", err, result)
	}
	// The pool's is taken for one with another witness, which is not looked at.
	signed := h.Sign(h.Pay(1000, 1, h.keyCoins(1)[0]))
	h.accept(signed)
	other := *signed
	other.Inputs = slices.Clone(signed.Inputs)
	other.Inputs[0].Witness = [][]byte{{1}}
	spender := h.Pay(1000, 1, chaintest.Output(signed, 0))
	result = h.acceptPackage(&other, spender)
	if v := result.Verdicts[0]; !v.Present || v.Entry.WTxID != signed.WTxID() {
		t.Errorf("%+v", v)
	}
	h.expect(rich, signed, spender)
}

// A package replaces what is in its way, and pays for that as a whole.
func TestPackageReplaces(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(3)
	old := h.Pay(1000, 1, coins[0])
	oldChild := h.Pay(1000, 1, chaintest.Output(old, 0))
	h.accept(old, oldChild)
	parent := h.Pay(100, 1, coins[0])
	child := h.Pay(3000, 1, chaintest.Output(parent, 0))
	h.refuse(parent, consensus.ErrPolicy, pending.ReasonInsufficientFee)
	result := h.acceptPackage(parent, child)
	if !slices.Equal(result.Replaced, []types.Hash{old.TxID(), oldChild.TxID()}) {
		t.Errorf("%v were replaced", result.Replaced)
	}
	h.expect(parent, child)
}

// What only a child paid for stays when the child leaves, is mined by nobody, and can be
// paid for by another child alone.
func TestParentWithoutChild(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins := h.coins(3)
	parent := h.Pay(0, 2, coins[0])
	h.acceptPackage(parent, h.Pay(2000, 2, chaintest.Output(parent, 0), coins[1]))
	other := h.Pay(90_000, 1, coins[1])
	h.accept(other)
	h.expect(parent, other)
	if selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000, MinFeeRate: 1}); len(selected) != 1 {
		t.Errorf("%d are mined", len(selected))
	}
	child := h.Pay(2000, 1, chaintest.Output(parent, 1))
	h.accept(child)
	if selected, _ := h.pool.Select(pending.Selection{MaxWeight: 1_000_000, MinFeeRate: 1}); len(selected) != 3 {
		t.Errorf("%d are mined", len(selected))
	}
	h.expect(parent, other, child)
}

// A pool that is full takes a package whole or not at all, and says so before it runs
// scripts.
func TestPackageInAFullPool(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MaxBytes = 20_000 })
	h.mineEmpty(20)
	coins := h.coins(60)
	fee := types.Amount(1000)
	for n := 2; ; n++ {
		before := h.pool.Info().Count
		h.accept(h.Pay(fee, 1, coins[n]))
		fee += 10
		if h.pool.Info().Count <= before {
			break
		}
	}
	minimum := h.pool.MinFeeRate()
	if minimum <= DefaultMinRelay {
		t.Fatal("the pool is not full")
	}
	parent := h.Pay(DefaultMinRelay.Fee(200), 1, coins[0]) // enough at other times
	h.refuse(parent, consensus.ErrPolicy, pending.ReasonMempoolMinFee)
	poor := h.Pay(minimum.Fee(2*parent.VirtualSize())-h.feeOf(parent), 1, chaintest.Output(parent, 0))
	h.refusePackage(0, consensus.ErrPolicy, pending.ReasonFull, parent, poor)
	// A transaction for which there is no room is refused before its scripts are run.
	unsigned := h.Pay(0, 1, h.keyCoins(10)...)
	unsigned.Outputs[0].Value -= minimum.Fee(unsigned.VirtualSize())
	h.refuse(unsigned, consensus.ErrPolicy, pending.ReasonFull)
	rich := h.Pay(9000, 1, chaintest.Output(parent, 0))
	h.acceptPackage(parent, rich)
}

// feeOf is the fee of a transaction of one input.
func (h *harness) feeOf(tx *types.Tx) types.Amount {
	fee := h.Outputs[tx.Inputs[0].PreviousOutPoint].Value
	for _, out := range tx.Outputs {
		fee -= out.Value
	}
	return fee
}

// A file has a package as its transactions, and it comes in again as a package.
func TestLoadPackage(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(5)
	a, b := h.Pay(0, 2, coins[0]), h.Pay(0, 1, coins[1])
	child := h.Pay(3000, 1, chaintest.Output(b, 0), chaintest.Output(a, 0), chaintest.Output(a, 1))
	h.acceptPackage(a, b, child)
	single := h.Pay(1000, 1, coins[2])
	h.accept(single)
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	came := h.now
	h.now = h.now.Add(time.Hour)
	h.pool = h.newPool(nil)
	result, err := h.pool.Load(t.Context(), path)
	if err != nil || result != (LoadResult{Accepted: 4}) {
		t.Errorf("%+v %v", result, err)
	}
	h.expect(a, b, child, single)
	if got := h.pool.Get(a.TxID()).Time; !got.Equal(came) {
		t.Errorf("it came at %v, not %v", got, came)
	}
}

// What moves while a package is examined is looked at again.
func TestPackageMoves(t *testing.T) {
	h := newHarness(t, nil)
	hooked := &hookedChain{Chain: h.chain}
	h.pool = h.newPool(func(o *Options) { o.Chain = hooked })
	h.mineEmpty(6)
	coins := h.coins(3)
	parent := h.Pay(200, 1, coins[0])
	child := h.Pay(2000, 1, chaintest.Output(parent, 0))
	hooked.after = func() { h.accept(parent) } // somebody else brings it
	h.acceptPackage(parent, child)
	h.expect(parent, child)
	parent = h.Pay(0, 1, coins[1])
	child = h.Pay(2000, 1, chaintest.Output(parent, 0))
	hooked.after = func() { h.mine(); h.sync() }
	h.acceptPackage(parent, child)
	if e := h.pool.Get(child.TxID()); e.Height != h.tip.Height {
		t.Errorf("it is of height %d", e.Height)
	}
}
