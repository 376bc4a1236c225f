package noise

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeyVector: RFC 7748, section 6.1.
func TestKeyVector(t *testing.T) {
	private, err := hex.DecodeString("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey([32]byte(private))
	if want := "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"; err != nil || key.ID().String() != want {
		t.Errorf("%s, %v, want %s", key.ID(), err, want)
	}
}

func TestGenerateKey(t *testing.T) {
	a, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateKey()
	if err != nil || a.ID() == b.ID() {
		t.Error("the same key twice", err)
	}
	if !(Key{}).ID().IsZero() {
		t.Error("no key has an id")
	}
}

// TestKeyStaysSecret: no way of printing a key prints its secret.
func TestKeyStaysSecret(t *testing.T) {
	key := testKey(t, 0x5c)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		text := fmt.Sprintf(format, key) + fmt.Sprintf(format, struct{ K any }{key}) + fmt.Sprintf(format, struct{ k Key }{key})
		if strings.Contains(text, "5c5c") || strings.Contains(text, "92 92") || strings.Contains(text, "0x5c, 0x5c") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

func TestLoadOrCreateKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	key, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files in the folder, want the key only", len(entries))
	}
	for range 2 {
		if again, err := LoadOrCreateKey(path); err != nil || !again.secret().Equal(key.secret()) {
			t.Errorf("another key: %v", err)
		}
	}
}

// TestDamagedKeyFile: a damaged file is an error that does not show what is
// in it, and the file stays as it is.
func TestDamagedKeyFile(t *testing.T) {
	secret := strings.Repeat("5c", 32)
	for name, content := range map[string]string{
		"empty": "", "short": secret[:62], "long": secret + "00", "no hex": "zz" + secret[2:], "two": secret + "\n" + secret,
	} {
		path := filepath.Join(t.TempDir(), "node.key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreateKey(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "5c5c") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadFile(path); string(left) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := LoadOrCreateKey(t.TempDir()); err == nil {
		t.Error("a folder is taken for a key")
	}
	if _, err := LoadOrCreateKey(filepath.Join(t.TempDir(), "none", "node.key")); err == nil {
		t.Error("a key without a folder")
	}
}

// FuzzKeyFile: whatever a file holds, it is one key, whose text is all that it holds, or an
// error that does not show what is in it. In no case is it changed.
func FuzzKeyFile(f *testing.F) {
	secret := strings.Repeat("5c", 32)
	for _, content := range []string{"", secret, secret + "\n", " \t" + secret + "\r\n\n", strings.ToUpper(secret), secret[:62], secret + "00", secret + "\n" + secret, "zz" + secret[2:], secret + strings.Repeat("\n", maxKeyFile-64), secret + strings.Repeat("\n", maxKeyFile-63)} {
		f.Add([]byte(content))
	}
	path := filepath.Join(f.TempDir(), "node.key")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := LoadOrCreateKey(path)
		text := strings.TrimSpace(string(content))
		switch {
		case len(content) > maxKeyFile:
			if want := fmt.Sprintf("node key: %s: it has more than %d bytes", path, maxKeyFile); err == nil || err.Error() != want {
				t.Errorf("%d bytes: %v, want %s", len(content), err, want)
			}
		case err == nil && hex.EncodeToString(key.secret().Bytes()) != text:
			t.Errorf("%q is taken for a key", content)
		case err != nil && err.Error() != "node key file "+path+" is damaged: want 64 lower-case hexadecimal digits":
			t.Errorf("%q: %v", content, err)
		case err != nil && len(text) == 64 && strings.Trim(text, "0123456789abcdef") == "":
			t.Errorf("%q is no key: %v", content, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != string(content) {
			t.Errorf("the file was changed: %q, %v", left, err)
		}
	})
}
