package wallet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watchedKey is a descriptor of keys of others.
func watchedKey(t testing.TB) string {
	return testAccount(t, strings.Repeat("zoo ", 11)+"wrong", testCoinType).Descriptor()
}

// TestAddAccount adds accounts to a wallet with words, and to one that only watches.
func TestAddAccount(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	if _, err := AddAccount(path, p, "wrong", NamedDescriptor{Name: "savings"}); !errors.Is(err, ErrPassphrase) {
		t.Errorf("with another passphrase: %v", err)
	}
	for i, named := range []NamedDescriptor{{Name: "savings"}, {"others", watchedKey(t)}, {Name: "third"}} {
		a, err := AddAccount(path, p, "secret", named)
		must(t, err)
		if a.Number() != uint32(i+1) || a.Name() != named.Name || a.IsWatchOnly() != (i == 1) {
			t.Errorf("account %d %q, watched only: %v", a.Number(), a.Name(), a.IsWatchOnly())
		}
	}
	for what, named := range map[string]NamedDescriptor{
		"name taken":    {Name: "savings"},
		"same keys":     {"again", watchedKey(t)},
		"same branch":   {"again", strings.Split(strings.Replace(watchedKey(t), "<0;1>", "1", 1), "#")[0]},
		"swapped key":   {"again", strings.Split(strings.Replace(watchedKey(t), "[", "[73c5da0a/86h/1h/9h]", 1), "]tpub")[0] + "]" + "tpub"},
		"no descriptor": {"again", "tr()"},
	} {
		if _, err := AddAccount(path, p, "secret", named); !errors.Is(err, ErrAccount) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f, err := OpenFile(path, p)
	must(t, err)
	if got := f.Accounts(); len(got) != 4 || !strings.Contains(got[3].Descriptor(), "/86h/1h/2h]") {
		t.Errorf("%d accounts", len(got))
	}
	if _, err := f.Unlock("secret"); err != nil {
		t.Error(err)
	}

	watching := filepath.Join(t.TempDir(), "wallet.json")
	if _, err := CreateFile(watching, p, Contents{}, ""); !errors.Is(err, ErrAccount) {
		t.Errorf("a wallet of nothing: %v", err)
	}
	f, err = CreateFile(watching, p, Contents{Accounts: []NamedDescriptor{{"others", watchedKey(t)}}}, "")
	must(t, err)
	if _, err := f.Unlock(""); !f.IsWatchOnly() || f.NeedsPassphrase() || !errors.Is(err, ErrNoWords) {
		t.Errorf("unlocked: %v", err)
	}
	if _, err := AddAccount(watching, p, "", NamedDescriptor{Name: "more"}); !errors.Is(err, ErrNoWords) {
		t.Errorf("an account of no words: %v", err)
	}
	if _, err := AddAccount(watching, p, "", NamedDescriptor{"more", testAccount(t, abandon, testCoinType).Descriptor()}); err != nil {
		t.Error(err)
	}
	if f, err = OpenFile(watching, p); err != nil || len(f.Accounts()) != 2 {
		t.Errorf("reopened: %v", err)
	}
}

// TestChangePassphrase: the new one opens the file, and the old one does not.
func TestChangePassphrase(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	before, err := os.ReadFile(path)
	must(t, err)
	if err := changePassphrase(path, p, "wrong", "new", lightKDF()); !errors.Is(err, ErrPassphrase) {
		t.Errorf("with another passphrase: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file changed: %v", err)
	}
	must(t, changePassphrase(path, p, "secret", "new", lightKDF()))
	f, err := OpenFile(path, p)
	must(t, err)
	if _, err := f.Unlock("secret"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("the old passphrase: %v", err)
	}
	if words, err := f.Words("new"); err != nil || words.Mnemonic != abandon {
		t.Errorf("the new one: %v", err)
	}
	if err := changePassphrase(path+"x", p, "", "new", lightKDF()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestTwoProcessesChange: a file is not changed while another has the wallet open.
func TestTwoProcessesChange(t *testing.T) {
	path, p, f := testFile(t, "")
	w, err := Open(filepath.Dir(path), f, p, nil)
	must(t, err)
	if err := changePassphrase(path, p, "", "new", lightKDF()); err == nil || !strings.Contains(err.Error(), "open in another") {
		t.Errorf("changed: %v", err)
	}
	must(t, w.Close())
	must(t, changePassphrase(path, p, "", "new", lightKDF()))
}

// TestBIP39Passphrase: the same words with another one are another wallet.
func TestBIP39Passphrase(t *testing.T) {
	p := networkFile(t, "dev.json")
	c := contentsOf(abandon)
	c.Words.Passphrase = "TREZOR"
	f, err := newFile(p, c, "secret", lightKDF())
	must(t, err)
	plain, err := newFile(p, contentsOf(abandon), "secret", lightKDF())
	must(t, err)
	if f.owner() == plain.owner() {
		t.Error("it is the wallet of the words alone")
	}
	words, err := f.Words("secret")
	must(t, err)
	c.Words.Language = "english"
	if words != c.Words {
		t.Errorf("words %+v", words)
	}
}
