// Package bip39 turns random bits into words that a person can write down, and words into
// the seed of a wallet (BIP39).
//
//	m, err := bip39.Parse(text, "")
//	seed := m.Seed(passphrase)
//
// The words are those of the BIP's ten lists. Texts come from people: how they write letters
// with accents, how many spaces stand between words and whether these are upper case does
// not matter. Each text that is taken has one form, Mnemonic.String, and the seed is made of
// that.
package bip39

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	wordBits   = 11
	listSize   = 1 << wordBits
	seedRounds = 2048 // of PBKDF2; it is no protection of weak words, and cannot be changed
	seedSize   = 64   // bytes

	// MaxWords is the largest number of words of a mnemonic.
	MaxWords = 24
)

// English is the language of words if nobody asks for another.
const English = "english"

// Languages are the names of the BIP's lists. Where a mnemonic could be of several, the first
// one counts, which makes no difference to its seed.
var Languages = []string{
	English, "spanish", "french", "italian", "portuguese", "czech", "japanese", "korean", "chinese_simplified", "chinese_traditional",
}

// IsCount reports whether a mnemonic may have so many words.
func IsCount(words int) bool { return words >= 12 && words <= MaxWords && words%3 == 0 }

//go:embed words/*.txt
var files embed.FS

// list is the words of a language. They are compared in the form NFKD.
type list struct {
	language string
	words    []string       // by number
	numbers  map[string]int // by word, and by word without accents where that is one only
}

// lists are read when they are first asked for: most wallets need one.
var lists = func() map[string]func() *list {
	all := map[string]func() *list{}
	for _, language := range Languages {
		all[language] = sync.OnceValue(func() *list { return readList(language) })
	}
	return all
}()

func readList(language string) *list {
	data, err := files.ReadFile("words/" + language + ".txt")
	if err != nil {
		panic(err) // it is in this program, or the program was built wrong
	}
	l := &list{language: language, words: strings.Fields(string(data)), numbers: map[string]int{}}
	for i, word := range l.words {
		if bare := withoutAccents(word); bare != word {
			if _, taken := l.numbers[bare]; taken {
				i = -1
			}
			l.numbers[bare] = i
		}
	}
	for i, word := range l.words {
		l.numbers[word] = i
	}
	return l
}

// withoutAccents removes the marks that stand for themselves in NFKD, of Latin letters only:
// in Japanese and Korean they make other letters.
func withoutAccents(word string) string {
	if word == "" || word[0] >= 0x80 && !unicode.Is(unicode.Latin, []rune(word)[0]) {
		return word
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, word)
}

// Mnemonic is a text that passed all checks.
type Mnemonic struct {
	Language string
	words    []string // in NFKD
}

// String returns the words with one space between them, in NFKD, as they are hashed.
func (m *Mnemonic) String() string { return strings.Join(m.words, " ") }

// Words returns the words as they are shown, in the form that keyboards write.
func (m *Mnemonic) Words() []string {
	shown := make([]string, len(m.words))
	for i, w := range m.words {
		shown[i] = norm.NFC.String(w)
	}
	return shown
}

// Seed returns the 64 bytes of which the master key is made. With another passphrase the
// same words are another wallet; none is wrong.
func (m *Mnemonic) Seed(passphrase string) []byte {
	seed, err := pbkdf2.Key(sha512.New, m.String(), []byte("mnemonic"+norm.NFKD.String(passphrase)), seedRounds, seedSize)
	if err != nil {
		panic(err) // only of lengths that no standard admits
	}
	return seed
}

// New returns the mnemonic of random bytes: 16, 20, 24, 28 or 32.
func New(entropy []byte, language string) (*Mnemonic, error) {
	l := lists[language]
	if l == nil {
		return nil, unknownLanguage(language)
	}
	if len(entropy) < 16 || len(entropy) > 32 || len(entropy)%4 != 0 {
		return nil, fmt.Errorf("%d random bytes: want 16, 20, 24, 28 or 32", len(entropy))
	}
	sum := sha256.Sum256(entropy)
	bits := append(slices.Clone(entropy), sum[0])
	defer clear(bits)
	m := &Mnemonic{Language: language}
	for i := range len(entropy) * 3 / 4 {
		number := 0
		for bit := i * wordBits; bit < (i+1)*wordBits; bit++ {
			number = number<<1 | int(bits[bit/8]>>(7-bit%8))&1
		}
		m.words = append(m.words, l().words[number])
	}
	return m, nil
}

func unknownLanguage(language string) error {
	return fmt.Errorf("no list of words is called %.30q: there are %s", language, strings.Join(Languages, ", "))
}

// Errors of texts that are no mnemonic.
var (
	ErrCount    = errors.New("want 12, 15, 18, 21 or 24 words")
	ErrChecksum = errors.New("the checksum is wrong: a word was mistaken for another, or the order is wrong")
)

// WordError is a word that no list has. It does not repeat the word, which may be part of a
// secret.
type WordError struct {
	Place    int    // from 1
	Language string // of most of the words
	Near     []string
}

// Error implements error.
func (e *WordError) Error() string {
	text := fmt.Sprintf("word %d is not one of BIP39's %s words", e.Place, strings.ReplaceAll(e.Language, "_", " "))
	switch len(e.Near) {
	case 0:
		return text
	case 1:
		return text + ": is it " + e.Near[0] + "?"
	}
	last := len(e.Near) - 1
	return text + ": is it " + strings.Join(e.Near[:last], ", ") + " or " + e.Near[last] + "?"
}

// Split returns the words of a text, without the numbers before them ("3." or "3)"), which
// those who write words down add. White space is whatever Unicode says.
func Split(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(norm.NFKD.String(strings.TrimPrefix(text, "\ufeff"))), func(r rune) bool {
		return unicode.IsSpace(r) || r == ','
	})
	return slices.DeleteFunc(words, func(w string) bool {
		digits := strings.TrimRight(w, ".):")
		return digits == "" || strings.Trim(digits, "0123456789") == ""
	})
}

// Parse reads a mnemonic. Its language is found if none is asked for. Errors: *WordError,
// ErrCount, ErrChecksum.
func Parse(text, language string) (*Mnemonic, error) {
	words := Split(text)
	names := Languages
	if language != "" {
		names = []string{language}
		if lists[language] == nil {
			return nil, unknownLanguage(language)
		}
	}
	// A text may be words of several lists, and the checksum tells which: of the two Chinese
	// lists half of the words are the same.
	var best *list
	least := len(words) + 1
	var failed error
	for _, name := range names {
		l := lists[name]()
		unknown := 0
		for _, w := range words {
			if _, ok := l.numbers[w]; !ok {
				unknown++
			}
		}
		if unknown < least {
			best, least = l, unknown
		}
		if unknown > 0 {
			continue
		}
		m, err := l.check(words)
		if err == nil {
			return m, nil
		}
		if failed == nil {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	place := slices.IndexFunc(words, func(w string) bool { _, ok := best.numbers[w]; return !ok })
	return nil, &WordError{Place: place + 1, Language: best.language, Near: best.near(words[place])}
}

// check makes a mnemonic of words that are all in the list.
func (l *list) check(words []string) (*Mnemonic, error) {
	if !IsCount(len(words)) {
		return nil, fmt.Errorf("%d words: %w", len(words), ErrCount)
	}
	m := &Mnemonic{Language: l.language}
	bits := make([]byte, (len(words)*wordBits+7)/8)
	defer clear(bits)
	for i, w := range words {
		number := l.numbers[w]
		if number < 0 {
			return nil, &WordError{Place: i + 1, Language: l.language, Near: l.near(w)}
		}
		m.words = append(m.words, l.words[number])
		for j := range wordBits {
			bit := i*wordBits + j
			bits[bit/8] |= byte(number>>(wordBits-1-j)&1) << (7 - bit%8)
		}
	}
	// Of each 33 bits one is of the checksum.
	size := len(words) * 4 / 3
	sum := sha256.Sum256(bits[:size])
	keep := byte(0xff) << (8 - size/4)
	if (bits[size]^sum[0])&keep != 0 {
		return nil, ErrChecksum
	}
	return m, nil
}
