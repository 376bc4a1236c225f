package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// TestTLS: a node that speaks TLS is known by the certificate beside its cookie, by one
// that is named, or by the fingerprint that it prints, and by nothing else.
func TestTLS(t *testing.T) {
	b := &bench{t: t}
	n := nodetest.Dev(t, func(c *node.Config) {
		c.RPCOwnTLS = true
		b.dir = filepath.Dir(c.DataDir)
	})
	b.rpc, b.cookie = n.RPC, n.CookieFile
	elsewhere := t.TempDir() // where no certificate is
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"beside the cookie", []string{"--rpc", "https://" + n.RPC}, 0, "0"},
		{"named", []string{"--datadir", elsewhere, "--rpc-cert", filepath.Join(filepath.Dir(n.CookieFile), rpc.CertificateFile)}, 0, "0"},
		{"fingerprint", []string{"--datadir", elsewhere, "--rpc", rpc.WithFingerprint(n.RPC, n.RPCKey)}, 0, "0"},
		{"fingerprint of another", []string{"--rpc", rpc.WithFingerprint(n.RPC, strings.Repeat("0", 64))}, 1, "somebody is between"},
		{"none", []string{"--datadir", elsewhere, "--rpc", "https://" + n.RPC}, 1, "certificate"},
		{"no TLS", nil, 1, "use https://"},
		{"no such file", []string{"--rpc-cert", "nowhere"}, 2, "--rpc: open nowhere"},
		{"plain, and a certificate", []string{"--rpc", "http://" + n.RPC, "--rpc-cert", n.CookieFile}, 2, "needs https://"},
	} {
		args := append(append([]string{}, c.args...), "rpc", "getblockcount")
		if code, out, errs := b.try("", "w", args...); code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit code %d: %s%s", c.name, code, out, errs)
		}
	}
}

// TestWaitingForACertificate: a node makes its certificate at its first start, after --wait has
// begun to wait for it.
func TestWaitingForACertificate(t *testing.T) {
	n := nodetest.Dev(t, func(c *node.Config) { c.RPCOwnTLS = true })
	made, err := os.ReadFile(filepath.Join(filepath.Dir(n.CookieFile), rpc.CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, named := range []bool{false, true} {
		dir := t.TempDir()
		file := filepath.Join(dir, "dev", rpc.CertificateFile)
		appear := func() {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(file, made, 0o600); err != nil {
				t.Error(err)
			}
		}
		at := n.RPC
		args := []string{"--rpc-cert", file}
		if !named {
			at, args = firstInVain(t, n.RPC, appear), nil
		}
		args = append(append([]string{"karat", "--network", "dev", "--datadir", dir, "--rpc", "https://" + at, "--rpc-cookie", n.CookieFile}, args...), "rpc", "--wait", "getblockcount")
		var out strings.Builder
		r, w := io.Pipe()
		code := make(chan int, 1)
		go func() {
			defer w.Close()
			code <- run(t.Context(), args, cmdline.Streams{In: strings.NewReader(""), Out: &out, Err: w})
		}()
		errs := bufio.NewReader(r)
		line := ""
		if named { // it has looked for the file once it says so
			line, _ = errs.ReadString('\n')
			appear()
		}
		rest, _ := io.ReadAll(errs)
		if got := <-code; got != 0 || strings.TrimSpace(out.String()) != "0" {
			t.Errorf("named: %v: exit code %d: %s%s%s", named, got, out.String(), line, rest)
		}
	}
}

// firstInVain listens in the place of a server. It hangs up on the first who calls, when appear
// has returned, and connects all others.
func firstInVain(t *testing.T, server string, appear func()) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for first := true; ; first = false {
			client, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				appear()
				client.Close()
				continue
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			go func() { io.Copy(to, client); to.Close() }()
			go func() { io.Copy(client, to); client.Close() }()
		}
	}()
	return l.Addr().String()
}
