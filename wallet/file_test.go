package wallet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

func testFile(t testing.TB, passphrase string) (path string, p *consensus.Params, f *File) {
	t.Helper()
	p = networkFile(t, "dev.json")
	path = filepath.Join(t.TempDir(), "wallets", "default", "wallet.json")
	birthday := types.Index{Height: 12, Hash: types.DoubleSHA256([]byte("tip"))}
	f, err := createFile(path, p, abandon, passphrase, birthday, lightKDF())
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
		want := testAccount(t, abandon, testCoinType).Descriptor(Receive)
		if got := f.Account().Descriptor(Receive); got != want || created.Account().Descriptor(Receive) != want {
			t.Errorf("descriptor %s, want %s", got, want)
		}
		words, err := f.Mnemonic(passphrase)
		must(t, err)
		if words != abandon {
			t.Errorf("words %q", words)
		}
		signer, err := f.Unlock(passphrase)
		must(t, err)
		signer.Wipe()
		signer.Wipe()
		for _, wrong := range []string{passphrase + " ", "x", "Correct horse"} {
			if _, err := f.Unlock(wrong); !errors.Is(err, ErrPassphrase) {
				t.Errorf("passphrase %q: %v", wrong, err)
			}
			if _, err := f.Mnemonic(wrong); !errors.Is(err, ErrPassphrase) {
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
	_, err := CreateFile(path, p, strings.ToUpper(abandon), "secret", types.Index{})
	must(t, err)
	f, err := OpenFile(path, p)
	must(t, err)
	if kdf := f.content.Header.KDF; kdf.MemoryKiB != 262144 || kdf.Time != 3 || kdf.Threads != 1 || len(kdf.Salt) != 16 {
		t.Errorf("key derivation %+v", kdf)
	}
	words, err := f.Mnemonic("secret")
	must(t, err)
	if words != abandon {
		t.Errorf("words %q", words)
	}
	if descriptor := f.Account().Descriptor(Receive); !strings.Contains(descriptor, "/86h/7041652h/0h]xpub") {
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
	again, err := newFile(networkFile(t, "dev.json"), abandon, "secret", f.Birthday(), lightKDF())
	must(t, err)
	if bytes.Equal(again.content.Sealed, f.content.Sealed) || bytes.Equal(again.content.Header.KDF.Salt, f.content.Header.KDF.Salt) {
		t.Error("the same words twice are seen to be the same")
	}
}

func TestFileIsNeverOverwritten(t *testing.T) {
	path, p, _ := testFile(t, "secret")
	before, err := os.ReadFile(path)
	must(t, err)
	if _, err := createFile(path, p, abandon, "other", types.Index{}, lightKDF()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second wallet in its place: %v", err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	if _, err := createFile(path+"2", p, "abandon", "", types.Index{}, lightKDF()); !errors.Is(err, ErrMnemonic) {
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
			if _, err := decodeFile(bad); err == nil {
				t.Fatalf("byte %d: %q for %q went unseen", i, bad[i], good[i])
			} else if !errors.Is(err, ErrDamaged) {
				t.Logf("byte %d: %v", i, err) // the version
			}
		}
		if _, err := decodeFile(good[:i]); !errors.Is(err, ErrDamaged) && i < len(good)-1 {
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
	content := f.content
	change(&content)
	var err error
	content.Checksum, err = content.checksum()
	must(t, err)
	data, err := json.Marshal(&content)
	must(t, err)
	return data
}

// TestFileForgery has somebody who can write the file, but lacks the passphrase,
// put other values in it: the most that they reach is a wallet that does not
// open.
func TestFileForgery(t *testing.T) {
	_, p, f := testFile(t, "secret")
	other := testAccount(t, strings.Repeat("zoo ", 11)+"wrong", testCoinType)
	for name, tc := range map[string]struct {
		change func(*fileContent)
		want   error // of decodeFile, or else of Unlock
	}{
		"account":      {func(c *fileContent) { c.Header.AccountKey = other.xpub }, ErrPassphrase},
		"fingerprint":  {func(c *fileContent) { c.Header.Fingerprint = hexBytes{1, 2, 3, 4} }, ErrPassphrase},
		"network":      {func(c *fileContent) { c.Header.Network = "lab" }, ErrPassphrase},
		"birthday":     {func(c *fileContent) { c.Header.Birthday.Height = 1 << 30 }, ErrPassphrase},
		"salt":         {func(c *fileContent) { c.Header.KDF.Salt = make(hexBytes, 16) }, ErrPassphrase},
		"nonce":        {func(c *fileContent) { c.Header.Cipher.Nonce = make(hexBytes, 24) }, ErrPassphrase},
		"words":        {func(c *fileContent) { c.Sealed = make(hexBytes, 100) }, ErrPassphrase},
		"coin type":    {func(c *fileContent) { c.Header.CoinType = 0 }, ErrDamaged},
		"other prefix": {func(c *fileContent) { c.Header.CoinType = mainCoinType }, ErrDamaged},
		"no passes":    {func(c *fileContent) { c.Header.KDF.Time = 0 }, ErrDamaged},
		"many passes":  {func(c *fileContent) { c.Header.KDF.Time = 1 << 31 }, ErrDamaged},
		"no threads":   {func(c *fileContent) { c.Header.KDF.Threads = 0 }, ErrDamaged},
		"much memory":  {func(c *fileContent) { c.Header.KDF.MemoryKiB = 1<<32 - 1 }, ErrDamaged},
		"no salt":      {func(c *fileContent) { c.Header.KDF.Salt = nil }, ErrDamaged},
		"other KDF":    {func(c *fileContent) { c.Header.KDF.Algorithm = "scrypt" }, ErrDamaged},
		"other cipher": {func(c *fileContent) { c.Header.Cipher.Algorithm = "none" }, ErrDamaged},
		"short nonce":  {func(c *fileContent) { c.Header.Cipher.Nonce = make(hexBytes, 12) }, ErrDamaged},
		"long print":   {func(c *fileContent) { c.Header.Fingerprint = make(hexBytes, 5) }, ErrDamaged},
		"nothing":      {func(c *fileContent) { c.Sealed = nil }, ErrDamaged},
		"old version":  {func(c *fileContent) { c.Header.Version = 0 }, ErrDamaged},
	} {
		got, err := decodeFile(forged(t, f, tc.change))
		if err == nil {
			_, err = got.Unlock("secret")
		}
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	_, err := decodeFile(forged(t, f, func(c *fileContent) { c.Header.Version = 2 }))
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a later version: %v", err)
	}

	// Whoever knows the passphrase cannot make a file of two halves by accident.
	mixed, err := newFile(p, abandon, "secret", types.Index{}, lightKDF())
	must(t, err)
	mixed.content.Header.AccountKey = other.xpub
	must(t, mixed.content.seal([]byte(abandon), "secret"))
	if _, err := mixed.Unlock("secret"); !errors.Is(err, ErrDamaged) {
		t.Errorf("the account of other words: %v", err)
	}
	must(t, mixed.content.seal([]byte("abandon"), "secret"))
	if _, err := mixed.Mnemonic("secret"); !errors.Is(err, ErrDamaged) {
		t.Errorf("one word: %v", err)
	}
}

// FuzzFile decodes anything, as it is and with a checksum that fits, behind
// which the fields are. What it accepts opens or refuses, and comes back from an
// encoding as it was.
func FuzzFile(f *testing.F) {
	file, err := newFile(networkFile(f, "dev.json"), abandon, "", types.Index{Height: 7}, lightKDF())
	must(f, err)
	good, err := json.Marshal(&file.content)
	must(f, err)
	f.Add(good)
	f.Add(forged(f, file, func(c *fileContent) { c.Header.KDF.MemoryKiB = 16 }))
	f.Add([]byte(`{"header":{"version":2}}`))
	f.Add([]byte(`{"header":null,"sealed":"","checksum":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkDecoded(t, data)
		var content fileContent
		if json.Unmarshal(data, &content) == nil {
			checkDecoded(t, forged(t, &File{content: content}, func(*fileContent) {}))
		}
	})
}

func checkDecoded(t *testing.T, data []byte) {
	got, err := decodeFile(data)
	if err != nil {
		return
	}
	again, err := json.Marshal(&got.content)
	must(t, err)
	if twice, err := decodeFile(again); err != nil || twice.Birthday() != got.Birthday() || twice.owner() != got.owner() {
		t.Fatalf("not as it was: %v", err)
	}
	if _, err := got.Account().Script(Receive, 0); err != nil {
		t.Fatal(err)
	}
	if kdf := &got.content.Header.KDF; kdf.MemoryKiB > 1<<10 || kdf.Time > 2 {
		return
	}
	if _, err := got.Unlock(""); err != nil && !errors.Is(err, ErrPassphrase) && !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}
