package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// TestVectors: the signatures of BIP322's vectors for taproot addresses are right, those
// that are spoilt are not.
func TestVectors(t *testing.T) {
	type vector struct {
		Message, Address, Signature, Description string
		Signatures                               []string `json:"bip322_signatures"`
		LockTime                                 uint32   `json:"lock_time"`
		Sequence                                 uint32
		MessageHash                              string `json:"message_hash"`
		ToSpend                                  string `json:"to_spend_tx_hash"`
		ToSign                                   string `json:"to_sign_tx_hash"`
	}
	var sets map[string][]vector
	vectors.ReadJSON(t, "bip322/bip322.json", &sets)
	right, wrong := 0, 0
	for _, v := range sets["p2tr"] {
		script, err := taproot.DecodeAddress("bc", v.Address)
		if err != nil {
			t.Fatal(err)
		}
		for _, signature := range v.Signatures {
			proof, _, err := VerifyFunds(script, []byte(v.Message), signature)
			if err != nil || proof.LockTime != v.LockTime || proof.Age != v.Sequence {
				t.Errorf("%s: %+v, %v", v.Message, proof, err)
			}
			if _, _, err := VerifyFunds(script, []byte(v.Message+"!"), signature); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: of another message: %v", v.Message, err)
			}
			if again := writeAgain(t, script, v.Message, signature); again != signature && again != prefixSimple+signature {
				t.Errorf("%s is written as %s", signature, again)
			}
			right++
		}
	}
	for _, v := range sets["error_p2tr"] {
		script, err := taproot.DecodeAddress("bc", v.Address)
		if err != nil {
			continue
		}
		if _, err := Verify(script, []byte(v.Message), v.Signature); err == nil {
			t.Errorf("%s is verified", v.Description)
		}
		wrong++
	}
	for _, v := range sets["tx_hashes"] {
		hash := Hash([]byte(v.Message))
		if !bytes.Equal(hash[:], vectors.Hex(t, v.MessageHash)) {
			t.Errorf("hash %x of %s", hash, v.Message)
		}
		toSpend := ToSpend(keyHashScript(t, v.Address), []byte(v.Message))
		if toSpend.TxID().String() != v.ToSpend || ToSign(toSpend).TxID().String() != v.ToSign {
			t.Errorf("transactions %s and %s of %s", toSpend.TxID(), ToSign(toSpend).TxID(), v.Message)
		}
		wrong++
	}
	// Of other kinds of addresses there is no coin on this network, and none of their
	// signatures is one of a taproot address.
	others := 0
	for _, v := range slices.Concat(sets["other_types"], sets["error_other"]) {
		if _, err := taproot.DecodeAddress("bc", v.Address); err == nil {
			t.Errorf("%s is taken for an address", v.Address)
		}
		for _, signature := range append(v.Signatures, v.Signature) {
			if _, _, err := VerifyFunds(newOwner(3).script, []byte(v.Message), signature); err == nil {
				t.Errorf("%s is verified", signature)
			}
		}
		others++
	}
	vectors.Ran(t, others, "signatures of addresses that are not taproot's")
	vectors.Ran(t, right, "signatures of messages")
	vectors.Ran(t, wrong, "spoilt signatures and hashes of messages")
}

// keyHashScript returns the script of an address of witness version 0.
func keyHashScript(t *testing.T, address string) []byte {
	t.Helper()
	_, data, err := bech32.Decode(address)
	if err != nil {
		t.Fatal(err)
	}
	program, err := bech32.ConvertBits(data[1:], 5, 8, false)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{taproot.Op0, byte(len(program))}, program...)
}

// writeAgain reads a signature and writes what was read.
func writeAgain(t *testing.T, script []byte, text, signature string) string {
	t.Helper()
	tx, spent, err := decode(ToSpend(script, []byte(text)), signature)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(signature, prefixFull):
		return Full(tx)
	case strings.HasPrefix(signature, prefixFunds):
		again, err := Funds(tx, spent)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	return Simple(tx.Inputs[0].Witness)
}

// sign returns the script of a key, without a tree, and signs a message by it.
func sign(t *testing.T, message string, hashType byte) (script []byte, witness [][]byte) {
	t.Helper()
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{3}, 32))
	script = taproot.OutputScript([32]byte(schnorr.SerializePubKey(key.PubKey())))
	toSpend := ToSpend(script, []byte(message))
	hash, err := taproot.NewContext(ToSign(toSpend), toSpend.Outputs).SignatureHash(0, hashType, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := schnorr.Sign(key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := sig.Serialize()
	if hashType != taproot.SigHashDefault {
		raw = append(raw, hashType)
	}
	return script, [][]byte{raw}
}

// TestHashTypes: a signature that leaves something out is none.
func TestHashTypes(t *testing.T) {
	for hashType, want := range map[byte]error{
		taproot.SigHashDefault: nil, taproot.SigHashAll: nil, taproot.SigHashNone: ErrInvalid, taproot.SigHashSingle: ErrInvalid,
		taproot.SigHashAll | taproot.SigHashAnyoneCanPay: ErrInvalid,
	} {
		script, witness := sign(t, "hello", hashType)
		if _, err := Verify(script, []byte("hello"), Simple(witness)); !errors.Is(err, want) {
			t.Errorf("hash type %#x: %v", hashType, err)
		}
	}
}

// TestForms: what is not as BIP322 says is refused, each with its kind.
func TestForms(t *testing.T) {
	script, witness := sign(t, "hello", taproot.SigHashDefault)
	full := func(change func(*types.Tx)) string {
		tx := ToSign(ToSpend(script, []byte("hello")))
		tx.Inputs[0].Witness = witness
		change(tx)
		return prefixFull + base64.StdEncoding.EncodeToString(tx.AppendTo(nil))
	}
	for _, c := range []struct {
		name, signature string
		want            error
	}{
		{"simple", Simple(witness), nil},
		{"without prefix", strings.TrimPrefix(Simple(witness), prefixSimple), nil},
		{"full", full(func(*types.Tx) {}), nil},
		{"not base64", "smp!", ErrMalformed},
		{"broken into lines", Simple(witness)[:40] + "\n" + Simple(witness)[40:], ErrMalformed},
		{"cut", Simple(witness)[:40], ErrMalformed},
		{"empty", "", ErrMalformed},
		{"no transaction", prefixFull + "AAAA", ErrMalformed},
		{"a proof of funds", prefixFunds + "cHNidP8=", ErrInconclusive},
		{"version 2, which was not signed", full(func(tx *types.Tx) { tx.Version = 2 }), ErrInvalid},
		{"version 3", full(func(tx *types.Tx) { tx.Version = 3 }), ErrInconclusive},
		{"another output", full(func(tx *types.Tx) { tx.Outputs[0].Value = 1 }), ErrInvalid},
		{"two outputs", full(func(tx *types.Tx) { tx.Outputs = append(tx.Outputs, tx.Outputs[0]) }), ErrInvalid},
		{"two inputs", full(func(tx *types.Tx) { tx.Inputs = append(tx.Inputs, types.TxIn{}) }), ErrInvalid},
		{"another outpoint", full(func(tx *types.Tx) { tx.Inputs[0].PreviousOutPoint.Index = 1 }), ErrInvalid},
	} {
		if _, err := Verify(script, []byte("hello"), c.signature); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, other := range [][]byte{{taproot.Op1, 2, 0x4e, 0x73}, append([]byte{taproot.Op1 + 1, 32}, script[2:]...)} {
		if _, err := Verify(other, []byte("hello"), Simple(witness)); !errors.Is(err, ErrInconclusive) {
			t.Errorf("of %x: %v", other, err)
		}
	}
}

// FuzzVerify: whatever the signature is, there is an answer of a known kind.
func FuzzVerify(f *testing.F) {
	f.Add("hello", prefixFull+"AAAA")
	f.Add("", prefixSimple+"AA==")
	f.Add("", prefixFunds+"cHNidP8BAI8C")
	script := taproot.OutputScript([32]byte{9})
	f.Fuzz(func(t *testing.T, text, signature string) {
		_, _, err := VerifyFunds(script, []byte(text), signature)
		if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrInconclusive) {
			t.Fatalf("%v", err)
		}
	})
}
