package taproot

import (
	"bytes"
	"crypto/sha256"

	"github.com/karatcoin/karat/chain/types"
)

// tagPrefix is what BIP340 puts before a message to hash it under a tag: the tag's
// SHA-256, twice. It keeps hashes for one purpose from being taken for another. It
// fills one block of the hash function.
type tagPrefix [2 * sha256.Size]byte

// The prefixes of BIP341's tags. They are computed once, since every input needs
// them, and never change.
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

// TaggedHash returns BIP340's hash under a tag of the parts, one behind the other.
func TaggedHash(tag string, parts ...[]byte) [32]byte {
	prefix := newTagPrefix(tag)
	h := sha256.New()
	h.Write(prefix[:])
	for _, part := range parts {
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// leafHash returns BIP341's hash of a script as a leaf of a taproot tree. The version's
// lowest bit, which is the parity in a control block, must be zero. The message is
// built in the scratch buffer, which is returned to be used again.
func leafHash(scratch []byte, version byte, script []byte) ([32]byte, []byte) {
	scratch = append(scratch[:0], tagLeaf[:]...)
	scratch = append(scratch, version)
	scratch = types.AppendVarBytes(scratch, script)
	return sha256.Sum256(scratch), scratch
}

// LeafHash returns BIP341's hash of a script as a leaf of a taproot tree, by which
// signatures in the leaf name it. The version's lowest bit must be zero.
func LeafHash(version byte, script []byte) [32]byte {
	hash, _ := leafHash(nil, version, script)
	return hash
}

// BranchHash returns BIP341's hash of an inner node of a taproot tree. The lesser child
// is hashed first, so a control block need not say on which side a sibling stands.
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

// TweakHash returns BIP341's tweak t of an internal key: the hash of the key and of the
// root of the taproot tree. The root has 32 bytes, or none for an output without
// script path.
func TweakHash(internal [32]byte, merkleRoot []byte) [32]byte {
	var message [len(tagTweak) + 64]byte
	n := copy(message[:], tagTweak[:])
	n += copy(message[n:], internal[:])
	n += copy(message[n:], merkleRoot)
	return sha256.Sum256(message[:n])
}
