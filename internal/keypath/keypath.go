// Package keypath signs what a single key spends by the key path of taproot (BIP341).
package keypath

import (
	"crypto/rand"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Sign signs a message (BIP340). The key is that of the output, tweaked already (BIP341).
func Sign(key *btcec.PrivateKey, message [32]byte) ([]byte, error) {
	// BIP340 derives the nonce from key and message, and adds this against faults and
	// against measurements of power. A bad random source can weaken nothing.
	var aux [32]byte
	rand.Read(aux[:]) // never fails
	signature, err := schnorr.Sign(key, message[:], schnorr.CustomNonce(aux))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature.Serialize(), nil
}

// SignInputs signs all inputs of a transaction with SIGHASH_DEFAULT. Beside them are the
// outputs that they spend, and the keys of these.
func SignInputs(tx *types.Tx, spent []types.TxOut, keys []*btcec.PrivateKey) error {
	signing := taproot.NewContext(tx, spent)
	for i := range tx.Inputs {
		message, err := signing.SignatureHash(i, taproot.SigHashDefault, nil, nil)
		if err != nil {
			return err
		}
		signature, err := Sign(keys[i], message)
		if err != nil {
			return err
		}
		tx.Inputs[i].Witness = [][]byte{signature}
	}
	return nil
}

// VirtualSize returns the virtual bytes that a transaction has when SignInputs has signed it.
func VirtualSize(tx *types.Tx) int {
	const (
		markerAndFlag = 2          // bytes of a transaction with witnesses (BIP144)
		witness       = 1 + 1 + 64 // bytes of an input's: how many items, their length, a signature
	)
	return tx.StrippedSize() + (markerAndFlag+witness*len(tx.Inputs)+3)/4
}
