package wallet

import (
	"errors"

	"github.com/btcsuite/btcd/btcutil/v2/hdkeychain"
)

// ErrNotOurs is a coin whose script is not that of the wallet's key which it names.
var ErrNotOurs = errors.New("the coin is not of this wallet")

// Signer holds the private keys of an account. One goroutine at a time may use it.
type Signer struct {
	account *hdkeychain.ExtendedKey // m/86'/coin'/0'
}

// Sign signs every input of a draft by its key path (BIP341, hash type default)
// and verifies each signature as a node does. A draft that fails stays unsigned.
// Errors: ErrNotOurs.
func (s *Signer) Sign(d *Draft) error { return errors.ErrUnsupported }

// Wipe overwrites the keys. The Signer cannot be used any more.
func (s *Signer) Wipe() { s.account.Zero() }
