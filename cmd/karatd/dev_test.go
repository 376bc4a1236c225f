package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/karatcoin/karat/rpc"
)

// startDev starts karatd dev, for programs, and returns it with what it says.
func startDev(t *testing.T, args ...string) (*daemon, devStarted) {
	t.Helper()
	return startDevLogging(t, nil, args...)
}

// startDevLogging sends the log elsewhere, too.
func startDevLogging(t *testing.T, log io.Writer, args ...string) (*daemon, devStarted) {
	t.Helper()
	d := &daemon{t: t, errors: &strings.Builder{}, read: make(chan struct{})}
	d.cmd = exec.Command(os.Args[0], append([]string{"dev", "--json", "--rpc-listen", "127.0.0.1:0", "--web", "127.0.0.1:0"}, args...)...)
	d.cmd.Env = append(os.Environ(), asKaratd+"=1")
	d.cmd.Stderr = d.errors
	if log != nil {
		d.cmd.Stderr = log
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	defer d.dumpAfter(patience).Stop()
	lines := bufio.NewReader(out)
	var started devStarted
	if err := json.NewDecoder(lines).Decode(&started); err != nil {
		_ = d.cmd.Wait()
		t.Fatalf("karatd dev said no JSON (%v): %s", err, d.errors)
	}
	go func() {
		defer close(d.read)
		_, _ = io.Copy(io.Discard, out)
	}()
	d.dir, d.rpc = started.DataDir, started.RPC
	d.client = rpc.NewCookieClient(started.RPC, started.CookieFile)
	return d, started
}

// endDev ends it by a signal. Files that are kept are of no concern here, as most are not.
func endDev(d *daemon) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	defer d.dumpAfter(patience).Stop()
	<-d.read
	if err := d.cmd.Wait(); err != nil {
		d.t.Fatalf("karatd dev ended with %v: %s", err, d.errors)
	}
}

// balanceOf asks the index of scripts.
func balanceOf(d *daemon, address string) string {
	return call[struct {
		Balance json.Number `json:"balance"`
	}](d, "getaddressbalance", address).Balance.String()
}

// TestDevForgets: without --datadir everything is gone when it ends.
func TestDevForgets(t *testing.T) {
	d, started := startDev(t)
	if started.Network != "dev" || len(started.Accounts) != 9 || started.Mining != "tx" {
		t.Fatalf("it says %+v", started)
	}
	for _, account := range append(started.Accounts, started.Bank) {
		if account.Genesis.String() != devBalance.String() {
			t.Errorf("%s begins with %s", account.Path, account.Genesis)
		}
	}
	if _, err := os.Stat(started.CookieFile); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"", "faucet", "network"} { // the last is the operator's
		answer, err := http.Get(started.Web + page)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Errorf("/%s: %s", page, answer.Status)
		}
	}
	endDev(d)
	if _, err := os.Stat(started.DataDir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", started.DataDir, err)
	}
}

// TestDevRemovesWhatWasKilled: a process that is killed leaves its folder, which the next one
// removes; those of processes that live, and what is not known to be one, stay.
func TestDevRemovesWhatWasKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing is locked there")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	kept := t.TempDir()
	writeFile(t, filepath.Join(kept, devLock), "")
	if err := os.Symlink(kept, filepath.Join(temp, devFolder+"link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(temp, devFolder+"older"), 0o700); err != nil { // as they were without a lock
		t.Fatal(err)
	}
	killed, _ := startDev(t)
	living, _ := startDev(t)
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.cmd.Wait()
	if _, err := os.Stat(killed.dir); err != nil {
		t.Fatalf("the killed one left nothing: %v", err)
	}
	next, _ := startDev(t)
	if _, err := os.Stat(killed.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", killed.dir, err)
	}
	for _, path := range []string{living.dir, next.dir, filepath.Join(temp, devFolder+"older"), filepath.Join(kept, devLock)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if height := call[int](living, "getblockcount"); height != 0 {
		t.Errorf("the living one is at height %d", height)
	}
	endDev(living)
	endDev(next)
}

// TestDevWithWords: other words, or other balances, are another network, the same one each
// time, which stays in a folder that is named.
func TestDevWithWords(t *testing.T) {
	words := "legal winner thank year wave sausage worth useful legal winner thank yellow"
	args := []string{"--datadir", filepath.Join(t.TempDir(), "chain"), "--words", words, "--accounts", "12", "--balance", "7.5"}
	d, first := startDev(t, args...)
	if len(first.Accounts) != 12 || first.Accounts[11].Genesis != "7.50000000" || first.Words != words {
		t.Fatalf("it says %+v", first)
	}
	genesis := call[string](d, "getblockhash", 0)
	if has := balanceOf(d, first.Accounts[11].Address); has != "7.50000000" {
		t.Errorf("the chain has %s for the last account", has)
	}
	endDev(d)
	d, again := startDev(t, args...)
	if call[string](d, "getblockhash", 0) != genesis || again.Network != first.Network {
		t.Error("the same choices made another network")
	}
	endDev(d)
}

// TestDevOfAnotherNetwork: where the genesis block pays nobody that is known, the bank is paid
// for blocks, and can pay when they are mature.
func TestDevOfAnotherNetwork(t *testing.T) {
	d, started := startDev(t, "--network", filepath.Join("..", "..", "testdata", "bitcoin-regtest.json"))
	defer endDev(d)
	to := started.Accounts[0].Address
	if err := d.client.Call(t.Context(), "dev_setbalance", nil, to, 1); err == nil || !strings.Contains(err.Error(), "the bank pays what is set, and cannot") {
		t.Errorf("an empty bank pays: %v", err)
	}
	call[any](d, "dev_mine", 101)
	call[any](d, "dev_setbalance", to, 1)
	if has := balanceOf(d, to); has != "1.00000000" {
		t.Errorf("the account has %s", has)
	}
}

// TestDevMistakes: what cannot be is told with the flag, and leaves nothing behind.
func TestDevMistakes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--mining sometimes", 2, `--mining "sometimes": want tx, hand, or a time`},
		{"--mining 1ms", 2, "--mining"},
		{"--words legal", 2, "--words: "},
		{"--accounts 0", 2, "--accounts"},
		{"--balance many", 2, "--balance"},
		{"--balance 99999999999", 2, "--balance"},
		{"--scriptindex=false", 2, "needs --scriptindex"},
		{"--network main", 2, "fixed difficulty only"},
		{"--mine", 2, "unknown flag --mine"},
	} {
		code, _, stderr := karatd(append([]string{"dev"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("dev %s: exit %d and %q, want %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
