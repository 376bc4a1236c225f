package main

import (
	"bytes"
	"strings"
	"testing"

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
