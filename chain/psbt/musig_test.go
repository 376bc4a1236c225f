package psbt

import (
	"bytes"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr/musig2"

	"github.com/karatcoin/karat/chain/taproot"
)

// TestMuSigSigners: two people sign by MuSig2, on the key path and in a leaf, by their
// aggregate or by a key derived from it.
func TestMuSigSigners(t *testing.T) {
	alice, bob, carol := newPerson(1), newPerson(2), newPerson(3)
	people := []person{alice, bob}
	keys := []*btcec.PublicKey{alice.key.PubKey(), bob.key.PubKey()}
	whole, _, _, err := musig2.AggregateKeys(keys, false)
	if err != nil {
		t.Fatal(err)
	}
	aggregate := [33]byte(whole.FinalKey.SerializeCompressed())
	id := KeyID(aggregate[:])
	for _, path := range [][]uint32{nil, {1, 7}} {
		var along []musig2.KeyTweakDesc
		key := [32]byte(aggregate[1:])
		if path != nil {
			// Which key is at the end of the path is seen from the tweaks.
			along, _ = derivationTweaks(aggregate[:], path, [32]byte{})
			derived, _, _, err := musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(along...))
			if err != nil {
				t.Fatal(err)
			}
			key = [32]byte(derived.FinalKey.SerializeCompressed()[1:])
		}
		for _, inLeaf := range []bool{false, true} {
			leaf := script(key, taproot.OpCheckSig)
			internal := carol.xonly()
			if !inLeaf {
				internal = key
			}
			l := newLabOf(t, 2, internal, [][]byte{leaf})
			in := &l.Inputs[0]
			in.TapDerivations = []TapDerivation{{Key: key, Origin: KeyOrigin{Fingerprint: [4]byte(id[:4]), Path: path}}}
			in.MuSigParticipants = []MuSigParticipants{{Aggregate: aggregate, Participants: [][33]byte{[33]byte(keys[0].SerializeCompressed()), [33]byte(keys[1].SerializeCompressed())}}}
			tweaks, message := along, [32]byte{}
			if inLeaf {
				message = l.message(0, 0, leaf)
			} else {
				root := taproot.LeafHash(taproot.LeafVersionTapscript, leaf)
				in.TapMerkleRoot = &root
				tweaks = append(tweaks[:len(tweaks):len(tweaks)], musig2.KeyTweakDesc{Tweak: taproot.TweakHash(internal, root[:]), IsXOnly: true})
				message = l.message(0, 0, nil)
			}
			l.signTogether(people, keys, tweaks, message, inLeaf, leaf)
			one := l.passed()
			one.Inputs[0].MuSigPartialSigs = one.Inputs[0].MuSigPartialSigs[:1]
			if one.Finalize() {
				t.Error("final with one of two")
			}
			wrong := l.passed()
			wrong.Inputs[0].MuSigPartialSigs[0].Signature[5] ^= 1
			if wrong.Finalize() {
				t.Error("final with a wrong partial signature")
			}
			if p := l.passed(); !p.Finalize() {
				t.Errorf("path %v, in a leaf %t: not final", path, inLeaf)
			}
		}
	}
}

// signTogether adds the nonces and the partial signatures of all.
func (l *lab) signTogether(people []person, keys []*btcec.PublicKey, tweaks []musig2.KeyTweakDesc, message [32]byte, inLeaf bool, leaf []byte) {
	l.t.Helper()
	final, _, _, err := musig2.AggregateKeys(keys, false, musig2.WithKeyTweaks(tweaks...))
	if err != nil {
		l.t.Fatal(err)
	}
	in := &l.Inputs[0]
	var nonces []*musig2.Nonces
	var public [][66]byte
	for i := range people {
		n, err := musig2.GenNonces(musig2.WithPublicKey(keys[i]))
		if err != nil {
			l.t.Fatal(err)
		}
		nonces, public = append(nonces, n), append(public, n.PubNonce)
	}
	together, err := musig2.AggregateNonces(public)
	if err != nil {
		l.t.Fatal(err)
	}
	for i, p := range people {
		id := MuSigID{Participant: [33]byte(keys[i].SerializeCompressed()), Aggregate: [33]byte(final.FinalKey.SerializeCompressed())}
		if inLeaf {
			id.LeafHash = taproot.LeafHash(taproot.LeafVersionTapscript, leaf)
		}
		partial, err := musig2.Sign(nonces[i].SecNonce, p.key, together, keys, message, musig2.WithTweaks(tweaks...))
		if err != nil {
			l.t.Fatal(err)
		}
		var s bytes.Buffer
		if err := partial.Encode(&s); err != nil {
			l.t.Fatal(err)
		}
		in.MuSigNonces = append(in.MuSigNonces, MuSigNonce{id, public[i]})
		in.MuSigPartialSigs = append(in.MuSigPartialSigs, MuSigPartialSig{id, [32]byte(s.Bytes())})
	}
}

// TestMuSigBounds: many signatures by keys that are derived, each of which would have to be
// derived anew, take no more time than the bound says.
func TestMuSigBounds(t *testing.T) {
	alice := newPerson(1)
	leaf := script(alice.xonly(), taproot.OpCheckSig)
	l := newLab(t, 2, alice, [][]byte{leaf})
	in := &l.Inputs[0]
	aggregate := [33]byte(alice.key.PubKey().SerializeCompressed())
	id := KeyID(aggregate[:])
	for i := range 6000 {
		key := [32]byte{byte(i), byte(i >> 8), 1}
		sig := MuSigID{Participant: aggregate, Aggregate: [33]byte(append([]byte{2}, key[:]...)), LeafHash: key}
		in.MuSigNonces = append(in.MuSigNonces, MuSigNonce{MuSigID: sig})
		in.MuSigPartialSigs = append(in.MuSigPartialSigs, MuSigPartialSig{MuSigID: sig})
		in.MuSigParticipants = append(in.MuSigParticipants, MuSigParticipants{Aggregate: aggregate, Participants: [][33]byte{aggregate}})
		in.TapDerivations = append(in.TapDerivations, TapDerivation{Key: key, Origin: KeyOrigin{Fingerprint: [4]byte(id[:4]), Path: []uint32{1, 2}}})
	}
	s, err := newSpender(l.Packet)
	if err != nil {
		t.Fatal(err)
	}
	s.aggregate(0)
	if s.aggregated < maxAggregated || s.aggregated > 2*maxAggregated || s.matched > maxMatched+len(in.MuSigPartialSigs) {
		t.Errorf("%d keys and %d matches were counted", s.aggregated, s.matched)
	}
}
