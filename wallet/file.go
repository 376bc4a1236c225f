package wallet

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/wholefile"
)

var (
	// ErrWrongNetwork is a wallet file of another network; the error names both.
	ErrWrongNetwork = errors.New("the wallet is of another network")
	// ErrDamaged is a wallet file that is not as it was written.
	ErrDamaged = errors.New("the wallet file is damaged")
	// ErrPassphrase is a passphrase that does not open the wallet file.
	ErrPassphrase = errors.New("wrong passphrase")
)

const (
	// fileVersion is that of the format, which old files keep for ever. A wallet that was
	// made once has to open in every later karat.
	fileVersion           = 1
	maxFileSize           = 64 << 10 // bytes; a file has about one thousand
	kdfAlgorithm          = "argon2id"
	noPassphraseMemoryKiB = 8 // of a file without a passphrase
	sealAlgorithm         = "xchacha20-poly1305"
)

// fileContent is the JSON of a wallet file. Only its white space is free: the
// compact form is the one that is checksummed.
type fileContent struct {
	Header fileHeader `json:"header"`
	// Sealed are the words, encrypted by the key that the passphrase gives. The
	// header in its compact form is the associated data.
	Sealed hexBytes `json:"sealed"`
	// Checksum is the SHA-256 of the compact header and the sealed words. It
	// tells damage from a wrong passphrase.
	Checksum hexBytes `json:"checksum"`
}

// fileHeader is what can be read without the passphrase: what watching needs, so that nobody
// types a passphrase to see a balance. Whoever can read the file sees the same.
type fileHeader struct {
	Version     int          `json:"version"`
	Network     string       `json:"network"`
	Identity    types.Hash   `json:"identity"`    // of the network, byte-reversed
	CoinType    uint32       `json:"coin_type"`   // of the keys' path (BIP44)
	Fingerprint hexBytes     `json:"fingerprint"` // of the master key (BIP32)
	AccountKey  string       `json:"account_key"` // xpub or tpub of m/86'/coin'/0'
	Birthday    fileBirthday `json:"birthday"`
	KDF         kdfParams    `json:"kdf"`
	Cipher      cipherParams `json:"cipher"`
}

type fileBirthday struct {
	Height uint32     `json:"height"`
	Hash   types.Hash `json:"hash"`
}

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

// File is a wallet file. It does not change once it is made, and may be used by
// several goroutines.
type File struct {
	content  fileContent
	accounts []*Account // by number; there is at least one
}

// CreateFile writes a new wallet file and returns it. Its folder is made if it
// does not exist; a file that exists is never overwritten (fs.ErrExist). The
// birthday is the tip of the chain when the words were made: no coin of theirs is
// in it or below; the zero Index if that is not known. The passphrase may be
// empty: then the words are no secret to whoever has the file. Errors: ErrMnemonic
// and those of the file system.
func CreateFile(path string, p *consensus.Params, mnemonic, passphrase string, birthday types.Index) (*File, error) {
	return createFile(path, p, mnemonic, passphrase, birthday, defaultKDF(passphrase))
}

// NeedsPassphrase reports whether the file was made with a passphrase.
func (f *File) NeedsPassphrase() bool { return f.content.Header.KDF.MemoryKiB != noPassphraseMemoryKiB }

func createFile(path string, p *consensus.Params, mnemonic, passphrase string, birthday types.Index, kdf kdfParams) (*File, error) {
	f, err := newFile(p, mnemonic, passphrase, birthday, kdf)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(&f.content, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, append(text, '\n')); err != nil {
		return nil, fmt.Errorf("wallet file: %w", err)
	}
	return f, nil
}

// newFile makes the content of a file.
func newFile(p *consensus.Params, mnemonic, passphrase string, birthday types.Index, kdf kdfParams) (*File, error) {
	words, err := normalizeMnemonic(mnemonic)
	if err != nil {
		return nil, err
	}
	key, fingerprint, err := accountKey(words, coinType(p))
	if err != nil {
		return nil, err
	}
	defer key.Zero()
	text, err := publicText(key)
	if err != nil {
		return nil, err
	}
	account, err := newAccount(text, fingerprint, coinType(p))
	if err != nil {
		return nil, err
	}
	// The salt makes a key of this file's own, so that one table of guesses does not serve
	// for many files. A nonce of 24 bytes can be drawn at random without ever meeting again.
	kdf.Salt = make([]byte, 16)
	rand.Read(kdf.Salt) // never fails
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	f := &File{accounts: []*Account{account}, content: fileContent{Header: fileHeader{
		Version:     fileVersion,
		Network:     p.Name,
		Identity:    p.Identity(),
		CoinType:    account.coinType,
		Fingerprint: binary.BigEndian.AppendUint32(nil, fingerprint),
		AccountKey:  text,
		Birthday:    fileBirthday{birthday.Height, birthday.Hash},
		KDF:         kdf,
		Cipher:      cipherParams{sealAlgorithm, nonce},
	}}}
	return f, f.content.seal([]byte(words), passphrase)
}

// seal encrypts the words, and binds the header to them: whoever changes a field of it, to
// have coins sent to an account of their own, makes a file that no passphrase opens.
func (c *fileContent) seal(words []byte, passphrase string) error {
	aead, err := chacha20poly1305.NewX(c.Header.KDF.key(passphrase))
	if err != nil {
		return err
	}
	header, err := json.Marshal(&c.Header)
	if err != nil {
		return err
	}
	c.Sealed = aead.Seal(nil, c.Header.Cipher.Nonce, words, header)
	c.Checksum, err = c.checksum()
	return err
}

// checksum is of what anybody can read, so it is no protection from malice: whoever changes
// the file can change the checksum too. Against that there is the cipher's tag.
func (c *fileContent) checksum() ([]byte, error) {
	header, err := json.Marshal(&c.Header)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(header, c.Sealed...))
	return sum[:], nil
}

func (k *kdfParams) key(passphrase string) []byte {
	return argon2.IDKey([]byte(passphrase), k.Salt, k.Time, k.MemoryKiB, k.Threads, chacha20poly1305.KeySize)
}

// OpenFile reads a wallet file. Errors: ErrWrongNetwork, ErrDamaged, and those of
// the file system (fs.ErrNotExist).
func OpenFile(path string, p *consensus.Params) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("wallet file: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("wallet file: %w", err)
	}
	f, err := decodeFile(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if h := &f.content.Header; h.Identity != p.Identity() {
		return nil, fmt.Errorf("%w: %s is of %q (%s), not of %q (%s)", ErrWrongNetwork, path, h.Network, h.Identity, p.Name, p.Identity())
	}
	return f, nil
}

// decodeFile reads the content of a wallet file, which may be anything.
func decodeFile(data []byte) (*File, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrDamaged, maxFileSize)
	}
	var versioned struct {
		Header struct {
			Version int `json:"version"`
		} `json:"header"`
	}
	if json.Unmarshal(data, &versioned) == nil && versioned.Header.Version > fileVersion {
		return nil, fmt.Errorf("the wallet file has version %d, and this karat knows version %d: use a later one", versioned.Header.Version, fileVersion)
	}
	f := &File{}
	if err := json.Unmarshal(data, &f.content); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// JSON may leave out fields, repeat them, or have more. All of this shows when what was
	// read is written again: only the text that this package writes passes.
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	again, err := json.Marshal(&f.content)
	if err != nil || !bytes.Equal(again, compact.Bytes()) {
		return nil, fmt.Errorf("%w: its fields are not those of version %d", ErrDamaged, fileVersion)
	}
	if err := f.content.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	h := &f.content.Header
	account, err := newAccount(h.AccountKey, binary.BigEndian.Uint32(h.Fingerprint), h.CoinType)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	f.accounts = []*Account{account}
	return f, nil
}

// check bounds what the file can make its reader do, and compares the checksum.
func (c *fileContent) check() error {
	h := &c.Header
	sum, err := c.checksum()
	switch {
	case err != nil:
		return err
	case h.Version != fileVersion:
		return fmt.Errorf("version %d", h.Version)
	case !bytes.Equal(c.Checksum, sum):
		return errors.New("its checksum is wrong")
	case h.CoinType != mainCoinType && h.CoinType != testCoinType:
		return fmt.Errorf("coin type %d", h.CoinType)
	case len(h.Fingerprint) != 4:
		return fmt.Errorf("fingerprint of %d bytes", len(h.Fingerprint))
	case h.Cipher.Algorithm != sealAlgorithm || len(h.Cipher.Nonce) != chacha20poly1305.NonceSizeX:
		return fmt.Errorf("cipher %q with a nonce of %d bytes", h.Cipher.Algorithm, len(h.Cipher.Nonce))
	case len(c.Sealed) < chacha20poly1305.Overhead:
		return fmt.Errorf("%d sealed bytes", len(c.Sealed))
	}
	return h.KDF.check()
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

// Account returns the public half of the keys of the first account. Until Unlock has compared it with the words it
// is only as trustworthy as the folder of the file: whoever can write there can put an account
// of their own in, whose addresses are then shown as the owner's.
func (f *File) Account() *Account { return f.accounts[0] }

// owner names whose keys the file has: the first account never changes, and says that.
func (f *File) owner() types.Hash { return f.accounts[0].id() }

// Birthday returns the block that CreateFile was given.
func (f *File) Birthday() types.Index {
	return types.Index{Height: f.content.Header.Birthday.Height, Hash: f.content.Header.Birthday.Hash}
}

// Unlock returns what signs for the wallet; Wipe it after use. It takes a second
// and 256 MiB, which is what a guess of the passphrase costs. Errors:
// ErrPassphrase, ErrDamaged.
func (f *File) Unlock(passphrase string) (*Signer, error) {
	_, key, err := f.decrypt(passphrase)
	if err != nil {
		return nil, err
	}
	return &Signer{account: key}, nil
}

// Mnemonic returns the words, at Unlock's price and with its errors.
func (f *File) Mnemonic(passphrase string) (string, error) {
	words, key, err := f.decrypt(passphrase)
	if err != nil {
		return "", err
	}
	key.Zero()
	return words, nil
}

// decrypt decrypts the words and derives the account's private key, which must be
// that of the public key in the header.
func (f *File) decrypt(passphrase string) (words string, key *hdkeychain.ExtendedKey, err error) {
	h := &f.content.Header
	aead, err := chacha20poly1305.NewX(h.KDF.key(passphrase))
	if err != nil {
		return "", nil, err
	}
	header, err := json.Marshal(h)
	if err != nil {
		return "", nil, err
	}
	// The checksum held, so what is wrong is the passphrase, or the file was changed by
	// somebody who knew how; the two look alike.
	plain, err := aead.Open(nil, h.Cipher.Nonce, f.content.Sealed, header)
	if err != nil {
		return "", nil, ErrPassphrase
	}
	defer clear(plain)
	if words, err = normalizeMnemonic(string(plain)); err != nil {
		return "", nil, fmt.Errorf("%w: it holds no mnemonic", ErrDamaged)
	}
	key, fingerprint, err := accountKey(words, h.CoinType)
	if err != nil {
		return "", nil, err
	}
	text, err := publicText(key)
	if err != nil || text != h.AccountKey || fingerprint != binary.BigEndian.Uint32(h.Fingerprint) {
		key.Zero()
		return "", nil, fmt.Errorf("%w: its account is not that of its words", ErrDamaged)
	}
	return words, key, nil
}

// writeNew writes a file that only its owner can read, and no other than its
// owner can see the folder's content if it has to be made. The file appears
// whole and durable or not at all, and never in place of another: an empty file
// takes the name first, which works where a hard link does not.
func writeNew(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = name.Close()
	if err == nil {
		err = wholefile.ReplaceBytes(path, content)
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}
