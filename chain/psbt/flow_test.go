package psbt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const allMoney = types.Amount(21_000_000 * types.GrainsPerCoin)

// person is somebody with a key.
type person struct{ key *btcec.PrivateKey }

func newPerson(seed byte) person {
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{seed}, 32))
	return person{key}
}

func (p person) xonly() [32]byte { return [32]byte(schnorr.SerializePubKey(p.key.PubKey())) }

func (p person) sign(t *testing.T, message [32]byte) []byte {
	t.Helper()
	sig, err := schnorr.Sign(p.key, message[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig.Serialize()
}

// lab is a PSBT with one input for each tree, of one coin each, and one output.
type lab struct {
	*Packet
	t     *testing.T
	utxos []types.TxOut
}

// newLab takes the leaves of each output, of which the first two are siblings.
func newLab(t *testing.T, version uint32, internal person, outputs ...[][]byte) *lab {
	t.Helper()
	return newLabOf(t, version, internal.xonly(), outputs...)
}

// newLabOf is newLab with an internal key that may be nobody's.
func newLabOf(t *testing.T, version uint32, internal [32]byte, outputs ...[][]byte) *lab {
	t.Helper()
	l := &lab{t: t}
	tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: taproot.OutputScript(internal)}}}
	type tree struct {
		root   []byte
		parity byte
	}
	var trees []tree
	for i, leaves := range outputs {
		var root []byte
		switch len(leaves) {
		case 1:
			h := taproot.LeafHash(taproot.LeafVersionTapscript, leaves[0])
			root = h[:]
		case 2:
			h := taproot.BranchHash(taproot.LeafHash(taproot.LeafVersionTapscript, leaves[0]), taproot.LeafHash(taproot.LeafVersionTapscript, leaves[1]))
			root = h[:]
		}
		key, parity, err := taproot.OutputKey(internal, root)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree{root, parity})
		l.utxos = append(l.utxos, types.TxOut{Value: types.GrainsPerCoin, ScriptPubKey: taproot.OutputScript(key)})
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: types.OutPoint{TxID: types.Hash{byte(i + 1)}}, Sequence: 10})
	}
	l.Packet = New(tx, version)
	for i, leaves := range outputs {
		in := &l.Inputs[i]
		in.WitnessUTXO = &l.utxos[i]
		key := internal
		in.TapInternalKey = &key
		for j, script := range leaves {
			block := append([]byte{taproot.LeafVersionTapscript | trees[i].parity}, key[:]...)
			if len(leaves) == 2 {
				h := taproot.LeafHash(taproot.LeafVersionTapscript, leaves[1-j])
				block = append(block, h[:]...)
			}
			in.TapScripts = append(in.TapScripts, TapScript{Script: script, LeafVersion: taproot.LeafVersionTapscript, ControlBlocks: [][]byte{block}})
		}
	}
	return l
}

// message is what a signature of an input signs, in a leaf or, if it is nil, on the key path.
func (l *lab) message(i int, hashType byte, leaf []byte) [32]byte {
	l.t.Helper()
	tx, err := l.UnsignedTx()
	if err != nil {
		l.t.Fatal(err)
	}
	var path *taproot.ScriptPath
	if leaf != nil {
		path = &taproot.ScriptPath{LeafHash: taproot.LeafHash(taproot.LeafVersionTapscript, leaf), CodeSeparator: taproot.NoCodeSeparator}
	}
	m, err := taproot.NewContext(tx, l.utxos).SignatureHash(i, hashType, nil, path)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

func (l *lab) signLeaf(i int, leaf []byte, who ...person) {
	for _, p := range who {
		l.Inputs[i].TapScriptSigs = append(l.Inputs[i].TapScriptSigs, TapScriptSig{
			Key: p.xonly(), LeafHash: taproot.LeafHash(taproot.LeafVersionTapscript, leaf), Signature: p.sign(l.t, l.message(i, 0, leaf)),
		})
	}
}

// script writes a script: numbers are opcodes, bytes are pushed.
func script(parts ...any) (s []byte) {
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			s = append(s, byte(part))
		case [32]byte:
			s = append(append(s, 32), part[:]...)
		}
	}
	return s
}

func multiA(k int, keys ...person) []byte {
	s := script(keys[0].xonly(), taproot.OpCheckSig)
	for _, p := range keys[1:] {
		s = append(s, script(p.xonly(), taproot.OpCheckSigAdd)...)
	}
	return append(s, script(taproot.Op1-1+k, taproot.OpNumEqual)...)
}

// passed is the PSBT as the next one gets it.
func (l *lab) passed() *Packet {
	l.t.Helper()
	p, err := Decode(encode(l.t, l.Packet))
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// TestScriptPaths: leaves are finalized when they can be, and the transaction is valid.
func TestScriptPaths(t *testing.T) {
	alice, bob, carol := newPerson(1), newPerson(2), newPerson(3)
	two := multiA(2, alice, bob, carol)
	older := script(alice.xonly(), taproot.OpCheckSigVerify, taproot.Op1+4, taproot.OpCheckSequenceVerify) // 5 blocks
	hash := sha256.Sum256(bytes.Repeat([]byte{7}, 32))
	secret := script(taproot.OpSize, 1, 32, taproot.OpEqualVerify, taproot.OpSHA256, hash, taproot.OpEqualVerify, bob.xonly(), taproot.OpCheckSig)
	for _, version := range []uint32{0, 2} {
		l := newLab(t, version, carol, [][]byte{two, older}, [][]byte{older}, [][]byte{secret})
		if a := l.Analyze(allMoney); a.Next != Updater || a.Inputs[0].IsFinal || a.Fee == nil || a.VirtualSize != 10+1+43+3*41+(2+3*66+3)/4-1 {
			t.Errorf("unsigned: %+v", a)
		}
		l.signLeaf(0, two, alice)
		if l.Finalize() || l.Inputs[0].IsFinal() {
			t.Error("final with one of two signatures")
		}
		l.signLeaf(0, two, bob, carol) // one more than needed
		l.signLeaf(1, older, alice)
		l.signLeaf(2, secret, bob)
		if l.Finalize() || !l.Inputs[0].IsFinal() || !l.Inputs[1].IsFinal() || l.Inputs[2].IsFinal() {
			t.Error("not the first two are final, but lack nothing, or the third")
		}
		if _, err := l.Extract(); !errors.Is(err, ErrIncomplete) {
			t.Errorf("extracted: %v", err)
		}
		l.Inputs[2].Preimages[SHA256] = []Preimage{{Hash: hash[:], Preimage: bytes.Repeat([]byte{7}, 32)}}
		if a := l.passed().Analyze(allMoney); a.Next != Finalizer || a.Inputs[0].Next != Extractor {
			t.Errorf("signed: %+v", a)
		}
		p := l.passed()
		if !p.Finalize() {
			t.Fatal("not complete")
		}
		if w := p.Inputs[0].FinalWitness; len(w) != 5 || len(w[0]) == 0 || len(w[1]) == 0 || len(w[2]) != 0 {
			t.Errorf("the witness %x is not of the last two keys", w)
		}
		checkPacket(t, p)
		tx, err := p.Extract()
		if err != nil || tx.TxID() == (types.Hash{}) || !tx.HasWitness() {
			t.Errorf("extracted: %v", err)
		}
	}
}

// TestKeyPath: a signature that is right ends the input, and no other one does.
func TestKeyPath(t *testing.T) {
	alice := newPerson(4)
	leaf := script(alice.xonly(), taproot.OpCheckSig)
	for _, hashType := range []byte{taproot.SigHashDefault, taproot.SigHashAll, taproot.SigHashSingle | taproot.SigHashAnyoneCanPay} {
		// The output pays to the key itself, so that it signs.
		l := newLab(t, 2, alice, [][]byte{leaf})
		l.utxos[0].ScriptPubKey = taproot.OutputScript(alice.xonly())
		sig := alice.sign(t, l.message(0, hashType, nil))
		in := &l.Inputs[0]
		if hashType != taproot.SigHashDefault {
			wanted := uint32(hashType)
			sig, in.SighashType = append(sig, hashType), &wanted
		}
		in.TapKeySig = append([]byte{^sig[0]}, sig[1:]...)
		if l.Finalize() {
			t.Fatalf("%#x: a wrong signature is final", hashType)
		}
		in.TapKeySig = sig
		saved := in.SighashType
		other := uint32(taproot.SigHashNone)
		if in.SighashType = &other; l.Finalize() {
			t.Fatalf("%#x: a signature of another hash type is final", hashType)
		}
		in.SighashType = saved
		if !l.Finalize() || len(in.FinalWitness) != 1 {
			t.Fatalf("%#x: not final", hashType)
		}
		if a := l.Analyze(allMoney); a.Next != Extractor || !a.Inputs[0].IsFinal {
			t.Errorf("%+v", a)
		}
	}
}

// TestAnchor: an anchor is final whatever is known of the other inputs, since it signs nothing.
func TestAnchor(t *testing.T) {
	alice := newPerson(4)
	leaf := script(alice.xonly(), taproot.OpCheckSig)
	l := newLab(t, 2, alice, [][]byte{leaf}, [][]byte{leaf})
	l.utxos[0].ScriptPubKey = []byte{taproot.Op1, 2, 0x4e, 0x73}
	l.Inputs[1].WitnessUTXO = nil
	if a := l.Analyze(allMoney); a.Next != Updater || !a.Inputs[0].IsFinal || a.Inputs[1].IsFinal {
		t.Errorf("%+v", a)
	}
	l.Inputs[0].FinalScriptSig = []byte{taproot.Op1}
	if a := l.Analyze(allMoney); a.Inputs[0].IsFinal {
		t.Error("an anchor is final with a scriptSig")
	}
}

// TestCombineSigners: what signers add each for himself is complete together.
func TestCombineSigners(t *testing.T) {
	alice, bob := newPerson(1), newPerson(2)
	leaf := multiA(2, alice, bob)
	parts := []*Packet{}
	for _, who := range []person{alice, bob} {
		l := newLab(t, 2, alice, [][]byte{leaf})
		l.signLeaf(0, leaf, who)
		l.Unknown = []Field{{Key: []byte{0x77, who.xonly()[0]}, Value: []byte("kept")}}
		parts = append(parts, l.passed())
	}
	for range 2 {
		p, err := Combine(parts)
		if err != nil || len(p.Unknown) != 2 || !p.Finalize() {
			t.Fatalf("not complete: %v", err)
		}
		slices.Reverse(parts)
	}
	parts[0].TxVersion = 3
	if _, err := Combine(parts); !errors.Is(err, ErrOtherTransaction) {
		t.Errorf("another transaction: %v", err)
	}
}

// TestJoin: inputs and outputs are there, and an input in two PSBTs is told.
func TestJoin(t *testing.T) {
	alice := newPerson(1)
	a, b := newLab(t, 0, alice, nil, nil).Packet, newLab(t, 0, alice, nil).Packet
	inOrder := func(int, func(i, j int)) {}
	var twice *JoinError
	if _, err := Join([]*Packet{a, b}, inOrder); !errors.As(err, &twice) || twice.OutPoint.TxID[0] != 1 {
		t.Errorf("the same input: %v", err)
	}
	b.Inputs[0].PreviousOutPoint.Index = 7
	*b.FallbackLockTime, b.TxVersion = 5, 3
	*a.FallbackLockTime = 9
	p, err := Join([]*Packet{a, b}, inOrder)
	if err != nil || len(p.Inputs) != 3 || len(p.Outputs) != 2 || p.TxVersion != 3 || *p.FallbackLockTime != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	checkPacket(t, p)
	b.Version = 2
	if _, err := Join([]*Packet{a, b}, inOrder); !errors.Is(err, ErrOtherVersion) {
		t.Errorf("version 2: %v", err)
	}
}

// TestBounds: what takes many times its bytes is refused by number.
func TestBounds(t *testing.T) {
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
	w := &writer{b: []byte(magic)}
	w.field(globalUnsignedTx, New(&types.Tx{Version: 2}, 0).stripped())
	for i := range MaxFields {
		w.carried([]Field{{Key: []byte{0x50, byte(i), byte(i >> 8), byte(i >> 16)}}})
	}
	w.separator()
	if _, err := Decode(w.b); err == nil || err.Error() != "more than 300000 fields" {
		t.Errorf("too many fields: %v", err)
	}
}

func (p *Packet) stripped() []byte {
	tx, _ := p.UnsignedTx()
	return tx.AppendStripped(nil)
}
