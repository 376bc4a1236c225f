package types

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a Hash in bytes.
const HashSize = 32

// Hash is a double SHA-256 digest of 32 bytes, in the order in which it is encoded.
// Its text is byte-reversed, as Bitcoin prints it: there a hash is a little-endian
// number, and the zeros of a block's proof of work come first.
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

// AppendText implements encoding.TextAppender: it appends what String returns.
func (h Hash) AppendText(b []byte) ([]byte, error) {
	r := h.reversed()
	return hex.AppendEncode(b, r[:]), nil
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

// IsZero reports whether all bytes are zero, as in the parent of a genesis block. There
// is nothing with that hash, so it can stand for none.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) reversed() Hash {
	for i, j := 0, HashSize-1; i < j; i, j = i+1, j-1 {
		h[i], h[j] = h[j], h[i]
	}
	return h
}

// Index names a block by its height and its hash. A height alone may mean another
// block after a reorganisation, so a position that is kept is always both.
type Index struct {
	Height uint32 // blocks since the genesis block, which has height 0
	Hash   Hash
}

// String returns "height:hash".
func (i Index) String() string { return fmt.Sprintf("%d:%s", i.Height, i.Hash) }
