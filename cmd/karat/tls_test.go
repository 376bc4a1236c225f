package main

import (
	"path/filepath"
	"strings"
	"testing"

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
