package mempool

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// leaf is a tapscript that can be spent.
type leaf struct {
	coin    types.OutPoint
	script  []byte
	control []byte
	hash    [32]byte
}

// leaf has a block make a coin of a script.
func (h *harness) leaf(script []byte) leaf {
	h.t.Helper()
	internal := [32]byte(chaintest.KeyScript()[2:])
	l := leaf{script: script, hash: taproot.TaggedHash("TapLeaf", []byte{taproot.LeafVersionTapscript}, types.AppendVarBytes(nil, script))}
	output, parity, err := taproot.OutputKey(internal, l.hash[:])
	if err != nil {
		h.t.Fatal(err)
	}
	parent := h.Pay(1000, 1, h.coins(1)[0])
	parent.Outputs[0].ScriptPubKey = taproot.OutputScript(output)
	h.Note(parent)
	h.mine(parent)
	l.coin = chaintest.Output(parent, 0)
	l.control = append([]byte{taproot.LeafVersionTapscript | parity}, internal[:]...)
	return l
}

// spend spends leaves, each with a signature on its stack, the wrong ones of which sign
// nothing.
func (h *harness) spend(fee types.Amount, wrong []int, leaves ...leaf) *types.Tx {
	h.t.Helper()
	return h.spendTo(chaintest.Anchor, fee, wrong, leaves...)
}

// spendTo is spend to a script.
func (h *harness) spendTo(script []byte, fee types.Amount, wrong []int, leaves ...leaf) *types.Tx {
	h.t.Helper()
	coins := make([]types.OutPoint, len(leaves))
	for i := range leaves {
		coins[i] = leaves[i].coin
	}
	tx := h.Pay(fee, 1, coins...)
	tx.Outputs[0].ScriptPubKey = script
	h.Note(tx)
	var prevouts []types.TxOut
	for i := range coins {
		prevouts = append(prevouts, h.Outputs[coins[i]])
	}
	for i, l := range leaves {
		path := taproot.ScriptPath{LeafHash: l.hash, CodeSeparator: taproot.NoCodeSeparator}
		message, err := taproot.NewContext(tx, prevouts).SignatureHash(i, taproot.SigHashDefault, nil, &path)
		if err != nil {
			h.t.Fatal(err)
		}
		if slices.Contains(wrong, i) {
			message[0] ^= 1
		}
		signature, err := schnorr.Sign(chaintest.Key(), message[:])
		if err != nil {
			h.t.Fatal(err)
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize(), l.script, l.control}
	}
	return tx
}

var pushKey = append([]byte{32}, chaintest.KeyScript()[2:]...)

// checks is a script that checks the signature on its stack again and again. Its budget
// asks for 50 bytes a check, most of which are pushed and dropped.
func checks(n int, end ...byte) []byte {
	script := bytes.Clone(pushKey)
	script = append(script, bytes.Repeat([]byte{taproot.Op2Dup, taproot.OpCheckSigVerify}, n)...)
	padding := append(append([]byte{taproot.OpPushData2, 8, 2}, make([]byte, 520)...), taproot.OpDrop)
	for len(script) < 50*n {
		script = append(script, padding...)
	}
	return append(append(script, taproot.Op2Drop), end...)
}

// hashes is a script that hashes an element of 520 bytes again and again, with the
// opcode for which that takes longest.
func hashes(n int, end ...byte) []byte {
	script := append([]byte{taproot.OpDrop, taproot.OpPushData2, 8, 2}, make([]byte, 520)...)
	for range n {
		script = append(script, taproot.OpDup, taproot.OpRipeMD160, taproot.OpDrop)
	}
	return append(append(script, taproot.OpDrop), end...)
}

// longPush pushes one byte as nobody should.
var longPush = []byte{taproot.OpPushData1, 1, 200}

// inBranch puts instructions where they run, but nobody knows before.
func inBranch(script []byte) []byte {
	return append(append([]byte{taproot.Op1, taproot.OpIf}, script...), taproot.OpEndIf)
}

// TestFailLate: a transaction that fails at the end of all that it makes the node do.
// Work is counted. Nothing is done twice, what is cheap is done first, and what depends
// on no signature is known before one is checked.
func TestFailLate(t *testing.T) {
	n := 7000
	if testing.Short() {
		n = 2500
	}
	h := newHarness(t, nil)
	h.mineEmpty(20)
	good := []byte{taproot.Op1}
	fee := types.Amount(100_000)
	const (
		data    = "mempool-script-verify-flag-failed (Data push larger than necessary)"
		sig     = "mempool-script-verify-flag-failed (Invalid Schnorr signature)"
		falsity = "mempool-script-verify-flag-failed (Script evaluated without error but finished with a false/empty top stack element)"
		reserve = "mempool-script-verify-flag-failed (NOPx reserved for soft-fork upgrades)"
	)
	// A second signature could not be told from the first, so the wrong one is checked in
	// an input of its own.
	one := append(bytes.Clone(pushKey), taproot.OpCheckSig)
	for _, tc := range []struct {
		name   string
		tx     *types.Tx
		kind   error
		reason consensus.Reason
		most   pending.Work // but for coins
	}{
		{"a long push at the end", h.spend(fee, nil, h.leaf(checks(n, longPush...))), consensus.ErrPolicy, data, pending.Work{}},
		{"a long push at the end of a branch", h.spend(fee, nil, h.leaf(checks(n, inBranch(longPush)...))),
			consensus.ErrPolicy, data, pending.Work{Opcodes: 3 * n}},
		{"a reserved opcode at the end of a branch", h.spend(fee, nil, h.leaf(checks(n, inBranch([]byte{taproot.OpNop4})...))),
			consensus.ErrPolicy, reserve, pending.Work{Opcodes: 3 * n}},
		{"nothing on the stack at the end", h.spend(fee, nil, h.leaf(checks(n, taproot.Op0))),
			consensus.ErrInvalid, falsity, pending.Work{Opcodes: 3 * n}},
		{"hashes, and a long push at the end", h.spend(fee, nil, h.leaf(hashes(n, longPush...))), consensus.ErrPolicy, data, pending.Work{}},
		{"hashes, and a long push at the end of a branch", h.spend(fee, nil, h.leaf(hashes(n, inBranch(longPush)...))),
			consensus.ErrPolicy, data, pending.Work{Opcodes: 3*n + 20, Hashed: 520}},
		{"a long push in the last input", h.spend(fee, nil, h.leaf(checks(n/2, good...)), h.leaf(hashes(n/2, good...)), h.leaf(longPush)),
			consensus.ErrPolicy, data, pending.Work{}},
		{"an unknown key in the last input", h.spend(fee, nil, h.leaf(checks(n/2, good...)), h.leaf([]byte{2, 7, 7, taproot.OpCheckSig})),
			consensus.ErrPolicy, "mempool-script-verify-flag-failed (Public key version reserved for soft-fork upgrades)", pending.Work{}},
		{"a wrong signature in the first input", h.spend(fee, []int{0}, h.leaf(one), h.leaf(checks(n, good...))),
			consensus.ErrInvalid, sig, pending.Work{Opcodes: 4 * n, Signatures: 2100}},
		{"a wrong signature in the last input", h.spend(fee, []int{1}, h.leaf(checks(n, good...)), h.leaf(one)),
			consensus.ErrInvalid, sig, pending.Work{Opcodes: 4 * n, Signatures: n + 2100}},
		{"no fee", h.spend(0, nil, h.leaf(checks(n, good...))), consensus.ErrPolicy, pending.ReasonMinRelayFee, pending.Work{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.pool.Accept(t.Context(), tc.tx, 0)
			if !errors.Is(err, tc.kind) || !errors.Is(err, tc.reason) {
				t.Fatalf("%v, want %s", err, tc.reason)
			}
			var refusal *pending.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%v does not tell what it has cost", err)
			}
			work := refusal.Work
			t.Logf("%+v", work)
			if work.Opcodes > tc.most.Opcodes || work.Hashed > tc.most.Hashed || work.Signatures > tc.most.Signatures {
				t.Errorf("%+v was done, want %+v at most", work, tc.most)
			}
			if work.Coins != len(tc.tx.Inputs) {
				t.Errorf("%d coins were looked up for %d inputs", work.Coins, len(tc.tx.Inputs))
			}
		})
	}
	// A parent's signatures are not checked before its child's scripts were run.
	bad := h.leaf(hashes(n/8, inBranch(longPush)...))
	parent := h.spendTo(h.Outputs[bad.coin].ScriptPubKey, 0, nil, h.leaf(checks(n/2, good...)))
	bad.coin = chaintest.Output(parent, 0)
	_, err := h.pool.AcceptPackage(t.Context(), []*types.Tx{parent, h.spend(fee, nil, bad)}, 0)
	var refusal *pending.Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, consensus.Reason(data)) || refusal.Failed != 1 || refusal.Work.Signatures > 0 {
		t.Errorf("a package whose child fails late: %v, %+v", err, refusal)
	}
	// One that is taken has cost each signature once.
	e, err := h.pool.Accept(t.Context(), h.spend(fee, nil, h.leaf(checks(n, good...))), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Work.Signatures; got != n+1 {
		t.Errorf("%d signatures were checked, want %d", got, n+1)
	}
}

// BenchmarkFailLate is what an attacker has for nothing, or nearly so.
func BenchmarkFailLate(b *testing.B) {
	h := newHarness(b, nil)
	h.mineEmpty(20)
	const n = 7200
	one := append(bytes.Clone(pushKey), taproot.OpCheckSig)
	for name, tx := range map[string]*types.Tx{
		"LongPush":         h.spend(100_000, nil, h.leaf(checks(n, longPush...))),
		"LongPushInBranch": h.spend(100_000, nil, h.leaf(checks(n, inBranch(longPush)...))),
		"WrongSignature":   h.spend(100_000, []int{1}, h.leaf(checks(n, taproot.Op1)), h.leaf(one)),
		"Hashes":           h.spend(100_000, nil, h.leaf(hashes(120_000, inBranch(longPush)...))),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.pool.Accept(b.Context(), tx, 0); err == nil {
					b.Fatal("it is taken")
				}
			}
		})
	}
}
