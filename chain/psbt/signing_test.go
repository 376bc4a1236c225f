package psbt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// described is a PSBT that spends an output of a descriptor, with all that the descriptor
// knows.
func described(t *testing.T, text string) *Packet {
	t.Helper()
	d, err := descriptor.Parse(text, descriptor.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := d.Outputs(0)
	if err != nil {
		t.Fatal(err)
	}
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}, Sequence: 10}}, Outputs: []types.TxOut{{Value: 900, ScriptPubKey: outputs[0].ScriptPubKey}}}
	p := New(tx, 2)
	p.Inputs[0].WitnessUTXO = &types.TxOut{Value: 1000, ScriptPubKey: outputs[0].ScriptPubKey}
	p.Inputs[0].Learn(SpendingOf(&outputs[0]))
	p.Outputs[0].Learn(SpendingOf(&outputs[0]))
	if p, err = Decode(encode(t, p)); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p person) compressed() string { return hex.EncodeToString(p.key.PubKey().SerializeCompressed()) }

func tweak(key *btcec.PrivateKey, root []byte) *btcec.PrivateKey {
	secret, public := key.Key, key.PubKey().SerializeCompressed()
	if public[0] == 3 {
		secret.Negate()
	}
	var add btcec.ModNScalar
	hash := taproot.TweakHash([32]byte(public[1:]), root)
	add.SetBytes(&hash)
	secret.Add(&add)
	return btcec.PrivKeyFromScalar(&secret)
}

// signSingles adds the signatures of people by their own keys.
func signSingles(t *testing.T, p *Packet, people ...person) (added int) {
	t.Helper()
	s, err := NewSigning(p)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Wanted(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		for _, who := range people {
			if who.xonly() != list[i].Key {
				continue
			}
			key := who.key
			if list[i].Tweaked {
				key = tweak(key, list[i].MerkleRoot)
			}
			sig, err := schnorr.Sign(key, list[i].Message[:])
			if err != nil {
				t.Fatal(err)
			}
			wrong := [64]byte(sig.Serialize())
			wrong[40] ^= 1
			if s.Add(&list[i], &wrong) == nil {
				t.Error("a wrong signature was taken")
			}
			if err := s.Add(&list[i], (*[64]byte)(sig.Serialize())); err != nil {
				t.Fatal(err)
			}
			added++
		}
	}
	return added
}

// TestSigning: who has the keys finds everything in the packet that he needs to sign, on the
// key path and in leaves.
func TestSigning(t *testing.T) {
	a, b, c := newPerson(1), newPerson(2), newPerson(3)
	text := fmt.Sprintf("tr(%x,{multi_a(2,%x,%x),and_v(v:pkh(%s),older(10))})", a.xonly(), b.xonly(), c.xonly(), c.compressed())
	for _, test := range []struct {
		people []person
		added  int
		final  bool
	}{{[]person{a}, 1, true}, {[]person{b}, 1, false}, {[]person{b, c}, 3, true}, {[]person{c}, 2, true}} {
		for _, hashType := range []uint32{taproot.SigHashDefault, taproot.SigHashAll} {
			p := described(t, text)
			p.Inputs[0].SighashType = &hashType
			if added := signSingles(t, p, test.people...); added != test.added {
				t.Errorf("%d signatures, want %d", added, test.added)
			}
			if again := signSingles(t, p, test.people...); again != 0 {
				t.Errorf("%d signatures are made twice", again)
			}
			if got := p.Finalize(); got != test.final {
				t.Errorf("%d people: final %t", len(test.people), got)
			}
		}
	}
}

// TestSigningMuSig: participants find their part, on the key path with a tree and in a leaf.
func TestSigningMuSig(t *testing.T) {
	a, b, c := newPerson(1), newPerson(2), newPerson(3)
	for _, text := range []string{
		fmt.Sprintf("tr(musig(%s,%s))", a.compressed(), b.compressed()),
		fmt.Sprintf("tr(musig(%s,%s),pk(%x))", b.compressed(), a.compressed(), c.xonly()),
		fmt.Sprintf("tr(%x,pk(musig(%s,%s)))", c.xonly(), a.compressed(), b.compressed()),
		fmt.Sprintf("rawtr(musig(%s,%s))", a.compressed(), b.compressed()),
	} {
		p := described(t, text)
		s, err := NewSigning(p)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.WantedMuSig(0)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %d signatures, %v", text, len(list), err)
		}
		w := &list[0]
		public := map[[33]byte][66]byte{}
		var nonces [][66]byte
		var drawn []*musig2.Nonces
		var keys []*btcec.PublicKey
		owners := []person{}
		for _, participant := range w.Participants {
			who := a
			if participant != [33]byte(a.key.PubKey().SerializeCompressed()) {
				who = b
			}
			n, err := musig2.GenNonces(musig2.WithPublicKey(who.key.PubKey()))
			if err != nil {
				t.Fatal(err)
			}
			drawn, nonces, keys, owners = append(drawn, n), append(nonces, n.PubNonce), append(keys, who.key.PubKey()), append(owners, who)
			public[participant] = n.PubNonce
			p.Inputs[0].MuSigNonces = append(p.Inputs[0].MuSigNonces, MuSigNonce{w.ID(participant), n.PubNonce})
		}
		if got := p.Inputs[0].Nonces(w); len(got) != 2 || got[w.Participants[1]] != public[w.Participants[1]] {
			t.Errorf("nonces %v", got)
		}
		sum, err := musig2.AggregateNonces(nonces)
		if err != nil {
			t.Fatal(err)
		}
		for i, who := range owners {
			part, err := musig2.Sign(drawn[i].SecNonce, who.key, sum, keys, w.Message, musig2.WithTweaks(w.Tweaks...))
			if err != nil {
				t.Fatal(err)
			}
			var raw bytes.Buffer
			if err := part.Encode(&raw); err != nil {
				t.Fatal(err)
			}
			id := w.ID(w.Participants[i])
			if p.Inputs[0].HasPartial(id) {
				t.Error("signed before it was")
			}
			p.Inputs[0].MuSigPartialSigs = append(p.Inputs[0].MuSigPartialSigs, MuSigPartialSig{id, [32]byte(raw.Bytes())})
		}
		if !p.Finalize() {
			t.Errorf("%s: not final", text)
		}
	}
}

// TestContradictions: a packet that says what is not so is found out before anybody signs it.
func TestContradictions(t *testing.T) {
	a, b, c := newPerson(1), newPerson(2), newPerson(3)
	text := fmt.Sprintf("tr(%x,{pk(%x),pk(musig(%s,%s))})", a.xonly(), c.xonly(), a.compressed(), b.compressed())
	for name, spoil := range map[string]func(in *Input){
		"unknown":            func(in *Input) { in.WitnessUTXO = nil },
		"two amounts":        otherAmount,
		"another key":        func(in *Input) { in.TapInternalKey = &[32]byte{31: 1} },
		"another root":       func(in *Input) { in.TapMerkleRoot = &[32]byte{1} },
		"another leaf":       func(in *Input) { in.TapScripts[0].ControlBlocks[0][40] ^= 1 },
		"no such type":       func(in *Input) { in.SighashType = new(uint32); *in.SighashType = 0x155 },
		"type without a sig": func(in *Input) { in.SighashType = new(uint32); *in.SighashType = 0x55 },
		"other people": func(in *Input) {
			in.MuSigParticipants[0].Participants[0] = [33]byte(c.key.PubKey().SerializeCompressed())
		},
	} {
		p := described(t, text)
		in := &p.Inputs[0]
		in.TapScripts = slices.Clone(in.TapScripts)
		spoil(in)
		s, err := NewSigning(p)
		if err == nil {
			_, err = s.Wanted(0)
		}
		if err == nil {
			_, err = s.WantedMuSig(0)
		}
		if !errors.Is(err, ErrContradiction) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherAmount puts a transaction beside the output that is spent, which says another amount.
func otherAmount(in *Input) {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{*in.WitnessUTXO}}
	tx.Outputs[0].Value++
	in.NonWitnessUTXO, in.PreviousOutPoint = tx, types.OutPoint{TxID: tx.TxID()}
}
