package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotarizeAsks: nothing is put on the chain, and no proof is written, before somebody
// has seen what it costs and said yes.
func TestNotarizeAsks(t *testing.T) {
	b := newBench(t)
	b.rich()
	file := filepath.Join(t.TempDir(), "contract")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string
		sent bool
	}{{"", false}, {"n", false}, {"y", true}} {
		args := []string{"karat", "--network", "dev", "--datadir", b.dir, "--rpc", b.rpc, "--rpc-cookie", b.cookie, "--wallet", "rich", "notarize", file}
		code, _, stderr := newPerson(t).run(args, []answer{{question: "Put it on the chain? [y/N] ", line: c.line}})
		_, err := os.Stat(file + proofSuffix)
		if sent := len(call[[]string](b, "getrawmempool")) == 1; sent != c.sent || (code == 0) != c.sent || (err == nil) != c.sent {
			t.Errorf("%q: exit code %d, sent %v, proof %v:\n%s", c.line, code, sent, err, stderr)
		}
		for _, want := range []string{"contract, 3 bytes", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "grains for each of"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("no %q in %s", want, stderr)
			}
		}
	}
}
