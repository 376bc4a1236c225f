package wallet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/cosmos/go-bip39"
)

// ErrMnemonic is wrapped by every error about words that are not a mnemonic.
var ErrMnemonic = errors.New("not a mnemonic")

// english is the language of the words, as BIP39 names its lists.
const english = "english"

// NewMnemonic makes a random mnemonic of 12 or 24 English words (BIP39), which
// stand for 128 or 256 random bits.
func NewMnemonic(words int) (string, error) {
	if words != 12 && words != 24 {
		return "", fmt.Errorf("%w: a new one has 12 or 24 words, not %d", ErrMnemonic, words)
	}
	entropy := make([]byte, words/3*4)
	rand.Read(entropy) // never fails
	defer clear(entropy)
	return bip39.NewMnemonic(entropy)
}

// CheckMnemonic returns nil if the text is a mnemonic of English words (BIP39):
// 12, 15, 18, 21 or 24 of the list, the last of which holds a checksum. White
// space and upper case do not matter. The error, ErrMnemonic, names the first
// word that is not of the list.
func CheckMnemonic(mnemonic string) error {
	_, err := normalizeMnemonic(mnemonic)
	return err
}

// normalizeMnemonic checks a mnemonic and returns it as BIP39 hashes it: in
// lower case, one space between the words.
func normalizeMnemonic(mnemonic string) (string, error) {
	words := strings.Fields(strings.ToLower(mnemonic))
	for i, word := range words {
		if _, ok := bip39.ReverseWordMap[word]; !ok {
			return "", fmt.Errorf("%w: word %d, %.20q, is not one of BIP39's English words", ErrMnemonic, i+1, word)
		}
	}
	if len(words) < 12 || len(words) > 24 || len(words)%3 != 0 {
		return "", fmt.Errorf("%w: %d words: want 12, 15, 18, 21 or 24", ErrMnemonic, len(words))
	}
	normal := strings.Join(words, " ")
	if _, err := bip39.MnemonicToByteArray(normal); err != nil {
		return "", fmt.Errorf("%w: the checksum is wrong: a word was mistaken for another, or the order is wrong", ErrMnemonic)
	}
	return normal, nil
}
