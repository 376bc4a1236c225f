package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/karatcoin/karat/internal/freeport"
)

// node answers every request with a status and a body.
func node(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestClientErrors: each way in which a call fails says what is the matter.
func TestClientErrors(t *testing.T) {
	const proxy = "<html>Bad Gateway"
	for _, c := range []struct {
		name, body string
		status     int
		kind       error // nil: none of its own
		says       []string
	}{
		{"refused", "", 401, ErrUnauthorized, []string{"http://"}},
		{"no content", "", 204, nil, []string{"204"}},
		{"an empty answer", " \n", 500, nil, []string{"500"}},
		{"a proxy", proxy, 502, nil, []string{"502", proxy}},
		{"too long", "the request is too long or broke off\n", 413, nil, []string{"413", "too long"}},
		{"no JSON", "hello", 200, nil, []string{"getthing", "no JSON-RPC: it is cut off, or no JSON"}},
		{"neither result nor error", `{"jsonrpc":"2.0","id":1}`, 200, nil, []string{"getthing", "neither a result nor an error"}},
		{"another type", `{"jsonrpc":"2.0","result":{"a":1},"id":1}`, 200, nil, []string{"getthing", "not what was expected"}},
		{"another reply", `[]`, 200, nil, []string{"getthing", "no JSON-RPC", "array"}},
		{"an error", `{"jsonrpc":"2.0","error":{"code":-8,"message":"out of range"},"id":1}`, 200, nil, []string{"out of range"}},
		{"an error of version 1", `{"result":null,"error":{"code":-8,"message":"out of range"},"id":1}`, 500, nil, []string{"out of range"}},
	} {
		var n int
		err := NewClient(node(t, c.status, c.body), name, password).Call(t.Context(), "getthing", &n)
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q lacks %q", c.name, err, says)
			}
		}
		if strings.Contains(err.Error(), "Go value") || strings.Contains(err.Error(), "Go struct") {
			t.Errorf("%s: %q shows how Go's library says it", c.name, err)
		}
		var refused *Error
		if isError := strings.Contains(c.body, "-8"); errors.As(err, &refused) != isError || isError && refused.RPCCode() != CodeInvalidParam {
			t.Errorf("%s: %#v", c.name, err)
		}
		for _, kind := range []error{ErrUnauthorized, ErrUnreachable} {
			if errors.Is(err, kind) != (kind == c.kind) {
				t.Errorf("%s: %q is %q", c.name, err, kind)
			}
		}
	}
}

// TestClientUnreachable: no node, no cookie of one, and one that ends meanwhile are
// the same to callers; one who gives up is not told that there is none.
func TestClientUnreachable(t *testing.T) {
	gone := "http://" + freeport.At(t, "127.0.0.1")
	dying := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer dying.Close()
	breaking := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"jsonrpc":`))
	}))
	defer breaking.Close()
	for what, client := range map[string]*Client{
		"no node":     NewClient(gone, name, password),
		"no cookie":   NewCookieClient(dying.URL, filepath.Join(t.TempDir(), ".cookie")),
		"hung up on":  NewClient(dying.URL, name, password),
		"half a word": NewClient(breaking.URL, name, password),
	} {
		if err := client.Call(t.Context(), "uptime", nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), client.url) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewClient(gone, name, password).Call(ctx, "uptime", nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("given up: %v", err)
	}
	if err := NewClient(gone, name, password).unanswered(ctx, &net.OpError{Err: errors.New("cut off")}); errors.Is(err, ErrUnreachable) {
		t.Errorf("given up while it connects: %v", err)
	}
	if err := NewClient("http://[", name, password).Call(t.Context(), "uptime", nil); err == nil {
		t.Error("a URL that is none was taken")
	}
	if err := NewClient(gone, name, password).Call(t.Context(), "uptime", nil, func() {}); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("a parameter that is no JSON: %v", err)
	}
}

// TestClientSends: a call is sent as it should be, and with the cookie of now.
func TestClientSends(t *testing.T) {
	var user, body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, p, _ := r.BasicAuth()
		user = n + "/" + p
		var all json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&all)
		body = r.Method + " " + r.Header.Get("Content-Type") + " " + string(all)
		fmt.Fprint(w, `{"jsonrpc":"2.0","result":5,"id":1}`)
	}))
	defer server.Close()
	cookie := filepath.Join(t.TempDir(), ".cookie")
	client := NewCookieClient(server.URL, cookie)
	for _, secret := range []string{"one:1", "two:2:3\n"} {
		if err := os.WriteFile(cookie, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := client.Call(t.Context(), "add", &n, 2, "x"); err != nil || n != 5 {
			t.Errorf("%d, %v", n, err)
		}
		if want := strings.TrimSpace(strings.Replace(secret, ":", "/", 1)); user != want {
			t.Errorf("sent as %s, want %s", user, want)
		}
	}
	if want := `POST application/json {"id":1,"jsonrpc":"2.0","method":"add","params":[2,"x"]}`; body != want {
		t.Errorf("sent %s, want %s", body, want)
	}
	if err := client.Call(t.Context(), "add", nil, Named{"a": 2}); err != nil || !strings.HasSuffix(body, `"params":{"a":2}}`) {
		t.Errorf("sent %s, %v", body, err)
	}
	if err := client.Call(t.Context(), "add", nil); err != nil || !strings.HasSuffix(body, `"params":[]}`) {
		t.Errorf("sent %s, %v", body, err)
	}
}

// TestClientBatch: results come in the order of the calls, however the node orders
// them, over as many requests as it takes.
func TestClientBatch(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		var calls []struct {
			ID     int
			Params []int
		}
		if err := json.NewDecoder(r.Body).Decode(&calls); err != nil {
			t.Error(err)
		}
		replies := make([]string, len(calls))
		for i, c := range calls {
			result := fmt.Sprintf(`"result":%d`, c.Params[0])
			if c.Params[0]%7 == 0 {
				result = fmt.Sprintf(`"error":{"code":-5,"message":"%d"}`, c.Params[0])
			}
			replies[len(calls)-1-i] = fmt.Sprintf(`{"jsonrpc":"2.0",%s,"id":%d}`, result, c.ID)
		}
		fmt.Fprintf(w, "[%s]", strings.Join(replies, ","))
	}))
	defer server.Close()
	client := NewClient(server.URL, name, password)
	params := make([][]any, 2*clientBatch+1)
	for i := range params {
		params[i] = []any{i}
	}
	next := 0
	err := client.Batch(t.Context(), "echo", params, func(i int, result json.RawMessage, err error) error {
		var refused *Error
		if i != next || i%7 == 0 && (!errors.As(err, &refused) || refused.Message != fmt.Sprint(i)) || i%7 != 0 && (err != nil || string(result) != fmt.Sprint(i)) {
			t.Errorf("call %d, want %d: %s, %v", i, next, result, err)
		}
		next++
		return nil
	})
	if err != nil || next != len(params) || requests != 3 {
		t.Errorf("%d results in %d requests: %v", next, requests, err)
	}
	enough := errors.New("enough")
	next = 0
	if err := client.Batch(t.Context(), "echo", params, func(int, json.RawMessage, error) error { next++; return enough }); !errors.Is(err, enough) || next != 1 {
		t.Errorf("after %d: %v", next, err)
	}
}

// TestClientBatchErrors: what is no answer to a batch says so.
func TestClientBatchErrors(t *testing.T) {
	for body, says := range map[string]string{
		`[{"id":0,"result":1}]`:                     "left call 2 of 2",
		`[{"id":0,"result":1},{"id":2,"result":1}]`: "left call 2 of 2",
		`[{"id":null,"result":1}]`:                  "left call 1 of 2",
		`{"id":1,"result":1}`:                       "no batch",
		`5`:                                         "no batch",
		`{"result":null,"error":{"code":-32600,"message":"a batch has at most 5"},"id":null}`: "at most 5",
	} {
		err := NewClient(node(t, 200, body), name, password).Batch(t.Context(), "echo", [][]any{{1}, {2}}, func(int, json.RawMessage, error) error { return nil })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", body, err, says)
		}
	}
	if err := NewClient(node(t, 401, ""), name, password).Batch(t.Context(), "echo", [][]any{{1}}, nil); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("refused: %v", err)
	}
	if err := NewClient("http://127.0.0.1:1", name, password).Batch(t.Context(), "echo", nil, nil); err != nil {
		t.Errorf("nothing to call: %v", err)
	}
}

// TestClientFollowsNobody: a node that points elsewhere gets no login to go there, nor does a
// request go there, over whatever it is sent.
func TestClientFollowsNobody(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere++
		_, _ = w.Write([]byte(`{"result":5,"error":null,"id":1}`))
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, status)
		}))
		client := NewClient(server.URL, name, password)
		err := client.Call(t.Context(), "getblockcount", nil)
		if !errors.Is(err, ErrNotNode) || elsewhere > 0 {
			t.Errorf("%d: %v, %d requests went on", status, err, elsewhere)
		}
		if err := client.Subscribe(t.Context(), nil, func(string) error { return nil }); err == nil || elsewhere > 0 {
			t.Errorf("%d: %v, %d sockets went on", status, err, elsewhere)
		}
		server.Close()
	}
}

// TestClientBatchOfMany: replies that nobody asked for are not even kept.
func TestClientBatchOfMany(t *testing.T) {
	body := "[" + strings.Repeat("{},", 1000) + `{"id":0,"result":1}]`
	err := NewClient(node(t, 200, body), name, password).Batch(t.Context(), "getthing", [][]any{{}}, func(int, json.RawMessage, error) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "more answers") {
		t.Errorf("the error is %v", err)
	}
}

// TestClientLongError: of a message without end no more is kept than anybody reads.
func TestClientLongError(t *testing.T) {
	body := `{"error":{"code":-5,"message":"` + strings.Repeat("ä\\n", 1<<20) + `"},"id":%d}`
	url := node(t, 200, fmt.Sprintf(body, 1))
	err := NewClient(url, name, password).Call(t.Context(), "getthing", nil)
	var refused *Error
	if !errors.As(err, &refused) || len(refused.Message) > maxMessage+10 || refused.Code != CodeAddressOrKey || !utf8.ValidString(refused.Message) {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}
