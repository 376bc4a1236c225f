package descriptor

import (
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// TestLeavesAreSpent: what the leaves say holds: a multisig of two, and a lock that lets a
// third key have the coin after some blocks. The scripts run in the interpreter.
func TestLeavesAreSpent(t *testing.T) {
	secrets := map[string]*btcec.PrivateKey{}
	d, err := Parse("tr("+nobody+",{multi_a(2,"+wifOf(1)+","+wifOf(2)+","+wifOf(3)+"),and_v(v:pk("+wifOf(4)+"),older(10))})", bitcoin)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := d.Outputs(0)
	if err != nil {
		t.Fatal(err)
	}
	out := outputs[0]
	for _, k := range out.Keys {
		if k.Private != nil {
			secrets[string(k.Public[1:])] = k.Private
		}
	}
	list := make([]*btcec.PrivateKey, 4)
	for i := range list {
		scalar := new(btcec.ModNScalar)
		scalar.SetInt(uint32(i + 1))
		public := btcec.PrivKeyFromScalar(scalar).PubKey().SerializeCompressed()
		if list[i] = secrets[string(public[1:])]; list[i] == nil {
			t.Fatalf("the key %d is not told", i+1)
		}
	}
	for _, c := range []struct {
		name     string
		leaf     int
		sequence uint32
		signers  []*btcec.PrivateKey // the last is on top; nil is an empty signature
		good     bool
	}{
		{"two of three", 0, 0, []*btcec.PrivateKey{list[2], nil, list[0]}, true},
		{"the other two", 0, 0, []*btcec.PrivateKey{list[2], list[1], nil}, true},
		{"one of three", 0, 0, []*btcec.PrivateKey{nil, nil, list[0]}, false},
		{"all three", 0, 0, []*btcec.PrivateKey{list[2], list[1], list[0]}, false},
		{"in the wrong order", 0, 0, []*btcec.PrivateKey{list[0], nil, list[2]}, false},
		{"the lock is over", 1, 10, []*btcec.PrivateKey{list[3]}, true},
		{"the lock is not over", 1, 9, []*btcec.PrivateKey{list[3]}, false},
	} {
		if err := spend(t, &out, c.leaf, c.sequence, c.signers); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

const nobody = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"

// wifOf returns a small private key in the wallet import format.
func wifOf(n byte) string {
	raw := make([]byte, 33)
	raw[31], raw[32] = n, 1
	return base58.CheckEncode(raw, versionWIF)
}

// spend runs the script of a leaf with signatures.
func spend(t *testing.T, out *Output, leaf int, sequence uint32, signers []*btcec.PrivateKey) error {
	t.Helper()
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}, Sequence: sequence}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: out.ScriptPubKey}}}
	prevouts := []types.TxOut{{Value: 2, ScriptPubKey: out.ScriptPubKey}}
	l := out.Leaves[leaf]
	digest, err := taproot.NewContext(tx, prevouts).SignatureHash(0, 0, nil, &taproot.ScriptPath{LeafHash: l.Hash, CodeSeparator: taproot.NoCodeSeparator})
	if err != nil {
		t.Fatal(err)
	}
	for _, signer := range signers {
		var signature []byte
		if signer != nil {
			s, err := schnorr.Sign(signer, digest[:])
			if err != nil {
				t.Fatal(err)
			}
			signature = s.Serialize()
		}
		tx.Inputs[0].Witness = append(tx.Inputs[0].Witness, signature)
	}
	tx.Inputs[0].Witness = append(tx.Inputs[0].Witness, l.Script, l.ControlBlock)
	return taproot.NewContext(tx, prevouts).VerifyInput(0, taproot.Standard, nil)
}
