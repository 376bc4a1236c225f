package rpc

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// TestOtherSites: a page of another site, whose browser knows the password and sends it along, calls
// nothing and takes no profile. Programs, and pages that a proxy has beside the node, go on.
func TestOtherSites(t *testing.T) {
	for _, c := range []struct {
		origin, site string
		post, get    int
	}{
		{"", "", 200, 200},
		{"http://evil.example", "", 403, 200}, // a browser says so of a GET by Sec-Fetch-Site alone
		{"null", "", 403, 200},
		{"http://evil.example", "cross-site", 403, 403},
		{"", "cross-site", 403, 403},
		{"http://node:3000", "same-site", 403, 403}, // another server of the same machine
		{"http://node", "", 200, 200},
		{"https://proxy.example", "same-origin", 200, 200},
		{"", "none", 200, 200},
	} {
		s := newFake().server(t)
		s.Profiles = true
		for method, want := range map[string]int{http.MethodPost: c.post, http.MethodGet: c.get} {
			path, body := "/", `{"method":"getblockcount","id":1}`
			if method == http.MethodGet {
				path, body = profilesPrefix+"symbol", ""
			}
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Host = "node"
			r.SetBasicAuth(name, password)
			for key, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
				if value != "" {
					r.Header.Set(key, value)
				}
			}
			w := httptest.NewRecorder()
			s.handler().ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s of %q, %q: status %d, want %d: %s", method, c.origin, c.site, w.Code, want, w.Body)
			}
		}
	}
}

// TestLostRights: a WebSocket that is told of something ends when its user may ask for that no more,
// and goes on while the user may.
func TestLostRights(t *testing.T) {
	for _, c := range []struct {
		what  string
		allow []string // by turns; empty: all; -: there is no such user
		ends  bool
	}{
		{"as before", []string{"", ""}, false},
		{"gone", []string{"-"}, true},
		{"less", []string{"alice:getblockcount"}, true},
		{"everything by its list", []string{"alice:@all", "alice:@all"}, false},
		{"more, then less", []string{"", "alice:@all", "", "alice:@read", "alice:@read+@wallet", "alice:@mine"}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFake().server(t)
				socket := run(t, s).socket(t, true)
				if got := exchange(t, socket, `{"method":"notifyblocks","id":1}`); code(t, got) != 0 {
					t.Fatal(got)
				}
				for _, allow := range c.allow {
					again := &Auth{Before: s.Auth}
					if allow != "-" {
						if err := again.AddPassword(name, password); err != nil {
							t.Fatal(err)
						}
					}
					if allow != "-" && allow != "" {
						if err := again.Allow(allow); err != nil {
							t.Fatal(err)
						}
					}
					s.Auth.Adopt(again)
					synctest.Wait()
				}
				_ = socket.SetReadDeadline(time.Now().Add(time.Second))
				_, message, err := socket.ReadMessage()
				if told := websocket.IsCloseError(err, websocket.ClosePolicyViolation); told != c.ends {
					t.Errorf("it ends %v, want %v: %s, %v", told, c.ends, message, err)
				}
			})
		})
	}
}

// TestUserComesBack: a connection that stays open has its user's rights of the moment, also of one who
// was taken away and given back.
func TestUserComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().server(t)
		conn, err := run(t, s).dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for i, there := range []bool{true, true, false, false, true} {
			again := &Auth{Before: s.Auth}
			if there {
				if err := again.AddPassword(name, password); err != nil {
					t.Fatal(err)
				}
			}
			s.Auth.Adopt(again)
			go func() { _, _ = io.WriteString(conn, encoded(`{"method":"getblockcount","id":1}`)) }()
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			if (answer.StatusCode == http.StatusOK) != there {
				t.Errorf("%d: %s, want %v", i, answer.Status, there)
			}
		}
	})
}

// TestAllowIPAgain: who may connect no more is hung up on; others stay.
func TestAllowIPAgain(t *testing.T) {
	l := newLobby(8, false)
	near, far := net.Pipe()
	kept := &client{from: netip.MustParseAddrPort("192.0.2.1:5"), raw: near, gone: make(chan struct{})}
	gone := &client{from: netip.MustParseAddrPort("192.0.2.2:5"), raw: far, gone: make(chan struct{})}
	if !l.add(kept) || !l.add(gone) {
		t.Fatal("they do not come in")
	}
	s := newFake().server(t)
	s.lobby.Store(l)
	s.SetAllowIP([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")})
	select {
	case <-gone.gone:
	default:
		t.Error("who may connect no more stays")
	}
	select {
	case <-kept.gone:
		t.Error("who may connect is gone")
	default:
	}
}
