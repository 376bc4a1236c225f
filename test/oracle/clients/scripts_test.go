package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// described is what scripts are told of a node, as JSON.
func (s *scene) described() string {
	s.t.Helper()
	cookie := must[[]byte](s.t)(base64.StdEncoding.DecodeString(s.login))
	user, password, _ := strings.Cut(string(cookie), ":")
	said := map[string]any{"url": "http://" + s.s.RPC, "user": user, "password": password, "height": 6, "raw": encode(s.fresh())}
	for name, value := range s.fixed {
		said[name] = value
	}
	return string(must[[]byte](s.t)(json.Marshal(said)))
}

// script runs a script of this folder. It looks for it first, so that `go test` notes that
// the result depends on it.
func script(t *testing.T, program, file string, args ...string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	run(t, program, append([]string{file}, args...)...)
}

// run runs a program, which must end well, and returns what it prints.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, &out, &wrong)
	}
	return out.String()
}

// TestBitcoinCoreOfNPM runs the client bitcoin-core of npm, RPC and REST.
func TestBitcoinCoreOfNPM(t *testing.T) {
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join("npm", "node_modules", "bitcoin-core")); err != nil || missing != nil {
		vectors.NotRun(t, "npm's client bitcoin-core, because node or its modules are missing: `make clients` fetches them")
	}
	script(t, node, filepath.Join("npm", "client.js"), newScene(t).described())
}

// TestPythonBitcoinlib runs python-bitcoinlib.
func TestPythonBitcoinlib(t *testing.T) {
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} { // Debian's packages are for its own Python
		if exec.Command(name, "-c", "import bitcoin.rpc").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		vectors.NotRun(t, "python-bitcoinlib, because it is not installed (Debian: python3-bitcoinlib)")
	}
	script(t, python, "bitcoinlib.py", newScene(t).described())
}

// TestBitcoinCLI runs bitcoin-cli.
func TestBitcoinCLI(t *testing.T) {
	program := os.Getenv("BITCOINCLI")
	if program == "" {
		vectors.NotRun(t, "bitcoin-cli, because BITCOINCLI does not name it")
	}
	s := newScene(t)
	_, port, _ := net.SplitHostPort(s.s.RPC)
	login := []string{"-datadir=" + t.TempDir(), "-rpcport=" + port, "-rpccookiefile=" + s.s.CookieFile}
	spent := fmt.Sprintf(`outputs=[{"txid":%q,"vout":0}]`, s.fixed["spent"])
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"-getinfo"}, []string{"Chain: dev", "Blocks: 6", "Headers: 6", "Difficulty: ", "Network: in 0, out 0, total 0", "Version: 3"}},
		{[]string{"-netinfo", "4"}, []string{"Bitcoin Core client", "/Satoshi:31.0.0/karat:", "services nwl", "Local addresses: "}},
		{[]string{"-addrinfo"}, []string{`"addresses_known": {`, `"total": 0`}},
		{[]string{"-named", "gettxspendingprevout", spent, "mempool_only=true"}, []string{`"vout": 0`}},
		{[]string{"-named", "gettxspendingprevout", spent, "mempool_only=false", "return_spending_tx=true"},
			[]string{`"spendingtxid": "` + s.fixed["mined"], `"blockhash": "` + s.fixed["tip"], `"spendingtx": "`}},
		{[]string{"-named", "getblock", "blockhash=" + s.fixed["tip"], "verbosity=1"}, []string{s.fixed["mined"]}},
		{[]string{"getblockhash", "0"}, []string{s.fixed["genesis"]}},
		{[]string{"-rpcwait", "getblockcount"}, []string{"6"}},
		{[]string{"help", "getblock"}, []string{"getblock \"blockhash\""}},
		{[]string{"getcfilter", s.fixed["tip"], "0"}, []string{"0"}}, // not Core's, so that the client sends a text
	} {
		said := run(t, program, append(login, c.args...)...)
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in\n%s", c.args, want, said)
			}
		}
	}
}
