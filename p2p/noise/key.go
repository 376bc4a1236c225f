package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// Key is the secret by which a node proves that it is who its node id says: an
// X25519 private key. The zero Key is no key.
type Key struct {
	// A function, because fmt prints the fields of everything else, without asking for
	// a String method, when a Key lies in an unexported field of another value.
	secret func() *ecdh.PrivateKey
}

// errNoKey is returned for the zero Key.
var errNoKey = errors.New("no node key")

// NewKey returns the key with the 32 bytes of an X25519 private key (RFC 7748). Any 32
// bytes are one.
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

// ID returns the public half, the zero id for the zero Key.
func (k Key) ID() peerinfo.NodeID {
	if k.secret == nil {
		return peerinfo.NodeID{}
	}
	return peerinfo.NodeID(k.secret().PublicKey().Bytes())
}

// String names the key by its public half, so that no log tells the secret.
func (k Key) String() string { return "node key of " + k.ID().String() }

// Format does what String does, whatever the verb: %x and %#v would print the fields.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// maxKeyFile bounds a key file in bytes: a key and as many blanks as an editor may leave.
const maxKeyFile = 1 << 10

// LoadOrCreateKey reads the key in a file, or makes one and writes it there, so that a
// node keeps its id. The file holds 64 hexadecimal digits. Only its owner may read it,
// and it appears whole or not at all. A file that is damaged is an error and stays as it
// is: with a new key the node would be another one, and whoever pins its id would not
// connect to it any more.
func LoadOrCreateKey(path string) (Key, error) {
	text, err := wholefile.Read(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("node key: %w", err)
	}
	private, err := peerinfo.ParseNodeID(strings.TrimSpace(string(text))) // an id's text form, for a secret
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
