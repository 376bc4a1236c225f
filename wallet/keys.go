package wallet

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/descriptor"
	"github.com/karatcoin/karat/wallet/bip39"
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
func keyPrefix(test bool) *chaincfg.Params {
	if test {
		return &chaincfg.TestNet3Params
	}
	return &chaincfg.MainNetParams
}

func hardened(index uint32) uint32 { return hdkeychain.HardenedKeyStart + index }

// derivePath derives a key along a path (BIP32), which has a step at least, and overwrites the
// keys on the way: with any of them all below could be derived again. The first one stays.
func derivePath(from *hdkeychain.ExtendedKey, path ...uint32) (*hdkeychain.ExtendedKey, error) {
	key := from
	for _, index := range path {
		child, err := key.Derive(index)
		if key != from {
			key.Zero()
		}
		if err != nil {
			return nil, fmt.Errorf("derive key %d: %w", index, err)
		}
		key = child
	}
	return key, nil
}

// masterKey returns the master key of a mnemonic with its BIP39 passphrase, and the key's
// fingerprint.
func masterKey(m *bip39.Mnemonic, passphrase string, test bool) (master *hdkeychain.ExtendedKey, fingerprint []byte, err error) {
	seed := m.Seed(passphrase)
	defer clear(seed)
	master, err = hdkeychain.NewMaster(seed, keyPrefix(test))
	if err != nil {
		return nil, nil, fmt.Errorf("master key: %w", err)
	}
	// A child knows its parent's fingerprint.
	child, err := master.Derive(hardened(purpose))
	if err != nil {
		return nil, nil, err
	}
	defer child.Zero()
	return master, binary.BigEndian.AppendUint32(nil, child.ParentFingerprint()), nil
}

// bip86Account returns the descriptor of an account of the words.
func bip86Account(master *hdkeychain.ExtendedKey, fingerprint []byte, coinType, account uint32) (string, error) {
	key, err := derivePath(master, hardened(purpose), hardened(coinType), hardened(account))
	if err != nil {
		return "", err
	}
	defer key.Zero()
	text, err := publicText(key)
	return singleKey(fingerprint, fmt.Sprintf("%dh/%dh/%dh", purpose, coinType, account), text), err
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

// nextAccount returns the descriptor of the next account of the words. It is of the same coin
// type as the first: the network may have been renamed.
func (f *File) nextAccount(master *hdkeychain.ExtendedKey) (string, error) {
	h := &f.content.Header
	next, coin := uint32(0), uint32(testCoinType)
	if !f.keys.Test {
		coin = mainCoinType
	}
	for _, a := range f.accounts {
		for _, o := range a.whole.Origins() {
			if string(o.Fingerprint[:]) == string(h.Fingerprint) && len(o.Path) == accountDepth && slices.Equal(o.Path[:2], []uint32{hardened(purpose), hardened(coin)}) && o.Path[2] >= hardened(0) {
				next = max(next, o.Path[2]-hardened(0)+1)
			}
		}
	}
	return bip86Account(master, h.Fingerprint, coin, next)
}

// comesFrom reports whether a key of a descriptor is where it says to be below a master key.
func comesFrom(master *hdkeychain.ExtendedKey, o *descriptor.Origin) (bool, error) {
	key, err := derivePath(master, o.Path...)
	if err != nil {
		return false, err
	}
	if key != master {
		defer key.Zero()
	}
	if o.Extended != "" {
		text, err := publicText(key)
		return text == o.Extended, err
	}
	public, err := key.ECPubKey()
	if err != nil {
		return false, err
	}
	return slices.Equal(public.SerializeCompressed()[1:], o.Point[1:33]), nil
}
