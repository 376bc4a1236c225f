package rpc

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestCookie: the cookie is the owner's alone, new at each start, works, and goes.
func TestCookie(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".cookie")
	if err := os.WriteFile(path, []byte("__cookie__:old, and readable"), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 2 {
		auth := &Auth{}
		remove, err := auth.AddCookie(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		data, err := os.ReadFile(path)
		if err != nil || seen[string(data)] {
			t.Errorf("%v, the same as before: %v", err, seen[string(data)])
		}
		seen[string(data)] = true
		user, secret, _ := strings.Cut(string(data), ":")
		if user != CookieUser || len(secret) != 64 || strings.Trim(secret, "0123456789abcdef") != "" {
			t.Errorf("%q", data)
		}
		if u, ok := auth.find(user, secret); !ok || u.Name != CookieUser || !u.may("stop") {
			t.Error("the cookie does not open")
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("it is left behind: %v", err)
		}
	}
	if _, err := new(Auth).AddCookie(filepath.Join(path, "nowhere", ".cookie")); err == nil {
		t.Error("a cookie that cannot be written is no error")
	}
}

// TestNames: names that no client can send are refused.
func TestNames(t *testing.T) {
	for _, bad := range []string{"", "a:b", ":"} {
		if err := new(Auth).AddPassword(bad, password); err == nil {
			t.Errorf("%q was taken as a name", bad)
		}
	}
}

// TestHashed: the hash is rpcauth.py's. The line is an example of Bitcoin Core's
// own tests (rpc_users.py).
func TestHashed(t *testing.T) {
	auth := &Auth{}
	const line = "rt:93648e835a54c573682c2eb19f882535$7681e9c5b74bdd85e78166031d2058e1069b3ed7ed967c93fc63abba06f31144"
	if err := auth.AddHashed(line); err != nil {
		t.Fatal(err)
	}
	const right = "cA773lm788buwYe4g4WT+05pKyNruVKjQ25x3n0DQcM="
	for secret, want := range map[string]bool{right: true, right[1:]: false, "": false, strings.ToLower(right): false} {
		if _, ok := auth.find("rt", secret); ok != want {
			t.Errorf("%s: %v", secret, ok)
		}
	}
	if _, ok := auth.find("rt2", right); ok {
		t.Error("another user has the same password")
	}
}

// TestSameName: two passwords of one name both work, as while one is changed, and
// what the user may is the same.
func TestSameName(t *testing.T) {
	auth := &Auth{}
	for _, secret := range []string{"old", "new"} {
		if err := auth.AddPassword(name, secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := auth.Allow(name + ":uptime+notifyblocks"); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"old", "new"} {
		if u, ok := auth.find(name, secret); !ok || !u.may("uptime") || !u.may("notifyblocks") || u.may("stop") || u.may("") {
			t.Errorf("%s: %v", secret, ok)
		}
	}
}

// TestRefusal: who is no user learns nothing else, gets the answer that browsers
// and clients know, and only after a while; the others do not wait with it.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().server(t)
		ask := func(path, header string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, path, unread{t})
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, r)
			return w
		}
		headers := map[string]string{
			"none": "", "no Basic": "Bearer abc", "no base64": "Basic !!!", "no colon": "Basic YWxpY2U=", "empty": "Basic Og==",
			"a wrong password": "Basic YWxpY2U6d3Jvbmc=", "no password": "Basic YWxpY2U6", "a wrong name": "Basic Ym9iOnNlY3JldA==",
			"another case": "Basic QWxpY2U6c2VjcmV0",
		}
		for what, header := range headers {
			began := time.Now()
			w := ask("/", header)
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Basic realm="jsonrpc"` || w.Body.Len() != 0 {
				t.Errorf("%s: status %d, %v, %s", what, w.Code, w.Header(), w.Body)
			}
			wait := refusalDelay
			if header == "" {
				wait = 0 // some clients say nothing until they are asked
			}
			if time.Since(began) != wait {
				t.Errorf("%s: after %v, want %v", what, time.Since(began), wait)
			}
			if header != "" {
				if w := ask("/ws", header); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s: status %d for a WebSocket", what, w.Code)
				}
			}
		}
		for range 1000 {
			go ask("/", "Basic YWxpY2U6d3Jvbmc=")
		}
		began := time.Now()
		if status, answer := post(s, `{"method":"getblockcount","id":1}`); status != 200 || time.Since(began) != 0 {
			t.Errorf("one who is a user: status %d after %v: %s", status, time.Since(began), answer)
		}
		synctest.Wait()
		time.Sleep(time.Second) // until all are refused
	})
}

// unread is a body of which nothing is read before the user is known.
type unread struct{ t *testing.T }

// Read implements io.Reader.
func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of one who is no user was read")
	return 0, io.EOF
}

// TestKnownHeaders: a header that was right is so again, others are not, and what is
// remembered is bounded.
func TestKnownHeaders(t *testing.T) {
	var a Auth
	if err := errors.Join(a.AddPassword("alice", "one"), a.AddPassword("bob", "two")); err != nil {
		t.Fatal(err)
	}
	check := func(name, password string) string {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.SetBasicAuth(name, password)
		u, ok := a.check(r)
		if !ok {
			return ""
		}
		return u.Name
	}
	for range 3 {
		for _, tt := range [][3]string{{"alice", "one", "alice"}, {"bob", "two", "bob"}, {"alice", "two", ""}, {"bob", "one", ""}, {"", "", ""}} {
			if got := check(tt[0], tt[1]); got != tt[2] {
				t.Errorf("%s with %s is %q", tt[0], tt[1], got)
			}
		}
	}
	if len(a.known.users) != 2 {
		t.Errorf("%d headers are remembered", len(a.known.users))
	}
	for i := range 1000 {
		a.known.add([32]byte{byte(i), byte(i >> 8)}, a.users[0])
	}
	if len(a.known.users) > mostHeaders {
		t.Errorf("%d headers are remembered", len(a.known.users))
	}
}
