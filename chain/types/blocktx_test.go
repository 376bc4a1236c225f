package types_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestDecodeBlockTx: each transaction of random blocks is what decoding the whole block says, and
// whatever is cut off or behind is an error.
func TestDecodeBlockTx(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(most int) []byte { return bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(most)) }
	for range 50 {
		var block types.Block
		for range 1 + r.IntN(20) {
			tx := types.Tx{Version: r.Uint32(), LockTime: r.Uint32()}
			hasWitness := r.IntN(2) == 0
			for range 1 + r.IntN(4) {
				in := types.TxIn{ScriptSig: some(300), Sequence: r.Uint32()}
				for n := r.IntN(4); hasWitness && n > 0; n-- {
					in.Witness = append(in.Witness, some(300))
				}
				tx.Inputs = append(tx.Inputs, in)
			}
			for range r.IntN(4) {
				tx.Outputs = append(tx.Outputs, types.TxOut{Value: 1, ScriptPubKey: some(300)})
			}
			block.Txs = append(block.Txs, tx)
		}
		raw := block.AppendTo(nil)
		whole, err := types.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		before, inputs := 0, 0
		for i := range whole.Txs[1:] {
			inputs += len(whole.Txs[i+1].Inputs)
		}
		for n := range whole.Txs {
			got, err := types.DecodeBlockTx(raw, n)
			if err != nil || !reflect.DeepEqual(*got.Tx, whole.Txs[n]) || !bytes.Equal(got.Raw, whole.Txs[n].AppendTo(nil)) || got.Before != before || got.Inputs != inputs {
				t.Fatalf("%d: %+v, %v", n, got, err)
			}
			if n > 0 {
				before += len(whole.Txs[n].Inputs)
			}
		}
		for _, bad := range [][]byte{raw[:r.IntN(len(raw))], append(bytes.Clone(raw), 0)} {
			if _, err := types.DecodeBlockTx(bad, 0); err == nil {
				t.Fatal("a block that is cut or too long is taken")
			}
		}
		for _, n := range []int{-1, len(whole.Txs)} {
			if _, err := types.DecodeBlockTx(raw, n); err == nil {
				t.Fatalf("position %d is taken", n)
			}
		}
	}
}
