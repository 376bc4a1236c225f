package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/wallet/bip39"
)

// TestRestoreLanguages: what create shows in any language makes the same wallet, whoever wrote a
// byte order mark in front of it.
func TestRestoreLanguages(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	for _, language := range bip39.Languages {
		var made struct{ Mnemonic, Language, Fingerprint string }
		out := b.karat(language, "create", "--no-passphrase", "--words", "18", "--language", language, "--json")
		if err := json.Unmarshal([]byte(out), &made); err != nil || made.Language != language {
			t.Fatalf("%s: %v", out, err)
		}
		b.karatIn("\ufeff"+made.Mnemonic+"\r\n", language+"2", "restore", "--no-passphrase")
		if got, want := b.karat(language+"2", "descriptors"), b.karat(language, "descriptors"); got != want {
			t.Errorf("%s: restored\n%s\nwant\n%s", language, got, want)
		}
		if got := b.karat(language+"2", "mnemonic"); !strings.Contains(strings.Join(strings.Fields(got), " "), strings.Fields(made.Mnemonic)[17]) {
			t.Errorf("%s: it shows %s", language, got)
		}
	}
}

// TestSecondPassphrase: BIP39's passphrase makes another wallet, and is shown with the words.
func TestSecondPassphrase(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	file := filepath.Join(t.TempDir(), "second")
	if err := os.WriteFile(file, []byte("TREZOR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.karatIn(richWords, "plain", "restore", "--no-passphrase")
	out := b.karatIn(richWords, "second", "restore", "--no-passphrase", "--bip39-passphrase-file", file)
	if !strings.Contains(out, "master key") || strings.Contains(out, "TREZOR") {
		t.Errorf("it says %s", out)
	}
	if b.karat("plain", "descriptors") == b.karat("second", "descriptors") {
		t.Error("the passphrase makes no difference")
	}
	if out := b.karat("second", "mnemonic", "--json"); !strings.Contains(out, `"TREZOR"`) {
		t.Errorf("mnemonic shows %s", out)
	}
	if code, _, errs := b.try(richWords, "third", "restore", "--no-passphrase", "--bip39-passphrase"); code != 2 || !strings.Contains(errs, "--bip39-passphrase-file") {
		t.Errorf("without a terminal: exit code %d: %s", code, errs)
	}
}

// TestChangePassphrase: the new one opens the words, and the old one does not.
func TestChangePassphrase(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, later := file("old"), file("later")
	b.karatIn(richWords, "w", "restore", "--no-passphrase")
	b.karat("w", "passphrase", "--new-passphrase-file", old)
	b.karat("w", "passphrase", "--passphrase-file", old, "--new-passphrase-file", later)
	if code, out, _ := b.try("", "w", "mnemonic", "--passphrase-file", old); code != 1 || out != "" {
		t.Errorf("the old one: exit code %d: %s", code, out)
	}
	if out := b.karat("w", "mnemonic", "--passphrase-file", later); !strings.Contains(out, "junk") {
		t.Errorf("the new one: %s", out)
	}
	if code, _, errs := b.try("", "w", "passphrase", "--passphrase-file", later, "--new-passphrase-file", os.DevNull); code != 2 || !strings.Contains(errs, "empty") {
		t.Errorf("an empty one: exit code %d: %s", code, errs)
	}
	if out := b.karat("w", "wallets"); !strings.Contains(out, "encrypted") || strings.Contains(out, "not encrypted") {
		t.Errorf("wallets shows %s", out)
	}
}

func TestParseBirthday(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string][2]int64{"0": {0, 0}, "120000": {120_000, 0}, "2026-01-31": {0, 1_769_817_600}, "1970-01-01": {0, 1}} {
		if got, err := parseBirthday(text, now); err != nil || int64(got.Height) != want[0] || got.Time != want[1] {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1", "31.01.2026", "2026-12-01", "2026-02-30", "4294967296", "yesterday"} {
		if got, err := parseBirthday(text, now); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// The lines of the commands in keys.go, for the tests of every command.
var _ = func() bool {
	commandLines["passphrase"] = commandLine{words: "--no-passphrase"}
	return true
}()
