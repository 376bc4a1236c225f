package taproot

import (
	"bytes"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// encodeSpend writes a spend as the fuzz target reads it: the transaction, then
// its prevouts.
func encodeSpend(c *Context) []byte {
	b := types.AppendVarBytes(nil, c.tx.AppendTo(nil))
	for i := range c.prevouts {
		b = types.AppendVarBytes(b, c.prevouts[i].AppendTo(nil))
	}
	return b
}

func decodeSpend(data []byte) (*types.Tx, []types.TxOut, bool) {
	d := types.NewDecoder(data)
	tx, err := types.DecodeTx(d.VarBytes())
	if err != nil || d.Err() != nil {
		return nil, nil, false
	}
	prevouts := make([]types.TxOut, len(tx.Inputs))
	for i := range prevouts {
		out, err := decodeTxOut(d.VarBytes())
		if err != nil || d.Err() != nil {
			return nil, nil, false
		}
		prevouts[i] = out
	}
	return tx, prevouts, true
}

// FuzzVerifyInput changes signed spends in any place. The engine must give a
// verdict, the same at once and deferred, leave the witness as it was, and refuse
// by policy whatever it refuses by consensus.
func FuzzVerifyInput(f *testing.F) {
	f.Add(encodeSpend(keyPathSpend(f)), byte(0))
	f.Add(encodeSpend(signedLeaf(f, false)), byte(0))
	f.Add(encodeSpend(signedLeaf(f, true)), byte(0))
	for _, script := range [][]byte{
		{Op1, OpIf, Op1 + 1, OpElse, Op1, OpEndIf, OpDup, OpHash160, OpSize, OpAdd, OpWithin},
		{OpCodeSeparator, Op1, Op1 + 1, OpCheckSigAdd, OpToAltStack, OpFromAltStack, Op2Rot, OpPick, OpRoll},
		{OpCheckLockTimeVerify, OpCheckSequenceVerify, OpRipeMD160, OpSHA1, OpHash256, OpMin, OpMax},
		{80, OpPushData4},
		{1, 1, OpIf, 1, 2, OpElse, OpReturn, OpEndIf, OpPushData1, 0, OpNop4, OpCheckMultiSig},
		{2, 1, 1, OpCheckSig, Op0, OpCheckSigVerify, Op1, OpCheckSigAdd, 0xff, OpVerIf},
	} {
		c, _, _ := leafSpend(f, script, []byte{1}, []byte{2}, nil)
		f.Add(encodeSpend(c), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		tx, prevouts, ok := decodeSpend(data)
		if !ok || len(tx.Inputs) == 0 {
			t.Skip()
		}
		index := int(which) % len(tx.Inputs)
		before := tx.AppendTo(nil)
		c := NewContext(tx, prevouts)
		atOnce := c.VerifyInput(index, Consensus, nil)
		if errors.Is(atOnce, ErrNotSpendable) {
			t.Skip()
		}
		verdictOf(t, atOnce)
		var batch secp.Batch
		deferred := c.VerifyInput(index, Consensus, &batch)
		if (atOnce == nil) != (deferred == nil && batch.Verify()) {
			t.Fatalf("at once %v, deferred %v and %v", atOnce, deferred, batch.Verify())
		}
		standard := NewContext(tx, prevouts).VerifyInput(index, Standard, nil)
		if standard == nil && atOnce != nil {
			t.Fatalf("policy allows what consensus refuses: %v", atOnce)
		}
		if standard != nil && !errors.As(standard, new(*ScriptError)) {
			t.Fatal(standard)
		}
		checkBlame(t, "VerifyInput", standard, standard, atOnce)
		if version, program, _ := types.WitnessProgram(prevouts[index].ScriptPubKey); version == 1 && len(program) == 32 {
			checkBlame(t, "ScanWitness", ScanWitness(tx.Inputs[index].Witness), standard, atOnce)
		}
		if !bytes.Equal(tx.AppendTo(nil), before) {
			t.Fatal("the transaction was changed")
		}
	})
}

// checkBlame holds a verdict by policy against those of policy and of consensus.
func checkBlame(t *testing.T, name string, verdict, standard, consensus error) {
	t.Helper()
	var script *ScriptError
	switch {
	case !errors.As(verdict, &script):
	case standard == nil:
		t.Fatalf("%s says %v, and policy allows it", name, verdict)
	case !script.IsPolicy() && consensus == nil:
		t.Fatalf("%s says %v, which is no policy, and consensus allows it", name, verdict)
	}
}

func FuzzControlBlock(f *testing.F) {
	f.Add(make([]byte, 33), []byte{Op1})
	f.Add(bytes.Repeat([]byte{0xc1}, 33+64), []byte(nil))
	f.Add(make([]byte, 34), []byte(nil))
	f.Fuzz(func(t *testing.T, data, script []byte) {
		c, err := parseControlBlock(data)
		if (err == nil) != isControlSize(len(data)) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(c.encode(), data) {
			t.Fatalf("%x encodes again as %x", data, c.encode())
		}
		leaf, _ := leafHash(nil, data[0]&LeafVersionMask, script)
		if c.merkleRoot(script) != rootOf(data, leaf) {
			t.Fatal("the roots differ")
		}
	})
}
