package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The main flows as a person at a terminal goes through them, 80 and 60 columns wide. What
// is read there is kept in testdata/flows, where it can be looked at: a change of a text shows
// as a change of that file.

// aliceWords are the words of a wallet that the flows have.
const aliceWords = "legal winner thank year wave sausage worth useful legal winner thank yellow"

// flow runs a flow at terminals of both widths, each with a node of its own and with a wallet
// called rich, which has coins.
func flow(t *testing.T, name string, steps func(b *bench, s *screen)) {
	slow(t)
	for _, columns := range []int{80, 60} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			b := newBench(t)
			b.rich()
			s := newScreen(t, columns)
			t.Chdir(t.TempDir())
			steps(b, s)
			s.golden(name, b)
		})
	}
}

func TestFlowCreate(t *testing.T) {
	flow(t, "create", func(b *bench, s *screen) {
		s.run(b, 0, "create", first, "S3cret words", second, "S3cret words")
		s.run(b, 1, "create")
		s.run(b, 0, "status")
	})
}

// Of a wallet that is restored, words that are copied wrong are found before a passphrase is
// asked for, and a paste may have the numbers that create printed.
func TestFlowRestore(t *testing.T) {
	flow(t, "restore", func(b *bench, s *screen) {
		b.karatIn(aliceWords, "before", "restore", "--no-passphrase")
		b.karat("rich", "send", "--yes", b.karat("before", "address"), "12.5")
		b.mine(1)
		s.run(b, 1, "restore", "Words:", strings.Replace(aliceWords, "sausage", "sausge", 1), finish, "", "Word 6 again, or Enter to give up:", "")
		s.run(b, 0, "restore", "Words:", "1. legal 2. winner 3. thank 4. year", "4 words; go on:", "wave sausge worth useful legal winner thank yellow", finish, "", "Word 6 again, or Enter to give up:", "sausage", first, "S3cret words", second, "S3cret words")
		s.run(b, 0, "balance")
		s.run(b, 0, "wallets")
	})
}

func TestFlowReceive(t *testing.T) {
	flow(t, "receive", func(b *bench, s *screen) {
		b.karatIn(aliceWords, "default", "restore", "--no-passphrase")
		s.run(b, 0, "address")
		address := regexp.MustCompile(`krtd1p[a-z0-9]+`).FindString(s.text())
		b.karat("rich", "send", "--yes", address, "12.5")
		s.run(b, 0, "balance")
		b.mine(1)
		s.run(b, 0, "balance")
		s.run(b, 0, "history")
		s.run(b, 0, "addresses")
	})
}

func TestFlowSend(t *testing.T) {
	flow(t, "send", func(b *bench, s *screen) {
		passphrase := filepath.Join(t.TempDir(), "passphrase")
		if err := os.WriteFile(passphrase, []byte("S3cret"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.karatIn(aliceWords, "default", "restore", "--passphrase-file", passphrase)
		b.karat("rich", "send", "--yes", b.karat("default", "address"), "20")
		b.mine(1)
		to := b.karat("rich", "address")
		s.run(b, 2, "send "+to[:30]+" 5")
		s.run(b, 1, "send "+to+" 50")
		s.run(b, 1, "send "+to+" 5", sendIt, "n")
		s.run(b, 0, "send "+to+" 5", sendIt, "y", first, "S3cret")
		s.run(b, 0, "history")
	})
}

func TestFlowBump(t *testing.T) {
	flow(t, "bump", func(b *bench, s *screen) {
		b.karatIn(aliceWords, "default", "restore", "--no-passphrase")
		b.karat("rich", "send", "--yes", b.karat("default", "address"), "20")
		b.mine(1)
		txid := b.karat("default", "send", "--yes", "--feerate", "0.2", b.karat("rich", "address"), "5")
		s.run(b, 0, "history")
		s.run(b, 0, "bump --feerate 4 "+txid, sendIt, "y")
		b.mine(1)
		s.run(b, 0, "history")
	})
}

func TestFlowYear(t *testing.T) {
	flow(t, "year", func(b *bench, s *screen) {
		b.karatIn(aliceWords, "default", "restore", "--no-passphrase")
		mine, shop := b.karat("default", "address"), b.karat("rich", "address")
		b.karat("default", "label", mine, "salary")
		b.karat("default", "label", shop, "the corner shop")
		for _, amount := range []string{"20", "21.5"} {
			b.karat("rich", "send", "--yes", mine, amount)
			b.mine(1)
			b.karat("default", "send", "--yes", shop, "3.25")
			b.mine(1)
		}
		s.run(b, 0, "history")
		s.run(b, 0, "history --csv")
	})
}

// bobWords are the words of another wallet.
const bobWords = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"

func TestFlowMultisig(t *testing.T) {
	flow(t, "multisig", func(b *bench, s *screen) {
		b.karatIn(aliceWords, "alice", "restore", "--no-passphrase")
		b.karatIn(bobWords, "bob", "restore", "--no-passphrase")
		s.run(b, 0, "--wallet alice multisig key")
		keys := b.karat("alice", "multisig", "key") + " " + b.karat("bob", "multisig", "key")
		s.run(b, 0, "--wallet alice multisig new us --threshold 2 "+keys)
		b.karat("bob", append([]string{"multisig", "new", "us", "--threshold", "2"}, strings.Fields(keys)...)...)
		b.karat("rich", "send", "--yes", b.karat("alice", "address", "--account", "us"), "5")
		b.mine(1)
		s.run(b, 0, "--wallet alice psbt create --account us -o pay.psbt --all "+b.karat("rich", "address")) // one output: the order of two is by chance
		s.run(b, 0, "--wallet alice psbt sign --yes -o alice.psbt pay.psbt")
		s.run(b, 0, "--wallet bob psbt show alice.psbt")
		s.run(b, 0, "--wallet bob psbt sign --yes -o both.psbt alice.psbt")
		s.run(b, 0, "--wallet bob psbt send --yes both.psbt")
	})
}

func TestFlowColdSigning(t *testing.T) {
	flow(t, "cold", func(b *bench, s *screen) {
		cold := &bench{t: t, dir: t.TempDir(), rpc: "127.0.0.1:1", cookie: os.DevNull}
		cold.karatIn(aliceWords, "default", "restore", "--no-passphrase")
		descriptor := cold.karat("default", "descriptors", "--multipath")
		s.run(b, 0, "script new --watch-only cold '"+descriptor+"'")
		b.karat("rich", "send", "--yes", b.karat("default", "address"), "5")
		b.mine(1)
		s.run(b, 0, "send --psbt unsigned.psbt --all "+b.karat("rich", "address"))
		s.run(cold, 0, "psbt sign -o signed.psbt unsigned.psbt", "Sign it? [y/N] ", "y")
		s.run(b, 0, "psbt send --yes signed.psbt")
		s.run(b, 0, "balance")
	})
}
