package psbt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
)

// scriptOf returns the script of a miniscript expression, in which letters in angle
// brackets stand for people's keys.
func scriptOf(t *testing.T, text string, people map[string]person) []byte {
	t.Helper()
	for name, p := range people {
		x := p.xonly()
		text = strings.ReplaceAll(text, "<"+name+">", hex.EncodeToString(x[:]))
	}
	d, err := descriptor.Parse("tr("+"50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0,"+text+")", descriptor.Keys{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	outputs, err := d.Outputs(0)
	if err != nil {
		t.Fatal(err)
	}
	return outputs[0].Leaves[0].Script
}

// TestMiniscriptLeaves: whatever miniscript a leaf is, it is final when those have signed
// whom it asks for, with the locks and preimages that it asks for.
func TestMiniscriptLeaves(t *testing.T) {
	people := map[string]person{"A": newPerson(1), "B": newPerson(2), "C": newPerson(3)}
	secret := bytes.Repeat([]byte{7}, 32)
	hash := sha256.Sum256(secret)
	h := hex.EncodeToString(hash[:])
	for _, c := range []struct {
		text     string
		signers  string
		lockTime uint32
		sequence uint32
		preimage bool
		good     bool
	}{
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(10)))", "A", 0, 0, false, true},
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(10)))", "B", 0, 10, false, true},
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(10)))", "B", 0, 9, false, false},
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(10)))", "B", 0, 1<<22 | 10, false, false},
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(4194314)))", "B", 0, 1<<22 | 10, false, true},
		{"or_d(pk(<A>),and_v(v:pkh(<B>),older(10)))", "B", 0, 1<<31 | 10, false, false},
		{"thresh(2,pk(<A>),s:pk(<B>),sln:after(100))", "B", 100, 0, false, true},
		{"thresh(2,pk(<A>),s:pk(<B>),sln:after(100))", "B", 99, 0, false, false},
		{"thresh(2,pk(<A>),s:pk(<B>),sln:after(100))", "B", 500_000_100, 0, false, false},
		{"thresh(2,pk(<A>),s:pk(<B>),sln:after(100))", "B", 100, 0xffffffff, false, false},
		{"thresh(2,pk(<A>),s:pk(<B>),sln:after(100))", "AB", 0, 0, false, true},
		{"andor(pk(<A>),sha256(" + h + "),and_v(v:pk(<B>),older(5)))", "A", 0, 0, true, true},
		{"andor(pk(<A>),sha256(" + h + "),and_v(v:pk(<B>),older(5)))", "A", 0, 0, false, false},
		{"andor(pk(<A>),sha256(" + h + "),and_v(v:pk(<B>),older(5)))", "B", 0, 5, false, true},
		{"t:or_c(pk(<A>),and_v(v:pk(<B>),or_c(pk(<C>),v:sha256(" + h + "))))", "BC", 0, 0, false, true},
		{"t:or_c(pk(<A>),and_v(v:pk(<B>),or_c(pk(<C>),v:sha256(" + h + "))))", "B", 0, 0, false, false},
		{"and_b(multi_a(2,<A>,<B>),a:or_i(pk(<C>),older(3)))", "AB", 0, 3, false, true},
		{"or_b(pk(<A>),s:pk(<B>))", "C", 0, 0, false, false},
		{"or_b(pk(<A>),s:pk(<B>))", "AB", 0, 0, false, true},
	} {
		leaf := scriptOf(t, c.text, people)
		nobody := newPerson(9)
		l := newLab(t, 2, nobody, [][]byte{leaf})
		l.FallbackLockTime, l.Inputs[0].Sequence = &c.lockTime, &c.sequence
		for _, name := range strings.Split(c.signers, "") {
			l.signLeaf(0, leaf, people[name])
		}
		for _, p := range people {
			l.Inputs[0].TapDerivations = append(l.Inputs[0].TapDerivations, TapDerivation{Key: p.xonly(), LeafHashes: [][32]byte{taproot.LeafHash(taproot.LeafVersionTapscript, leaf)}})
		}
		if c.preimage {
			l.Inputs[0].Preimages[SHA256] = []Preimage{{Hash: hash[:], Preimage: secret}}
		}
		p := l.passed()
		if got := p.Finalize(); got != c.good {
			t.Errorf("%s by %s at %d, %d: final %t", c.text, c.signers, c.lockTime, c.sequence, got)
		}
		if _, err := p.Extract(); (err == nil) != c.good {
			t.Errorf("%s by %s: %v", c.text, c.signers, err)
		}
	}
}

// TestCheapestLeaf: of two leaves that are satisfied the smaller witness is taken, and leaves
// that nobody can read stand in nobody's way.
func TestCheapestLeaf(t *testing.T) {
	alice, bob := newPerson(1), newPerson(2)
	both, one := multiA(2, alice, bob), script(alice.xonly(), taproot.OpCheckSig)
	l := newLab(t, 2, bob, [][]byte{both, one})
	l.signLeaf(0, both, alice, bob)
	l.signLeaf(0, one, alice)
	block := bytes.Clone(l.Inputs[0].TapScripts[0].ControlBlocks[0])
	block[5] ^= 1
	l.Inputs[0].TapScripts = append(l.Inputs[0].TapScripts, TapScript{Script: []byte{taproot.OpEndIf}, LeafVersion: taproot.LeafVersionTapscript, ControlBlocks: [][]byte{block}})
	p := l.passed()
	if !p.Finalize() || len(p.Inputs[0].FinalWitness) != 3 {
		t.Errorf("the witness is %x", p.Inputs[0].FinalWitness)
	}
}

// TestLeafBounds: many leaves that take long to read or to satisfy end soon.
func TestLeafBounds(t *testing.T) {
	alice := newPerson(1)
	x := alice.xonly()
	dear := append([]byte{0}, bytes.Repeat([]byte{taproot.OpToAltStack, 0, taproot.OpFromAltStack, taproot.OpAdd}, 700)...)
	dear = append(dear, taproot.Op1, taproot.OpEqualVerify)
	dear = append(append(dear, 32), append(x[:], taproot.OpCheckSig)...)
	l := newLab(t, 2, alice, [][]byte{dear})
	for i := range 400 {
		more := l.Inputs[0].TapScripts[0]
		more.Script = bytes.Clone(more.Script)
		binary.BigEndian.PutUint16(more.Script[len(more.Script)-3:], uint16(i)) // another key
		l.Inputs[0].TapScripts = append(l.Inputs[0].TapScripts, more)
	}
	s, err := newSpender(l.Packet)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.cheapestLeaf(0); got != nil || s.leafSteps > 0 {
		t.Errorf("%x: %d steps are left", got, s.leafSteps)
	}
}
