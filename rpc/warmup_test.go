package rpc

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWarmUp: until the node is ready, clients are told to wait, whatever they
// call.
func TestWarmUp(t *testing.T) {
	auth := &Auth{}
	if err := auth.AddPassword("alice", "secret"); err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Auth: auth})
	ask := func(body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.SetBasicAuth("alice", "secret")
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, method := range []string{"getblockcount", "help", "stop"} {
		if status, answer := ask(`{"method":"` + method + `","id":1}`); status != 500 || !strings.Contains(answer, `"code":-28`) {
			t.Errorf("%s: status %d: %s", method, status, answer)
		}
	}
	s.Ready()
	if status, answer := ask(`{"method":"nosuch","id":1}`); status != 404 || !strings.Contains(answer, `"code":-32601`) {
		t.Errorf("after that: status %d: %s", status, answer)
	}
}
