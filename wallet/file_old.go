package wallet

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet/bip39"
)

const oldFileVersion = 1

// oldContent is the JSON of a wallet file of version 1, which had the one account that the
// words have by BIP86, and sealed the words alone.
type oldContent struct {
	Header oldHeader `json:"header"`
	// Sealed are the words, encrypted by the key that the passphrase gives. The
	// header in its compact form is the associated data.
	Sealed hexBytes `json:"sealed"`
	// Checksum is the SHA-256 of the compact header and the sealed words.
	Checksum hexBytes `json:"checksum"`
}

type oldHeader struct {
	Version     int         `json:"version"`
	Network     string      `json:"network"`
	Identity    types.Hash  `json:"identity"`
	CoinType    uint32      `json:"coin_type"`   // of the keys' path (BIP44)
	Fingerprint hexBytes    `json:"fingerprint"` // of the master key (BIP32)
	AccountKey  string      `json:"account_key"` // xpub or tpub of m/86'/coin'/0'
	Birthday    oldBirthday `json:"birthday"`
	sealing
}

type oldBirthday struct {
	Height uint32     `json:"height"`
	Hash   types.Hash `json:"hash"`
}

// decodeOld reads a file of version 1, and says what it holds in the terms of today.
func decodeOld(data []byte) (*File, error) {
	c := &oldContent{}
	if err := strictJSON(data, c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	h := &c.Header
	text := singleKey(h.Fingerprint, fmt.Sprintf("%dh/%dh/0h", purpose, h.CoinType), h.AccountKey)
	return &File{old: c, content: fileContent{Header: fileHeader{
		Version: fileVersion, Network: h.Network, Identity: h.Identity, Fingerprint: h.Fingerprint,
		Accounts: []fileAccount{{firstAccountName, text}},
		Birthday: fileBirthday{Height: h.Birthday.Height, Hash: h.Birthday.Hash}, GapLimit: GapLimit,
	}}}, nil
}

func (c *oldContent) checksum() ([]byte, error) {
	header, err := json.Marshal(&c.Header)
	sum := sha256.Sum256(append(header, c.Sealed...))
	return sum[:], err
}

// check bounds what the file can make its reader do, and compares the checksum.
func (c *oldContent) check() error {
	h := &c.Header
	sum, err := c.checksum()
	switch {
	case err != nil:
		return err
	case h.Version != oldFileVersion:
		return fmt.Errorf("version %d", h.Version)
	case !bytes.Equal(c.Checksum, sum):
		return errors.New("its checksum is wrong")
	case h.CoinType != mainCoinType && h.CoinType != testCoinType:
		return fmt.Errorf("coin type %d", h.CoinType)
	case len(h.Fingerprint) != 4:
		return fmt.Errorf("fingerprint of %d bytes", len(h.Fingerprint))
	case len(c.Sealed) < chacha20poly1305.Overhead:
		return fmt.Errorf("%d sealed bytes", len(c.Sealed))
	}
	// Only what this package wrote there: the public key of an account, never a private one,
	// with the prefix of the network.
	key, err := hdkeychain.NewKeyFromString(h.AccountKey)
	if err != nil {
		return err
	}
	if key.IsPrivate() || [4]byte(key.Version()) != keyPrefix(h.CoinType == testCoinType).HDPublicKeyID || key.Depth() != accountDepth || key.ChildIndex() != hardened(0) {
		return errors.New("its account key is not the public key of a first BIP86 account")
	}
	return h.sealing.check()
}

// decrypt opens the words. They have no passphrase of BIP39.
func (c *oldContent) decrypt(passphrase string) (*secret, error) {
	header, err := json.Marshal(&c.Header)
	if err != nil {
		return nil, err
	}
	words, err := c.Header.open(c.Sealed, header, passphrase, true, func(b []byte) bool { return isMnemonic(string(b)) })
	if err != nil {
		return nil, err
	}
	defer clear(words)
	return &secret{Words: string(words), Language: bip39.English}, nil
}

func isMnemonic(text string) bool {
	_, err := bip39.Parse(text, bip39.English)
	return err == nil
}
