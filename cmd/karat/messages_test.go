package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMessages: what an address's owner signs is verified here and by a node, and nothing
// else is.
func TestMessages(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	alice, rich := b.karat("alice", "address"), b.karat("rich", "address")
	for _, form := range [][]string{{"smp"}, {"ful", "--full"}} {
		signature := b.karat("alice", append([]string{"sign-message", "--yes", alice, "I am Alice"}, form[1:]...)...)
		if !strings.HasPrefix(signature, form[0]) || !call[bool](b, "verifymessage", alice, signature, "I am Alice") {
			t.Errorf("%s is %s, which the node does not verify", form[0], signature)
		}
		if said := b.karat("nobody", "verify-message", alice, signature, "I am Alice"); !strings.HasPrefix(said, "valid: ") {
			t.Error(said)
		}
		for _, wrong := range [][]string{{rich, signature, "I am Alice"}, {alice, signature, "I am Alicia"}, {alice, signature[:20], "I am Alice"}} {
			if code, out, errs := b.try("", "nobody", append([]string{"verifymessage"}, wrong...)...); code != 1 || out != "" {
				t.Errorf("%v: exit code %d: %s%s", wrong, code, out, errs)
			}
			if code, out, _ := b.try("", "nobody", append([]string{"verifymessage", "--json"}, wrong...)...); code != 1 || !strings.Contains(out, `"valid": false`) {
				t.Errorf("%v: exit code %d: %s", wrong, code, out)
			}
		}
	}

	// A file and standard input are taken byte for byte.
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("\xff\x00two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signature := b.karat("alice", "signmessage", "-y", alice, "--file", file)
	b.karatIn("\xff\x00two\n", "nobody", "verify-message", alice, signature, "-")
	if code, _, _ := b.try("\xff\x00two", "nobody", "verify-message", alice, signature, "-"); code != 1 {
		t.Errorf("without its line's end: exit code %d", code)
	}

	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{1, "not one of this wallet's", []string{"sign-message", "--yes", rich, "hello"}},
		{1, "no coins in blocks", []string{"sign-message", "--yes", "--funds", alice, "hello"}},
		{1, "no such file", []string{"sign-message", "--yes", alice, "--file", file + "s"}},
		{2, "add --yes", []string{"sign-message", alice, "hello"}},
		{2, "wants ADDRESS MESSAGE", []string{"sign-message", alice}},
		{2, "wants ADDRESS MESSAGE", []string{"sign-message", alice, "hello", "--file", file}},
		{2, "standard input has the message", []string{"sign-message", alice, "-", "--passphrase-file", "-"}},
		{2, "wants ADDRESS SIGNATURE MESSAGE", []string{"verify-message", alice, signature}},
		{2, "address", []string{"verify-message", "krtd1p", signature, "hello"}},
	} {
		if code, out, errs := b.try("", "alice", c.args...); code != c.code || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit code %d, want %d: %s, want %q", c.args, code, c.code, errs, c.want)
		}
	}
}

// TestFunds: a proof of funds holds as long as its coins are unspent.
func TestFunds(t *testing.T) {
	b := newBench(t)
	b.rich()
	address := b.karat("rich", "address")
	proof := b.karat("rich", "sign-message", "--funds", "--yes", address, "audit")
	if said := b.karat("nobody", "verify-message", address, proof, "audit"); !strings.Contains(said, "coins with 1000000.00000000, which are there and unspent") {
		t.Error(said)
	}
	b.karat("rich", "send", "--yes", address, "1")
	verify := []string{"verify-message", "--json", address, proof, "audit"}
	if code, out, errs := b.try("", "nobody", verify...); code != 1 || !strings.Contains(errs, "is spent or never was") || !strings.Contains(out, `"unspent": false`) {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	var said struct {
		Valid, Unspent bool
		Amount         json.Number
		Coins          []struct{ Address string }
	}
	if err := json.Unmarshal([]byte(b.karat("nobody", append(verify, "--offline")...)), &said); err != nil {
		t.Fatal(err)
	}
	if !said.Valid || said.Unspent || said.Amount != "1000000.00000000" || len(said.Coins) == 0 || !strings.HasPrefix(said.Coins[0].Address, "krtd1p") {
		t.Errorf("offline: %+v", said)
	}
	b.stop()
	if code, _, errs := b.try("", "nobody", verify...); code != 1 || !strings.Contains(errs, "--offline") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestMessageOfSeveral: those who share an address sign a message as they sign a payment, and
// see that it is one.
func TestMessageOfSeveral(t *testing.T) {
	slow(t)
	b := newBench(t)
	account := b.share([]string{"alice", "bob", "carol"}, "--threshold", "2")
	b.karat("alice", "address", "--account", "shared")
	file := filepath.Join(b.dir, "message")
	if code, _, errs := b.try("", "alice", "sign-message", "--yes", account.FirstAddress, "we agree"); code != 1 || !strings.Contains(errs, "--psbt FILE") {
		t.Errorf("alone: exit code %d: %s", code, errs)
	}
	b.karat("alice", "sign-message", "--psbt", file, account.FirstAddress, "we agree")
	one := b.karat("alice", "psbt", "sign", "--yes", file)
	if code, _, errs := b.try("", "alice", "psbt", "finalize", one); code != 1 || !strings.Contains(errs, "not complete") {
		t.Errorf("of one: exit code %d: %s", code, errs)
	}
	if code, _, errs := b.try("", "bob", "psbt", "sign", one); code != 2 || !strings.Contains(errs, "The key of "+account.FirstAddress+" signs this message of 8 bytes:\n\n   we agree\n") {
		t.Errorf("the question: exit code %d: %s", code, errs)
	}
	signature := b.karat("carol", "psbt", "finalize", b.karat("bob", "psbt", "sign", "--yes", one))
	b.karat("nobody", "verify-message", account.FirstAddress, signature, "we agree")
	if !strings.HasPrefix(signature, "smp") || !call[bool](b, "verifymessage", account.FirstAddress, signature, "we agree") {
		t.Errorf("the node does not verify %s", signature)
	}
}
