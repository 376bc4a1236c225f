package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/nodetest"
)

// TestStoredView: if the node cannot be asked, or knows less than the wallet, commands show
// what the wallet knows, from when that is and what is wrong, and end with 3. A wallet that
// knows nothing yet shows nothing, and a payment is not made.
func TestStoredView(t *testing.T) {
	b := newBench(t)
	b.rich()
	b.karatIn(richWords+"\n", "never", "restore", "--no-passphrase")
	to := b.karat("rich", "address")
	want := map[string]string{}
	for _, command := range []string{"balance", "history", "coins", "addresses"} {
		want[command] = b.karat("rich", command, "--json")
	}
	younger := nodetest.Dev(t, nil) // a node that has no block but the first
	check := func(name string, args []string, says string) {
		t.Helper()
		for command, shown := range want {
			code, stdout, stderr := b.try("", "rich", append(args, command, "--json")...)
			if code != 3 || strings.TrimSuffix(stdout, "\n") != shown || !strings.Contains(stderr, "shown as of block 100 of 20") || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s, %s: exit code %d, %s%s\nwant %s", name, command, code, stdout, stderr, shown)
			}
			if !json.Valid([]byte(stdout)) {
				t.Errorf("%s, %s: no JSON: %s", name, command, stdout)
			}
		}
		if code, stdout, stderr := b.try("", "rich", append(args, "send", "--yes", to, "1")...); code != 1 || stdout != "" || strings.Contains(stderr, "shown") {
			t.Errorf("%s, a payment: exit code %d: %s%s", name, code, stdout, stderr)
		}
	}
	check("a node that knows less", []string{"--rpc", younger.RPC, "--rpc-cookie", younger.CookieFile}, "behind")
	check("no cookie", []string{"--rpc-cookie", "nowhere"}, "cookie")
	b.stop()
	check("no node", nil, "no node answers")
	if code, stdout, stderr := b.try("", "never", "balance"); code != 1 || stdout != "" || !strings.Contains(stderr, "no node answers") {
		t.Errorf("a wallet that was never synced: exit code %d: %s%s", code, stdout, stderr)
	}
}
