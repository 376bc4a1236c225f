package mempool

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// What people have done to the pools of others, by the policy about a transaction and its
// outputs, and what becomes of it here. Those that concern clusters and replacement stand
// with these.

// refuseForNothing gives the pool a transaction that must not cost it anything: neither
// coins are looked up, nor scripts run.
func (h *harness) refuseForNothing(tx *types.Tx, reason consensus.Reason) {
	h.t.Helper()
	_, err := h.pool.Accept(h.t.Context(), tx, 0)
	var refusal *pending.Refusal
	if !errors.Is(err, reason) || errors.As(err, &refusal) && refusal.Work != (pending.Work{}) {
		h.t.Fatalf("Accept: %v, at the cost of %+v, want %v for nothing", err, refusal, reason)
	}
}

// Dust flood: thousands of outputs that nobody will ever spend, which all nodes keep for
// ever. A transaction with two is refused, and one with one needs a child that spends it,
// so that no dust comes into a block unspent.
func TestTrickDustFlood(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins := h.coins(12)
	flood := h.Pay(1_000_000, 1, coins[0])
	flood.Outputs = append(flood.Outputs, slices.Repeat([]types.TxOut{{Value: 239, ScriptPubKey: chaintest.Anchor}}, 5000)...)
	h.refuseForNothing(flood, ReasonDust)
	// One each, and the children are taken away again by what else they spend.
	for i := range 5 {
		parent, sponsor := h.dusty(0, coins[1+2*i], 0), coins[2+2*i]
		h.acceptPackage(parent, h.Pay(1000, 1, chaintest.Output(parent, 0), chaintest.Output(parent, 1), sponsor))
		h.accept(h.Pay(5000, 1, sponsor))
	}
	selected, _ := h.pool.Select(pending.Selection{MaxWeight: 4_000_000, MinFeeRate: 1})
	for _, e := range selected {
		if hasDust(e) {
			t.Error("a block would have dust that nobody spends")
		}
	}
	if len(selected) != 5 {
		t.Errorf("a block would have %d transactions, want the five that pay", len(selected))
	}
}

// Data flood: large or many OP_RETURN outputs. All of a transaction's count together, so
// that many small ones are no way round.
func TestTrickDataFlood(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MaxDataCarrier = 83 })
	h.mineEmpty(5)
	for _, script := range [][]byte{dataScript(80), {0x6a}} {
		flood := h.Pay(1_000_000, 1, h.coins(1)[0])
		flood.Outputs = append(flood.Outputs, slices.Repeat([]types.TxOut{{ScriptPubKey: script}}, 100)...)
		h.refuseForNothing(flood, ReasonDataCarrier)
	}
}

// Output flood: transactions of as many outputs as fit, since each takes more memory than
// its bytes. The memory is counted, so that the pool stays within its bound, and asks for
// more from then on.
func TestTrickOutputFlood(t *testing.T) {
	const room = 1_000_000
	h := newHarness(t, func(o *Options) { o.MaxBytes = room })
	h.mineEmpty(5)
	taken := 0
	for i, coin := range h.coins(20) {
		_, err := h.pool.Accept(t.Context(), h.Pay(types.Amount(10_000+1000*i), 2300, coin), 0)
		if err == nil {
			taken++
		}
		checkGraph(t, h.pool) // which holds the memory against the bound
	}
	if info := h.pool.Info(); taken < 20 || info.Count > 10 || info.MinFeeRate < types.NewFeeRate(10_000, 30_000) {
		t.Errorf("%d were taken, and %d of them are there: %+v", taken, info.Count, info)
	}
}

// Witness flood: data at a quarter of its price. Elements of a script's stack are short,
// anchors take none, and there is no annex.
func TestTrickStuffedWitness(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	anchor := h.Pay(1000, 1, h.coins(1)[0])
	anchor.Inputs[0].Witness = [][]byte{make([]byte, 100_000)}
	h.refuse(anchor, consensus.ErrPolicy, ReasonWitnessStandard)
	tx := h.Sign(h.Pay(1000, 1, h.keyCoins(1)[0]))
	signature := tx.Inputs[0].Witness[0]
	tx.Inputs[0].Witness = [][]byte{signature, append([]byte{taproot.AnnexTag}, make([]byte, 100_000)...)}
	h.refuse(tx, consensus.ErrPolicy, ReasonWitnessStandard)
}

// Anybody who sees a transaction can stuff its witness, where its script lets him, and
// send it on under the same id. The first one that came stays, whichever that is, and the
// other costs nothing. If that is the stuffed one, it can still be replaced.
func TestTrickSameIDOtherWitness(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	var internal [32]byte
	copy(internal[:], chaintest.KeyScript()[2:])
	script := []byte{0x75, 0x51} // OP_DROP OP_1
	leaf := taproot.TaggedHash("TapLeaf", []byte{0xc0}, types.AppendVarBytes(nil, script))
	outputKey, parity, err := taproot.OutputKey(internal, leaf[:])
	if err != nil {
		t.Fatal(err)
	}
	parent := h.Pay(1000, 2, h.coins(1)[0])
	for i := range 2 {
		parent.Outputs[i].ScriptPubKey = append([]byte{0x51, 32}, outputKey[:]...)
	}
	h.Note(parent)
	h.mine(parent)
	spend := func(fee types.Amount, index uint32, size int) *types.Tx {
		tx := h.Pay(fee, 1, chaintest.Output(parent, index))
		tx.Inputs[0].Witness = [][]byte{make([]byte, size), script, append([]byte{0xc0 | parity}, internal[:]...)}
		return tx
	}
	restuff := func(tx *types.Tx, size int) *types.Tx {
		other := *tx
		other.Inputs = slices.Clone(tx.Inputs)
		other.Inputs[0].Witness = append([][]byte{make([]byte, size)}, tx.Inputs[0].Witness[1:]...)
		return &other
	}
	lean := spend(1000, 0, 0)
	h.accept(lean)
	h.refuseForNothing(restuff(lean, MaxTapscriptItem), ReasonSameTxID)
	h.refuse(spend(2000, 0, MaxTapscriptItem+1), consensus.ErrPolicy, ReasonWitnessStandard)
	stuffed := spend(1000, 1, MaxTapscriptItem)
	h.accept(stuffed)
	h.refuseForNothing(restuff(stuffed, 0), ReasonSameTxID)
	h.accept(spend(2000, 1, 0))
}

// Ratchet: to make the pool ask for so much that nobody else comes in. It asks for no more
// than what had to leave has paid, and a little. What is replaced, refused for want of
// room, or stays does not count, however much it pays.
func TestTrickMinimumRatchet(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.MaxBytes = 5 * 1060 })
	h.mineEmpty(8)
	coins := h.coins(20)
	for i := range 4 {
		h.accept(h.Pay(500, 1, coins[i]))
	}
	for _, fee := range []types.Amount{1_000_000, 5_000_000, 50_000_000} { // replaced again and again
		h.accept(h.Pay(fee, 1, coins[4]))
	}
	if got := h.pool.MinFeeRate(); got != DefaultMinRelay {
		t.Fatalf("replacements have raised it to %s", got)
	}
	h.refuse(h.Pay(400, 1, coins[5]), consensus.ErrPolicy, pending.ReasonFull)
	if got := h.pool.MinFeeRate(); got != DefaultMinRelay {
		t.Fatalf("what did not come in has raised it to %s", got)
	}
	// A child that pays much for its poor parent makes a good chunk of both, which stays.
	parent := h.Pay(600, 1, coins[6])
	h.accept(parent, h.Pay(40_000_000, 1, chaintest.Output(parent, 0)))
	poor := types.NewFeeRate(500, parent.VirtualSize()) + DefaultIncrementalRelay
	if got := h.pool.MinFeeRate(); got != poor {
		t.Fatalf("it is %s, want %s: what left paid little", got, poor)
	}
	// A block makes room, and then time takes it back.
	h.mine(h.txs()...)
	h.sync()
	h.now = h.now.Add(40 * time.Hour)
	if got := h.pool.MinFeeRate(); got != DefaultMinRelay {
		t.Errorf("40 hours after a block it is %s", got)
	}
}

// Anchor pin: an anchor is anybody's, so a stranger spends it first, by a child as large as
// may be that pays next to nothing, in the hope that to replace it costs too much. In
// version 3 a child is small, and all that its owner pays more is what the stranger paid.
func TestTrickAnchorPin(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(4)
	parent := h.dusty(0, coins[0], 0)
	parent.Version = TRUCVersion
	h.Note(parent)
	pin := h.Pay(0, 1, chaintest.Output(parent, 1), coins[1])
	pin.Version = TRUCVersion
	pin.Outputs[1].ScriptPubKey = dataScript(850)
	paid := DefaultMinRelay.Fee(pin.VirtualSize() + parent.VirtualSize())
	pin.Outputs[0].Value -= paid
	h.acceptPackage(parent, pin)
	bump := h.Pay(0, 1, chaintest.Output(parent, 1), coins[2])
	bump.Version = TRUCVersion
	bump.Outputs[0].Value -= paid + DefaultIncrementalRelay.Fee(bump.VirtualSize())
	h.accept(bump)
	h.expect(parent, bump)
	if paid > 150 {
		t.Errorf("the stranger made it dearer by %d grains", paid)
	}
}

// Free replacement: where the operator asks for no increment, two versions that pay the
// same must not replace each other for ever, each time told to all peers.
func TestTrickReplacementForNothing(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.IncrementalRelay, o.MinRelay = 0, 0 })
	h.mineEmpty(6)
	coins := h.coins(2)
	for i, fee := range []types.Amount{0, 1000} {
		one, other := h.Pay(fee, 1, coins[i]), h.Pay(fee, 1, coins[i])
		h.accept(one)
		h.refuse(other, consensus.ErrPolicy, pending.ReasonNotImproved)
		// Smaller for the same fee is better, and cannot go on for long.
		other.Outputs = other.Outputs[:1]
		other.Outputs[0].ScriptPubKey = append([]byte{0x52, 9}, make([]byte, 9)...)
		if _, err := h.pool.Accept(t.Context(), other, 0); (err == nil) != (fee > 0) {
			t.Errorf("a smaller one of %d grains: %v", fee, err)
		}
	}
}
