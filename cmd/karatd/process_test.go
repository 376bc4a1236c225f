package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/rpc"
)

// daemon is a karatd in a process of its own.
type daemon struct {
	t      *testing.T
	dir    string
	listen string // for peers
	cmd    *exec.Cmd
	rpc    string // its URL
	client *rpc.Client
	errors *strings.Builder // what it wrote to standard error, when it has ended
	read   chan struct{}    // closed when its output was read to the end
}

// patience is how long a process may take for what it does in a moment where
// nothing else runs.
const patience = 2 * time.Minute

// dumpAfter ends the process after a time, with what its goroutines are waiting
// for, so that a test of one that hangs fails and says where.
func (d *daemon) dumpAfter(limit time.Duration) *time.Timer {
	return time.AfterFunc(limit, func() { _ = d.cmd.Process.Signal(syscall.SIGQUIT) })
}

var (
	peersLine = regexp.MustCompile(`peers +\S+@(\S+)`)
	rpcLine   = regexp.MustCompile(`RPC +(http://\S+) .*: (\S+)\)`)
)

// startDaemon starts a node of the dev network, with the data and at the address
// of an earlier run if there was one, and waits until it answers.
func startDaemon(t *testing.T, dir, listen string, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: dir, errors: &strings.Builder{}, read: make(chan struct{})}
	d.cmd = exec.Command(os.Args[0], append([]string{
		"--network", "dev", "--datadir", dir, "--listen", listen, "--rpc-listen", "127.0.0.1:0", "--no-discovery", "--log-level", "debug",
	}, args...)...)
	d.cmd.Env = append(os.Environ(), asKaratd+"=1")
	d.cmd.Stderr = d.errors
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	defer d.dumpAfter(patience).Stop()
	lines := bufio.NewScanner(out)
	for d.client == nil && lines.Scan() {
		if m := peersLine.FindStringSubmatch(lines.Text()); m != nil {
			d.listen = m[1]
		}
		if m := rpcLine.FindStringSubmatch(lines.Text()); m != nil {
			d.rpc, d.client = m[1], rpc.NewCookieClient(m[1], m[2])
		}
	}
	go func() {
		defer close(d.read)
		_, _ = io.Copy(io.Discard, out)
	}()
	if d.client == nil {
		_ = d.cmd.Wait()
		t.Fatalf("karatd did not start: %s", d.errors)
	}
	return d
}

// call calls a method that must succeed.
func call[T any](d *daemon, method string, params ...any) (result T) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.client.Call(ctx, method, &result, params...); err != nil {
		d.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// kill ends the process as a power cut would.
func (d *daemon) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.read
	_ = d.cmd.Wait()
}

// stop ends the process by a signal, and checks that it ends well.
func (d *daemon) stop() {
	d.t.Helper()
	d.stopBy(syscall.SIGTERM)
}

func (d *daemon) stopBy(signal os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(signal); err != nil {
		d.t.Fatal(err)
	}
	defer d.dumpAfter(patience).Stop()
	<-d.read
	if err := d.cmd.Wait(); err != nil {
		d.t.Fatalf("karatd ended with %v: %s", err, d.errors)
	}
	files, err := os.ReadDir(filepath.Join(d.dir, "dev"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains([]string{"blocks", "fee_estimates.dat", "index", "indexes", "mempool.dat", "node.key", "peers.json"}, f.Name()) {
			d.t.Errorf("%s was left behind", f.Name())
		}
	}
}

// waitFor waits for what other processes do.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// TestThreeNodesAndKills runs three nodes on the loopback interface, one of which
// mines, and kills each of them again and again. What a node has reported is there
// when it is back, and in the end all have the same coins.
func TestThreeNodesAndKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some time")
	}
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	args := make([][]string, 3)
	args[0] = []string{"--mine", "--mine-interval", "20ms"}
	nodes := make([]*daemon, 3)
	for i := range nodes {
		if i > 0 {
			args[i] = []string{"--connect", nodes[i-1].listen}
		}
		nodes[i] = startDaemon(t, dirs[i], freeport.At(t, loopback), args[i]...)
	}
	waitFor(t, "the last node gets blocks", func() bool { return call[int](nodes[2], "getblockcount") > 10 })
	for range 9 {
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		i := rand.IntN(len(nodes))
		hash := call[string](nodes[i], "getbestblockhash")
		nodes[i].kill()
		nodes[i] = startDaemon(t, dirs[i], nodes[i].listen, args[i]...)
		header := call[struct{ Confirmations int }](nodes[i], "getblockheader", hash)
		if header.Confirmations < 1 {
			t.Fatalf("node %d lost the tip that it had reported: %d confirmations", i, header.Confirmations)
		}
	}
	nodes[0].stop()
	nodes[0] = startDaemon(t, dirs[0], nodes[0].listen)
	best := call[string](nodes[0], "getbestblockhash")
	waitFor(t, "all have the same tip", func() bool {
		return call[string](nodes[1], "getbestblockhash") == best && call[string](nodes[2], "getbestblockhash") == best
	})
	want := call[struct{ MuHash string }](nodes[0], "gettxoutsetinfo", "muhash")
	for i, n := range nodes {
		if got := call[struct{ MuHash string }](n, "gettxoutsetinfo", "muhash"); got != want {
			t.Errorf("node %d has %v, node 0 %v", i, got, want)
		}
	}
	for i, n := range nodes {
		n.stop()
		if code, _, stderr := karatd("--network", "dev", "--datadir", dirs[i], "verify"); code != 0 {
			t.Errorf("node %d: %s", i, stderr)
		}
	}
}

// TestStopBySignal: Ctrl-C ends a node well, which takes its cookie away.
func TestStopBySignal(t *testing.T) {
	startDaemon(t, t.TempDir(), "none").stopBy(os.Interrupt)
}

// TestLogOfNobody: a node whose log nobody reads any more goes on, and ends in
// order.
func TestLogOfNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "--network", "dev", "--datadir", dir, "--listen", "none", "--rpc-listen", "none", "--mine", "--mine-interval", "10ms")
	cmd.Env = append(os.Environ(), asKaratd+"=1")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	w.Close()
	for lines := bufio.NewScanner(r); lines.Scan() && lines.Text() != "Stop with Ctrl-C."; {
	}
	r.Close()
	time.Sleep(100 * time.Millisecond) // in which it logs some blocks
	// What asks for the pipe's signal gets nothing but an error: the next line is one more.
	if err := cmd.Process.Signal(syscall.SIGPIPE); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dev", "mempool.dat")); err != nil {
		t.Errorf("the pool was not stored: %v", err)
	}
	for _, name := range []string{".cookie", "running.json"} {
		if _, err := os.Stat(filepath.Join(dir, "dev", name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left: %v", name, err)
		}
	}
}

// TestStopByRPC stops a node as a client does, and starts it again.
func TestStopByRPC(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir, "none")
	hashes := call[[]string](d, "generatetoaddress", 101, "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j")
	if len(hashes) != 101 {
		t.Fatalf("%d blocks", len(hashes))
	}
	call[any](d, "stop")
	defer d.dumpAfter(patience).Stop()
	<-d.read
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	d = startDaemon(t, dir, "none")
	if height := call[int](d, "getblockcount"); height != 101 {
		t.Errorf("height %d after a restart", height)
	}
	info := call[map[string]json.RawMessage](d, "getblockchaininfo")
	if string(info["chain"]) != `"dev"` {
		t.Errorf("chain %s", info["chain"])
	}
	d.stop()
	if strings.Contains(d.errors.String(), "level=ERROR") || strings.Contains(d.errors.String(), "level=WARN") {
		t.Errorf("the log of a node without trouble: %s", d.errors)
	}
}
