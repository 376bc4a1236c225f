package mempool

import (
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// A good transaction and one named fault: each reason that does not depend on
// other transactions of the pool.
func TestReasons(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coin := h.coins(1)[0]
	key := h.keyCoins(1)[0]
	young := types.OutPoint{TxID: h.tip.TxIDs[0]}
	good := func() *types.Tx { return h.Pay(1000, 2, coin) }
	tests := []struct {
		name   string
		kind   error
		reason consensus.Reason
		tx     *types.Tx
		change func(*types.Tx)
	}{
		{"no outputs", consensus.ErrInvalid, consensus.ReasonOutputsEmpty, good(), func(tx *types.Tx) { tx.Outputs = nil }},
		{"forbidden output", consensus.ErrInvalid, consensus.ReasonOutputScript, good(), func(tx *types.Tx) { tx.Outputs[0].ScriptPubKey = []byte{0x51} }},
		{"an output twice", consensus.ErrInvalid, consensus.ReasonInputsDuplicate, good(), func(tx *types.Tx) { tx.Inputs = append(tx.Inputs, tx.Inputs[0]) }},
		{"more out than in", consensus.ErrInvalid, consensus.ReasonInputsBelowOutputs, good(), func(tx *types.Tx) { tx.Outputs[0].Value += 1001 }},
		{"coinbase", consensus.ErrInvalid, consensus.ReasonCoinbaseTransaction, good(), func(tx *types.Tx) {
			tx.Inputs[0].PreviousOutPoint = types.OutPoint{Index: types.NullIndex}
			tx.Inputs[0].ScriptSig = []byte{1, 6}
		}},
		{"version 0", consensus.ErrPolicy, ReasonVersion, good(), func(tx *types.Tx) { tx.Version = 0 }},
		{"version 4", consensus.ErrPolicy, ReasonVersion, good(), func(tx *types.Tx) { tx.Version = 4 }},
		{"too heavy", consensus.ErrPolicy, ReasonTxSize, good(), func(tx *types.Tx) {
			tx.Inputs[0].Witness = [][]byte{make([]byte, 400_000)}
		}},
		{"64 bytes", consensus.ErrPolicy, ReasonTxSizeSmall, good(), func(tx *types.Tx) { tx.Outputs = tx.Outputs[:1] }},
		{"dust to an anchor", consensus.ErrPolicy, ReasonDust, good(), func(tx *types.Tx) { tx.Outputs[1].Value = 239 }},
		{"dust twice", consensus.ErrPolicy, ReasonDust, h.Pay(0, 2, coin), func(tx *types.Tx) { tx.Outputs[0].Value, tx.Outputs[1].Value = 0, 1 }},
		{"dust to taproot", consensus.ErrPolicy, ReasonDust, good(), func(tx *types.Tx) {
			tx.Outputs[1] = types.TxOut{Value: 329, ScriptPubKey: chaintest.KeyScript()}
		}},
		{"lock time", consensus.ErrNotYet, consensus.ReasonNonFinalTransaction, good(), func(tx *types.Tx) {
			tx.LockTime, tx.Inputs[0].Sequence = h.tip.Height+1, 0
		}},
		{"relative lock", consensus.ErrNotYet, consensus.ReasonNonFinalSequence, good(), func(tx *types.Tx) { tx.Inputs[0].Sequence = 100 }},
		{"missing input", consensus.ErrNotYet, consensus.ReasonMissingInputs, good(), func(tx *types.Tx) { tx.Inputs[0].PreviousOutPoint.Index = 77 }},
		{"immature coinbase", consensus.ErrNotYet, consensus.ReasonPrematureSpend, h.Pay(1000, 2, young), func(*types.Tx) {}},
		{"stuffed anchor", consensus.ErrPolicy, ReasonWitnessStandard, good(), func(tx *types.Tx) { tx.Inputs[0].Witness = [][]byte{{1}} }},
		{"annex", consensus.ErrPolicy, ReasonWitnessStandard, h.Pay(1000, 1, key), func(tx *types.Tx) {
			tx.Inputs[0].Witness = [][]byte{make([]byte, 64), {taproot.AnnexTag}}
		}},
		{"large element of a tapscript's stack", consensus.ErrPolicy, ReasonWitnessStandard, h.Pay(1000, 1, key), func(tx *types.Tx) {
			tx.Inputs[0].Witness = [][]byte{make([]byte, 81), {0x51}, append([]byte{0xc0}, make([]byte, 32)...)}
		}},
		{"empty control block", consensus.ErrPolicy, ReasonWitnessStandard, h.Pay(1000, 1, key), func(tx *types.Tx) {
			tx.Inputs[0].Witness = [][]byte{{0x51}, {}}
		}},
		{"no fee", consensus.ErrPolicy, pending.ReasonMinRelayFee, h.Pay(0, 2, coin), func(*types.Tx) {}},
		{"scriptSig", consensus.ErrInvalid, "mempool-script-verify-flag-failed (Witness requires empty scriptSig)", good(), func(tx *types.Tx) {
			tx.Inputs[0].ScriptSig = []byte{0x51}
		}},
		{"long scriptSig", consensus.ErrInvalid, ReasonScriptSigSize, good(), func(tx *types.Tx) {
			tx.Inputs[0].ScriptSig = make([]byte, MaxScriptSig+1)
		}},
		{"scriptSig that computes", consensus.ErrInvalid, ReasonScriptSigPushes, good(), func(tx *types.Tx) {
			tx.Inputs[0].ScriptSig = []byte{0xa9}
		}},
		{"wrong signature", consensus.ErrInvalid, "mempool-script-verify-flag-failed (Invalid Schnorr signature)", h.Pay(1000, 1, key), func(tx *types.Tx) {
			tx.Inputs[0].Witness = [][]byte{make([]byte, 64)}
		}},
		{"no witness", consensus.ErrInvalid, "mempool-script-verify-flag-failed (Witness program was passed an empty witness)", h.Pay(1000, 1, key), func(*types.Tx) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.t = t
			test.change(test.tx)
			h.refuse(test.tx, test.kind, test.reason)
			results, err := h.pool.Try(t.Context(), []*types.Tx{test.tx})
			if err != nil || len(results) != 1 || results[0].Entry != nil || results[0].PackageErr != nil {
				t.Fatalf("Test: %+v %v", results, err)
			}
			if _, accepted := h.pool.Accept(t.Context(), test.tx, 0); results[0].Err.Error() != accepted.Error() {
				t.Fatalf("Test says %v, Accept %v", results[0].Err, accepted)
			}
		})
	}
	h.t = t
	if h.pool.Info().Count != 0 {
		t.Fatal("something was taken")
	}
	h.accept(good())
}

// dataScript is OP_RETURN and a push.
func dataScript(size int) []byte {
	return append([]byte{0x6a, 0x4d, byte(size), byte(size >> 8)}, make([]byte, size)...)
}

// What stands just inside the limits is taken.
func TestLimits(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(6)
	coins := h.coins(10)
	keys := h.keyCoins(2)

	dust := h.Pay(1000, 3, coins[0])
	dust.Outputs[0].Value += dust.Outputs[1].Value + dust.Outputs[2].Value - 240 - 330
	dust.Outputs[1].Value = 240
	dust.Outputs[2] = types.TxOut{Value: 330, ScriptPubKey: chaintest.KeyScript()}
	h.accept(dust)

	data := h.Pay(10_100, 2, coins[1])
	for i := range 2 { // 4 bytes of push each, and the nonce of 6
		data.Outputs[i] = types.TxOut{ScriptPubKey: dataScript((DefaultMaxDataCarrier - 14) / 2)}
	}
	h.refuse(data, consensus.ErrPolicy, ReasonTxSize) // weight is what bounds data
	data.Outputs[0].ScriptPubKey = dataScript(49_900)
	h.accept(data)

	for i, version := range []uint32{1, 3} {
		tx := h.Pay(1000, 1, coins[2+i])
		tx.Version = version
		h.accept(tx)
	}

	final := h.Pay(1000, 1, coins[4])
	final.LockTime, final.Inputs[0].Sequence = h.tip.Height, 0
	h.accept(final)

	unknown := h.Pay(1000, 1, coins[5])
	unknown.Outputs[0].ScriptPubKey = []byte{0x52, 2, 1, 2} // may be made, not spent
	h.Note(unknown)
	h.accept(unknown)
	h.refuse(h.Pay(1000, 1, chaintest.Output(unknown, 0)), consensus.ErrPolicy, ReasonInputsStandard)
	for _, index := range []uint32{1, 7} { // data, and no output at all
		none := chaintest.Output(unknown, index)
		h.Outputs[none] = h.Outputs[chaintest.Output(unknown, 0)]
		h.refuse(h.Pay(1000, 1, none), consensus.ErrNotYet, consensus.ReasonMissingInputs)
	}

	h.accept(h.Sign(h.Pay(1000, 1, keys[0])))
	// The least fee, to the grain.
	tx := h.Pay(0, 1, coins[6])
	least := DefaultMinRelay.Fee(tx.VirtualSize())
	tx.Outputs[0].Value -= least - 1
	h.refuse(tx, consensus.ErrPolicy, pending.ReasonMinRelayFee)
	tx.Outputs[0].Value--
	h.accept(tx)
}

// A script that only policy refuses is nobody's fault.
func TestScriptPolicy(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	var internal [32]byte
	copy(internal[:], chaintest.KeyScript()[2:])
	spendPath := func(version byte, script []byte) *types.Tx {
		leaf := taproot.TaggedHash("TapLeaf", []byte{version}, types.AppendVarBytes(nil, script))
		outputKey, parity, err := taproot.OutputKey(internal, leaf[:])
		if err != nil {
			t.Fatal(err)
		}
		parent := h.Pay(1000, 1, h.coins(1)[0])
		parent.Outputs[0].ScriptPubKey = append([]byte{0x51, 32}, outputKey[:]...)
		h.Note(parent)
		h.mine(parent)
		tx := h.Pay(1000, 1, chaintest.Output(parent, 0))
		tx.Inputs[0].Witness = [][]byte{script, append([]byte{version | parity}, internal[:]...)}
		return tx
	}
	h.accept(spendPath(0xc0, []byte{0x51}))
	h.refuse(spendPath(0xc0, []byte{0x61, 0x51, 0xb0}), consensus.ErrPolicy,
		"mempool-script-verify-flag-failed (NOPx reserved for soft-fork upgrades)")
	h.refuse(spendPath(0xc0, []byte{0x50}), consensus.ErrPolicy, "mempool-script-verify-flag-failed (OP_SUCCESSx reserved for soft-fork upgrades)")
	h.refuse(spendPath(0xc2, []byte{0x51}), consensus.ErrPolicy, "mempool-script-verify-flag-failed (Taproot version reserved for soft-fork upgrades)")
	h.refuse(spendPath(0xc0, []byte{0x00}), consensus.ErrInvalid, "mempool-script-verify-flag-failed (Script evaluated without error but finished with a false/empty top stack element)")
}

// Many inputs are checked in a batch, which must not hide one that is wrong.
func TestManySignatures(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(20)
	keys := h.keyCoins(17)
	tx := h.Sign(h.Pay(10_000, 1, keys[:8]...))
	h.accept(tx)
	if !h.pool.Verified(tx.WTxID()) {
		t.Error("the scripts count as not verified")
	}
	bad := h.Sign(h.Pay(10_000, 1, keys[8:]...))
	bad.Inputs[6].Witness[0][40] ^= 1
	h.refuse(bad, consensus.ErrInvalid, "mempool-script-verify-flag-failed (Invalid Schnorr signature)")
	if h.pool.Verified(bad.WTxID()) {
		t.Error("a wrong signature counts as verified")
	}
	h.mine(tx)
	h.expect()
	if !h.pool.Verified(tx.WTxID()) {
		t.Error("the pool forgot what it verified with the transaction")
	}
}
