package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
)

// TestStatus: what the node and the wallet say of themselves, and a code that says whether
// that is all there is.
func TestStatus(t *testing.T) {
	b := newBench(t)
	b.rich()
	if got := b.karat("none", "status", "--utc"); !strings.Contains(got, "blocks      100, all that it has heard of") || !strings.Contains(got, "none called none; karat create makes one") ||
		!strings.Contains(got, " UTC, ") || !strings.Contains(got, "peers       0, ") || !strings.Contains(got, b.rpc+" /Satoshi:") {
		t.Errorf("%s", got)
	}
	if got := b.karat("rich", "status"); !strings.Contains(got, "wallet      rich, synced to block 0, 100 behind") {
		t.Errorf("%s", got)
	}
	b.karat("rich", "sync")
	var got struct {
		Network string
		Node    struct{ Height, Headers, Peers int }
		Wallet  struct{ Height int }
		Problem string
	}
	if err := json.Unmarshal([]byte(b.karat("rich", "status", "--json")), &got); err != nil || got.Network != "dev" || got.Node.Height != 100 || got.Wallet.Height != 100 || got.Problem != "" {
		t.Errorf("%+v, %v", got, err)
	}
	b.stop()
	code, stdout, stderr := b.try("", "rich", "status", "--json")
	if err := json.Unmarshal([]byte(stdout), &got); code != 3 || err != nil || !strings.Contains(got.Problem, "no node answers") || !strings.Contains(stderr, "start a node") {
		t.Errorf("no node: exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	if code, stdout, _ := b.try("", "rich", "status"); code != 3 || !strings.Contains(stdout, "rich, synced to block 100\n") || strings.Contains(stdout, "peers") {
		t.Errorf("no node: exit code %d: %s", code, stdout)
	}
}

// TestStatusOfALonelyNode: a node of a network that has been quiet for long, and without
// peers, may not know the latest blocks.
func TestStatusOfALonelyNode(t *testing.T) {
	b := &bench{t: t}
	params, err := karat.LoadNetwork("main")
	if err != nil {
		t.Fatal(err)
	}
	n := nodetest.Dev(t, func(c *node.Config) {
		b.dir = filepath.Dir(c.DataDir)
		c.Params, c.DataDir = params, filepath.Join(b.dir, "main")
	})
	code, stdout, stderr := b.try("", "w", "--network", "main", "--rpc", n.RPC, "--rpc-cookie", n.CookieFile, "status")
	isOld := time.Since(time.Unix(int64(params.GenesisBlock().Block.Header.Timestamp), 0)) > time.Hour
	if want := map[bool]int{true: 3, false: 0}[isOld]; code != want || !strings.Contains(stdout, "blocks      0,") || isOld && !strings.Contains(stderr, "it has no peers") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := b.try("", "w", "--rpc", n.RPC, "--rpc-cookie", n.CookieFile, "status"); code != 1 || !strings.Contains(stderr, "another network") || !strings.Contains(stderr, "--network") {
		t.Errorf("another network: exit code %d: %s", code, stderr)
	}
}

// TestConfigFile: the file sets flags of all commands, less than the environment and the
// command line do, and an option that is none is refused.
func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	plain := func(args ...string) (int, string) {
		t.Helper()
		b := &bench{t: t}
		return b.plain(append([]string{"--datadir", dir}, args...)...)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("karat.toml", "\ufeffnetwork = \"dev\"\nrpc = \"127.0.0.1:1\"\nutc = true\n")
	if code, errs := plain("create", "--no-passphrase"); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "dev", "wallets", "default", "wallet.json")); err != nil {
		t.Error(err)
	}
	if code, errs := plain("rpc", "uptime", "--rpc-cookie", write(".cookie", "a:b")); code != 1 || !strings.Contains(errs, "127.0.0.1:1 (") || !strings.Contains(errs, "network dev:") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if code, errs := plain("--network", "main", "balance"); code != 1 || !strings.Contains(errs, "on network main") {
		t.Errorf("the command line: exit code %d: %s", code, errs)
	}
	t.Setenv("KARAT_NETWORK", "main")
	if code, errs := plain("balance"); code != 1 || !strings.Contains(errs, "on network main") {
		t.Errorf("the environment: exit code %d: %s", code, errs)
	}
	for text, want := range map[string]string{
		"netwrok = \"dev\"": `there is no option "netwrok": did you mean network?`, "xyzzy = 1": "options are the flags that karat --help lists", "utc = 5": "want true or false",
		"datadir = \"x\"": "no option", "network = ": "line 1", "wallet = [\"dev\"]": "want one value",
	} {
		if code, errs := plain("--config", write("other.toml", text), "balance"); code != 1 || !strings.Contains(errs, want) || !strings.Contains(errs, "other.toml") {
			t.Errorf("%s: exit code %d: %s", text, code, errs)
		}
	}
	if code, errs := plain("--config", "nowhere", "balance"); code != 1 || !strings.Contains(errs, "nowhere") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestSilentNode: what only asks how a node is, or where its chain ends, waits for no node that
// says nothing, and says so in words.
func TestSilentNode(t *testing.T) {
	before := nodeTime
	nodeTime = 50 * time.Millisecond
	defer func() { nodeTime = before }()
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-end
	}))
	defer server.Close()
	defer close(end)
	b := &bench{t: t, dir: t.TempDir()}
	word := filepath.Join(b.dir, "word")
	if err := os.WriteFile(word, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command string
		code    int
	}{{"create", 0}, {"status", 3}, {"nodes", 0}} {
		args := []string{"karat", "--datadir", b.dir, "--network", "dev", "--rpc", server.URL, "--rpc-user", "me", "--rpc-password-file", word, c.command}
		if c.command == "create" {
			args = append(args, "--no-passphrase")
		}
		var out bytes.Buffer
		code := run(t.Context(), args, cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
		if shown := out.String(); code != c.code || strings.Contains(shown, "deadline") || c.command != "create" && !strings.Contains(shown, "in time") {
			t.Errorf("%s: exit code %d: %s", c.command, code, shown)
		}
	}
}
