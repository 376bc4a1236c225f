package taproot

import (
	"testing"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
)

// countingClaims costs nothing, so that the engine is measured by itself.
type countingClaims int

func (n *countingClaims) AddSignature(_, _ *[32]byte, _ *[64]byte)     { *n++ }
func (n *countingClaims) AddTweak(_ *[32]byte, _ byte, _, _ *[32]byte) { *n++ }

// keyPathSpend returns a signed transaction of two key path inputs.
func keyPathSpend(t testing.TB) *Context {
	key, public := testKey(5)
	tx := &types.Tx{Version: 2, Inputs: make([]types.TxIn, 2)}
	var prevouts []types.TxOut
	for i := range tx.Inputs {
		tx.Inputs[i].PreviousOutPoint.Index = uint32(i)
		prevouts = append(prevouts, types.TxOut{Value: 7, ScriptPubKey: append([]byte{Op1, 32}, public...)})
	}
	tx.Outputs = prevouts
	c := NewContext(tx, prevouts)
	for i := range tx.Inputs {
		message, err := c.SignatureHash(i, SigHashDefault, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		tx.Inputs[i].Witness = [][]byte{sign(t, key, message)}
	}
	return c
}

// signedLeaf returns a signed spend of OP_CHECKSIG, or of two keys of three with
// OP_CHECKSIGADD.
func signedLeaf(t testing.TB, multisig bool) *Context {
	key, public := testKey(5)
	push := append([]byte{32}, public...)
	script := append(append([]byte(nil), push...), OpCheckSig)
	signatures := 1
	if multisig {
		script = append(append(script, push...), OpCheckSigAdd)
		script = append(append(script, push...), OpCheckSigAdd, Op1+1, OpNumEqual)
		signatures = 3
	}
	c, tx, leaf := leafSpend(t, script, make([][]byte, signatures)...)
	message, err := c.SignatureHash(0, SigHashDefault, nil, &ScriptPath{LeafHash: leaf, CodeSeparator: NoCodeSeparator})
	if err != nil {
		t.Fatal(err)
	}
	for i := range min(2, signatures) {
		tx.Inputs[0].Witness[i] = sign(t, key, message)
	}
	return c
}

func BenchmarkVerifyInput(b *testing.B) {
	for _, bc := range []struct {
		name string
		make func(testing.TB) *Context
	}{
		{"KeyPath", keyPathSpend},
		{"CheckSig", func(t testing.TB) *Context { return signedLeaf(t, false) }},
		{"CheckSigAdd2of3", func(t testing.TB) *Context { return signedLeaf(t, true) }},
	} {
		c := bc.make(b)
		tx, prevouts := c.tx, c.prevouts
		n := len(tx.Inputs)
		run := func(b *testing.B, claims Claims) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%n == 0 {
					c.Reset(tx, prevouts)
				}
				if err := c.VerifyInput(i%n, Consensus, claims); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(bc.name+"/AtOnce", func(b *testing.B) { run(b, nil) })
		b.Run(bc.name+"/EngineOnly", func(b *testing.B) { run(b, new(countingClaims)) })
		b.Run(bc.name+"/Batch1024", func(b *testing.B) {
			b.ReportAllocs()
			var batch secp.Batch
			verify := func() {
				if !batch.Verify() {
					b.Fatal("the batch is not valid")
				}
				batch.Reset()
			}
			for i := 0; b.Loop(); i++ {
				if i%n == 0 {
					c.Reset(tx, prevouts)
				}
				if err := c.VerifyInput(i%n, Consensus, &batch); err != nil {
					b.Fatal(err)
				}
				if batch.Len() >= 1024 {
					verify()
				}
			}
			verify()
		})
	}
}

// TestNoAllocations holds that the key path and a checksig leaf cost the garbage
// collector nothing.
func TestNoAllocations(t *testing.T) {
	for name, c := range map[string]*Context{"key path": keyPathSpend(t), "leaf": signedLeaf(t, true)} {
		claims := new(countingClaims)
		tx, prevouts := c.tx, c.prevouts
		allocations := testing.AllocsPerRun(100, func() {
			c.Reset(tx, prevouts)
			if err := c.VerifyInput(0, Standard, claims); err != nil {
				t.Error(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}
