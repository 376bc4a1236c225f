package psbt

import (
	"fmt"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
)

// TestDropWrong: whoever adds a wrong signature does not hold up a payment that enough others
// have signed, and does not keep the owner of a key from signing.
func TestDropWrong(t *testing.T) {
	a, b, c, d := newPerson(1), newPerson(2), newPerson(3), newPerson(4)
	text := fmt.Sprintf("tr(%x,multi_a(2,%x,%x,%x))", a.xonly(), b.xonly(), c.xonly(), d.xonly())
	spoil := func(signature []byte) { signature[40] ^= 1 }
	t.Run("one of three", func(t *testing.T) {
		p := described(t, text)
		signSingles(t, p, b, c, d)
		if dropped := p.DropWrong(); len(dropped) != 0 {
			t.Fatalf("right ones are dropped: %+v", dropped)
		}
		bad := p.Inputs[0].TapScriptSigs[0]
		spoil(bad.Signature)
		if dropped := p.DropWrong(); len(dropped) != 1 || dropped[0].Key != bad.Key || *dropped[0].Leaf != bad.LeafHash || len(p.Inputs[0].TapScriptSigs) != 2 {
			t.Errorf("dropped %+v", dropped)
		}
		if !p.Finalize() {
			t.Error("two of three do not suffice")
		}
	})
	t.Run("of another hash type", func(t *testing.T) {
		p := described(t, text)
		signSingles(t, p, b, c, d)
		other := &p.Inputs[0].TapScriptSigs[1]
		other.Signature = append(other.Signature, taproot.SigHashAll)
		if dropped := p.DropWrong(); len(dropped) != 1 || !p.Finalize() {
			t.Errorf("dropped %+v", dropped)
		}
	})
	t.Run("on the key path", func(t *testing.T) {
		p := described(t, text)
		signSingles(t, p, a)
		spoil(p.Inputs[0].TapKeySig)
		if dropped := p.DropWrong(); len(dropped) != 1 || dropped[0].Key != a.xonly() || dropped[0].Leaf != nil {
			t.Errorf("dropped %+v", dropped)
		}
		if added := signSingles(t, p, a); added != 1 || !p.Finalize() {
			t.Errorf("%d signatures are made in its place", added)
		}
		p.Inputs[0].FinalWitness = [][]byte{make([]byte, 64)}
		if dropped := p.DropWrong(); len(dropped) != 1 || !dropped[0].Final || p.Inputs[0].IsFinal() {
			t.Errorf("a final witness: dropped %+v", dropped)
		}
	})
	t.Run("of what is unknown", func(t *testing.T) {
		p := described(t, text)
		signSingles(t, p, a)
		spoil(p.Inputs[0].TapKeySig)
		p.Inputs[0].WitnessUTXO = nil
		if dropped := p.DropWrong(); dropped != nil {
			t.Errorf("dropped %+v", dropped)
		}
	})
}

// TestModifiable: the flags say what a signature forbids to change (BIP370).
func TestModifiable(t *testing.T) {
	a := newPerson(1)
	for hashType, want := range map[uint32]uint8{
		taproot.SigHashDefault:                              0,
		taproot.SigHashAll:                                  0,
		taproot.SigHashNone:                                 OutputsModifiable,
		taproot.SigHashSingle:                               HasSighashSingle,
		taproot.SigHashAll | taproot.SigHashAnyoneCanPay:    InputsModifiable,
		taproot.SigHashNone | taproot.SigHashAnyoneCanPay:   InputsModifiable | OutputsModifiable,
		taproot.SigHashSingle | taproot.SigHashAnyoneCanPay: InputsModifiable | HasSighashSingle,
	} {
		p := described(t, fmt.Sprintf("tr(%x)", a.xonly()))
		flags := uint8(InputsModifiable | OutputsModifiable)
		p.Modifiable, p.Inputs[0].SighashType = &flags, &hashType
		if added := signSingles(t, p, a); added != 1 || *p.Modifiable != want {
			t.Errorf("hash type %#x: flags %b, want %b", hashType, *p.Modifiable, want)
		}
		if flags != InputsModifiable|OutputsModifiable {
			t.Error("what the caller has is changed")
		}
	}
}
