package psbt

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// crowded is an input that spends an output of one leaf, which has some bytes before a key.
func crowded(t *testing.T, size int) (p *Packet, leaf, key [32]byte) {
	t.Helper()
	key = [32]byte{0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07, 0x8a, 0x5a, 0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0}
	script := append(append(make([]byte, size), 32), key[:]...)
	leaf = taproot.LeafHash(taproot.LeafVersionTapscript, script)
	output, parity, err := taproot.OutputKey(key, leaf[:])
	if err != nil {
		t.Fatal(err)
	}
	p = New(&types.Tx{Version: 2, Inputs: []types.TxIn{{}}, Outputs: []types.TxOut{{Value: 1}}}, 2)
	in := &p.Inputs[0]
	in.WitnessUTXO = &types.TxOut{Value: 2, ScriptPubKey: taproot.OutputScript(output)}
	in.TapScripts = []TapScript{{script, taproot.LeafVersionTapscript, [][]byte{append([]byte{taproot.LeafVersionTapscript | parity}, key[:]...)}}}
	return p, leaf, key
}

func numbered(i int) (h [32]byte) {
	binary.BigEndian.PutUint64(h[:], uint64(i))
	return h
}

// TestCrowdedInput: an input may name leaves and keys as often as it has bytes. Each leaf is
// read once: for each name it would take minutes.
func TestCrowdedInput(t *testing.T) {
	p, leaf, key := crowded(t, 1_000_000)
	in := &p.Inputs[0]
	d := TapDerivation{Key: key, LeafHashes: [][32]byte{leaf}}
	for i := range 50_000 {
		d.LeafHashes = append(d.LeafHashes, numbered(i))
		in.TapDerivations = append(in.TapDerivations, TapDerivation{Key: numbered(i), LeafHashes: [][32]byte{leaf}})
	}
	in.TapDerivations = append(in.TapDerivations, d)
	s, err := NewSigning(p)
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Wanted(0)
	if err != nil || len(list) != 1 || list[0].Key != key || *list[0].LeafHash != leaf {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestCrowdedProofs: more control blocks, or more keys beside more aggregates, than any payment
// has are refused.
func TestCrowdedProofs(t *testing.T) {
	p, leaf, key := crowded(t, 10)
	p.Inputs[0].TapDerivations = []TapDerivation{{Key: key, LeafHashes: [][32]byte{leaf}}}
	s, err := NewSigning(p)
	if err != nil {
		t.Fatal(err)
	}
	s.s.proofs = maxProofs
	if _, err := s.Wanted(0); !errors.Is(err, ErrContradiction) {
		t.Errorf("control blocks: %v", err)
	}
	in := &p.Inputs[0]
	for i := range 1001 {
		in.TapDerivations = append(in.TapDerivations, TapDerivation{Key: numbered(i)})
		m := MuSigParticipants{Aggregate: [33]byte{2}}
		h := numbered(i)
		copy(m.Aggregate[1:], h[:])
		in.MuSigParticipants = append(in.MuSigParticipants, m)
	}
	if s, err = NewSigning(p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WantedMuSig(0); !errors.Is(err, ErrContradiction) {
		t.Errorf("aggregates: %v", err)
	}
}
