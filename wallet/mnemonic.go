package wallet

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/wallet/bip39"
)

// ErrMnemonic is wrapped by every error about words that are not a mnemonic.
var ErrMnemonic = errors.New("not a mnemonic")

// NewMnemonic makes random words (BIP39), which stand for 128 to 256 random bits: 12, 15, 18,
// 21 or 24 of the list of a language.
func NewMnemonic(words int, language string) (*bip39.Mnemonic, error) {
	if !bip39.IsCount(words) {
		return nil, fmt.Errorf("%w: %w, not %d", ErrMnemonic, bip39.ErrCount, words)
	}
	entropy := make([]byte, words/3*4)
	rand.Read(entropy) // never fails
	defer clear(entropy)
	m, err := bip39.New(entropy, language)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMnemonic, err)
	}
	return m, nil
}

// ParseMnemonic reads words that somebody wrote down, in any of BIP39's languages unless one is
// named. Errors: ErrMnemonic, and within it those of bip39.Parse.
func ParseMnemonic(text, language string) (*bip39.Mnemonic, error) {
	m, err := bip39.Parse(text, language)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMnemonic, err)
	}
	return m, nil
}
