package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// guest is a node that lets a user do what a wallet needs, over TLS, and the line for it.
func guest(t *testing.T) (*nodetest.Running, rpc.Login) {
	t.Helper()
	password := rpc.NewPassword()
	line, err := rpc.HashedLine("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	n := nodetest.Dev(t, func(c *node.Config) {
		c.RPCOwnTLS, c.RPCAuth, c.RPCAllow = true, []string{line}, []string{"alice:@wallet", rpc.CookieUser + ":@all"}
	})
	p := n.Chain().Params()
	return n, rpc.Login{HostPort: n.RPC, Fingerprint: n.RPCKey, User: "alice", Password: password, Network: p.Name, Identity: p.Identity()}
}

// TestConnect: the role of wallets is enough for all that a wallet does, and what logs in there
// is in no message and no output.
func TestConnect(t *testing.T) {
	n, login := guest(t)
	dir := t.TempDir()
	try := func(input string, args ...string) (code int, out, errs string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code = run(t.Context(), append([]string{"karat", "--network", "dev", "--datadir", dir}, args...), cmdline.Streams{In: strings.NewReader(input), Out: &stdout, Err: &stderr})
		out, errs = stdout.String(), stderr.String()
		if strings.Contains(out+errs, login.Password) {
			t.Errorf("karat %v shows the password: %s%s", args, out, errs)
		}
		return code, out, errs
	}
	must := func(input string, args ...string) string {
		t.Helper()
		code, out, errs := try(input, args...)
		if code != 0 {
			t.Fatalf("karat %v: exit code %d: %s", args, code, errs)
		}
		return strings.TrimSpace(out)
	}
	wrong := login
	wrong.Password = "not" + login.Password
	if code, _, errs := try(wrong.String()+"\n", "connect"); code != 1 || !strings.Contains(errs, "nothing was stored") {
		t.Errorf("a wrong password: exit code %d: %s", code, errs)
	}
	other := login
	other.Fingerprint = strings.Repeat("00", 32)
	if code, _, errs := try(other.String(), "connect", "-"); code != 1 || !strings.Contains(errs, "somebody is between") {
		t.Errorf("another certificate: exit code %d: %s", code, errs)
	}
	other = login
	other.Identity[0]++
	if code, _, errs := try(other.String(), "connect", "-"); code != 1 || !strings.Contains(errs, "network") {
		t.Errorf("another network: exit code %d: %s", code, errs)
	}
	if code, _, errs := try("", "connect", login.String()[:40]); code != 2 || !strings.Contains(errs, "line") {
		t.Errorf("half a line: exit code %d: %s", code, errs)
	}
	if got := must(login.String()+"\n", "connect"); !strings.Contains(got, "connected to https://"+n.RPC+" as alice") {
		t.Error(got)
	}
	must("", "connect", login.String()) // twice is once
	path := filepath.Join(dir, "dev", nodesFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	var states []nodeState
	if err := json.Unmarshal([]byte(must("", "nodes", "--json")), &states); err != nil || len(states) != 1 || states[0].State != "ok" || !states[0].Stored {
		t.Errorf("%+v, %v", states, err)
	}
	// All that a wallet does.
	must("", "create", "--no-passphrase")
	address := must("", "address")
	own := rpc.NewCookieClient("https://"+n.RPC, n.CookieFile)
	at, err := rpc.ParseAddress(login.URL(), "")
	if err != nil {
		t.Fatal(err)
	}
	own.At(at)
	mine := func(to string, count int) {
		t.Helper()
		if err := own.Call(t.Context(), "generatetoaddress", nil, count, to); err != nil {
			t.Fatal(err)
		}
	}
	mine(address, 101)
	if got := must("", "balance"); !strings.Contains(got, "confirmed") {
		t.Error(got)
	}
	sent := must("", "send", "--yes", address, "1")
	mine(address, 1)
	for _, args := range [][]string{{"history"}, {"coins"}, {"addresses"}, {"sync", "--rescan"}, {"rebroadcast"}, {"rpc", "getblockcount"}} {
		if got := must("", args...); args[0] == "history" && !strings.Contains(must("", "history", "--json"), strings.Fields(sent)[0]) {
			t.Errorf("%v: %s", args, got)
		}
	}
	if code, _, errs := try("", "rpc", "stop"); code != 1 {
		t.Errorf("a guest may stop the node: %s", errs)
	}
	// A node that is named beside it is asked too, and one that does not answer is told of.
	code, _, errs := try("", "balance", "--rpc", "https://"+n.RPC, "--rpc", "127.0.0.1:1")
	if code != 0 || !strings.Contains(errs, "127.0.0.1:1") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	// What the command line says of its certificate is not passed over.
	if code, _, errs := try("", "rpc", "getblockcount", "--rpc", "https://"+n.RPC+"#sha256="+strings.Repeat("00", 32)); code != 1 || !strings.Contains(errs, "somebody is between") {
		t.Errorf("another fingerprint is named: exit code %d: %s", code, errs)
	}
	must("", "rpc", "getblockcount", "--rpc", login.URL())
	h := home{n.Chain().Params(), filepath.Dir(path)}
	stored, err := h.storedNodes()
	if err != nil {
		t.Fatal(err)
	}
	stored[0].Password = "changed"
	if err := h.storeNodes(stored); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := try("", "rpc", "getblockcount"); code != 1 || !strings.Contains(errs, "new line for karat connect") {
		t.Errorf("the password was changed: exit code %d: %s", code, errs)
	}
	if got := must("", "nodes", "--remove", "https://"+n.RPC); !strings.Contains(got, "not used any more") {
		t.Error(got)
	}
	if raw, err := os.ReadFile(path); err != nil || strings.Contains(string(raw), login.Password) {
		t.Errorf("%s, %v", raw, err)
	}
	if code, _, _ := try("", "nodes", "--remove", "https://"+n.RPC); code != 1 {
		t.Error("removed twice")
	}
}
