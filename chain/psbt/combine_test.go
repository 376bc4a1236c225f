package psbt

import (
	"bytes"
	"testing"
)

// Two parts can say different things by one key: of an extended key where it comes from, of a
// control block which leaf it proves. A PSBT has each key once, or nobody can read it.
func TestCombineKeepsTheFirstOfEachKey(t *testing.T) {
	l := newLab(t, 0, newPerson(1), [][]byte{{0x51}, {0x52}})
	a, b := l.Packet.clone(), l.Packet.clone()
	var key [78]byte
	copy(key[45:], newPerson(2).key.PubKey().SerializeCompressed())
	a.XPubs = []XPub{{Key: key, Origin: KeyOrigin{Fingerprint: [4]byte{9}}}}
	b.XPubs = []XPub{{Key: key, Origin: KeyOrigin{Fingerprint: [4]byte{1}, Path: []uint32{7}}}}
	block := append([]byte{0xc0}, bytes.Repeat([]byte{3}, 32)...)
	a.Inputs[0].TapScripts = []TapScript{{Script: []byte{0x52}, LeafVersion: 0xc0, ControlBlocks: [][]byte{block}}}
	b.Inputs[0].TapScripts = []TapScript{{Script: []byte{0x51}, LeafVersion: 0xc0, ControlBlocks: [][]byte{block}}}
	for _, parts := range [][]*Packet{{a, b}, {b, a}} {
		both, err := Combine(parts)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(encode(t, both))
		if err != nil {
			t.Fatalf("what was combined is not read: %v", err)
		}
		if got, want := read.XPubs[0].Origin.Fingerprint, parts[0].XPubs[0].Origin.Fingerprint; len(read.XPubs) != 1 || got != want {
			t.Errorf("%d extended keys, the first of %x, want that of %x", len(read.XPubs), got, want)
		}
		if leaves := read.Inputs[0].TapScripts; len(leaves) != 1 || !bytes.Equal(leaves[0].Script, parts[0].Inputs[0].TapScripts[0].Script) {
			t.Errorf("leaves %x, want the first part's", leaves)
		}
	}
}
