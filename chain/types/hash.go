// Package types holds the values that everything else speaks of: hashes,
// amounts, outpoints, transactions, headers, blocks and coins, and their
// encoding, which is Bitcoin's, byte for byte (BIP144 for witnesses).
//
// The package knows no rules beyond what an encoding can express, does no I/O
// and keeps no state. Every decoder treats its input as hostile: a length is
// checked against the bytes that are really there before anything is
// allocated, compact sizes must be canonical, and nothing may be left over.
// Encoding what a decoder accepted gives the same bytes back.
package types

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a Hash in bytes.
const HashSize = 32

// Hash is a 32-byte double-SHA256 digest in wire order. Text forms are
// byte-reversed, as Bitcoin prints them.
type Hash [HashSize]byte

// DoubleSHA256 returns SHA256(SHA256(b)).
func DoubleSHA256(b []byte) Hash {
	first := sha256.Sum256(b)
	return sha256.Sum256(first[:])
}

// ParseHash reads 64 hexadecimal digits in display order (byte-reversed).
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*HashSize {
		return h, fmt.Errorf("hash %.80q: want %d hexadecimal digits, got %d characters", s, 2*HashSize, len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("hash %q: %w", s, err)
	}
	return h.reversed(), nil
}

// String returns the hash in display order (byte-reversed hexadecimal).
func (h Hash) String() string {
	r := h.reversed()
	return hex.EncodeToString(r[:])
}

// MarshalText implements encoding.TextMarshaler in display order.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler for display order.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// IsZero reports whether the hash is all zero bytes, as the parent of a
// genesis block is.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) reversed() Hash {
	for i, j := 0, HashSize-1; i < j; i, j = i+1, j-1 {
		h[i], h[j] = h[j], h[i]
	}
	return h
}

// Index names a block by its place and its hash. A height alone is ambiguous
// across reorganisations; positions that are kept are always both.
type Index struct {
	Height uint32 // blocks since the genesis block, which has height 0
	Hash   Hash
}

// String returns "height:hash".
func (i Index) String() string { return fmt.Sprintf("%d:%s", i.Height, i.Hash) }
