package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/rpc"
)

// TestRPCAuth: the line lets in who knows the password, and stands alone on standard
// output.
func TestRPCAuth(t *testing.T) {
	for _, c := range []struct {
		name, input string
		args        []string
		code        int
	}{
		{"a password", "pass word\n", []string{"alice"}, 0},
		{"an empty one", "\n", []string{"alice"}, 0},
		{"one that is made", "", []string{"--generate", "alice"}, 0},
		{"no name", "", nil, 2},
		{"two names", "", []string{"alice", "bob"}, 2},
		{"a name with a colon", "x", []string{"a:b"}, 2},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"karatd", "rpcauth"}, c.args...), cmdline.Streams{In: strings.NewReader(c.input), Out: &out, Err: &errs})
		if code != c.code {
			t.Errorf("%s: exit code %d: %s", c.name, code, errs.String())
		}
		if code != 0 {
			continue
		}
		line := strings.TrimSuffix(out.String(), "\n")
		if err := new(rpc.Auth).AddHashed(line); err != nil || !strings.HasPrefix(line, "alice:") {
			t.Errorf("%s: %q: %v", c.name, line, err)
		}
		if made := strings.Contains(errs.String(), "The password is"); made != (strings.TrimSpace(c.input) == "") {
			t.Errorf("%s: %s", c.name, errs.String())
		}
	}
}

// TestInvite: who has the line is let in, and knows the node's certificate.
func TestInvite(t *testing.T) {
	dir := t.TempDir()
	invite := func(args ...string) (code int, out, errs string) {
		return karatd(append([]string{"--network", "dev", "--datadir", dir, "invite"}, args...)...)
	}
	code, out, errs := invite("--at", "node.example:9554", "alice")
	login, err := rpc.ParseLogin(out)
	if code != 0 || err != nil || login.HostPort != "node.example:9554" || login.User != "alice" || login.Network != "dev" || len(login.Password) < 32 || login.Plain {
		t.Fatalf("exit code %d: %s%s: %v", code, out, errs, err)
	}
	if strings.Contains(errs, login.Password) || strings.Count(out, "\n") != 1 {
		t.Errorf("%s%s", out, errs)
	}
	values := map[string][]string{}
	if _, text, _ := strings.Cut(errs, "\n\n"); true {
		text, _, _ = strings.Cut(text, "\n\n")
		if _, err := toml.Decode(text, &values); err != nil {
			t.Fatal(err)
		}
	}
	auth := new(rpc.Auth)
	if err := auth.AddHashed(values["rpc-auth"][0]); err != nil {
		t.Error(err)
	}
	if err := auth.Allow(values["rpc-allow"][0]); err != nil || !strings.HasSuffix(values["rpc-allow"][0], ":@wallet") {
		t.Error(err)
	}
	_, again, _ := invite("--at", "node.example:9554", "bob")
	if other, err := rpc.ParseLogin(again); err != nil || other.Fingerprint != login.Fingerprint || other.Password == login.Password {
		t.Errorf("%s: %v", again, err)
	}
	_, named, errs := invite("--at", "node.example:9554", "--cert", filepath.Join(dir, "dev", rpc.CertificateFile), "bob")
	if other, err := rpc.ParseLogin(named); err != nil || other.Fingerprint != login.Fingerprint {
		t.Errorf("%s%s: %v", named, errs, err)
	}
	_, plain, _ := invite("--at", "127.0.0.1:9554", "--plain", "bob")
	if other, err := rpc.ParseLogin(plain); err != nil || !other.Plain {
		t.Errorf("%s: %v", plain, err)
	}
	for _, bad := range [][]string{{"alice"}, {"--at", "node.example", "alice"}, {"--at", "a:1"}, {"--at", "a:1", "--cert", "nowhere", "alice"}, {"--at", "a:1", "al:ice"}} {
		if code, out, _ := invite(bad...); code != cmdline.ExitUsage || out != "" {
			t.Errorf("%v: exit code %d: %s", bad, code, out)
		}
	}
}
