package wallet

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// oldFile is a file of version 1, as the first karat wrote it, with the words abandon. Its
// passphrase is "schön", whose ö was one rune, and was hashed like that.
const oldFile = `{
  "header": {
    "version": 1,
    "network": "dev",
    "identity": "47985113aa5a64eacf26929da9012f42dd8c425e4318edb742caca5f4a2fad87",
    "coin_type": 1,
    "fingerprint": "73c5da0a",
    "account_key": "tpubDDfvzhdVV4unsoKt5aE6dcsNsfeWbTgmLZPi8LQDYU2xixrYemMfWJ3BaVneH3u7DBQePdTwhpybaKRU95pi6PMUtLPBJLVQRpzEnjfjZzX",
    "birthday": {
      "height": 12,
      "hash": "586c3fad1fccede037949b395bf44efc4ce2855887a26f2b4fc130cb56b53a0b"
    },
    "kdf": {
      "algorithm": "argon2id",
      "salt": "82d66c1d977715ef3fc5f147ca6e225a",
      "time": 1,
      "memory_kib": 8,
      "threads": 1
    },
    "cipher": {
      "algorithm": "xchacha20-poly1305",
      "nonce": "0765de090aa3a5a1f79a7065d8624e66262c1001248e108e"
    }
  },
  "sealed": "9f137365d816251d35244dcf6bdb1c1ac6f09d89f5f31f7767f6bf41d7811dce9f7bf18ec8289cde27031c1b8434cdee864f385e2da99d5da6a9bb644d498fcf9ee4891a154e7dec1ccd09083ef55ed0bdc2a5659d0eeafe4ae30394d762c43937d94cd749cf462bbc918ee7fb",
  "checksum": "1386e59c513e8ee2d2c1822131dfd971a882ad9a8a938e828264f66177740f6d"
}`

const oldPassphrase = "sch\u00f6n"

// TestOldFile: a wallet that was made once opens for ever, whichever way the letters of its
// passphrase are coded now.
func TestOldFile(t *testing.T) {
	p := networkFile(t, "dev.json")
	f, err := decodeFile([]byte(oldFile), p)
	must(t, err)
	if got, want := f.Accounts()[0].Descriptor(), testAccount(t, abandon, testCoinType).Descriptor(); got != want || f.Birthday().Height != 12 {
		t.Errorf("account %s, want %s", got, want)
	}
	for _, typed := range []string{oldPassphrase, norm.NFD.String(oldPassphrase)} {
		words, err := f.Words(typed)
		if err != nil || words.Mnemonic != abandon {
			t.Errorf("passphrase %+q: %v", typed, err)
		}
	}
	if _, err := f.Unlock("schon"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
}

// TestPassphraseForms: the letters of a passphrase may be coded in another way than when the
// file was made.
func TestPassphraseForms(t *testing.T) {
	_, _, f := testFile(t, oldPassphrase)
	for _, typed := range []string{oldPassphrase, norm.NFD.String(oldPassphrase)} {
		if _, err := f.Unlock(typed); err != nil {
			t.Errorf("passphrase %+q: %v", typed, err)
		}
	}
}

// TestOldFileChanges: a file of version 1 becomes one of version 2 when something changes.
func TestOldFileChanges(t *testing.T) {
	p := networkFile(t, "dev.json")
	path := filepath.Join(t.TempDir(), "wallet.json")
	must(t, os.WriteFile(path, []byte(oldFile), 0o600))
	added, err := AddAccount(path, p, oldPassphrase, NamedDescriptor{Name: "savings"})
	must(t, err)
	if added.Number() != 1 || added.IsWatchOnly() || !strings.Contains(added.Descriptor(), "[73c5da0a/86h/1h/1h]") {
		t.Errorf("account %d, %s", added.Number(), added.Descriptor())
	}
	f, err := OpenFile(path, p)
	must(t, err)
	if f.old != nil || len(f.Accounts()) != 2 {
		t.Errorf("%d accounts, version 1: %v", len(f.Accounts()), f.old != nil)
	}
	for _, typed := range []string{oldPassphrase, norm.NFD.String(oldPassphrase)} {
		if words, err := f.Words(typed); err != nil || words.Mnemonic != abandon {
			t.Errorf("passphrase %+q: %v", typed, err)
		}
	}
}

func forgedOld(t *testing.T, c *oldContent, change func(*oldContent)) []byte {
	t.Helper()
	forged := *c
	change(&forged)
	var err error
	forged.Checksum, err = forged.checksum()
	must(t, err)
	data, err := json.Marshal(&forged)
	must(t, err)
	return data
}

// TestOldFileForgery: who swaps the account of an old file is found out, too.
func TestOldFileForgery(t *testing.T) {
	p := networkFile(t, "dev.json")
	f, err := decodeFile([]byte(oldFile), p)
	must(t, err)
	seed := seedOf(t, strings.Repeat("zoo ", 11)+"wrong", "")
	public := func(path string) string {
		text, err := publicText(derive(t, seed, keyPrefix(true), path))
		must(t, err)
		return text
	}
	for name, tc := range map[string]struct {
		change func(*oldContent)
		want   error
	}{
		"account":        {func(c *oldContent) { c.Header.AccountKey = public("m/86'/1'/0'") }, ErrTampered},
		"fingerprint":    {func(c *oldContent) { c.Header.Fingerprint = hexBytes{1, 2, 3, 4} }, ErrTampered},
		"birthday":       {func(c *oldContent) { c.Header.Birthday.Height++ }, ErrTampered},
		"salt":           {func(c *oldContent) { c.Header.KDF.Salt = make(hexBytes, 16) }, ErrPassphrase},
		"words":          {func(c *oldContent) { c.Sealed = make(hexBytes, 100) }, ErrPassphrase},
		"private key":    {func(c *oldContent) { c.Header.AccountKey = derive(t, seed, keyPrefix(true), "m/86'/1'/0'").String() }, ErrDamaged},
		"second account": {func(c *oldContent) { c.Header.AccountKey = public("m/86'/1'/1'") }, ErrDamaged},
		"master key":     {func(c *oldContent) { c.Header.AccountKey = public("m") }, ErrDamaged},
		"other prefix":   {func(c *oldContent) { c.Header.CoinType = mainCoinType }, ErrDamaged},
		"coin type":      {func(c *oldContent) { c.Header.CoinType = 0 }, ErrDamaged},
		"no salt":        {func(c *oldContent) { c.Header.KDF.Salt = nil }, ErrDamaged},
		"nothing":        {func(c *oldContent) { c.Sealed = nil }, ErrDamaged},
	} {
		got, err := decodeFile(forgedOld(t, f.old, tc.change), p)
		if err == nil {
			_, err = got.Unlock(oldPassphrase)
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	bad := slices.Clone([]byte(oldFile))
	bad[len(bad)/2] ^= 1
	if _, err := decodeFile(bad, p); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
}
