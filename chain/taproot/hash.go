package taproot

import (
	"bytes"
	"crypto/sha256"

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
