package bip39

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/karatcoin/karat/internal/vectors"
)

const abandon = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type vector struct{ Language, Entropy, Mnemonic, Passphrase, Seed string }

// TestVectors: words, seeds and what is refused are those of BIP39's vectors, in all languages
// that have a list.
func TestVectors(t *testing.T) {
	var all struct {
		English []vector
		Others  []vector                         `json:"other_languages"`
		Invalid []struct{ Mnemonic, Why string } `json:"invalid_english"`
	}
	vectors.ReadJSON(t, "wallet/bip39.json", &all)
	listed := 0
	for _, v := range slices.Concat(all.English, all.Others) {
		if lists[v.Language] == nil { // Russian and Turkish have no list in the BIP: of these the seed alone
			m := &Mnemonic{words: Split(v.Mnemonic)}
			if got := hex.EncodeToString(m.Seed(v.Passphrase)); got != v.Seed {
				t.Errorf("%s: seed %s, want %s", v.Mnemonic, got, v.Seed)
			}
			continue
		}
		listed++
		for _, text := range []string{v.Mnemonic, "  " + strings.ReplaceAll(strings.ToUpper(norm.NFC.String(v.Mnemonic)), " ", " \n\t")} {
			for _, language := range []string{"", v.Language} {
				m, err := Parse(text, language)
				if err != nil {
					t.Errorf("%s: %q: %v", v.Language, text, err)
					continue
				}
				if got := hex.EncodeToString(m.Seed(v.Passphrase)); got != v.Seed {
					t.Errorf("%s: %s: seed %s, want %s", v.Language, text, got, v.Seed)
				}
				if language != "" && m.Language != language {
					t.Errorf("%s is read as %s", language, m.Language)
				}
			}
		}
		m, err := New(vectors.Hex(t, v.Entropy), v.Language)
		must(t, err)
		if want := strings.Join(Split(v.Mnemonic), " "); m.String() != want {
			t.Errorf("%s, entropy %s: %s, want %s", v.Language, v.Entropy, m, want)
		}
	}
	for _, v := range all.Invalid {
		if _, err := Parse(v.Mnemonic, ""); err == nil {
			t.Errorf("%q (%s) is taken", v.Mnemonic, v.Why)
		}
	}
	vectors.Ran(t, len(all.English), "mnemonics")
	vectors.Ran(t, len(all.Others), "mnemonics of other languages")
	vectors.Ran(t, len(all.Invalid), "mnemonics that are none")
	if listed < len(all.English) {
		t.Errorf("%d mnemonics of known lists", listed)
	}
}

// TestVectorsWordList compares the English words with BIP39's list, and looks whether the
// others are lists at all.
func TestVectorsWordList(t *testing.T) {
	words := strings.Fields(string(vectors.ReadFile(t, "wallet/bip39-english.txt")))
	if !slices.Equal(words, lists[English]().words) {
		t.Errorf("BIP39's list of %d words is another", len(words))
	}
	vectors.Ran(t, 1, "list of words")
	for _, language := range Languages {
		if n := len(lists[language]().words); n != listSize {
			t.Errorf("%s has %d words", language, n)
		}
		for _, w := range lists[language]().words {
			if norm.NFKD.String(w) != w {
				t.Errorf("%s: %s is not in NFKD", language, w)
			}
		}
	}
}

// TestWrongWords: an error says which word is wrong and what it may be, and repeats nothing.
func TestWrongWords(t *testing.T) {
	for text, want := range map[string]string{
		strings.Replace(abandon, "about", "abuot", 1):            "word 12 is not one of BIP39's english words: is it about?",
		strings.Replace(abandon, "abandon", "sadle", 1):          "word 1 is not one of BIP39's english words: is it saddle?",
		strings.Replace(abandon, "abandon", "hunter22", 1):       "word 1 is not one of BIP39's english words",
		strings.Replace(abandon, "abandon", "correcthorse99", 1): "word 1 is not one of BIP39's english words",
		strings.Replace(abandon, "about", "abandon", 1):          "checksum",
		strings.Repeat("abandon ", 11):                           "11 words",
		strings.Repeat("abandon ", 13) + "about":                 "14 words",
		"":                                                       "0 words",
		strings.Repeat("x", 1<<20):                               "word 1 is not",
		strings.Repeat("abandon ", 27):                           "27 words",
	} {
		_, err := Parse(text, "")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "99") || strings.Contains(err.Error(), "xxx") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse(abandon, "klingon"); err == nil || !strings.Contains(err.Error(), "english, spanish") {
		t.Errorf("an unknown language: %v", err)
	}
	if _, err := Parse(abandon, "spanish"); !errors.As(err, new(*WordError)) {
		t.Errorf("English words as Spanish ones: %v", err)
	}
}

// TestAsWrittenDown: numbers and commas, accents that are not typed and the marks of editors
// change nothing.
func TestAsWrittenDown(t *testing.T) {
	want, err := Parse(abandon, "")
	must(t, err)
	for _, text := range []string{
		"\ufeff1. abandon 2. abandon 3) abandon  4: abandon\n5 abandon, abandon, abandon abandon\u3000abandon abandon abandon 12. about\r\n",
		strings.ToUpper(abandon),
	} {
		if m, err := Parse(text, ""); err != nil || m.String() != want.String() {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, language := range []string{"spanish", "french"} {
		m, err := New(vectors.Hex(t, "00112233445566778899aabbccddeeffa1b2c3d4e5f60718293a4b5c6d7e8f90"), language)
		must(t, err)
		bare := withoutAccents(strings.Join(m.words, " "))
		if got, err := Parse(bare, language); err != nil || got.String() != m.String() || bare == m.String() {
			t.Errorf("%s without accents: %v", bare, err)
		}
		if shown := strings.Join(m.Words(), " "); norm.NFC.String(shown) != shown {
			t.Errorf("shown as %+q", shown)
		}
	}
}

// TestAmbiguous: where words are of two lists, the checksum decides, and if both fit, the seed is
// the same.
func TestAmbiguous(t *testing.T) {
	first, second := lists["english"](), lists["french"]()
	var common []string
	for _, w := range second.words {
		if _, ok := first.numbers[w]; ok {
			common = append(common, w)
		}
	}
	if len(common) < 90 {
		t.Fatalf("%d words are in both lists", len(common))
	}
	only, both := 0, 0
	for i := range 90 * len(common) {
		words := slices.Repeat([]string{common[i%len(common)], common[i/90]}, 6)
		_, one := first.check(words)
		want, two := second.check(words)
		got, err := Parse(strings.Join(words, " "), "")
		switch {
		case one != nil && two != nil:
			if !errors.Is(err, ErrChecksum) && (got == nil || got.Language == English || got.Language == "french") { // a third may have it
				t.Errorf("%v: %v", words, err)
			}
		case one != nil:
			only++
			if err != nil || got.String() != want.String() {
				t.Errorf("%v: %v", words, err)
			}
		case two == nil:
			both++
			if err != nil || got.String() != want.String() {
				t.Errorf("%v: %v", words, err)
			}
		}
	}
	if only == 0 || both == 0 {
		t.Errorf("%d of one list, %d of both", only, both)
	}
}

// FuzzParse: whatever is typed is refused, or is a mnemonic that its own words give again.
func FuzzParse(f *testing.F) {
	f.Add(abandon)
	f.Add("1. ábaco")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text, "")
		if err != nil {
			return
		}
		for _, again := range []string{m.String(), strings.Join(m.Words(), " ")} {
			if got, err := Parse(again, m.Language); err != nil || got.String() != m.String() {
				t.Errorf("%q becomes %q, %v", text, again, err)
			}
		}
	})
}
