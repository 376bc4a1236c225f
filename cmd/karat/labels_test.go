package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLabelCommands: labels are set by what they are for, shown, written to a file and read
// in another wallet. No node is asked.
func TestLabelCommands(t *testing.T) {
	b := newBench(t)
	b.stop()
	b.karat("alice", "create", "--no-passphrase")
	b.karat("bob", "create", "--no-passphrase")
	address := b.karat("alice", "address")
	txid := strings.Repeat("ab", 32)
	b.karat("alice", "label", address, "rent", "of", "May")
	b.karat("alice", "label", strings.ToUpper(txid), "a bicycle")
	b.karat("alice", "label", txid+":0", "wrong")
	b.karat("alice", "label", txid+":0", "")
	b.karat("alice", "label", "--type", "input", txid+":1", "paid by Bob")
	if got := b.karat("alice", "label", address); got != "rent of May" {
		t.Errorf("the address is %q", got)
	}
	want := "tx     " + txid + "    a bicycle\n" +
		"addr   " + address + "  rent of May\n" +
		"input  " + txid + ":1  paid by Bob"
	if got := b.karat("alice", "labels"); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("labels:\n%s\nwant\n%s", got, want)
	}
	file := filepath.Join(t.TempDir(), "labels.jsonl")
	b.karat("alice", "labels", "export", file)
	if code, _, stderr := b.try("", "alice", "labels", "export", file); code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("a file that is there: %d %s", code, stderr)
	}
	if got := b.karat("bob", "labels", "import", file); got != "3 labels taken over" {
		t.Errorf("imported: %q", got)
	}
	if got := b.karat("bob", "labels", "import", file); got != "0 labels taken over, 3 as they were" {
		t.Errorf("imported again: %q", got)
	}
	content, err := os.ReadFile(file)
	if err != nil || b.karat("bob", "labels", "export")+"\n" != string(content) {
		t.Errorf("bob's labels differ from %s (%v)", content, err)
	}
	for _, test := range []struct {
		input string
		code  int
		want  string
		args  []string
	}{
		{"", 2, "wants ADDRESS", []string{"label"}},
		{"", 2, "TXID:INDEX", []string{"label", "nonsense", "text"}},
		{"", 2, "U+001B", []string{"label", txid, "\x1b[2J"}},
		{"", 2, "no type", []string{"label", "--type", "cat", txid, "x"}},
		{"", 1, "has no label", []string{"label", txid + ":5"}},
		{"", 2, "one FILE", []string{"labels", "import"}},
		{"", 1, "no such file", []string{"labels", "import", "/nowhere/at/all"}},
		{"{}\n" + `{"type":"tx","ref":"` + txid + `","label":"a car"}`, 1, "line 1: it has no type", []string{"labels", "import", "-"}},
	} {
		code, _, stderr := b.try(test.input, "bob", test.args...)
		if code != test.code || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "\x1b") {
			t.Errorf("%q: %d %q, want %d %q", test.args, code, stderr, test.code, test.want)
		}
	}
	if got := b.karat("bob", "label", txid); got != "a car" {
		t.Errorf("the line behind a wrong one: %q", got)
	}
	if got := b.karat("bob", "label", "--json", txid); got != "{\n  \"type\": \"tx\",\n  \"ref\": \""+txid+"\",\n  \"label\": \"a car\"\n}" {
		t.Errorf("as JSON: %s", got)
	}
}
