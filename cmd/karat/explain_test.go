package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// TestNoNode: each way in which a node is missed says which it is, names the network if
// nobody chose it, and says what to do; none shows how Go's library puts it.
func TestNoNode(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	const dev = "there is one on dev: choose it with --network dev"
	main := func(args ...string) []string { return append([]string{"--datadir", b.dir, "--wallet", "w"}, args...) }
	for _, network := range []string{"main", "dev"} {
		if code, errs := b.plain(main("--network", network, "create", "--no-passphrase")...); code != 0 {
			t.Fatal(errs)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			// As the port for peers does: what it says comes after what it was told.
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = c.Write([]byte("\x15\x03 a handshake\r\n\r\n"))
			c.Close()
		}
	}()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer plain.Close()
	cookie := filepath.Join(t.TempDir(), ".cookie")
	if err := os.WriteFile(cookie, []byte("__cookie__:0000"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(url string, args ...string) []string {
		return append(main("--rpc", url, "--rpc-cookie", cookie, "rpc", "uptime"), args...)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no cookie, and no network", main("rpc", "uptime"), 1, []string{"cookie", "network main, the default", "karatd", "--network"}},
		{"no cookie of a network", main("rpc", "uptime", "--network", "dev"), 1, []string{"cookie", "network dev:", "karatd --network dev"}},
		{"no listener", at("127.0.0.1:1"), 1, []string{"no node answers at http://127.0.0.1:1 (connection refused)", "network main, the default", "--rpc"}},
		{"no host", at("https://nowhere.invalid", "--rpc-user", "me", "--rpc-password-file", cookie), 1, []string{"no node answers at https://nowhere.invalid"}},
		{"no login", at(plain.URL), 1, []string{"refuses user and password", "the cookie is of another node or of an earlier start", "network main, the default"}},
		{"no login of a user", at(plain.URL, "--rpc-user", "me", "--rpc-password-file", cookie), 1, []string{"refuses user and password", "--rpc-password-file"}},
		{"the port for peers", at(listener.Addr().String()), 1, []string{"does not speak HTTP: is it the port for peers?"}},
		{"TLS with a plain server", at("https://" + strings.TrimPrefix(plain.URL, "http://")), 1, []string{"use http://"}},
		{"an unknown certificate", at(tls.URL), 1, []string{"is not trusted", "--rpc-cert FILE"}},
		{"a wallet of another network", []string{"--datadir", b.dir, "--wallet", "x", "balance"}, 1, []string{`there is no wallet "x" on network main, the default`, "there is w", "--wallet"}},
		{"another machine", main("--rpc", "192.0.2.1:1", "rpc", "uptime"), 2, []string{"another machine", "--rpc-user NAME", "karatd rpcauth"}},
		{"another machine, in clear", at("http://192.0.2.1:1"), 2, []string{"another machine"}},
	} {
		code, errs := b.plain(c.args...)
		if code != c.code || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d: %s", c.name, code, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: no %q in: %s", c.name, want, errs)
			}
		}
		for _, raw := range []string{"malformed", "net/http", "Post ", "dial tcp", "HTTPS client", "temporarily", "EOF", "local fault"} {
			if strings.Contains(errs, raw) {
				t.Errorf("%s: %q in: %s", c.name, raw, errs)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(b.dir, "main")); err != nil {
		t.Fatal(err)
	}
	if code, errs := b.plain(main("balance")...); code != 1 || !strings.Contains(errs, dev) {
		t.Errorf("the network was forgotten: exit code %d: %s", code, errs)
	}
}

// plain runs a command line with nothing added.
func (b *bench) plain(args ...string) (code int, stderr string) {
	var out, errs lockedBuffer
	code = run(b.t.Context(), append([]string{"karat"}, args...), cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return code, errs.String()
}

// TestCookieStaysHere: the cookie is sent to this machine alone, and a password in clear is
// warned of.
func TestCookieStaysHere(t *testing.T) {
	for url, here := range map[string]bool{
		"http://127.0.0.1:1": true, "http://127.7.7.7:1": true, "https://[::1]:1": true, "http://[::ffff:127.0.0.1]:1": true, "http://localhost:1": true, "http://LOCALHOST": true,
		"http://192.0.2.1:1": false, "http://localhost.example.org": false, "http://127.0.0.1.example.org": false, "http://0.0.0.0:1": false, "http://[2001:db8::1]:1": false, "http://%zz": false,
	} {
		if isLoopback(url) != here {
			t.Errorf("%s: %v", url, !here)
		}
	}
	b := newBench(t)
	word := filepath.Join(t.TempDir(), "word")
	if err := os.WriteFile(word, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTP_PROXY", "http://"+b.rpc) // which takes all that does not stay here
	_, _, errs := b.try("", "w", "--rpc", "http://node.invalid:1", "--rpc-user", "me", "--rpc-password-file", word, "rpc", "uptime")
	if !strings.Contains(errs, "goes to http://node.invalid:1 in clear") || strings.Contains(errs, "secret") {
		t.Errorf("%s", errs)
	}
	if _, _, errs := b.try("", "w", "rpc", "uptime"); errs != "" {
		t.Errorf("here: %s", errs)
	}
}

// TestNamesOfOptions: a node's messages name options of Bitcoin Core, since programs compare
// them; people read those that karatd has.
func TestNamesOfOptions(t *testing.T) {
	b := &bench{t: t}
	n := nodetest.Dev(t, func(c *node.Config) {
		c.Indexes = nil
		b.dir = filepath.Dir(c.DataDir)
	})
	b.rpc, b.cookie = n.RPC, n.CookieFile
	if code, _, errs := b.try("", "w", "rpc", "getrawtransaction", strings.Repeat("0", 63)+"1"); code != 1 || !strings.Contains(errs, " --txindex ") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	b.karat("w", "create", "--no-passphrase")
	b.client = rpc.NewCookieClient("http://"+b.rpc, b.cookie)
	b.mine(3)
	if code, _, errs := b.try("", "w", "sync", "--rescan"); code != 1 || !strings.Contains(errs, "--filters") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
