package main

import (
	"strings"
	"testing"
)

// TestURI: what one wallet asks for another pays as it is, and both know what it was for.
func TestURI(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karat("alice", "create", "--no-passphrase")
	uri := b.karat("alice", "address", "--amount", "1500mkrtd", "--label", "Alice & Co", "--message", "invoice 7")
	address, query, _ := strings.Cut(strings.TrimPrefix(uri, "karat:"), "?")
	if query != "amount=1.5&label=Alice%20%26%20Co&message=invoice%207" {
		t.Fatalf("URI %s", uri)
	}
	if got := b.karat("alice", "label", address); got != "Alice & Co" {
		t.Errorf("label %q", got)
	}
	code, _, stderr := b.try("", "rich", "send", uri) // nobody can be asked
	for _, want := range []string{"pay     1.50000000", "to " + address, "Alice & Co", "invoice 7"} {
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("the question lacks %q: %s", want, stderr)
		}
	}
	other := b.karat("alice", "address")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "asks for 1.50000000", []string{uri, "2"}},
		{2, "asks for 1.50000000", []string{"--all", uri}},
		{2, "no amount", []string{"karat:" + other}},
		{2, "no amount", []string{uri, other}},
		{2, "req-x", []string{uri + "&req-x=1"}},
		{2, `not with "karat:"`, []string{"bitcoin:" + other, "1"}},
	} {
		if code, _, stderr := b.try("", "rich", append([]string{"send", "--yes"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: %d %s", c.args, code, stderr)
		}
	}
	b.karat("rich", "send", "--yes", uri, "karat:"+other, "0.25", strings.ToUpper("karat:"+other), "1", uri, "1.5")
	b.mine(1)
	b.expect("paid by URIs", "alice", "4.25000000", "0.00000000")
	if got := b.karat("rich", "label", address); got != "Alice & Co" {
		t.Errorf("who was paid is %q", got)
	}
	if got := b.karat("alice", "addresses"); !strings.Contains(got, "Alice & Co") || !strings.Contains(got, "3.00000000") {
		t.Errorf("addresses: %s", got)
	}
	before := b.karat("alice", "addresses", "--json")
	for _, args := range [][]string{{"--amount", "0"}, {"--amount", "x"}, {"--message", "a\x1b"}, {"--label", strings.Repeat("x", 256)}} {
		if code, _, stderr := b.try("", "alice", append([]string{"address"}, args...)...); code != 2 {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
	if after := b.karat("alice", "addresses", "--json"); after != before {
		t.Errorf("what was refused has used up an address: %s", after)
	}
	if got := b.karat("alice", "address", "--json", "--amount", "1"); !strings.Contains(got, `"uri": "karat:krtd1p`) || !strings.Contains(got, `?amount=1"`) {
		t.Errorf("as JSON: %s", got)
	}
}
