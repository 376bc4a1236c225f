package rpc

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// TestSilentStrangers: connections on which nothing, or little, is said keep nobody out.
func TestSilentStrangers(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(conn net.Conn)
	}{
		{"silent", func(net.Conn) {}},
		{"a head that never ends", func(conn net.Conn) {
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(conn, "X%d: y\r\n", i); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}},
		{"wrong passwords", func(conn net.Conn) {
			answers := bufio.NewReader(conn)
			for {
				_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6d3Jvbmc=\r\n\r\n")
				answer, err := http.ReadResponse(answers, nil)
				if err != nil || answer.StatusCode != http.StatusUnauthorized {
					return
				}
			}
		}},
		{"half a handshake", func(conn net.Conn) { _, _ = io.WriteString(conn, "\x16\x03\x01") }},
		{"a socket without a login", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := listening(t, newFake().server(t))
			for range 600 {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go c.say(conn)
			}
			began := time.Now()
			if answer := raw(t, address, strings.Replace(encoded(count), "Host", "Connection: close\r\nHost", 1)); !strings.HasSuffix(answer, counted) {
				t.Errorf("after %v: %s", time.Since(began), answer)
			}
			if took := time.Since(began); took > readTimeout-5*time.Second { // after which a silent one goes by itself
				t.Errorf("an honest client was answered after %v", took)
			}
		})
	}
}

// TestKnownClientsStay: whoever has logged in keeps its connection, in whatever way it did
// so, however many strangers come.
func TestKnownClientsStay(t *testing.T) {
	address := listening(t, newFake().server(t))
	header := http.Header{}
	(&http.Request{Header: header}).SetBasicAuth(name, password)
	var known []*websocket.Conn
	for _, h := range []http.Header{header, nil} {
		c, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/ws", h)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		known = append(known, c)
	}
	exchange(t, known[1], fmt.Sprintf(`{"method":"authenticate","params":[%q,%q],"id":1}`, name, password))
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	answers := bufio.NewReader(plain)
	ask := func() {
		t.Helper()
		_, _ = io.WriteString(plain, encoded(count))
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
	ask()
	for range 600 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	ask()
	for _, c := range known {
		if got := exchange(t, c, count); got != strings.TrimSpace(counted) {
			t.Error(got)
		}
	}
}

// guest makes a client of a lobby, whose connection nobody uses.
func guest(l *lobby, address string) *client {
	here, there := net.Pipe()
	there.Close()
	return &client{from: netip.MustParseAddrPort(address), raw: here, gone: make(chan struct{}), web: &web{lobby: l}}
}

func (c *client) left() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// TestWhoGivesWay: in a full lobby the longest idle of the largest crowd, strangers first.
func TestWhoGivesWay(t *testing.T) { synctest.Test(t, whoGivesWay) }

func whoGivesWay(t *testing.T) {
	l := newLobby(8, false)
	admit := func(address, user string, idle bool) *client {
		c := guest(l, address)
		if !l.add(c) || !l.enter(c, user) {
			t.Fatal("a guest was not let in")
		}
		if l.begin(c); idle {
			l.rest(c)
		}
		time.Sleep(time.Millisecond) // so that times differ
		return c
	}
	busy := admit("192.0.2.1:1", "bob", false)
	bob := admit("192.0.2.1:2", "bob", true)
	alice := [2]*client{admit("192.0.2.2:1", "alice", true), admit("192.0.2.2:2", "alice", true)}
	lone := admit("198.51.100.1:1", "", false)
	crowd := [3]*client{admit("[2001:db8::1]:1", "", false), admit("[2001:db8::2]:2", "", false), admit("[2001:db8::3]:3", "", false)}
	expect := func(when string, want *client) {
		t.Helper()
		before := map[*client]bool{}
		for c := range l.all {
			before[c] = true
		}
		admit("203.0.113.1:1", "carol", false)
		for c := range before {
			if c.left() != (c == want) {
				t.Errorf("%s: %v of %s left: %v", when, c.from, c.crowd, c.left())
			}
		}
	}
	expect("many strangers", crowd[0])
	expect("many strangers", crowd[1])
	expect("one of two addresses, and users are idle", bob)
	expect("two idle ones of a user", alice[0])
	lone.since = lone.since.Add(-2 * strangersGrace)
	expect("a stranger who had time", lone)
	expect("an idle user before one who has just come", alice[1])
	expect("nobody is idle", crowd[2])
	done := make(chan bool, 1)
	next := guest(l, "203.0.113.1:9")
	go func() { done <- l.add(next) }()
	synctest.Wait()
	select {
	case <-done:
		t.Fatal("one more was let in while all are busy")
	default:
	}
	l.rest(busy)
	if !<-done || !busy.left() {
		t.Error("who became idle did not give way")
	}
}

// TestUserPlaces: a user cannot have all places, unless there are no others.
func TestUserPlaces(t *testing.T) {
	for others, want := range map[bool]int{true: 6, false: 8} {
		l := newLobby(8, others)
		got := 0
		for range 8 {
			c := guest(l, "192.0.2.1:1")
			if !l.add(c) {
				t.Fatal("no place")
			}
			if l.enter(c, "bob") {
				got++
				continue
			}
			l.leave(c)
		}
		if got != want {
			t.Errorf("others %v: a user has %d of 8 places, want %d", others, got, want)
		}
		l.close()
		if len(l.all) != 0 || len(l.crowds) != 0 || l.add(guest(l, "192.0.2.1:1")) {
			t.Errorf("after the end: %v, %v", l.all, l.crowds)
		}
	}
}
