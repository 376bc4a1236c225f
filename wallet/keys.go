package wallet

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/cosmos/go-bip39"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Branch is one of the two sequences of keys of an account (BIP44).
type Branch uint32

const (
	// Receive is the branch of the addresses that others are told.
	Receive Branch = 0
	// Change is the branch of the outputs that bring back the rest of a coin.
	Change Branch = 1
)

const (
	purpose      = 86      // of a key that owns an output alone (BIP86)
	mainCoinType = 7041652 // "krt" in ASCII; of the network "main"
	testCoinType = 1       // of every other (SLIP44)
	accountDepth = 3       // of m/86'/coin'/account'
)

// coinType returns the coin type of a network's keys, so that one mnemonic used
// on two networks does not show the same keys on both.
func coinType(p *consensus.Params) uint32 {
	if p.Name == "main" {
		return mainCoinType
	}
	return testCoinType
}

// keyPrefix returns whose version bytes extended keys have in text (BIP32): xpub for the main
// network, tpub for others, so that other programs know play money when they see it.
func keyPrefix(coinType uint32) *chaincfg.Params {
	if coinType == testCoinType {
		return &chaincfg.TestNet3Params
	}
	return &chaincfg.MainNetParams
}

func hardened(index uint32) uint32 { return hdkeychain.HardenedKeyStart + index }

// derivePath derives a key along a path (BIP32) and overwrites the keys on the way, and the
// first one: with any of them all below could be derived again.
func derivePath(key *hdkeychain.ExtendedKey, path ...uint32) (*hdkeychain.ExtendedKey, error) {
	for _, index := range path {
		child, err := key.Derive(index)
		key.Zero()
		if err != nil {
			return nil, fmt.Errorf("derive key %d: %w", index, err)
		}
		key = child
	}
	return key, nil
}

// accountKey returns the private key of the first account of a mnemonic,
// m/86'/coin'/0', and the fingerprint of the master key.
func accountKey(mnemonic string, coinType uint32) (key *hdkeychain.ExtendedKey, fingerprint uint32, err error) {
	seed := bip39.NewSeed(mnemonic, "")
	defer clear(seed)
	master, err := hdkeychain.NewMaster(seed, keyPrefix(coinType))
	if err != nil {
		return nil, 0, fmt.Errorf("master key: %w", err)
	}
	top, err := derivePath(master, hardened(purpose))
	if err != nil {
		return nil, 0, err
	}
	// A child knows its parent's fingerprint, so the master key need not be kept for it.
	fingerprint = top.ParentFingerprint()
	key, err = derivePath(top, hardened(coinType), hardened(0))
	return key, fingerprint, err
}

// publicText returns the public half of a key in its text form. A Neuter alone
// shares memory with the key, and is lost when that is wiped.
func publicText(key *hdkeychain.ExtendedKey) (string, error) {
	public, err := key.Neuter()
	if err != nil {
		return "", err
	}
	return public.String(), nil
}

// Account is the public half of a wallet's keys: it makes every address and
// signs nothing. It does not change, and may be used by several goroutines.
type Account struct {
	fingerprint uint32 // of the master key
	coinType    uint32
	xpub        string // of the extended public key
	branches    [2]*hdkeychain.ExtendedKey
}

var errAccountKey = errors.New("not the public key of a first BIP86 account")

// newAccount reads an account from its text form, which comes from a file. It takes only what
// this package writes there: the public key of an account, never a private one, with the
// prefix of the network.
func newAccount(text string, fingerprint, coinType uint32) (*Account, error) {
	key, err := hdkeychain.NewKeyFromString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAccountKey, err)
	}
	version := keyPrefix(coinType).HDPublicKeyID
	if key.IsPrivate() || [4]byte(key.Version()) != version || key.Depth() != accountDepth || key.ChildIndex() != hardened(0) {
		return nil, errAccountKey
	}
	a := &Account{fingerprint: fingerprint, coinType: coinType, xpub: text}
	for branch := range a.branches {
		if a.branches[branch], err = key.Derive(uint32(branch)); err != nil {
			return nil, fmt.Errorf("%w: %w", errAccountKey, err)
		}
	}
	return a, nil
}

// id names what the account owns. It is the same in every file that has the account.
func (a *Account) id() types.Hash {
	text := fmt.Sprintf("tr([%08x/%dh/%dh/0h]%s/<0;1>/*)", a.fingerprint, purpose, a.coinType, a.xpub)
	return sha256.Sum256([]byte("karat account " + text))
}

// Script returns the output script of a key of the account (BIP86): the taproot output without
// a script path. Its tweak commits to that, so nobody can hide a way to spend in it. The index
// is below 2^31. One index in 2^127 has no key, and gives an error.
func (a *Account) Script(b Branch, index uint32) (scriptPubKey []byte, err error) {
	if int(b) >= len(a.branches) {
		return nil, fmt.Errorf("branch %d: want %d or %d", b, Receive, Change)
	}
	child, err := a.branches[b].Derive(index)
	if err != nil {
		return nil, fmt.Errorf("key %d/%d: %w", b, index, err)
	}
	public, err := child.ECPubKey()
	if err != nil {
		return nil, fmt.Errorf("key %d/%d: %w", b, index, err)
	}
	output, _, err := taproot.OutputKey([32]byte(public.SerializeCompressed()[1:]), nil)
	if err != nil {
		return nil, fmt.Errorf("key %d/%d: %w", b, index, err)
	}
	return taproot.OutputScript(output), nil
}

// Descriptor returns the descriptor of a branch (BIP380, BIP386) with its checksum:
// tr([fingerprint/86h/coinh/0h]xpub/branch/*)#checksum. Whoever has it sees all that the
// branch owns, and can spend nothing with it alone. With it and a single private key of the
// account all of them can be computed (BIP32, keys that are not hardened), so no single key
// ever leaves the wallet. The branch is Receive or Change.
func (a *Account) Descriptor(b Branch) string {
	text := fmt.Sprintf("tr([%08x/%dh/%dh/0h]%s/%d/*)", a.fingerprint, purpose, a.coinType, a.xpub, b)
	return text + "#" + descriptor.Checksum(text)
}
