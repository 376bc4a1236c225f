package wallet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// The environment of a process that syncs a wallet for a test.
const (
	syncFolder = "KARAT_TEST_SYNC" // the wallet's
	syncURL    = "KARAT_TEST_SYNC_URL"
	syncLimit  = "KARAT_TEST_SYNC_LIMIT" // bytes that a file may have
)

// TestSyncProcess is the process that the tests below start; by itself it does nothing.
func TestSyncProcess(t *testing.T) {
	dir := os.Getenv(syncFolder)
	if dir == "" {
		t.SkipNow()
	}
	if limit, err := strconv.ParseUint(os.Getenv(syncLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ) // a write fails then, as on a full disk
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			t.Fatal(err)
		}
	}
	if err := syncOnce(t, dir, os.Getenv(syncURL)); err != nil {
		fmt.Fprintln(os.Stderr, "karat:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func syncOnce(t *testing.T, dir, url string) error {
	p, err := karat.LoadNetwork("dev")
	if err != nil {
		return err
	}
	f, err := wallet.OpenFile(filepath.Join(dir, wallet.FileName), p)
	if err != nil {
		return err
	}
	w, err := wallet.Open(dir, f, p, nil)
	if err != nil {
		return err
	}
	err = w.Sync(t.Context(), rpc.NewClient(url, "user", "password"), func(wallet.Progress) {})
	return errors.Join(err, w.Close())
}

// killed is a node with a story on its chain, and a wallet's folder that knows nothing of it.
type killed struct {
	*testNode
	running *nodetest.Running
	dir     string
}

func newKilled(t *testing.T) *killed {
	t.Helper()
	running := nodetest.Dev(t, nil)
	k := &killed{running: running}
	k.testNode = &testNode{t: t, params: running.Chain().Params(), node: running.Node, client: rpc.NewCookieClient("http://"+running.RPC, running.CookieFile)}
	w := k.wallet(someWords)
	for range 45 { // restored, it has to look for late keys
		k.mine(1, w.address())
		k.mine(12, "")
	}
	return k
}

// begin makes the wallet.
func (k *killed) begin(t *testing.T) {
	t.Helper()
	k.dir = t.TempDir()
	if _, err := wallet.CreateFile(filepath.Join(k.dir, wallet.FileName), k.params, contents(someWords), ""); err != nil {
		t.Fatal(err)
	}
}

// process syncs the wallet in a process of its own. Before each request it calls a function
// with the process.
func (k *killed) process(before func(*os.Process), env ...string) error {
	k.t.Helper()
	cookie, err := os.ReadFile(k.running.CookieFile)
	if err != nil {
		k.t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(cookie), ":")
	cmd := exec.Command(os.Args[0], "-test.run=^TestSyncProcess$")
	started := make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: k.running.RPC})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	// A call that a killed process leaves behind must not end one of the next process.
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-started
		before(cmd.Process)
		r.SetBasicAuth(user, password)
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(append(os.Environ(), "TMPDIR="+k.t.TempDir(), syncFolder+"="+k.dir, syncURL+"="+server.URL), env...)
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	close(started)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, errs.String())
	}
	return nil
}

// same checks that the wallet ends as one that was never disturbed.
func (k *killed) same() {
	k.t.Helper()
	f, err := wallet.OpenFile(filepath.Join(k.dir, wallet.FileName), k.params)
	if err != nil {
		k.t.Fatal(err)
	}
	opened, err := wallet.Open(k.dir, f, k.params, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	defer opened.Close()
	w := &testWallet{opened, k.testNode, f, someWords}
	if got, want := w.sync().state(), k.wallet(someWords).sync().state(); got != want {
		k.t.Errorf("the wallet shows\n%s\na fresh one\n%s", got, want)
	}
}

// TestDisturbedSync: whatever happens to a process that syncs, the wallet ends as one that was
// left alone.
func TestDisturbedSync(t *testing.T) {
	k := newKilled(t)
	t.Run("killed", k.testKilled)
	t.Run("full_disk", k.testFullDisk)
	t.Run("two_processes", k.testTwo)
}

// testKilled kills the process before some of its requests. It goes on from there.
func (k *killed) testKilled(t *testing.T) {
	k.begin(t)
	kills := 0
	for at := int64(1); at < 20; at += 3 {
		var asked atomic.Int64
		err := k.process(func(p *os.Process) {
			if asked.Add(1) == at {
				_ = p.Kill() // it may have ended
			}
		})
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "killed") {
			t.Fatal(err)
		}
		kills++
	}
	if kills < 3 {
		t.Errorf("it was killed %d times", kills)
	}
	k.same()
}

// testFullDisk: a sync that cannot write says so, and a later one with room goes on.
func (k *killed) testFullDisk(t *testing.T) {
	k.begin(t)
	failures := 0
	for limit := 64; limit < 1<<20; limit *= 8 {
		err := k.process(func(*os.Process) {}, syncLimit+"="+strconv.Itoa(limit))
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "file too large") || strings.Contains(err.Error(), "panic") {
			t.Fatalf("%d bytes: %v", limit, err)
		}
		failures++
	}
	if failures < 3 {
		t.Errorf("it failed %d times", failures)
	}
	k.same()
}

// testTwo: of two that open a wallet the second is told, and disturbs nothing.
func (k *killed) testTwo(t *testing.T) {
	k.begin(t)
	f, err := wallet.OpenFile(filepath.Join(k.dir, wallet.FileName), k.params)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wallet.Open(k.dir, f, k.params, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.process(func(*os.Process) {}); err == nil || !strings.Contains(err.Error(), "karat: the wallet is open in another karat: "+k.dir+"; wait") {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	k.same()
}
