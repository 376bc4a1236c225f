package rpc_test

import (
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/rpc"
)

// TestLogin: a line says what was put into it, and errors about one that is damaged say nothing
// of it.
func TestLogin(t *testing.T) {
	pin := strings.Repeat("5a", 32)
	for _, l := range []rpc.Login{
		{HostPort: "node.example:9554", User: "alice", Password: "secret", Network: "main", Identity: types.Hash{1, 2}, Fingerprint: pin},
		{HostPort: "[2001:db8::1]:9554", User: "a/b c", Password: "p@ss:/?#%wörd", Network: "my-coin", Identity: types.Hash{3}},
		{HostPort: "127.0.0.1:9554", Plain: true, User: "alice", Network: "dev", Identity: types.Hash{4}},
	} {
		got, err := rpc.ParseLogin(" " + l.String() + "\n")
		if err != nil || got != l {
			t.Errorf("%s: %+v, %v", l, got, err)
		}
		if _, err := rpc.ParseAddress(l.URL(), ""); err != nil || l.Password != "" && strings.Contains(l.URL(), l.Password) {
			t.Errorf("%s: %v", l.URL(), err)
		}
	}
	good := rpc.Login{HostPort: "node.example:9554", User: "alice", Password: "secret", Network: "main", Identity: types.Hash{1}, Fingerprint: pin}.String()
	for _, bad := range []string{
		"", "secret", good[1:], strings.Replace(good, "karat:", "https:", 1), strings.Replace(good, "karat:", "karat+http:", 1),
		good[:len(good)-1], good + "0", strings.Replace(good, "sha256", "sha1", 1), strings.Replace(good, "/main/", "/", 1), strings.Replace(good, "/main/", "/ma%1bin/", 1),
		strings.Replace(good, ":9554", "", 1), strings.Replace(good, "alice:secret@", "", 1), strings.Replace(good, "secret", "sec%0aret", 1),
		strings.Replace(good, "#", "?secret#", 1), strings.Replace(good, "secret", strings.Repeat("secret", 1000), 1),
	} {
		if l, err := rpc.ParseLogin(bad); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.200s: %+v, %v", bad, l, err)
		}
	}
}
