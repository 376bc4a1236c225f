package coinstats

import (
	"crypto/sha256"

	"github.com/karatcoin/karat/chain/types"
	"golang.org/x/crypto/chacha20"
)

// MuHash is the MuHash3072 of a set of byte strings: the product of one number
// for each element, modulo the prime 2^3072 - 1103717. Multiplication commutes,
// so elements come in any order, and parts of a set can be hashed apart. The
// zero value is the empty set. A MuHash is a value: a copy is a copy.
//
// An element that is inserted twice counts twice. The caller knows what is in
// the set.
type MuHash struct{ product number }

// Insert adds an element, which may be of any length.
func (m *MuHash) Insert(element []byte) {
	n := elementNumber(element)
	m.product.mul(&n)
}

// Combine inserts every element of other, which is left as it is.
func (m *MuHash) Combine(other *MuHash) { m.product.mul(&other.product) }

// Digest returns the SHA-256 of the product as a little-endian number of 384
// bytes.
func (m *MuHash) Digest() types.Hash {
	product := m.product.reduced()
	var buf [numberSize]byte
	return sha256.Sum256(product.appendTo(buf[:0]))
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
