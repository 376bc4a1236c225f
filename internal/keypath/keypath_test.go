package keypath_test

import (
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/keypath"
)

// TestSignInputs: each input satisfies what it spends by its own key, and the size that was
// told before is the size afterwards.
func TestSignInputs(t *testing.T) {
	for n := 1; n <= 5; n++ {
		tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: make([]byte, 30+n)}}}
		var spent []types.TxOut
		var keys []*btcec.PrivateKey
		for i := range n {
			key, _ := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
			script := taproot.OutputScript([32]byte(schnorr.SerializePubKey(key.PubKey())))
			keys, spent = append(keys, key), append(spent, types.TxOut{Value: types.Amount(i), ScriptPubKey: script})
			tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{Index: uint32(i)}})
		}
		size := keypath.VirtualSize(tx)
		if err := keypath.SignInputs(tx, spent, keys); err != nil {
			t.Fatal(err)
		}
		if got := (tx.Weight() + 3) / 4; got != size {
			t.Errorf("%d inputs: %d virtual bytes, want %d", n, size, got)
		}
		context := taproot.NewContext(tx, spent)
		for i := range n {
			if err := context.VerifyInput(i, taproot.Standard, nil); err != nil {
				t.Errorf("input %d of %d: %v", i, n, err)
			}
		}
	}
}
