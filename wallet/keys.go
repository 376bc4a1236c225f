package wallet

import (
	"errors"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
)

// Branch is one of the two sequences of keys of an account (BIP44).
type Branch uint32

const (
	// Receive is the branch of the addresses that others are told.
	Receive Branch = 0
	// Change is the branch of the outputs that bring back the rest of a coin.
	Change Branch = 1
)

// Account is the public half of a wallet's keys: it makes every address and
// signs nothing. It does not change, and may be used by several goroutines.
type Account struct {
	branches [2]*hdkeychain.ExtendedKey
}

// Script returns the output script of a key of the account (BIP86).
func (a *Account) Script(b Branch, index uint32) (scriptPubKey []byte, err error) {
	return nil, errors.ErrUnsupported
}

// Descriptor returns the descriptor of a branch (BIP380, BIP386) with its
// checksum: tr([fingerprint/86h/coinh/0h]xpub/branch/*)#checksum. Who has it sees
// all that the wallet owns, and can spend nothing.
func (a *Account) Descriptor(b Branch) string { return "" }
