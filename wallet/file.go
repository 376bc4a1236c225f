package wallet

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet/bip39"
)

var (
	// ErrWrongNetwork is a wallet file of another network; the error names both.
	ErrWrongNetwork = errors.New("the wallet is of another network")
	// ErrDamaged is a wallet file that is not as it was written.
	ErrDamaged = errors.New("the wallet file is damaged")
	// ErrTampered is a wallet file that was changed without its passphrase.
	ErrTampered = errors.New("somebody has tampered with the wallet file: its accounts are not those of its words. Trust no address that it gave out; make the wallet anew from the words")
	// ErrPassphrase is a passphrase that does not open the wallet file.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrNoWords is a wallet that only watches.
	ErrNoWords = errors.New("this wallet only watches: it has descriptors, and no words")
)

const (
	// fileVersion is that of new files. Version 1 is read for ever: a wallet that was made
	// once has to open in every later karat. It becomes version 2 when something changes.
	fileVersion  = 2
	maxFileSize  = 4 << 20 // bytes; a file has about two thousand
	maxAccounts  = 500
	maxFileKeys  = 2000 // of all accounts: each costs time whenever the wallet is opened
	checkKeySize = 32
)

// fileContent is the JSON of a wallet file. Only its white space is free: the
// compact form is the one that is checksummed.
type fileContent struct {
	Header fileHeader `json:"header"`
	// Sealing and Sealed are the secret; a wallet that only watches has none.
	Sealing *sealing `json:"sealing,omitempty"`
	Sealed  hexBytes `json:"sealed,omitempty"`
	// Code is the HMAC-SHA256 of the compact header by a key that is in the secret. Whoever
	// changes a field of the header, to have coins sent to an account of their own, is found
	// out as soon as the words are open.
	Code hexBytes `json:"code,omitempty"`
	// Checksum is the SHA-256 of all of the above, compact. It tells damage from a wrong
	// passphrase, and is no protection from malice: everybody can compute it.
	Checksum hexBytes `json:"checksum,omitempty"`
}

// fileHeader is what can be read without the passphrase: what watching needs, so that nobody
// types a passphrase to see a balance. Whoever can read the file sees the same.
type fileHeader struct {
	Version     int           `json:"version"`
	Network     string        `json:"network"`
	Identity    types.Hash    `json:"identity"`              // of the network, byte-reversed
	Fingerprint hexBytes      `json:"fingerprint,omitempty"` // of the master key (BIP32), if there are words
	Accounts    []fileAccount `json:"accounts"`
	Birthday    fileBirthday  `json:"birthday"`
	GapLimit    uint32        `json:"gap_limit"`
}

type fileAccount struct {
	Name       string `json:"name"`
	Descriptor string `json:"descriptor"`
}

type fileBirthday struct {
	Height uint32     `json:"height"`
	Hash   types.Hash `json:"hash"`
	Time   int64      `json:"time"`
}

// secret is what is sealed, as JSON.
type secret struct {
	Words      string   `json:"words"`
	Language   string   `json:"language"`
	Passphrase string   `json:"bip39_passphrase"` // as it was typed
	CheckKey   hexBytes `json:"check_key"`
}

func (s *secret) wipe() { clear(s.CheckKey) }

// Birthday says from when on a wallet may have been paid. Its zero value is: nobody knows.
type Birthday struct {
	// Index is the tip of the chain when the words were made: no coin of theirs is in it
	// or below. A zero hash with a height is somebody's word for it.
	types.Index
	// Time counts if there is no height, in seconds since 1970: all blocks from a day
	// before are looked through.
	Time int64
}

// Words are where a wallet's keys come from.
type Words struct {
	Mnemonic   string // of BIP39
	Language   string // of the words; empty: whichever it is
	Passphrase string // of BIP39: with another one the same words are another wallet
}

// NamedDescriptor is an account to be made.
type NamedDescriptor struct{ Name, Descriptor string }

// Contents is what a new wallet file says.
type Contents struct {
	Words    Words             // none: the wallet only watches
	Accounts []NamedDescriptor // the first account of the words, if none are given
	Birthday Birthday
	GapLimit uint32 // 0: GapLimit
}

// File is a wallet file. It does not change once it is made, and may be used by
// several goroutines.
type File struct {
	content  fileContent
	old      *oldContent // of version 1: where the words are sealed
	written  []byte      // what stands in the file
	keys     descriptor.Keys
	accounts []*Account // by number; there is at least one
}

// CreateFile writes a new wallet file and returns it. Its folder is made if it does not exist;
// a file that exists is never overwritten (fs.ErrExist). The passphrase may be empty: then the
// words are no secret to whoever has the file. Errors: ErrMnemonic, ErrAccount, and those of
// the file system.
func CreateFile(path string, p *consensus.Params, c Contents, passphrase string) (*File, error) {
	return createFile(path, p, c, passphrase, defaultKDF(passphrase))
}

func createFile(path string, p *consensus.Params, c Contents, passphrase string, kdf kdfParams) (*File, error) {
	f, err := newFile(p, c, passphrase, kdf)
	if err != nil {
		return nil, err
	}
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	f.written = text
	if err := writeNew(path, text); err != nil {
		return nil, fmt.Errorf("wallet file: %w", err)
	}
	return f, nil
}

// text returns what stands in the file.
func (f *File) text() ([]byte, error) {
	text, err := json.MarshalIndent(&f.content, "", "  ")
	return append(text, '\n'), err
}

// newFile makes the content of a file.
func newFile(p *consensus.Params, c Contents, passphrase string, kdf kdfParams) (*File, error) {
	f := &File{keys: descriptor.KeysOf(p.Name, p.HRP), content: fileContent{Header: fileHeader{
		Version:  fileVersion,
		Network:  p.Name,
		Identity: p.Identity(),
		Accounts: []fileAccount{},
		Birthday: fileBirthday{c.Birthday.Height, c.Birthday.Hash, c.Birthday.Time},
		GapLimit: c.GapLimit,
	}}}
	if c.GapLimit == 0 {
		f.content.Header.GapLimit = GapLimit
	}
	if c.Words.Mnemonic == "" {
		return f, f.watchOnly(c.Accounts)
	}
	m, err := ParseMnemonic(c.Words.Mnemonic, c.Words.Language)
	if err != nil {
		return nil, err
	}
	s := &secret{Words: m.String(), Language: m.Language, Passphrase: c.Words.Passphrase}
	defer s.wipe()
	master, fingerprint, err := masterKey(m, s.Passphrase, f.keys.Test)
	if err != nil {
		return nil, err
	}
	defer master.Zero()
	f.content.Header.Fingerprint = fingerprint
	if len(c.Accounts) == 0 {
		text, err := bip86Account(master, fingerprint, coinType(p), 0)
		if err != nil {
			return nil, err
		}
		c.Accounts = []NamedDescriptor{{firstAccountName, text}}
	}
	for _, a := range c.Accounts {
		if err := f.add(a); err != nil {
			return nil, err
		}
	}
	if err := f.checkKeys(master); err != nil {
		return nil, err
	}
	return f, f.seal(s, passphrase, kdf)
}

// watchOnly adds the accounts of a wallet without words.
func (f *File) watchOnly(accounts []NamedDescriptor) error {
	if len(accounts) == 0 {
		return fmt.Errorf("%w: neither words nor a descriptor", ErrAccount)
	}
	for _, a := range accounts {
		if err := f.add(a); err != nil {
			return err
		}
	}
	return f.sum()
}

// add adds an account. One that watches the same addresses as another is refused: each coin is
// of one account.
func (f *File) add(named NamedDescriptor) error {
	h := &f.content.Header
	a, err := newAccount(named.Name, named.Descriptor, f.keys, h.Fingerprint)
	if err != nil {
		return err
	}
	keys := a.whole.KeyCount()
	for _, other := range f.accounts {
		keys += other.whole.KeyCount()
		switch {
		case other.name == a.name:
			return fmt.Errorf("%w: there is already one called %s", ErrAccount, a.name)
		case overlapping(a, other):
			return fmt.Errorf("%w: it has the same addresses as account %s", ErrAccount, other.name)
		}
	}
	if keys > maxFileKeys || len(f.accounts) >= maxAccounts {
		return fmt.Errorf("%w: the wallet would have more than %d keys or %d accounts", ErrAccount, maxFileKeys, maxAccounts)
	}
	a.number = uint32(len(f.accounts))
	f.accounts = append(f.accounts, a)
	h.Accounts = append(h.Accounts, fileAccount{a.name, a.Descriptor()})
	return nil
}

// overlapping reports whether the first address of a branch of one account is that of a branch
// of the other.
func overlapping(a, b *Account) bool {
	for _, script := range a.first {
		if slices.ContainsFunc(b.first, func(other []byte) bool { return bytes.Equal(script, other) }) {
			return true
		}
	}
	return false
}

// seal seals the secret and vouches for the header.
func (f *File) seal(s *secret, passphrase string, kdf kdfParams) error {
	s.CheckKey = make([]byte, checkKeySize)
	rand.Read(s.CheckKey) // never fails
	sealing := newSealing(kdf)
	f.content.Sealing = &sealing
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	defer clear(plain)
	bound, err := f.content.bound()
	if err != nil {
		return err
	}
	if f.content.Sealed, err = sealing.seal(plain, bound, passphrase); err != nil {
		return err
	}
	f.old = nil
	return f.vouch(s)
}

// bound is what is bound to the sealed secret. The header is not, since it changes.
func (c *fileContent) bound() ([]byte, error) {
	how, err := json.Marshal(c.Sealing)
	return append([]byte("karat wallet 2 "+c.Header.Identity.String()), how...), err
}

// vouch computes the code and the checksum of the header.
func (f *File) vouch(s *secret) (err error) {
	if f.content.Code, err = f.content.code(s); err != nil {
		return err
	}
	return f.sum()
}

func (c *fileContent) code(s *secret) ([]byte, error) {
	header, err := json.Marshal(&c.Header)
	mac := hmac.New(sha256.New, s.CheckKey)
	mac.Write(header)
	return mac.Sum(nil), err
}

// sum computes the checksum.
func (f *File) sum() (err error) {
	f.content.Checksum, err = f.content.checksum()
	return err
}

func (c *fileContent) checksum() ([]byte, error) {
	without := *c
	without.Checksum = nil
	text, err := json.Marshal(&without)
	sum := sha256.Sum256(text)
	return sum[:], err
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
	f, err := decodeFile(data, p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// decodeFile reads the content of a wallet file, which may be anything. A byte order mark in
// front is skipped: some editors write one.
func decodeFile(data []byte, p *consensus.Params) (*File, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
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
	var err error
	if versioned.Header.Version == oldFileVersion {
		f, err = decodeOld(data)
	} else if err = strictJSON(data, &f.content); err == nil {
		err = f.content.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	f.written = data
	h := &f.content.Header
	if h.Identity != p.Identity() {
		return nil, fmt.Errorf("%w: it is of %q (%s), not of %q (%s)", ErrWrongNetwork, h.Network, h.Identity, p.Name, p.Identity())
	}
	f.keys = descriptor.KeysOf(h.Network, p.HRP)
	named := h.Accounts
	h.Accounts = nil
	for _, a := range named {
		if err := f.add(NamedDescriptor(a)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		h.Accounts[len(h.Accounts)-1] = a // as it is written there
	}
	return f, nil
}

// strictJSON reads JSON as this package writes it, up to white space. JSON may leave out
// fields, repeat them, or have more. All of this shows when what was read is written again.
func strictJSON(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return err
	}
	again, err := json.Marshal(v)
	if err != nil || !bytes.Equal(again, compact.Bytes()) {
		return errors.New("its fields are not those of its version")
	}
	return nil
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
	case len(h.Accounts) == 0:
		return errors.New("it has no account")
	case h.GapLimit == 0 || h.GapLimit > MaxGapLimit:
		return fmt.Errorf("gap limit %d", h.GapLimit)
	case c.Sealing == nil && (len(c.Sealed) > 0 || len(c.Code) > 0 || len(h.Fingerprint) > 0):
		return errors.New("its seal is lost")
	case c.Sealing == nil:
		return nil
	case len(h.Fingerprint) != 4:
		return fmt.Errorf("fingerprint of %d bytes", len(h.Fingerprint))
	case len(c.Sealed) < chacha20poly1305.Overhead:
		return fmt.Errorf("%d sealed bytes", len(c.Sealed))
	}
	return c.Sealing.check()
}

// Accounts returns the accounts by number. Until Unlock has compared them with the words they
// are only as trustworthy as the folder of the file: whoever can write there can put an account
// of their own in, whose addresses are then shown as the owner's.
func (f *File) Accounts() []*Account { return f.accounts }

// owner names whose keys the file has: the first account never changes, and says that.
func (f *File) owner() types.Hash { return f.accounts[0].id() }

// Fingerprint returns that of the master key (BIP32) as other programs show it, eight
// hexadecimal digits; none if the file has no words.
func (f *File) Fingerprint() string { return hex.EncodeToString(f.content.Header.Fingerprint) }

// IsWatchOnly reports whether the file has no words.
func (f *File) IsWatchOnly() bool { return len(f.content.Header.Fingerprint) == 0 }

// NeedsPassphrase reports whether the file was made with a passphrase.
func (f *File) NeedsPassphrase() bool {
	how := f.sealing()
	return how != nil && how.KDF.MemoryKiB != noPassphraseMemoryKiB
}

func (f *File) sealing() *sealing {
	if f.old != nil {
		return &f.old.Header.sealing
	}
	return f.content.Sealing
}

// GapLimit returns how many keys behind the last one that was paid are watched.
func (f *File) GapLimit() uint32 { return f.content.Header.GapLimit }

// Birthday returns from when on the wallet may have been paid.
func (f *File) Birthday() Birthday {
	b := f.content.Header.Birthday
	return Birthday{types.Index{Height: b.Height, Hash: b.Hash}, b.Time}
}

// Unlock returns what signs for the wallet; Wipe it after use. It takes a second
// and 256 MiB, which is what a guess of the passphrase costs. Errors:
// ErrPassphrase, ErrTampered, ErrDamaged, ErrNoWords.
func (f *File) Unlock(passphrase string) (*Signer, error) {
	s, master, err := f.decrypt(passphrase)
	if err != nil {
		return nil, err
	}
	s.wipe()
	return &Signer{master: master, fingerprint: [4]byte(f.content.Header.Fingerprint), accounts: f.accounts}, nil
}

// Words returns the words, at Unlock's price and with its errors.
func (f *File) Words(passphrase string) (Words, error) {
	s, master, err := f.decrypt(passphrase)
	if err != nil {
		return Words{}, err
	}
	master.Zero()
	s.wipe()
	return Words{s.Words, s.Language, s.Passphrase}, nil
}

// decrypt opens the secret and derives the master key. The header must be as it was vouched
// for, and the keys in it that say to be of this wallet must be those of the words.
func (f *File) decrypt(passphrase string) (*secret, *hdkeychain.ExtendedKey, error) {
	if f.IsWatchOnly() {
		return nil, nil, ErrNoWords
	}
	var s *secret
	var err error
	if f.old != nil {
		s, err = f.old.decrypt(passphrase)
	} else {
		s, err = f.content.decrypt(passphrase)
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := bip39.Parse(s.Words, s.Language)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: it holds no mnemonic", ErrDamaged)
	}
	master, fingerprint, err := masterKey(m, s.Passphrase, f.keys.Test)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(fingerprint, f.content.Header.Fingerprint) {
		err = ErrTampered
	} else {
		err = f.checkKeys(master)
	}
	if err != nil {
		master.Zero()
		return nil, nil, err
	}
	return s, master, nil
}

// decrypt opens the secret and compares the code of the header with it.
func (c *fileContent) decrypt(passphrase string) (*secret, error) {
	bound, err := c.bound()
	if err != nil {
		return nil, err
	}
	s := &secret{}
	plain, err := c.Sealing.open(c.Sealed, bound, passphrase, false, func(b []byte) bool { return json.Unmarshal(b, &secret{}) == nil })
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if err := strictJSON(plain, s); err != nil || len(s.CheckKey) != checkKeySize {
		return nil, fmt.Errorf("%w: it holds no words", ErrDamaged)
	}
	code, err := c.code(s)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(code, c.Code) {
		return nil, ErrTampered
	}
	return s, nil
}

// checkKeys compares the keys in the accounts that say to come from the wallet's master key
// with it.
func (f *File) checkKeys(master *hdkeychain.ExtendedKey) error {
	for _, a := range f.accounts {
		for _, o := range a.whole.Origins() {
			if !bytes.Equal(o.Fingerprint[:], f.content.Header.Fingerprint) {
				continue
			}
			is, err := comesFrom(master, &o)
			if err != nil {
				return err
			}
			if !is {
				return fmt.Errorf("%w (account %s)", ErrTampered, a.name)
			}
		}
	}
	return nil
}
