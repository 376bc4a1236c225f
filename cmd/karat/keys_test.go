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
	slow(t)
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

// The lines of the commands in accounts.go and backup.go.
var _ = func() bool {
	commandLines["accounts new"] = commandLine{words: "savings"}
	commandLines["import"] = commandLine{words: "addr(krtd1p8wpt9v4frpf3tkn0srd97pksgsxc5hs52lafxwru9kgeephvs7rqr2y4qk)", fresh: true}
	commandLines["backup"] = commandLine{words: "--no-passphrase -"}
	return true
}()

// TestBackupCommands: a backup restores a wallet by its passphrase, what paper prints restores it
// too, and descriptors are watched by a wallet that has no words.
func TestBackupCommands(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	b.karatIn(richWords, "w", "restore", "--no-passphrase")
	b.karat("w", "accounts", "new", "savings")
	file := filepath.Join(t.TempDir(), "w.backup")
	b.karat("w", "backup", "--no-passphrase", file)
	if code, _, errs := b.try("", "w", "backup", "--no-passphrase", file); code != 1 || !strings.Contains(errs, "already") {
		t.Errorf("in the place of another: exit code %d: %s", code, errs)
	}
	b.karat("again", "restore", "--backup", file)
	if got, want := b.karat("again", "accounts"), b.karat("w", "accounts"); got != want || !strings.Contains(got, "savings") {
		t.Errorf("restored\n%s\nwant\n%s", got, want)
	}
	if code, _, errs := b.try("", "again", "restore", "--backup", file); code != 1 || !strings.Contains(errs, "already a wallet") {
		t.Errorf("restored twice: exit code %d: %s", code, errs)
	}

	page := b.karat("w", "paper")
	_, words, _ := strings.Cut(page, "has the coins.")
	words, _, _ = strings.Cut(words, "DESCRIPTORS")
	b.karatIn(words, "paper", "restore", "--no-passphrase")
	descriptor := strings.Fields(b.karat("w", "descriptors", "--multipath"))[0]
	if !strings.Contains(page, descriptor) || b.karat("paper", "descriptors", "--multipath") != descriptor {
		t.Errorf("the page is\n%s", page)
	}
	if !strings.Contains(page, "type the words") {
		t.Errorf("the page does not say how to restore: %s", page)
	}
	if out := b.karat("w", "paper", "--no-words"); strings.Contains(out, "junk") || !strings.Contains(out, descriptor) || strings.Contains(out, "the words") || !strings.Contains(out, "import 'DESCRIPTOR'") {
		t.Errorf("without words it is\n%s", out)
	}

	list := strings.Join(strings.Fields(b.karat("w", "descriptors")), "\n")
	b.karatIn(list, "watch", "import", "-")
	if out := b.karat("watch", "descriptors", "--multipath"); out != b.karat("w", "descriptors", "--multipath") {
		t.Errorf("imported\n%s", out)
	}
	if code, _, errs := b.try("", "watch", "mnemonic"); code != 1 || !strings.Contains(errs, "only watches") {
		t.Errorf("its words: exit code %d: %s", code, errs)
	}
	b.karatIn(b.karat("w", "descriptors", "--core"), "core", "import", "-")
	if out := b.karat("core", "descriptors", "--json"); out != strings.NewReplacer(`"main"`, `"imported"`, `"savings"`, `"imported 2"`).Replace(b.karat("w", "descriptors", "--json")) {
		t.Errorf("from Core's form\n%s", out)
	}
	b.karat("watch2", "create", "--watch", descriptor)
	if out := b.karat("watch2", "wallets"); !strings.Contains(out, "only watches") {
		t.Errorf("wallets shows\n%s", out)
	}
	if code, _, errs := b.try("", "watch2", "import", descriptor); code != 1 || !strings.Contains(errs, "same addresses") {
		t.Errorf("imported twice: exit code %d: %s", code, errs)
	}
}
