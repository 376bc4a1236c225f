package taproot

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/karatcoin/karat/chain/types"
)

// tagPrefix is what BIP340 puts before a message to hash it under a tag: the
// tag's SHA-256, twice. It fills one block of the hash function.
type tagPrefix [2 * sha256.Size]byte

// The prefixes of BIP341's tags. They are computed once and never change.
var (
	tagSigHash = newTagPrefix("TapSighash")
	tagLeaf    = newTagPrefix("TapLeaf")
	tagBranch  = newTagPrefix("TapBranch")
	tagTweak   = newTagPrefix("TapTweak")
)

func newTagPrefix(tag string) (p tagPrefix) {
	digest := sha256.Sum256([]byte(tag))
	copy(p[:sha256.Size], digest[:])
	copy(p[sha256.Size:], digest[:])
	return p
}

// TaggedHash returns BIP340's hash of the concatenated parts under a tag.
func TaggedHash(tag string, parts ...[]byte) [32]byte {
	prefix := newTagPrefix(tag)
	h := sha256.New()
	h.Write(prefix[:])
	for _, part := range parts {
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// leafHash returns BIP341's hash of a script as a leaf of a taproot tree. The
// version's lowest bit is not part of it and must be zero. It builds the message
// in the scratch buffer and returns that too, so that it can be used again.
func leafHash(scratch []byte, version byte, script []byte) ([32]byte, []byte) {
	scratch = append(scratch[:0], tagLeaf[:]...)
	scratch = append(scratch, version)
	scratch = types.AppendVarBytes(scratch, script)
	return sha256.Sum256(scratch), scratch
}

// BranchHash returns BIP341's hash of an inner node of a taproot tree. The
// order of the children does not matter: the lesser is hashed first.
func BranchHash(a, b [32]byte) [32]byte {
	var message [len(tagBranch) + 64]byte
	copy(message[:], tagBranch[:])
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	copy(message[len(tagBranch):], a[:])
	copy(message[len(tagBranch)+32:], b[:])
	return sha256.Sum256(message[:])
}

// TweakHash returns BIP341's tweak t of an internal key: the hash of the key
// and, unless it is empty, of the root of the taproot tree (32 bytes). An
// output without script path has no root.
func TweakHash(internal [32]byte, merkleRoot []byte) [32]byte {
	var message [len(tagTweak) + 64]byte
	n := copy(message[:], tagTweak[:])
	n += copy(message[n:], internal[:])
	n += copy(message[n:], merkleRoot)
	return sha256.Sum256(message[:n])
}

// The errors of OutputKey.
var (
	errMerkleRoot  = errors.New("taproot: a merkle root has 32 bytes, or none")
	errInternalKey = errors.New("taproot: the internal key is not the x coordinate of a point")
	errTweak       = errors.New("taproot: the tweak is not less than the group order, or undoes the key")
)

// OutputKey returns the output key Q = P + tG of an internal key P and the root
// of a taproot tree (32 bytes, or none for an output without script path), and
// the parity of Q's y coordinate, which a control block states. It handles
// public values only and is not made for speed.
func OutputKey(internal [32]byte, merkleRoot []byte) (key [32]byte, parity byte, err error) {
	if len(merkleRoot) != 0 && len(merkleRoot) != 32 {
		return key, 0, errMerkleRoot
	}
	compressed := append([]byte{2}, internal[:]...) // BIP340 lifts to the even y
	p, err := btcec.ParsePubKey(compressed)
	if err != nil {
		return key, 0, errInternalKey
	}
	tweak := TweakHash(internal, merkleRoot)
	var t btcec.ModNScalar
	if t.SetBytes(&tweak) != 0 {
		return key, 0, errTweak
	}
	var point, tG, q btcec.JacobianPoint
	p.AsJacobian(&point)
	btcec.ScalarBaseMultNonConst(&t, &tG)
	btcec.AddNonConst(&point, &tG, &q)
	if q.Z.IsZero() {
		return key, 0, errTweak
	}
	q.ToAffine()
	if q.Y.IsOdd() {
		parity = 1
	}
	q.X.PutBytes(&key)
	return key, parity, nil
}

// OutputScriptSize is the length of an OutputScript in bytes.
const OutputScriptSize = 2 + 32

// OutputScript returns the script that pays to an output key (P2TR): OP_1 and a
// push of the key (BIP341).
func OutputScript(key [32]byte) []byte {
	return append([]byte{Op1, byte(len(key))}, key[:]...)
}
