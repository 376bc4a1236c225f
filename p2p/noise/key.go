package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/flynn/noise"
)

// KeySize is the length of keys and IDs in bytes.
const KeySize = 32

// ID is the public half of a node's key, by which nodes know each other
// wherever they are.
type ID [KeySize]byte

// String returns 64 lowercase hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ErrID is wrapped by the errors of ParseID.
var ErrID = errors.New("not a node id")

// ParseID reads 64 hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != KeySize {
		return ID{}, fmt.Errorf("%w: %.80q (want 64 hexadecimal digits)", ErrID, s)
	}
	copy(id[:], b)
	return id, nil
}

// Key is the secret by which a node proves its ID: an X25519 key pair.
type Key struct{ pair noise.DHKey }

// GenerateKey makes a random key.
func GenerateKey() (Key, error) {
	var secret [KeySize]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return Key{}, err
	}
	return keyOf(secret[:])
}

func keyOf(secret []byte) (Key, error) {
	private, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return Key{}, err
	}
	return Key{noise.DHKey{Private: private.Bytes(), Public: private.PublicKey().Bytes()}}, nil
}

// ID returns the public half.
func (k Key) ID() (id ID) {
	copy(id[:], k.pair.Public)
	return id
}

// String keeps the secret out of logs.
func (k Key) String() string { return "key of node " + k.ID().String() }

// LoadOrCreateKey reads a node's key from a file, or makes one and writes it so
// that only the user can read it. A file that is no key is an error: a node
// should not change its ID by accident.
func LoadOrCreateKey(path string) (Key, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(secret) != KeySize {
		return Key{}, fmt.Errorf("node key: %s is not a key of 64 hexadecimal digits; remove it to get a new one, and with it a new node id", path)
	}
	return keyOf(secret)
}

func createKey(path string) (Key, error) {
	key, err := GenerateKey()
	if err != nil {
		return Key{}, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*") // of mode 0600
	if err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	_, err = temporary.WriteString(hex.EncodeToString(key.pair.Private) + "\n")
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return Key{}, errors.Join(fmt.Errorf("node key: %w", err), os.Remove(temporary.Name()))
	}
	return key, nil
}
