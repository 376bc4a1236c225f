package coinstats

import (
	"crypto/sha256"
	"errors"

	"github.com/karatcoin/karat/chain/types"
	"golang.org/x/crypto/chacha20"
)

// MuHash is the MuHash3072 of a set of byte strings: the product of one number
// for each element, modulo the prime 2^3072 - 1103717. Multiplication commutes,
// so elements come and go in any order, and parts of a set can be hashed apart.
// The zero value is the empty set. A MuHash is a value: a copy is a copy.
//
// An element that is inserted twice counts twice, and one may be removed before it is
// inserted. The caller knows what is in the set.
type MuHash struct {
	// What was removed is collected apart: a division costs as much as dozens of
	// multiplications, and a digest needs only one.
	product, removed number
}

// MuHashSize is the length in bytes of an encoded MuHash.
const MuHashSize = numberSize

// errMuHash is what DecodeMuHash returns for bytes that AppendTo has not made.
var errMuHash = errors.New("muhash: want a number of 384 bytes that is not zero modulo the prime")

// Insert adds an element, which may be of any length.
func (m *MuHash) Insert(element []byte) {
	n := elementNumber(element)
	m.product.mul(&n)
}

// Remove takes an element away.
func (m *MuHash) Remove(element []byte) {
	n := elementNumber(element)
	m.removed.mul(&n)
}

// Combine applies to m all that was applied to other, which is left as it is.
func (m *MuHash) Combine(other *MuHash) {
	m.product.mul(&other.product)
	m.removed.mul(&other.removed)
}

// Divide does what is left to do after elements were removed, so that Digest and
// AppendTo need not, each for itself. It changes nothing that can be seen.
func (m *MuHash) Divide() {
	if m.removed != (number{}) {
		*m = MuHash{product: m.product.divided(&m.removed)}
	}
}

// Digest returns the SHA-256 of the set's number, in little-endian order, 384 bytes.
func (m *MuHash) Digest() types.Hash {
	return sha256.Sum256(m.AppendTo(make([]byte, 0, numberSize)))
}

// AppendTo appends the set's number in little-endian order, MuHashSize bytes.
func (m *MuHash) AppendTo(b []byte) []byte {
	whole := *m
	whole.Divide()
	whole.product = whole.product.reduced()
	return whole.product.appendTo(b)
}

// DecodeMuHash reads what AppendTo has written. The error is of any other bytes.
func DecodeMuHash(b []byte) (m MuHash, err error) {
	if len(b) != MuHashSize {
		return MuHash{}, errMuHash
	}
	m.product.setBytes((*[numberSize]byte)(b))
	// No set has the number zero, in which an empty product would be hidden.
	if m.product == (number{}) || m.product.reduced() != m.product {
		return MuHash{}, errMuHash
	}
	return m, nil
}

// elementNumber maps an element to a number: the first 384 bytes of the
// ChaCha20 stream whose key is the element's SHA-256, little-endian.
func elementNumber(element []byte) (n number) {
	key := sha256.Sum256(element)
	var nonce [chacha20.NonceSize]byte
	stream, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	if err != nil {
		panic(err) // the lengths of key and nonce are constants
	}
	var buf [numberSize]byte
	stream.XORKeyStream(buf[:], buf[:])
	n.setBytes(&buf)
	return n
}
