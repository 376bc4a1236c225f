package wallet

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/text/unicode/norm"
)

const (
	kdfAlgorithm          = "argon2id"
	noPassphraseMemoryKiB = 8 // of a file without a passphrase
	sealAlgorithm         = "xchacha20-poly1305"
)

// kdfParams say how a passphrase becomes a key (RFC 9106).
type kdfParams struct {
	Algorithm string   `json:"algorithm"`
	Salt      hexBytes `json:"salt"`
	Time      uint32   `json:"time"`       // passes over the memory
	MemoryKiB uint32   `json:"memory_kib"` // of 1024 bytes
	Threads   uint8    `json:"threads"`
}

type cipherParams struct {
	Algorithm string   `json:"algorithm"`
	Nonce     hexBytes `json:"nonce"`
}

// sealing is how a secret is sealed by a passphrase.
type sealing struct {
	KDF    kdfParams    `json:"kdf"`
	Cipher cipherParams `json:"cipher"`
}

// defaultKDF makes a guess cost 256 MiB and most of a second. Memory is what special hardware
// cannot make cheap, and a laptop has so much to spare. Where there is nothing to guess it
// takes no time.
func defaultKDF(passphrase string) kdfParams {
	if passphrase == "" {
		return kdfParams{Algorithm: kdfAlgorithm, Time: 1, MemoryKiB: noPassphraseMemoryKiB, Threads: 1}
	}
	return kdfParams{Algorithm: kdfAlgorithm, Time: 3, MemoryKiB: 256 << 10, Threads: 1}
}

// hexBytes are bytes that are lower-case hexadecimal digits in JSON.
type hexBytes []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// newSealing draws a salt and a nonce. The salt makes a key of this file's own, so that one
// table of guesses does not serve for many files. A nonce of 24 bytes can be drawn at random
// without ever meeting again.
func newSealing(kdf kdfParams) sealing {
	kdf.Salt = make([]byte, 16)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(kdf.Salt) // never fails
	rand.Read(nonce)
	return sealing{kdf, cipherParams{sealAlgorithm, nonce}}
}

// normal returns the form of a passphrase that is hashed. The same letters can be coded in
// several ways (é is one rune or two), and a keyboard elsewhere codes them in another.
func normal(passphrase string) string { return norm.NFKD.String(passphrase) }

// seal encrypts a secret, and binds other data to it.
func (s *sealing) seal(secret, bound []byte, passphrase string) ([]byte, error) {
	key := s.KDF.key(normal(passphrase))
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, s.Cipher.Nonce, secret, bound), nil
}

// open decrypts a secret. If that fails and the bytes are a secret all the same, by isSecret,
// the passphrase is right, and what was bound to the secret was changed: ErrTampered. Else
// ErrPassphrase. Older files hashed passphrases as they were typed, so these forms are tried
// as well if the file is old.
func (s *sealing) open(sealed, bound []byte, passphrase string, old bool, isSecret func([]byte) bool) ([]byte, error) {
	forms := []string{normal(passphrase)}
	if old {
		forms = append(forms, passphrase, norm.NFC.String(passphrase))
	}
	tried := map[string]bool{}
	for _, form := range forms {
		if tried[form] {
			continue
		}
		tried[form] = true
		key := s.KDF.key(form)
		defer clear(key)
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, err
		}
		plain, err := aead.Open(nil, s.Cipher.Nonce, sealed, bound)
		if err == nil {
			return plain, nil
		}
		if isSecret(s.unverified(key, sealed)) {
			return nil, ErrTampered
		}
	}
	return nil, ErrPassphrase
}

// unverified decrypts without a look at the tag. What comes out may be anything, and serves
// for one question only: whether the key is right.
func (s *sealing) unverified(key, sealed []byte) []byte {
	stream, err := chacha20.NewUnauthenticatedCipher(key, s.Cipher.Nonce)
	if err != nil || len(sealed) < chacha20poly1305.Overhead {
		return nil
	}
	stream.SetCounter(1) // block 0 is the tag's
	plain := make([]byte, len(sealed)-chacha20poly1305.Overhead)
	stream.XORKeyStream(plain, sealed[:len(plain)])
	return plain
}

func (k *kdfParams) key(passphrase string) []byte {
	return argon2.IDKey([]byte(passphrase), k.Salt, k.Time, k.MemoryKiB, k.Threads, chacha20poly1305.KeySize)
}

// check bounds what a file can make its reader do.
func (s *sealing) check() error {
	if s.Cipher.Algorithm != sealAlgorithm || len(s.Cipher.Nonce) != chacha20poly1305.NonceSizeX {
		return fmt.Errorf("cipher %q with a nonce of %d bytes", s.Cipher.Algorithm, len(s.Cipher.Nonce))
	}
	return s.KDF.check()
}

// check admits up to 1 GiB of memory and sixteen passes: a file from elsewhere must not take
// all memory of a machine, nor hours. Later versions may so make guesses dearer without a new
// format. The least values are those of Argon2's reference implementation.
func (k *kdfParams) check() error {
	if k.Algorithm != kdfAlgorithm || len(k.Salt) < 8 || len(k.Salt) > 64 ||
		k.Time < 1 || k.Time > 16 || k.MemoryKiB < 8 || k.MemoryKiB > 1<<20 || k.Threads < 1 || k.Threads > 16 {
		return fmt.Errorf("key derivation %q with %d passes, %d KiB, %d threads, %d bytes of salt",
			k.Algorithm, k.Time, k.MemoryKiB, k.Threads, len(k.Salt))
	}
	return nil
}
