package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/karatcoin/karat/internal/wholefile"
)

// ID is the public key of a node, by which it is known. Its text is 64
// lower-case hexadecimal digits, in the order of the bytes.
type ID [32]byte

// ParseID reads 64 lower-case hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) || strings.ToLower(s) != s {
		return ID{}, fmt.Errorf("node id %.80q: want %d lower-case hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("node id %q: %w", s, err)
	}
	return id, nil
}

// String returns 64 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// IsZero reports whether the id is all zero bytes, which no node has.
func (id ID) IsZero() bool { return id == ID{} }

// Key is the secret by which a node proves that it is who its ID says: an
// X25519 private key. The zero Key is no key.
type Key struct {
	// A function, because fmt looks through everything else when a Key lies deep
	// within another value.
	secret func() *ecdh.PrivateKey
}

// errNoKey is returned for the zero Key.
var errNoKey = errors.New("no node key")

// NewKey returns the key with the 32 bytes of an X25519 private key (RFC 7748).
func NewKey(private [32]byte) (Key, error) {
	secret, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	return Key{func() *ecdh.PrivateKey { return secret }}, nil
}

// GenerateKey makes a new random key.
func GenerateKey() (Key, error) {
	var private [32]byte
	rand.Read(private[:]) // never fails
	return NewKey(private)
}

// ID returns the public half, the zero ID for the zero Key.
func (k Key) ID() ID {
	if k.secret == nil {
		return ID{}
	}
	return ID(k.secret().PublicKey().Bytes())
}

// String names the key by its public half, so that no log tells the secret.
func (k Key) String() string { return "node key of " + k.ID().String() }

// Format does what String does, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// LoadOrCreateKey reads the key in a file, or makes one and writes it there, so
// that a node keeps its id. The file holds 64 hexadecimal digits, only its owner
// may read it, and it appears whole or not at all. A file that is damaged is an
// error: a new key would be another node.
func LoadOrCreateKey(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	private, err := ParseID(strings.TrimSpace(string(text))) // an ID's text form, for a secret
	if err != nil {
		return Key{}, fmt.Errorf("node key file %s is damaged: want %d lower-case hexadecimal digits", path, 2*len(private))
	}
	return NewKey(private)
}

func createKey(path string) (Key, error) {
	key, err := GenerateKey()
	if err != nil {
		return Key{}, err
	}
	// It is durable before anybody can have seen the id.
	if err := wholefile.ReplaceBytes(path, []byte(hex.EncodeToString(key.secret().Bytes())+"\n")); err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	return key, nil
}
