package rpc

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listening runs a server at a port of this machine, and returns the address.
func listening(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// login is the line by which the user logs in.
var login = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))

const count, counted = `{"method":"getblockcount","id":1}`, `{"result":0,"error":null,"id":1}` + "\n"

// raw sends bytes over a new connection, closes the sending half, and returns all that
// comes back.
func raw(t testing.TB, address, bytes string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	go func() { _, _ = io.WriteString(conn, bytes) }()
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Errorf("%.60q: %v", bytes, err)
	}
	return string(answer)
}

// statuses returns those of all answers in a text.
func statuses(text string) (list []int) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "HTTP/1."); ok && len(rest) > 5 {
			status, _ := strconv.Atoi(rest[2:5])
			list = append(list, status)
		}
	}
	return list
}

// TestRawRequests: what clients and others write, to the byte, and the statuses of what
// they are answered. After each the connection ends.
func TestRawRequests(t *testing.T) {
	f := newFake()
	address := listening(t, f.server(t))
	post := func(headers ...string) string {
		return "POST / HTTP/1.1\r\n" + strings.Join(append(headers, login), "\r\n") + "\r\n"
	}
	length := "Content-Length: " + strconv.Itoa(len(count))
	last := post("Connection: close", length) + "\r\n" + count
	chunked := "1\r\n{\r\n" + fmt.Sprintf("%x;x=y\r\n%s\r\n0\r\n\r\n", len(count)-1, count[1:])
	many := strings.Repeat("X: y\r\n", 10_000)
	for _, c := range []struct {
		name, sent string
		want       []int
	}{
		{"no Host", last, []int{200}},
		{"Host of an address", post("Host: 192.0.2.1:9554", "Connection: close", length) + "\r\n" + count, []int{200}},
		{"Host of an IPv6 address", post("Host: [2001:db8::1]:9554", "Connection: close", length) + "\r\n" + count, []int{200}},
		{"Host of IPv6 without a port", post("Host: [::1]", "Connection: close", length) + "\r\n" + count, []int{200}},
		{"localhost", post("Host: LocalHost:1", "Connection: close", length) + "\r\n" + count, []int{200}},
		{"a name that was given", post("Host: Node.:80", "Connection: close", length) + "\r\n" + count, []int{200}},
		{"a name of another", post("Host: attacker.example:9554", length) + "\r\n" + count, []int{403}},
		{"a name that looks like an address", post("Host: 127.0.0.1.attacker.example", length) + "\r\n" + count, []int{403}},
		{"two names", post("Host: localhost", "Host: attacker.example", length) + "\r\n" + count, []int{400}},
		{"a URL as target", "POST http://attacker.example/ HTTP/1.1\r\nHost: localhost\r\n" + login + "\r\n" + length + "\r\n\r\n" + count, []int{403}},
		{"a URL of this node", "POST http://localhost/ HTTP/1.1\r\nConnection: close\r\nHost: attacker.example\r\n" + login + "\r\n" + length + "\r\n\r\n" + count, []int{200}},
		{"HTTP/1.0", strings.Replace(last, "HTTP/1.1", "HTTP/1.0", 1), []int{200}},
		{"two in a row", post(length) + "\r\n" + count + last, []int{200, 200}},
		{"an empty line between", post(length) + "\r\n" + count + "\r\n" + last, []int{200, 200}},
		{"chunks", post("Transfer-Encoding: chunked", "Connection: close") + "\r\n" + chunked, []int{200}},
		{"chunks, then another", post("Transfer-Encoding: chunked") + "\r\n" + chunked + last, []int{200, 200}},
		{"a length and chunks: chunks count, and nothing follows", post("Content-Length: 4", "Transfer-Encoding: chunked") + "\r\n" + chunked + last, []int{200}},
		{"chunks and a length, in other letters", post("TRANSFER-ENCODING: chunked", "content-length: 999") + "\r\n" + chunked + last, []int{200}},
		{"the same length twice", post(length, length, "Connection: close") + "\r\n" + count, []int{200}},
		{"two lengths", post(length, "Content-Length: 999") + "\r\n" + count, []int{400}},
		{"a length with a sign", post("Content-Length: +33") + "\r\n" + count, []int{400}},
		{"a negative length", post("Content-Length: -1") + "\r\n" + count, []int{400}},
		{"a length that is none", post("Content-Length: 33, 33") + "\r\n" + count, []int{400}},
		{"another encoding", post("Transfer-Encoding: gzip, chunked") + "\r\n" + chunked, []int{400}},
		{"chunked twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "\r\n" + chunked, []int{400}},
		{"an encoding that hides", post("Transfer-Encoding: \vchunked") + "\r\n" + chunked, []int{400}},
		{"chunks in HTTP/1.0", strings.Replace(post("Transfer-Encoding: chunked"), "1.1", "1.0", 1) + "\r\n" + chunked, []int{400}},
		{"a space before the colon", post("Content-Length : 33") + "\r\n" + count, []int{400}},
		{"a line that goes on", post("X: a", " Content-Length: 33") + "\r\n" + count, []int{400}},
		{"no colon", post("nothing") + "\r\n" + count, []int{400}},
		{"a header without a name", post(": x") + "\r\n" + count, []int{400}},
		{"a carriage return alone", post("X: a\rContent-Length: 33") + "\r\n" + count, []int{400}},
		{"a zero byte", "GET /safe\x00/../etc/passwd HTTP/1.1\r\n\r\n", []int{400}},
		{"another version", "GET / HTTP/9.9\r\n\r\n", []int{400}},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400}},
		{"no version", "GET / \r\n\r\n", []int{400}},
		{"no HTTP", "GET / NOTHTTP/1.1\r\n\r\n", []int{400}},
		{"one word", "hello\r\n\r\n", []int{400}},
		{"bare bytes", strings.Repeat("\xff", 9000), []int{400}},
		{"a handshake of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\n", 4), []int{400}},
		{"10,000 headers", "POST / HTTP/1.1\r\n" + many + login + "\r\n\r\n", []int{400}},
		{"a long line", "GET /" + strings.Repeat("x", maxHead) + " HTTP/1.1\r\n\r\n", []int{400}},
		{"a long header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{400}},
		{"a length over the limit", post("Content-Length: 33554433") + "\r\n", []int{413}},
		{"a length over all limits", post("Content-Length: 99999999999999999999") + "\r\n", []int{400}},
		{"a chunk over the limit", post("Transfer-Encoding: chunked") + "\r\n2000001\r\n" + strings.Repeat(" ", 33<<20), []int{413}},
		{"a chunk that is none", post("Transfer-Encoding: chunked") + "\r\nxyz\r\n", []int{400}},
		{"Expect", post(length, "Expect: 100-continue", "Connection: close") + "\r\n" + count, []int{100, 200}},
		{"Expect of a stranger", "POST / HTTP/1.1\r\nExpect: 100-continue\r\n" + length + "\r\n\r\n", []int{401}},
		{"Expect of something else", post(length, "Expect: x") + "\r\n" + count, []int{417}},
		{"no password, then one", "POST / HTTP/1.1\r\n" + length + "\r\n\r\n" + count + last, []int{401, 200}},
		{"a password, then a wrong one", post(length) + "\r\n" + count + "POST / HTTP/1.1\r\nAuthorization: Basic YWxpY2U6d3Jvbmc=\r\nConnection: close\r\n\r\n", []int{200, 401}},
		{"a password, then none, then one", post(length) + "\r\n" + count + "POST / HTTP/1.1\r\n\r\n" + last, []int{200, 401, 200}},
		{"a long body without a password", "POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000), []int{401}},
		{"GET", "GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\nConnection: close\r\n\r\n", []int{405, 404}},
		{"HEAD", "HEAD /x HTTP/1.1\r\n\r\n" + last, []int{404, 200}},
		{"CONNECT", "CONNECT attacker.example:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", []int{405}},
		{"nothing under a foreign name", "GET /x HTTP/1.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n", []int{404}},
		{"CONNECT to a path", "CONNECT / HTTP/1.1\r\nConnection: close\r\n\r\n", []int{405}},
		{"all of the server", "OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", []int{405}},
		{"no call, then another", post("Content-Length: 1") + "\r\n[" + last, []int{500, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := raw(t, address, c.sent)
			if got := fmt.Sprint(statuses(answer)); got != fmt.Sprint(c.want) {
				t.Errorf("%s, want %v: %.500s", got, c.want, answer)
			}
			if calls := strings.Count(answer, counted); calls != strings.Count(fmt.Sprint(c.want), "200") {
				t.Errorf("%d calls were answered: %.500s", calls, answer)
			}
		})
	}
}

// TestElectrs: what electrs and Esplora write, and how they read what comes back: by
// lines, with a Content-Length in these letters.
func TestElectrs(t *testing.T) {
	address := listening(t, newFake().server(t))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	next := func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	}
	for _, body := range []string{`{"method":"getblockcount","params":[],"id":0}`, `[{"method":"getblockcount","params":[],"id":0},{"method":"getblockcount","params":[],"id":1}]`} {
		fmt.Fprintf(conn, "POST / HTTP/1.1\nAuthorization: Basic %s\nContent-Length: %d\n\n%s",
			base64.StdEncoding.EncodeToString([]byte(name+":"+password)), len(body), body)
		if status := next(); status != "HTTP/1.1 200 OK" {
			t.Fatal(status)
		}
		headers := map[string]string{}
		for line := next(); line != ""; line = next() {
			name, value, _ := strings.Cut(line, ": ")
			headers[name] = value
		}
		answer := next()
		if headers["Content-Length"] != strconv.Itoa(len(answer)+1) || !strings.Contains(answer, `"result":0`) {
			t.Errorf("%v: %s", headers, answer)
		}
	}
}

// TestClientGoes: who goes while a call waits is not waited with, also over TLS, and who
// stays can make another one.
func TestClientGoes(t *testing.T) {
	f := newFake()
	ended := make(chan struct{}, 2)
	release := make(chan struct{})
	f.coinSet = func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-release:
		}
		ended <- struct{}{}
	}
	address := listening(t, f.server(t))
	conn, _ := net.Dial("tcp", address)
	_, _ = io.WriteString(conn, encoded(`{"method":"gettxoutsetinfo","params":["none"],"id":1}`))
	time.Sleep(3 * watchAfter)
	conn.Close()
	<-ended
	conn, _ = net.Dial("tcp", address)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, encoded(`{"method":"gettxoutsetinfo","params":["none"],"id":1}`))
	time.Sleep(3 * watchAfter)
	close(release)
	for range 2 {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_, _ = io.WriteString(conn, encoded(count))
	}
}

// TestIdleConnection: a connection without requests ends after its time, which a client
// may use up to the last second.
func TestIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFake().server(t)
		s.IdleTimeout = 10 * time.Second
		r := run(t, s)
		conn, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for range 3 {
			_, _ = io.WriteString(conn, encoded(count))
			if answer, err := http.ReadResponse(answers, nil); err != nil || answer.StatusCode != 200 {
				t.Fatalf("%v, %v", answer, err)
			} else {
				_, _ = io.Copy(io.Discard, answer.Body)
			}
			time.Sleep(9 * time.Second)
		}
		_, _ = io.WriteString(conn, "POST /") // which is no whole head
		began := time.Now()
		if _, err := answers.ReadByte(); err == nil || time.Since(began) > 11*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
