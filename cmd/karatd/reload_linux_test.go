package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/internal/pty"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// growing is a text that a process writes while a test reads it.
type growing struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *growing) has(text string) bool { return g.count(text) > 0 }

func (g *growing) count(text string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Count(g.text.String(), text)
}

// reloadable is a karatd whose options stand in a file.
type reloadable struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	log *growing
	// told counts the reloads. Who writes the file before one is over may have it read half.
	told int
}

func startReloadable(t *testing.T, options, stdin string, args ...string) *reloadable {
	t.Helper()
	r := &reloadable{t: t, dir: t.TempDir(), log: &growing{}}
	if err := os.Mkdir(filepath.Join(r.dir, "main"), 0o700); err != nil { // the main network is in use there
		t.Fatal(err)
	}
	r.write(options)
	r.cmd = exec.Command(os.Args[0], append([]string{"--datadir", r.dir, "--listen", "127.0.0.1:0", "--rpc-listen", "127.0.0.1:0", "--no-discovery"}, args...)...)
	r.cmd.Env, r.cmd.Stderr, r.cmd.Stdin = append(os.Environ(), asKaratd+"=1"), r.log, strings.NewReader(stdin)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	waitFor(t, "it has started", func() bool { return r.log.has("msg=started") })
	return r
}

func (r *reloadable) write(options string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, configFile), []byte(options), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload sends the signal, and waits for a line of the log.
func (r *reloadable) reload(options, line string) {
	r.t.Helper()
	r.write(options)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.told++
	waitFor(r.t, "it is over", func() bool {
		return r.log.count("options were read again")+r.log.count("could not be read again, and stay") >= r.told
	})
	if !r.log.has(line) {
		r.t.Errorf("nothing is said of %s", line)
	}
}

// TestReload: SIGHUP has a node read its lists, its level and its bans again, and what is wrong with them changes
// nothing.
func TestReload(t *testing.T) {
	line, err := rpc.HashedLine("alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	with := func(methods, more string) string {
		return fmt.Sprintf("rpc-auth = [%q]\nrpc-allow = [\"__cookie__:@all\", \"alice:%s\"]\n", line, methods) + more
	}
	r := startReloadable(t, with("uptime", ""), "", "--network", "dev")
	url, operator := clientOf(t, filepath.Join(r.dir, "dev"))
	alice := rpc.NewClient(url, "alice", "secret")
	may := func(method string) bool { return alice.Call(t.Context(), method, nil) == nil }
	bans := func() (n int) {
		var list []any
		if err := operator.Call(t.Context(), "listbanned", &list); err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if !may("uptime") || may("getblockcount") || bans() != 0 {
		t.Fatal("before")
	}
	banned := `{"banned_nets":[{"version":1,"ban_created":1,"banned_until":4000000000,"address":"192.0.2.0/24"}]}`
	if err := os.WriteFile(filepath.Join(r.dir, "dev", "banlist.json"), []byte(banned), 0o600); err != nil {
		t.Fatal(err)
	}
	peer := strings.Repeat("ab", 32)
	r.reload(with("getblockcount", "log-level = \"debug\"\nallow-peer = [\""+peer+"\"]\nmempool = \"50m\"\n"), "options were read again")
	if may("uptime") || !may("getblockcount") || bans() != 1 {
		t.Errorf("uptime %t, getblockcount %t, %d bans", may("uptime"), may("getblockcount"), bans())
	}
	waitFor(t, "a debug line", func() bool { return r.log.has("level=DEBUG") })
	for _, want := range []string{"level=DEBUG allowed_peers=1", "count at the next start only\" options=mempool"} {
		waitFor(t, want, func() bool { return r.log.has(want) })
	}
	for _, fault := range []struct{ options, line string }{
		{with("getblockcount", "rpc-allow-ip = [\"nowhere\"]\n"), "rpc-allow-ip"},
		{with("nomethod", ""), "nomethod"},
		{"not = TOML = at all", "could not be read again"},
		{with("uptime", "allow-peer = [\"xyz\"]\n"), "xyz"},
		{with("uptime", "log-level = \"loud\"\n"), "loud"},
	} {
		r.reload(fault.options, fault.line)
		if may("uptime") || !may("getblockcount") {
			t.Errorf("%s: it counts", fault.line)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "dev", "banlist.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload(with("uptime", ""), "bans could not be read again")
	if bans() != 1 || may("uptime") {
		t.Error("bans that are none count")
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestReloadOfWhatCameOnce: a password that was read from the standard input, and a network that was
// joined at the start, are there again.
func TestReloadOfWhatCameOnce(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "coin.json"), string(network.Pack(aNetwork(t, nil))))
	to, err := taproot.EncodeAddress(aNetwork(t, nil).HRP, taproot.OutputScript([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	r := startReloadable(t, "", "secret\n", "--join", file, "--mine-to", to, "--rpc-user", "bob", "--rpc-password-file", "-")
	url, _ := clientOf(t, filepath.Join(r.dir, "coin"))
	bob := rpc.NewClient(url, "bob", "secret")
	for _, list := range []string{"uptime", "getblockcount"} {
		r.reload(fmt.Sprintf("rpc-allow = [\"bob:%s\"]\n", list), "options were read again")
		for _, method := range []string{"uptime", "getblockcount"} {
			if err := bob.Call(t.Context(), method, nil); (err == nil) != (method == list) {
				t.Errorf("with %s: %s: %v", list, method, err)
			}
		}
	}
	if r.log.has("count at the next start only") || r.log.has("could not be read again") {
		t.Error("something is said to have changed")
	}
}

// clientOf returns the URL of a node, and the client of its operator.
func clientOf(t *testing.T, dir string) (url string, operator *rpc.Client) {
	t.Helper()
	left, err := node.ReadRunning(dir)
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + left.RPC[0]
	return url, rpc.NewCookieClient(url, node.CookieFile(dir))
}

// TestTerminalGone: a node that runs at a terminal ends well when that is closed.
func TestTerminalGone(t *testing.T) {
	// Who runs the tests under nohup would hand down that the signal is ignored. What is caught
	// here, a program that is started has anew.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	person := pty.New(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "--network", "dev", "--datadir", dir, "--listen", "none", "--rpc-listen", "none")
	cmd.Env = append(os.Environ(), asKaratd+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = person.Terminal, person.Terminal, person.Terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	person.Terminal.Close()
	shown := make([]byte, 1<<16)
	for text := ""; !strings.Contains(text, "Stop with Ctrl-C."); {
		n, err := person.Keyboard.Read(shown)
		if err != nil {
			t.Fatal(text, err)
		}
		text += string(shown[:n])
	}
	person.Keyboard.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-ended: // with a code that says that its output was lost
	case <-ctx.Done():
		t.Fatal("it goes on without its terminal")
	}
	if _, err := os.Stat(filepath.Join(dir, "dev", "mempool.dat")); err != nil {
		t.Errorf("it did not end in order: %v", err)
	}
}

// TestProfiles: users who may call everything take profiles where the node was started with the flag, and
// nobody else does.
func TestProfiles(t *testing.T) {
	line, err := rpc.HashedLine("bob", "secret")
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, t.TempDir(), "none", "--pprof", "--rpc-auth", line, "--rpc-allow", "__cookie__:@all", "--rpc-allow", "bob:@read")
	defer d.stop()
	secret, err := os.ReadFile(filepath.Join(d.dir, "dev", ".cookie"))
	if err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(string(secret), ":")
	get := func(path, user, password string) (status int, body string) {
		r, err := http.NewRequest(http.MethodGet, d.rpc+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, password)
		answer, err := (&http.Client{Timeout: time.Minute}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, b.String()
	}
	for _, c := range []struct {
		path, user, password string
		want                 int
		text                 string
	}{
		{"goroutine?debug=1", rpc.CookieUser, password, 200, "goroutine profile"}, {"", rpc.CookieUser, password, 200, "heap"},
		{"profile?seconds=1", rpc.CookieUser, password, 200, ""}, {"cmdline", rpc.CookieUser, password, 404, ""},
		{"heap", "bob", "secret", 403, ""}, {"heap", "bob", "wrong", 401, ""},
	} {
		if status, body := get("/debug/pprof/"+c.path, c.user, c.password); status != c.want || !strings.Contains(body, c.text) {
			t.Errorf("%s as %s: %d %.100q", c.path, c.user, status, body)
		}
	}
	without := startDaemon(t, t.TempDir(), "none")
	defer without.stop()
	d.rpc = without.rpc
	if status, _ := get("/debug/pprof/heap", "bob", "secret"); status != 404 {
		t.Errorf("without the flag: %d", status)
	}
}
