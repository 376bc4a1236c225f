package wallet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/types"
)

// lightKDF makes a guess cost nothing, so that tests do not either.
func lightKDF() kdfParams {
	return kdfParams{Algorithm: kdfAlgorithm, Time: 1, MemoryKiB: 8, Threads: 1}
}

// networkFile reads the parameters of a network of this repository.
func networkFile(t testing.TB, file string) *consensus.Params {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", file))
	must(t, err)
	p, err := network.Parse(data)
	must(t, err)
	return p
}

// contentsOf is a wallet of words and nothing else.
func contentsOf(mnemonic string) Contents { return Contents{Words: Words{Mnemonic: mnemonic}} }

func testFile(t testing.TB, passphrase string) (path string, p *consensus.Params, f *File) {
	t.Helper()
	p = networkFile(t, "dev.json")
	path = filepath.Join(t.TempDir(), "wallets", "default", "wallet.json")
	c := contentsOf(abandon)
	c.Birthday.Index = types.Index{Height: 12, Hash: types.DoubleSHA256([]byte("tip"))}
	f, err := createFile(path, p, c, passphrase, lightKDF())
	must(t, err)
	return path, p, f
}

func TestFileRoundTrip(t *testing.T) {
	for _, passphrase := range []string{"correct horse", "", "schön", strings.Repeat("long ", 1000)} {
		path, p, created := testFile(t, passphrase)
		f, err := OpenFile(path, p)
		must(t, err)
		if f.Birthday() != created.Birthday() || f.Birthday().Height != 12 {
			t.Errorf("birthday %v, want %v", f.Birthday(), created.Birthday())
		}
		want := testAccount(t, abandon, testCoinType).Descriptor()
		if got := f.Accounts()[0].Descriptor(); got != want || created.Accounts()[0].Descriptor() != want {
			t.Errorf("descriptor %s, want %s", got, want)
		}
		words, err := f.Words(passphrase)
		must(t, err)
		if words != (Words{Mnemonic: abandon, Language: "english"}) {
			t.Errorf("words %+v", words)
		}
		signer, err := f.Unlock(passphrase)
		must(t, err)
		signer.Wipe()
		signer.Wipe()
		for _, wrong := range []string{passphrase + " ", "x", "Correct horse"} {
			if _, err := f.Unlock(wrong); !errors.Is(err, ErrPassphrase) {
				t.Errorf("passphrase %q: %v", wrong, err)
			}
			if _, err := f.Words(wrong); !errors.Is(err, ErrPassphrase) {
				t.Errorf("passphrase %q: %v", wrong, err)
			}
		}
	}
}

// TestFileAsUsed goes through CreateFile, with the real price of a guess.
func TestFileAsUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MiB")
	}
	p := networkFile(t, "genesis.json")
	path := filepath.Join(t.TempDir(), "wallet.json")
	_, err := CreateFile(path, p, contentsOf(strings.ToUpper(abandon)), "secret")
	must(t, err)
	f, err := OpenFile(path, p)
	must(t, err)
	if kdf := f.content.Sealing.KDF; kdf.MemoryKiB != 262144 || kdf.Time != 3 || kdf.Threads != 1 || len(kdf.Salt) != 16 {
		t.Errorf("key derivation %+v", kdf)
	}
	words, err := f.Words("secret")
	must(t, err)
	if words.Mnemonic != abandon {
		t.Errorf("words %+v", words)
	}
	if descriptor := f.Accounts()[0].Descriptor(); !strings.Contains(descriptor, "/86h/7041652h/0h]xpub") {
		t.Errorf("descriptor of the main network: %s", descriptor)
	}
}

func TestFileHidesTheWords(t *testing.T) {
	path, _, f := testFile(t, "secret")
	data, err := os.ReadFile(path)
	must(t, err)
	if bytes.Contains(data, []byte("abandon")) || bytes.Contains(data, []byte("secret\"")) || bytes.Contains(data, []byte("xprv")) || bytes.Contains(data, []byte("tprv")) {
		t.Errorf("the file tells a secret:\n%s", data)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
	again, err := newFile(networkFile(t, "dev.json"), contentsOf(abandon), "secret", lightKDF())
	must(t, err)
	if bytes.Equal(again.content.Sealed, f.content.Sealed) || bytes.Equal(again.content.Sealing.KDF.Salt, f.content.Sealing.KDF.Salt) {
		t.Error("the same words twice are seen to be the same")
	}
}

func TestFileIsNeverOverwritten(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	before, err := os.ReadFile(path)
	must(t, err)
	if _, err := createFile(path, p, contentsOf(abandon), "other", lightKDF()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second wallet in its place: %v", err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	if _, err := createFile(path+"2", p, contentsOf("abandon"), "", lightKDF()); !errors.Is(err, ErrMnemonic) {
		t.Errorf("one word: %v", err)
	}
	names, err := filepath.Glob(path + "*")
	must(t, err)
	if len(names) != 1 {
		t.Errorf("files %v, want one", names)
	}
}

func TestFileOfAnotherNetwork(t *testing.T) {
	path, _, _ := testFile(t, "")
	_, err := OpenFile(path, networkFile(t, "genesis.json"))
	if !errors.Is(err, ErrWrongNetwork) || !strings.Contains(err.Error(), `"dev"`) || !strings.Contains(err.Error(), `"main"`) {
		t.Errorf("opened on main: %v", err)
	}
	renamed, twin := networkFile(t, "dev.json"), networkFile(t, "dev.json")
	renamed.Name = "lab" // which decides nothing about blocks
	if _, err := OpenFile(path, renamed); err != nil {
		t.Errorf("the same network by another name: %v", err)
	}
	twin.HalvingInterval++
	if _, err := OpenFile(path, twin); !errors.Is(err, ErrWrongNetwork) {
		t.Errorf("another network of the same name: %v", err)
	}
	if _, err := OpenFile(path+".none", networkFile(t, "dev.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestFileDamage changes each byte of a file in turn. White space is free, and
// everything else is seen, before a passphrase is asked for.
func TestFileDamage(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	good, err := os.ReadFile(path)
	must(t, err)
	for i := range good {
		for _, flip := range []byte{1, 0x20} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if strings.ContainsRune(" \n\t\r", rune(bad[i])) && strings.ContainsRune(" \n", rune(good[i])) {
				continue
			}
			if _, err := decodeFile(bad, p); err == nil {
				t.Fatalf("byte %d: %q for %q went unseen", i, bad[i], good[i])
			} else if !errors.Is(err, ErrDamaged) {
				t.Logf("byte %d: %v", i, err) // the version
			}
		}
		if _, err := decodeFile(good[:i], p); !errors.Is(err, ErrDamaged) && i < len(good)-1 {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	must(t, os.WriteFile(path, bytes.Repeat([]byte(" "), maxFileSize+2), 0o600))
	if _, err := OpenFile(path, p); !errors.Is(err, ErrDamaged) {
		t.Errorf("a large file: %v", err)
	}
}

// forged returns the file with a change to its content and a checksum that fits.
func forged(t testing.TB, f *File, change func(*fileContent)) []byte {
	t.Helper()
	content, sealing := f.content, *f.content.Sealing
	content.Sealing, content.Header.Accounts = &sealing, slices.Clone(content.Header.Accounts)
	change(&content)
	var err error
	content.Checksum, err = content.checksum()
	must(t, err)
	data, err := json.Marshal(&content)
	must(t, err)
	return data
}

// TestFileForgery has somebody who can write the file, but lacks the passphrase, put other
// values in it: it is found out when the words are open.
func TestFileForgery(t *testing.T) {
	_, p, f := testFile(t, "secret")
	other := testAccount(t, strings.Repeat("zoo ", 11)+"wrong", testCoinType).Descriptor()
	sameOrigin := func(text string) string { // the key of other words, said to be of these
		return "tr([73c5da0a" + text[strings.IndexByte(text, '/'):strings.IndexByte(text, '#')]
	}
	for name, tc := range map[string]struct {
		change func(*fileContent)
		want   error // of decodeFile, or else of Unlock
	}{
		"descriptor":  {func(c *fileContent) { c.Header.Accounts[0].Descriptor = other }, ErrTampered},
		"key":         {func(c *fileContent) { c.Header.Accounts[0].Descriptor = sameOrigin(other) }, ErrTampered},
		"more":        {func(c *fileContent) { c.Header.Accounts = append(c.Header.Accounts, fileAccount{"b", other}) }, ErrTampered},
		"name":        {func(c *fileContent) { c.Header.Accounts[0].Name = "other" }, ErrTampered},
		"fingerprint": {func(c *fileContent) { c.Header.Fingerprint = hexBytes{1, 2, 3, 4} }, ErrTampered},
		"network":     {func(c *fileContent) { c.Header.Network = "lab" }, ErrTampered},
		"birthday":    {func(c *fileContent) { c.Header.Birthday.Height = 1 << 30 }, ErrTampered},
		"gap limit":   {func(c *fileContent) { c.Header.GapLimit = 1 }, ErrTampered},
		"code":        {func(c *fileContent) { c.Code = nil }, ErrTampered},
		"secret":      {func(c *fileContent) { c.Sealed = bytes.Clone(c.Sealed); c.Sealed[len(c.Sealed)-1] ^= 1 }, ErrTampered},
		"passes":      {func(c *fileContent) { c.Sealing.KDF.Time++ }, ErrPassphrase},
		"salt":        {func(c *fileContent) { c.Sealing.KDF.Salt = make(hexBytes, 16) }, ErrPassphrase},
		"nonce":       {func(c *fileContent) { c.Sealing.Cipher.Nonce = make(hexBytes, 24) }, ErrPassphrase},
		"words":       {func(c *fileContent) { c.Sealed = make(hexBytes, 100) }, ErrPassphrase},
		"no words":    {func(c *fileContent) { c.Sealing = nil }, ErrDamaged},
		"no accounts": {func(c *fileContent) { c.Header.Accounts = []fileAccount{} }, ErrDamaged},
		"twice": {func(c *fileContent) {
			c.Header.Accounts = append(c.Header.Accounts, fileAccount{"b", c.Header.Accounts[0].Descriptor})
		}, ErrDamaged},
		"no gap":       {func(c *fileContent) { c.Header.GapLimit = 0 }, ErrDamaged},
		"large gap":    {func(c *fileContent) { c.Header.GapLimit = 1 << 31 }, ErrDamaged},
		"no passes":    {func(c *fileContent) { c.Sealing.KDF.Time = 0 }, ErrDamaged},
		"many passes":  {func(c *fileContent) { c.Sealing.KDF.Time = 1 << 31 }, ErrDamaged},
		"no threads":   {func(c *fileContent) { c.Sealing.KDF.Threads = 0 }, ErrDamaged},
		"much memory":  {func(c *fileContent) { c.Sealing.KDF.MemoryKiB = 1<<32 - 1 }, ErrDamaged},
		"no salt":      {func(c *fileContent) { c.Sealing.KDF.Salt = nil }, ErrDamaged},
		"other KDF":    {func(c *fileContent) { c.Sealing.KDF.Algorithm = "scrypt" }, ErrDamaged},
		"other cipher": {func(c *fileContent) { c.Sealing.Cipher.Algorithm = "none" }, ErrDamaged},
		"short nonce":  {func(c *fileContent) { c.Sealing.Cipher.Nonce = make(hexBytes, 12) }, ErrDamaged},
		"long print":   {func(c *fileContent) { c.Header.Fingerprint = make(hexBytes, 5) }, ErrDamaged},
		"nothing":      {func(c *fileContent) { c.Sealed = nil }, ErrDamaged},
		"old version":  {func(c *fileContent) { c.Header.Version = 0 }, ErrDamaged},
	} {
		got, err := decodeFile(forged(t, f, tc.change), p)
		if err == nil {
			_, err = got.Unlock("secret")
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	_, err := decodeFile(forged(t, f, func(c *fileContent) { c.Header.Version = 3 }), p)
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a later version: %v", err)
	}
	if _, err := newFile(p, Contents{Words: Words{Mnemonic: abandon}, Accounts: []NamedDescriptor{{"main", sameOrigin(other)}}}, "", lightKDF()); err == nil {
		t.Error("a file is made of the words and the account of others")
	}
}

// TestByteOrderMark: an editor that writes one does no harm.
func TestByteOrderMark(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append([]byte("\xef\xbb\xbf"), data...), 0o600))
	f, err := OpenFile(path, p)
	must(t, err)
	if _, err := f.Unlock("secret"); err != nil {
		t.Error(err)
	}
}

// FuzzFile decodes anything, as it is and with a checksum that fits, behind
// which the fields are. What it accepts opens or refuses, and comes back from an
// encoding as it was.
func FuzzFile(f *testing.F) {
	p := networkFile(f, "dev.json")
	file, err := newFile(p, contentsOf(abandon), "", lightKDF())
	must(f, err)
	good, err := json.Marshal(&file.content)
	must(f, err)
	f.Add(good)
	f.Add(forged(f, file, func(c *fileContent) { c.Sealing.KDF.MemoryKiB = 16 }))
	f.Add([]byte(oldFile))
	f.Add([]byte(`{"header":{"version":3}}`))
	f.Add([]byte(`{"header":null,"sealed":"","checksum":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkDecoded(t, data, p)
		var content fileContent
		if json.Unmarshal(data, &content) == nil && content.Sealing != nil {
			checkDecoded(t, forged(t, &File{content: content}, func(*fileContent) {}), p)
		}
		var old oldContent
		if json.Unmarshal(data, &old) == nil {
			checkDecoded(t, forgedOld(t, &old, func(*oldContent) {}), p)
		}
	})
}

func checkDecoded(t *testing.T, data []byte, p *consensus.Params) {
	got, err := decodeFile(data, p)
	if err != nil {
		return
	}
	if got.old == nil {
		again, err := json.Marshal(&got.content)
		must(t, err)
		if twice, err := decodeFile(again, p); err != nil || twice.Birthday() != got.Birthday() || twice.owner() != got.owner() {
			t.Fatalf("not as it was: %v", err)
		}
	}
	if _, err := got.Accounts()[0].Script(Receive, 0); err != nil {
		t.Fatal(err)
	}
	if how := got.sealing(); how != nil && (how.KDF.MemoryKiB > 1<<10 || how.KDF.Time > 2) {
		return
	}
	if _, err := got.Unlock(""); err != nil && !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTampered) && !errors.Is(err, ErrNoWords) {
		t.Fatal(err)
	}
}
