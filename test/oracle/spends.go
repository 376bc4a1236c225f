package oracle

import (
	"math/rand/v2"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// keyring is the fixed keys of all spends.
type keyring struct {
	private []*btcec.PrivateKey
	public  [][]byte // x only
}

func newKeyring(n int) *keyring {
	k := new(keyring)
	for i := range n {
		secret := taproot.TaggedHash("karat/oracle/key", []byte{byte(i)})
		private, public := btcec.PrivKeyFromBytes(secret[:])
		k.private = append(k.private, private)
		k.public = append(k.public, schnorr.SerializePubKey(public))
	}
	return k
}

func (k *keyring) sign(i int, message [32]byte) []byte {
	signature, err := schnorr.Sign(k.private[i], message[:], schnorr.FastSign())
	if err != nil {
		panic(err) // the keys are constants
	}
	return signature.Serialize()
}

// signTweaked signs for the output key of a key and a root.
func (k *keyring) signTweaked(i int, root []byte, message [32]byte) []byte {
	secret := k.private[i].Key
	if public := k.private[i].PubKey(); public.Y().Bit(0) == 1 {
		secret.Negate()
	}
	tweak := taproot.TweakHash([32]byte(k.public[i]), root)
	var t btcec.ModNScalar
	t.SetBytes(&tweak)
	secret.Add(&t)
	private := btcec.PrivKeyFromScalar(&secret)
	signature, err := schnorr.Sign(private, message[:], schnorr.FastSign())
	if err != nil {
		panic(err)
	}
	return signature.Serialize()
}

// witnessScript returns the script of a witness program.
func witnessScript(version int, program []byte) []byte {
	op := byte(0)
	if version > 0 {
		op = 0x50 + byte(version)
	}
	return append([]byte{op, byte(len(program))}, program...)
}

func outputScript(internal, root []byte) ([]byte, byte) {
	key, parity, err := taproot.OutputKey([32]byte(internal), root)
	if err != nil {
		panic(err) // would take a break of SHA-256
	}
	return witnessScript(1, key[:]), parity
}

// randomSpend returns a transaction whose input under test has no witness yet and
// whose prevout there is to be filled in.
func randomSpend(r *rand.Rand) *spend {
	s := &spend{}
	s.tx.Version = pick(r, 0, 1, 2, 3, 0x7fffffff, 0x80000000, r.Uint32())
	s.tx.LockTime = pick(r, 0, 1, 499_999_999, 500_000_000, 0xffffffff, uint32(r.IntN(300)))
	inputs := 1 + r.IntN(3)
	for i := range inputs {
		in := types.TxIn{Sequence: pick(r, 0, 1, 0xfffffffd, 0xffffffff, 1<<22|uint32(r.IntN(9)), 1<<31, uint32(r.IntN(70000)))}
		in.PreviousOutPoint.TxID = types.Hash(randomBytes(r, 32))
		in.PreviousOutPoint.TxID[0] = byte(i) // btcd finds prevouts by outpoint
		in.PreviousOutPoint.Index = uint32(r.IntN(4))
		s.tx.Inputs = append(s.tx.Inputs, in)
		s.prevouts = append(s.prevouts, types.TxOut{Value: types.Amount(r.IntN(1e9)), ScriptPubKey: randomScriptPubKey(r)})
	}
	for range r.IntN(4) {
		s.tx.Outputs = append(s.tx.Outputs, types.TxOut{Value: types.Amount(r.IntN(1e9)), ScriptPubKey: randomScriptPubKey(r)})
	}
	s.index = r.IntN(inputs)
	return s
}

func randomScriptPubKey(r *rand.Rand) []byte {
	switch r.IntN(4) {
	case 0:
		return witnessScript(r.IntN(17), randomBytes(r, 2+r.IntN(39)))
	case 1:
		return randomBytes(r, r.IntN(80))
	}
	return witnessScript(1, randomBytes(r, 32))
}

var hashTypes = []byte{0, 1, 2, 3, 0x81, 0x82, 0x83}

// signature is what a leaf wants signed, and by whom.
type signature struct {
	key           int
	hashType      byte
	codeSeparator uint32
	element       int // where in the witness it goes
}

// fill signs a spend's witness.
func (k *keyring) fill(s *spend, annex []byte, leaf *[32]byte, root []byte, wanted []signature) bool {
	c := taproot.NewContext(&s.tx, s.prevouts)
	for _, w := range wanted {
		var path *taproot.ScriptPath
		if leaf != nil {
			path = &taproot.ScriptPath{LeafHash: *leaf, CodeSeparator: w.codeSeparator}
		}
		message, err := c.SignatureHash(s.index, w.hashType, annex, path)
		if err != nil {
			return false
		}
		var sig []byte
		if leaf == nil {
			sig = k.signTweaked(w.key, root, message)
		} else {
			sig = k.sign(w.key, message)
		}
		if w.hashType != taproot.SigHashDefault {
			sig = append(sig, w.hashType)
		}
		s.tx.Inputs[s.index].Witness[w.element] = sig
	}
	return true
}

// signedSpend makes a valid spend of a random kind.
func (k *keyring) signedSpend(r *rand.Rand) *spend {
	for {
		s := randomSpend(r)
		var annex []byte
		if chance(r, 3) {
			annex = append([]byte{0x50}, randomBytes(r, r.IntN(40))...)
		}
		if k.lock(r, s, annex) {
			return s
		}
		// A hash type that wants an output which is not there: draw again.
	}
}

// lock gives the input under test its prevout and its signed witness.
func (k *keyring) lock(r *rand.Rand, s *spend, annex []byte) bool {
	in, own := &s.tx.Inputs[s.index], &s.prevouts[s.index]
	internal := r.IntN(len(k.public))
	var path [][32]byte
	for range pick(r, 0, 1, 2, 5) {
		path = append(path, [32]byte(randomBytes(r, 32)))
	}
	control := controlBlock{LeafVersion: taproot.LeafVersionTapscript, InternalKey: [32]byte(k.public[internal]), Path: path}
	script, wanted, elements := k.leaf(r)
	root := control.merkleRoot(script)
	if chance(r, 3) { // key path, with or without a tree
		tree := root[:]
		if chance(r, 2) {
			tree = nil
		}
		own.ScriptPubKey, _ = outputScript(k.public[internal], tree)
		in.Witness = make([][]byte, 1)
		wanted = []signature{{key: internal, hashType: pick(r, hashTypes...)}}
		ok := k.fill(s, annex, nil, tree, wanted)
		in.Witness = appendAnnex(in.Witness, annex)
		return ok
	}
	own.ScriptPubKey, control.Parity = outputScript(k.public[internal], root[:])
	leaf := leafHash(control.LeafVersion, script)
	in.Witness = make([][]byte, elements)
	if !k.fill(s, annex, &leaf, nil, wanted) {
		return false
	}
	in.Witness = appendAnnex(append(in.Witness, script, control.encode()), annex)
	return true
}

// controlBlock is BIP341's control block: it shows that an output commits to a
// leaf.
type controlBlock struct {
	LeafVersion byte       // an even number
	Parity      byte       // of the output key's y coordinate: 0 even, 1 odd
	InternalKey [32]byte   // x only
	Path        [][32]byte // the siblings from the leaf to the root
}

// encode returns the bytes of the control block.
func (c *controlBlock) encode() []byte {
	b := make([]byte, 0, 33+32*len(c.Path))
	b = append(b, c.LeafVersion&0xfe|c.Parity&1)
	b = append(b, c.InternalKey[:]...)
	for i := range c.Path {
		b = append(b, c.Path[i][:]...)
	}
	return b
}

// merkleRoot returns the root of the tree in which the control block places a
// script.
func (c *controlBlock) merkleRoot(script []byte) [32]byte {
	node := leafHash(c.LeafVersion, script)
	for i := range c.Path {
		node = taproot.BranchHash(node, c.Path[i])
	}
	return node
}

// leafHash is BIP341's hash of a leaf.
func leafHash(version byte, script []byte) [32]byte {
	return taproot.TaggedHash("TapLeaf", []byte{version}, types.AppendVarBytes(nil, script))
}

func appendAnnex(witness [][]byte, annex []byte) [][]byte {
	if annex == nil {
		return witness
	}
	return append(witness, annex)
}

// leaf makes a script with one to three signatures: OP_CHECKSIG,
// OP_CHECKSIGVERIFY with code separators, or two of three with OP_CHECKSIGADD.
func (k *keyring) leaf(r *rand.Rand) (script []byte, wanted []signature, elements int) {
	key := func() int { return r.IntN(len(k.public)) }
	push := func(i int) { script = append(append(script, 32), k.public[i]...) }
	switch r.IntN(3) {
	case 0:
		a := key()
		push(a)
		return append(script, 0xac), []signature{{a, pick(r, hashTypes...), taproot.NoCodeSeparator, 0}}, 1
	case 1: // [sep] <a> CHECKSIGVERIFY SEP <b> CHECKSIG
		a, b, separator := key(), key(), uint32(taproot.NoCodeSeparator)
		position := uint32(2)
		if chance(r, 2) {
			script, separator, position = append(script, 0xab), 0, 3
		}
		push(a)
		script = append(script, 0xad, 0xab)
		push(b)
		script = append(script, 0xac)
		return script, []signature{{a, pick(r, hashTypes...), separator, 1}, {b, pick(r, hashTypes...), position, 0}}, 2
	default: // two of three: the witness has the first key's signature on top
		skip := r.IntN(3)
		for i, op := range []byte{0xac, 0xba, 0xba} {
			a := key()
			push(a)
			script = append(script, op)
			if i != skip {
				wanted = append(wanted, signature{a, pick(r, hashTypes...), taproot.NoCodeSeparator, 2 - i})
			}
		}
		return append(script, 0x52, 0x9c), wanted, 3
	}
}
