package dev

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/rpc/devinfo"
	"github.com/karatcoin/karat/wallet/bip39"
)

// Words are those of the dev network. Every developer knows them, from other chains too.
const Words = "test test test test test test test test test test test junk"

const (
	// DefaultAccounts is how many accounts there are. The genesis block of the dev network
	// pays one more, which is the bank.
	DefaultAccounts = 9
	// MaxAccounts keeps the genesis block small.
	MaxAccounts = 1000
)

// key is a key of the words and what it owns.
type key struct {
	devinfo.Account
	secret *btcec.PrivateKey // of the output (BIP341), not of the path
}

// Keys are all keys of a developer's chain. They are derived as a wallet does it (BIP86,
// account 0, receiving addresses), so that a wallet which is given the words has them.
type Keys struct {
	words    string
	accounts []key
	// bank pays the faucet and balances that are set. It is the key behind those of the
	// accounts, or behind what the dev network pays.
	bank key
	// miner is paid for blocks. It is of another account of the words, so that no balance
	// changes because a block was mined.
	miner key
}

// NewKeys derives the keys of words for the addresses of a prefix.
func NewKeys(words, hrp string, accounts int) (*Keys, error) {
	mnemonic, err := bip39.Parse(words, "")
	if err != nil {
		return nil, err
	}
	master, err := hdkeychain.NewMaster(mnemonic.Seed(""), &chaincfg.TestNet3Params)
	if err != nil {
		return nil, err
	}
	k := &Keys{words: mnemonic.String(), accounts: make([]key, accounts)}
	for i := range k.accounts {
		if k.accounts[i], err = derive(master, hrp, 0, uint32(i)); err != nil {
			return nil, err
		}
	}
	if k.bank, err = derive(master, hrp, 0, uint32(max(accounts, DefaultAccounts))); err != nil {
		return nil, err
	}
	k.miner, err = derive(master, hrp, 1, 0)
	return k, err
}

// derive returns the key at m/86'/1'/account'/0/index.
func derive(master *hdkeychain.ExtendedKey, hrp string, account, index uint32) (key, error) {
	at := master
	for _, step := range []uint32{hdkeychain.HardenedKeyStart + 86, hdkeychain.HardenedKeyStart + 1, hdkeychain.HardenedKeyStart + account, 0, index} {
		child, err := at.Derive(step)
		if err != nil {
			return key{}, err
		}
		at = child
	}
	secret, err := at.ECPrivKey()
	if err != nil {
		return key{}, err
	}
	k := key{secret: outputKey(secret)}
	k.Path = fmt.Sprintf("m/86'/1'/%d'/0/%d", account, index)
	k.Script = taproot.OutputScript([32]byte(schnorr.SerializePubKey(k.secret.PubKey())))
	k.Address, err = taproot.EncodeAddress(hrp, k.Script)
	return k, err
}

// outputKey returns the secret key of the output that an internal key owns alone (BIP86).
func outputKey(internal *btcec.PrivateKey) *btcec.PrivateKey {
	public := internal.PubKey().SerializeCompressed()
	secret := internal.Key
	if public[0] == 3 { // BIP340: the point that has this x and an even y
		secret.Negate()
	}
	hash := taproot.TweakHash([32]byte(public[1:]), nil)
	var tweak btcec.ModNScalar
	tweak.SetBytes(&hash)
	return btcec.PrivKeyFromScalar(secret.Add(&tweak))
}

// Words returns the words, as a wallet takes them.
func (k *Keys) Words() string { return k.words }

// Accounts returns the accounts. Bank and Miner return the bank and who is paid for blocks.
func (k *Keys) Accounts() []devinfo.Account {
	list := make([]devinfo.Account, len(k.accounts))
	for i := range k.accounts {
		list[i] = k.accounts[i].Account
	}
	return list
}

// Bank returns what pays balances that are set, and the faucet's gifts.
func (k *Keys) Bank() devinfo.Account { return k.bank.Account }

// Miner returns who is paid for blocks.
func (k *Keys) Miner() devinfo.Account { return k.miner.Account }

// BankSecret returns the key of the bank's output, 32 bytes.
func (k *Keys) BankSecret() []byte { return k.bank.secret.Serialize() }

// NoteGenesis notes what the genesis block of a network pays each of them.
func (k *Keys) NoteGenesis(p *consensus.Params) {
	for _, own := range k.all() {
		own.Genesis = 0
		for i := range p.Genesis.Outputs {
			if out := &p.Genesis.Outputs[i]; string(out.ScriptPubKey) == string(own.Script) {
				own.Genesis += out.Value
			}
		}
	}
}

// all returns every key.
func (k *Keys) all() []*key {
	list := make([]*key, 0, len(k.accounts)+2)
	for i := range k.accounts {
		list = append(list, &k.accounts[i])
	}
	return append(list, &k.bank, &k.miner)
}
