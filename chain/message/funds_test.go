package message

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/psbt"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// owner is somebody with one key, of which there is no tree.
type owner struct {
	key    *btcec.PrivateKey
	script []byte
}

func newOwner(n byte) owner {
	key, _ := btcec.PrivKeyFromBytes([]byte{n})
	return owner{key, taproot.OutputScript([32]byte(schnorr.SerializePubKey(key.PubKey())))}
}

// proven is a proof of funds before it is written: who signs which input, and what it spends.
type proven struct {
	tx    *types.Tx
	spent []types.TxOut
}

// prove signs a message as the first owner, with a coin of each other, of 1, 2, … grains.
func prove(t *testing.T, text string, hashType byte, owners ...owner) proven {
	t.Helper()
	toSpend := ToSpend(owners[0].script, []byte(text))
	p := proven{ToSign(toSpend), []types.TxOut{toSpend.Outputs[0]}}
	for i, o := range owners[1:] {
		p.tx.Inputs = append(p.tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: types.Hash{9}, Index: uint32(i)}})
		p.spent = append(p.spent, types.TxOut{Value: types.Amount(i + 1), ScriptPubKey: o.script})
	}
	ctx := taproot.NewContext(p.tx, p.spent)
	for i, o := range owners {
		hash, err := ctx.SignatureHash(i, hashType, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := schnorr.Sign(o.key, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		raw := sig.Serialize()
		if hashType != taproot.SigHashDefault {
			raw = append(raw, hashType)
		}
		p.tx.Inputs[i].Witness = [][]byte{raw}
	}
	return p
}

func (p proven) text(t *testing.T) string {
	t.Helper()
	text, err := Funds(p.tx, p.spent)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestProofOfFunds: a proof tells its coins, and whatever is changed of it spoils it.
func TestProofOfFunds(t *testing.T) {
	alice, bob := newOwner(3), newOwner(4)
	proof, coins, err := VerifyFunds(alice.script, []byte("hello"), prove(t, "hello", 0, alice, bob, alice).text(t))
	if err != nil || proof != (Proof{}) || len(coins) != 2 {
		t.Fatalf("%+v, %+v, %v", proof, coins, err)
	}
	for i, want := range []owner{bob, alice} {
		at := types.OutPoint{TxID: types.Hash{9}, Index: uint32(i)}
		if coins[i].OutPoint != at || coins[i].Value != types.Amount(i+1) || string(coins[i].ScriptPubKey) != string(want.script) {
			t.Errorf("coin %d is %+v", i, coins[i])
		}
	}
	if _, err := Verify(alice.script, []byte("hello"), prove(t, "hello", 0, alice, bob).text(t)); !errors.Is(err, ErrInconclusive) {
		t.Errorf("without asking for coins: %v", err)
	}
	if _, coins, err := VerifyFunds(alice.script, []byte("hello"), Simple(prove(t, "hello", 0, alice).tx.Inputs[0].Witness)); err != nil || len(coins) != 0 {
		t.Errorf("a simple signature: %v, %v", coins, err)
	}
	for _, c := range []struct {
		name   string
		change func(*proven)
		want   error
	}{
		{"another amount", func(p *proven) { p.spent[1].Value++ }, ErrInvalid},
		{"another script", func(p *proven) { p.spent[1].ScriptPubKey = alice.script }, ErrInvalid},
		{"another coin", func(p *proven) { p.tx.Inputs[1].PreviousOutPoint.Index = 7 }, ErrInvalid},
		{"a coin less", func(p *proven) { p.tx.Inputs, p.spent = p.tx.Inputs[:2], p.spent[:2] }, ErrInvalid},
		{"a coin twice", func(p *proven) {
			p.tx.Inputs, p.spent = append(p.tx.Inputs, p.tx.Inputs[1]), append(p.spent, p.spent[1])
		}, ErrInvalid},
		{"a coin that is not signed for", func(p *proven) { p.tx.Inputs[2].Witness = nil }, ErrInvalid},
		{"another message's output", func(p *proven) { p.tx.Inputs[0].PreviousOutPoint.TxID[0]++ }, ErrInvalid},
		{"another address's output", func(p *proven) { p.spent[0].ScriptPubKey = bob.script }, ErrInvalid},
		{"an output of some worth", func(p *proven) { p.spent[0].Value = 1 }, ErrInvalid},
		{"a lock", func(p *proven) { p.tx.LockTime = 1 }, ErrInvalid},
		{"an output", func(p *proven) { p.tx.Outputs[0].Value = 1 }, ErrInvalid},
		{"a version", func(p *proven) { p.tx.Version = 3 }, ErrInconclusive},
	} {
		p := prove(t, "hello", 0, alice, bob, bob)
		c.change(&p)
		if _, _, err := VerifyFunds(alice.script, []byte("hello"), p.text(t)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	anybody := owner{bob.key, []byte{taproot.Op1, 2, 0x4e, 0x73}} // who signs nothing
	if _, _, err := VerifyFunds(alice.script, []byte("hello"), prove(t, "hello", 0, alice, anybody).text(t)); !errors.Is(err, ErrInconclusive) {
		t.Errorf("a coin of anybody: %v", err)
	}
	for _, hashType := range []byte{taproot.SigHashNone, taproot.SigHashAll | taproot.SigHashAnyoneCanPay} {
		if _, _, err := VerifyFunds(alice.script, []byte("hello"), prove(t, "hello", hashType, alice, bob).text(t)); !errors.Is(err, ErrInvalid) {
			t.Errorf("hash type %#x: %v", hashType, err)
		}
	}
}

// TestFundsForms: a PSBT that tells less or more than a proof has to.
func TestFundsForms(t *testing.T) {
	alice, bob := newOwner(3), newOwner(4)
	signed := prove(t, "hello", 0, alice, bob)
	for _, c := range []struct {
		name   string
		change func(*psbt.Packet)
		want   error
	}{
		{"the first output is not told", func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO = nil }, nil},
		{"a coin is not told", func(p *psbt.Packet) { p.Inputs[1].WitnessUTXO = nil }, ErrInvalid},
		{"no inputs", func(p *psbt.Packet) { p.Inputs = nil }, ErrInvalid},
		{"a script of another time", func(p *psbt.Packet) { p.Inputs[1].FinalScriptSig = []byte{taproot.Op1} }, ErrInconclusive},
		{"version 2", func(p *psbt.Packet) { p.Version = 2 }, nil},
	} {
		p := psbt.New(signed.tx, 0)
		for i := range p.Inputs {
			p.Inputs[i].WitnessUTXO, p.Inputs[i].FinalWitness = &signed.spent[i], signed.tx.Inputs[i].Witness
		}
		c.change(p)
		text, err := p.Base64()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := VerifyFunds(alice.script, []byte("hello"), prefixFunds+text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, _, err := VerifyFunds(alice.script, nil, prefixFunds+"AAAA"); !errors.Is(err, ErrMalformed) {
		t.Errorf("no PSBT: %v", err)
	}
}

// TestSizeOfSignature: what is too long is refused before it is decoded.
func TestSizeOfSignature(t *testing.T) {
	long := prefixSimple + strings.Repeat("A", base64.StdEncoding.EncodedLen(MaxSize)+8)
	if _, err := Verify(newOwner(3).script, nil, long); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
	many := prefixSimple + base64.StdEncoding.EncodeToString(slices.Concat([]byte{0xfd, 0, 8}, make([]byte, 2048)))
	if _, err := Verify(newOwner(3).script, nil, many); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// TestPacket: a PSBT is of the message that its first input commits to, or of none.
func TestPacket(t *testing.T) {
	alice, bob := newOwner(3), newOwner(4)
	final := func(text string, people ...owner) *psbt.Packet {
		signed := prove(t, text, 0, people...)
		p := Packet(signed.tx, signed.spent, []byte(text))
		for i := range p.Inputs {
			p.Inputs[i].FinalWitness = signed.tx.Inputs[i].Witness
		}
		return p
	}
	for form, p := range map[string]*psbt.Packet{prefixSimple: final("hello", alice), prefixFunds: final("hello", alice, bob)} {
		script, text, ok := FromPacket(p)
		if !ok || string(script) != string(alice.script) || string(text) != "hello" {
			t.Errorf("%s: %q of %x, %v", form, text, script, ok)
		}
		signature, err := FromFinal(p)
		if _, _, wrong := VerifyFunds(alice.script, []byte("hello"), signature); err != nil || wrong != nil || !strings.HasPrefix(signature, form) {
			t.Errorf("%s: %s, %v, %v", form, signature, err, wrong)
		}
	}
	for name, change := range map[string]func(*psbt.Packet){
		"another message": func(p *psbt.Packet) { p.Unknown[0].Value = []byte("hallo") },
		"no message":      func(p *psbt.Packet) { p.Unknown = nil },
		"another field":   func(p *psbt.Packet) { p.Unknown[0].Key = []byte{0x0a} },
		"another script":  func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO = &types.TxOut{ScriptPubKey: bob.script} },
		"an amount":       func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO = &types.TxOut{Value: 1, ScriptPubKey: alice.script} },
		"an output":       func(p *psbt.Packet) { p.Outputs[0].Value = 1 },
		"no inputs":       func(p *psbt.Packet) { p.Inputs = nil },
		"an open coin":    func(p *psbt.Packet) { open := uint32(0x82); p.Inputs[1].SighashType = &open },
		"nothing spent":   func(p *psbt.Packet) { p.Inputs[0].WitnessUTXO = nil },
	} {
		p := final("hello", alice, bob)
		change(p)
		if script, text, ok := FromPacket(p); ok {
			t.Errorf("%s: %q of %x", name, text, script)
		}
		if _, err := FromFinal(p); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unsigned := final("hello", alice)
	unsigned.Inputs[0].FinalWitness = nil
	if _, err := FromFinal(unsigned); !errors.Is(err, psbt.ErrIncomplete) {
		t.Errorf("unsigned: %v", err)
	}
}
