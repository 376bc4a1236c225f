package rpc

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/freeport"
)

// TestEventOf: a message is an event, the answer to subscribe, or an error that says which.
func TestEventOf(t *testing.T) {
	for message, want := range map[string]string{
		`{"result":{"subscription":1},"error":null,"id":1}`:                                      "",
		`{"jsonrpc":"1.0","method":"event","params":[{"event":"blockapplied","x":1}],"id":null}`: "blockapplied",
	} {
		if got, err := eventOf([]byte(message)); got != want || err != nil {
			t.Errorf("%s: %q, %v", message, got, err)
		}
	}
	for message, want := range map[string]string{
		`{"result":null,"error":{"code":-32601,"message":"no such method"},"id":1}`: "no such method",
		`{"method":"event","params":[{"event":"end","error":"pruned\u001b"}]}`:      `"pruned\x1b"`,
		`{"method":"event","params":[]}`:                                            "not what was expected",
		`{"method":"blockconnected","params":[{}]}`:                                 "not what was expected",
		`{`:  "not what was expected",
		`[]`: "not what was expected",
	} {
		if got, err := eventOf([]byte(message)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", message, got, err)
		}
	}
}

// TestSubscribeRefused: a server that opens no WebSocket is told from one that is not there.
func TestSubscribeRefused(t *testing.T) {
	status := http.StatusUnauthorized
	server := freeport.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
	client := NewClient(server.URL, "user", "password")
	try := func() error {
		return client.Subscribe(t.Context(), nil, func(string) error { return nil })
	}
	if err := try(); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("a wrong password: %v", err)
	}
	status = http.StatusNotFound
	if err := try(); err == nil || !strings.Contains(err.Error(), "404") || errors.Is(err, ErrUnreachable) {
		t.Errorf("no WebSocket: %v", err)
	}
	server.Close()
	if err := try(); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
}

// TestSubscribeGreeting: headers without end are not waited for.
func TestSubscribeGreeting(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 404 Not Found\r\n"))
		for range 2 * maxGreeting / 1000 {
			if _, err := conn.Write([]byte("x: " + strings.Repeat("y", 995) + "\r\n")); err != nil {
				return
			}
		}
		_, _ = conn.Write([]byte("content-length: 0\r\n\r\n"))
	}))
	defer server.Close()
	err := NewClient(server.URL, "user", "password").Subscribe(t.Context(), nil, func(string) error { return nil })
	if !errors.Is(err, ErrNotNode) {
		t.Errorf("the error is %v", err)
	}
}
