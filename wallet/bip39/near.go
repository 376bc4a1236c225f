package bip39

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/karatcoin/karat/internal/spelling"
)

// maxNear is how many words are offered for a mistyped one.
const maxNear = 3

// near returns the words that a mistyped one probably is, the nearest first. In the BIP's Latin
// lists four letters tell a word, so one that begins like it is as near as can be.
func (l *list) near(typed string) []string {
	type candidate struct {
		word     string
		distance int
	}
	bare := withoutAccents(typed)
	letters := len([]rune(bare))
	if letters < 2 || letters > 20 { // anything is near to a letter, and nothing to a long text
		return nil
	}
	var found []candidate
	for _, word := range l.words {
		d := spelling.Distance(bare, withoutAccents(word))
		if letters >= 4 && strings.HasPrefix(withoutAccents(word), bare) {
			d = 0
		}
		if d <= min(2, letters/3) {
			found = append(found, candidate{norm.NFC.String(word), d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var words []string
	for _, c := range found {
		if c.distance > found[0].distance || len(words) == maxNear {
			break
		}
		words = append(words, c.word)
	}
	return words
}
