package rpc_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// TestPSBTPayment: coins of a descriptor are spent by a leaf, from createpsbt to the pool,
// and only the signature is made elsewhere.
func TestPSBTPayment(t *testing.T) {
	s := start(t, nil)
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	signer := schnorr.SerializePubKey(key.PubKey())
	const nobody = "50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
	leaf := "and_v(v:pk(" + hex.EncodeToString(signer) + "),older(1))"
	desc := fmt.Sprintf("tr(%s,{pk(%s),%s})", nobody, nobody, leaf)
	block := call[[]string](s, "generatetodescriptor", 1, desc)[0]
	call[[]string](s, "generatetoaddress", 101, s.anchor)
	coinbase := call[struct {
		Tx []struct {
			TxID string
			Vout []struct{ Value float64 }
		}
	}](s, "getblock", block, 2).Tx[0]
	inputs := []any{map[string]any{"txid": coinbase.TxID, "vout": 0, "sequence": 1}}
	made := call[string](s, "createpsbt", inputs, []any{map[string]any{s.anchor: fmt.Sprintf("%.8f", coinbase.Vout[0].Value-0.001)}, map[string]any{"data": "00"}})

	bare := call[string](s, "utxoupdatepsbt", made)
	p, err := psbt.DecodeBase64(bare)
	if err != nil || p.Inputs[0].WitnessUTXO == nil || p.Inputs[0].NonWitnessUTXO != nil || p.Inputs[0].TapInternalKey != nil {
		t.Fatalf("without descriptors: %+v, %v", p, err)
	}
	updated := call[string](s, "utxoupdatepsbt", made, []string{desc})
	if p, err = psbt.DecodeBase64(updated); err != nil {
		t.Fatal(err)
	}
	in := &p.Inputs[0]
	if len(in.TapScripts) != 2 || in.TapMerkleRoot == nil || len(in.TapDerivations) != 2 || hex.EncodeToString(in.TapInternalKey[:]) != nobody {
		t.Fatalf("the descriptor says %+v", in)
	}
	analysis := call[struct {
		Fee    float64
		Next   string
		VSize  int `json:"estimated_vsize"`
		Inputs []struct {
			HasUTXO bool `json:"has_utxo"`
		}
	}](s, "analyzepsbt", updated)
	if analysis.Fee != 0.001 || analysis.Next != "updater" || analysis.VSize == 0 || !analysis.Inputs[0].HasUTXO {
		t.Errorf("analysis %+v", analysis)
	}

	tx, err := p.UnsignedTx()
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range in.TapScripts {
		if !bytes.Contains(script.Script, signer) {
			continue
		}
		path := taproot.ScriptPath{LeafHash: taproot.LeafHash(script.LeafVersion, script.Script), CodeSeparator: taproot.NoCodeSeparator}
		message, err := taproot.NewContext(tx, []types.TxOut{*in.WitnessUTXO}).SignatureHash(0, taproot.SigHashDefault, nil, &path)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := schnorr.Sign(key, message[:])
		if err != nil {
			t.Fatal(err)
		}
		in.TapScriptSigs = append(in.TapScriptSigs, psbt.TapScriptSig{Key: [32]byte(signer), LeafHash: path.LeafHash, Signature: sig.Serialize()})
	}
	signed, err := p.Base64()
	if err != nil {
		t.Fatal(err)
	}
	final := call[struct {
		Hex      string
		Complete bool
	}](s, "finalizepsbt", call[string](s, "combinepsbt", []string{updated, signed}))
	if !final.Complete {
		t.Fatal("not complete")
	}
	unsigned := call[string](s, "createrawtransaction", inputs, []any{map[string]any{s.anchor: fmt.Sprintf("%.8f", coinbase.Vout[0].Value-0.001)}, map[string]any{"data": "00"}})
	if combined := call[string](s, "combinerawtransaction", []string{unsigned, final.Hex}); combined != final.Hex {
		t.Errorf("combined with the unsigned one it is %s", combined)
	}
	txid := call[string](s, "sendrawtransaction", final.Hex)

	// Of one that waits there is the whole transaction, and it is not needed here.
	next := call[string](s, "createpsbt", []any{map[string]any{"txid": txid, "vout": 0}, map[string]any{"txid": strings.Repeat("ab", 32), "vout": 0}}, []any{})
	if p, err = psbt.DecodeBase64(call[string](s, "utxoupdatepsbt", next)); err != nil || p.Inputs[0].NonWitnessUTXO == nil || p.Inputs[1].WitnessUTXO != nil {
		t.Errorf("of one that waits: %+v, %v", p, err)
	}

	// An anchor, which that output is, is signed by nobody, so no hash type of it is wrong.
	hashType := uint32(taproot.SigHashNone)
	if p.Inputs[0].SighashType = &hashType; call[string](s, "utxoupdatepsbt", base64Of(t, p)) == "" {
		t.Error("no PSBT with an anchor")
	}
	const mismatch = "-22 Specified sighash value does not match value stored in PSBT"
	if p, err = psbt.DecodeBase64(updated); err != nil {
		t.Fatal(err)
	}
	if p.Inputs[0].SighashType = &hashType; refused(s, "utxoupdatepsbt", base64Of(t, p)) != mismatch {
		t.Error("another hash type is taken")
	}
	p.Inputs[0].SighashType, p.Inputs[0].TapKeySig = nil, append(make([]byte, 64), taproot.SigHashNone)
	if refused(s, "utxoupdatepsbt", base64Of(t, p)) != mismatch {
		t.Error("a signature of another hash type is taken")
	}
}

func base64Of(t *testing.T, p *psbt.Packet) string {
	t.Helper()
	text, err := p.Base64()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
