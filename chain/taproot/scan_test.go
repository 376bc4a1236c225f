package taproot

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// TestScanWitness: what is seen without running a script, and what is not.
func TestScanWitness(t *testing.T) {
	key := append([]byte{32}, make([]byte, 32)...)
	long := append([]byte{OpPushData2, 9, 2}, make([]byte, 521)...)
	for _, tc := range []struct {
		name   string
		script []byte
		want   *ScriptError
	}{
		{"nothing wrong", append(bytes.Clone(key), OpCheckSig), nil},
		{"a push at the end", append(append(bytes.Clone(key), OpCheckSig), OpPushData1, 1, 7), errMinimalData},
		{"a small number", []byte{1, 16}, errMinimalData},
		{"a push that may not run", []byte{Op0, OpIf, 1, 16, OpNop4, OpReturn, OpEndIf, Op1}, nil},
		{"a push after that", []byte{Op0, OpIf, OpElse, OpEndIf, 1, 16}, errMinimalData},
		{"a long element that does not run", append(append([]byte{Op0, OpIf}, long...), OpEndIf), errPushSize},
		{"OP_SUCCESS behind anything", append(append([]byte{OpReturn}, long...), 80, OpPushData4), errOpSuccess},
		{"what cannot be read before it", []byte{OpPushData1, 200, 80}, errBadOpcode},
		{"no end", []byte{Op1, OpIf}, errConditional},
		{"no beginning", []byte{Op1, OpElse}, errConditional},
		{"an end too many", []byte{Op1, OpIf, OpEndIf, OpEndIf}, errConditional},
		{"OP_VERIF that does not run", []byte{Op0, OpIf, OpVerIf, OpEndIf}, errBadOpcode},
		{"OP_RETURN", []byte{OpReturn}, errOpReturn},
		{"a multisig", []byte{OpCheckMultiSig}, errCheckMultiSig},
		{"an upgradable opcode", []byte{OpNop10}, errUpgradableNops},
		{"a lock", []byte{Op1, OpCheckLockTimeVerify, OpCheckSequenceVerify}, nil},
		{"no opcode", []byte{0xff}, errBadOpcode},
		{"no key", []byte{Op0, OpCheckSig}, errEmptyKey},
		{"an unknown key", []byte{2, 1, 2, OpCheckSigVerify}, errUpgradableKey},
		{"a number as a key", []byte{Op1, OpCheckSigAdd}, errUpgradableKey},
		{"a key from elsewhere", []byte{Op1, OpDup, OpCheckSig}, nil},
		{"a key in a branch", []byte{Op1, OpIf, Op1, OpEndIf, OpCheckSig}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, tx, _ := leafSpend(t, tc.script, nil, nil)
			got := ScanWitness(tx.Inputs[0].Witness)
			if tc.want == nil && got != nil || tc.want != nil && got != error(tc.want) {
				t.Fatalf("%v, want %v", got, tc.want)
			}
			standard := c.VerifyInput(0, Standard, nil)
			checkBlame(t, "ScanWitness", got, standard, c.VerifyInput(0, Consensus, nil))
		})
	}
	if err := ScanWitness([][]byte{{OpReturn}, make([]byte, 34)}); !errors.Is(err, errControlSize) {
		t.Errorf("a control block of 34 bytes: %v", err)
	}
	if err := ScanWitness([][]byte{{OpReturn}, append([]byte{0xc2}, make([]byte, 32)...)}); !errors.Is(err, errUpgradableLeaf) {
		t.Errorf("an unknown leaf version: %v", err)
	}
	many := append(make([][]byte, maxStackSize+1), []byte{Op1}, append([]byte{0xc0}, make([]byte, 32)...), []byte{AnnexTag})
	if err := ScanWitness(many); !errors.Is(err, errStackSize) {
		t.Errorf("too many elements before an annex: %v", err)
	}
	for _, stack := range [][][]byte{nil, {{1}}, {{1}, {AnnexTag}}} {
		if err := ScanWitness(stack); err != nil {
			t.Errorf("a key path: %v", err)
		}
	}
}

// TestScanAgrees rolls scripts of the opcodes that a scan knows, and holds it against
// the machine.
func TestScanAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 9))
	pieces := [][]byte{
		{Op1}, {Op0}, {Op1Negate}, {1, 1}, {1, 200}, {2, 1, 2}, {OpPushData1, 1, 200}, append([]byte{32}, make([]byte, 32)...),
		{OpIf}, {OpNotIf}, {OpElse}, {OpEndIf}, {OpEndIf}, {OpVerIf}, {OpCheckSig}, {OpCheckSigVerify}, {OpCheckSigAdd},
		{OpReturn}, {OpNop}, {OpNop4}, {OpDrop}, {OpDup}, {OpCheckMultiSig}, {80}, {0xff}, {OpPushData2}, {Op1Add}, {OpCheckLockTimeVerify},
	}
	seen := map[string]int{}
	for range 4000 {
		var script []byte
		for range 1 + r.IntN(8) {
			script = append(script, pieces[r.IntN(len(pieces))]...)
		}
		c, tx, _ := leafSpend(t, script, nil, []byte{1}, nil)
		verdict := ScanWitness(tx.Inputs[0].Witness)
		checkBlame(t, "ScanWitness", verdict, c.VerifyInput(0, Standard, nil), c.VerifyInput(0, Consensus, nil))
		standard := c.VerifyInput(0, Standard, nil)
		checkBlame(t, "VerifyInput", standard, standard, c.VerifyInput(0, Consensus, nil))
		seen[verdictOf(t, verdict)]++
	}
	if len(seen) < 8 || seen["OK"] == 0 {
		t.Errorf("seen are %v", seen)
	}
}

// TestWork: what a script costs is counted by what runs, and begins anew with the next
// transaction.
func TestWork(t *testing.T) {
	c, tx, _ := leafSpend(t, []byte{OpDup, OpSHA256, OpDrop, OpHash160, OpHash160, OpDrop, Op1}, make([]byte, 70))
	for range 2 {
		if err := c.VerifyInput(0, Standard, nil); err != nil {
			t.Fatal(err)
		}
		if got := c.Work(); got != (Work{Opcodes: 7, Hashed: 160}) {
			t.Errorf("%+v", got)
		}
		c.Reset(tx, c.prevouts)
	}
	c, _, _ = leafSpend(t, []byte{2, 0x90, 0x01, OpRoll, OpDepth, OpDrop}, make([][]byte, 500)...)
	if err := c.VerifyInput(0, Standard, nil); !errors.Is(err, errCleanStack) {
		t.Fatal(err)
	}
	if got := c.Work(); got.Opcodes != 4+400/rollShare {
		t.Errorf("%+v", got)
	}
}

// TestHashesAreKept: an element that is hashed again and again is hashed once by each
// opcode, and the answer is the same.
func TestHashesAreKept(t *testing.T) {
	var script []byte
	element := bytes.Repeat([]byte{3}, 520)
	opcodes := []byte{OpRipeMD160, OpSHA1, OpSHA256, OpHash160, OpHash256}
	for range 100 {
		for _, op := range opcodes {
			script = append(script, OpOver, op, OpOver, op, OpEqualVerify) // of two equal elements
		}
	}
	script = append(script, Op2Drop, Op1)
	c, _, _ := leafSpend(t, script, element, bytes.Clone(element))
	if err := c.VerifyInput(0, Standard, nil); err != nil {
		t.Fatal(err)
	}
	if got, most := c.Work().Hashed, 2*len(opcodes)*520; got != most {
		t.Errorf("%d bytes were hashed, want %d", got, most)
	}
	if len(c.vm.hashes) > 0 {
		t.Error("hashes outlive the script")
	}
}
