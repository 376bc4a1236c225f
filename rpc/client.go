package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/karatcoin/karat/internal/wholefile"
)

// The limits of a client.
const (
	maxReply      = 256 << 20                     // bytes, so that no server can fill the memory
	clientTimeout = DefaultCallTime + time.Minute // the server gives up first, and says so
	clientBatch   = 1000                          // calls in one request: enough to make a round trip cheap
)

// Client calls methods of a node. Its methods may be called concurrently.
type Client struct {
	url    string
	cookie string // a file, read for each call: a node that starts again has another; empty: user and password
	user   string
	pass   string
	http   http.Client
}

// newHTTPClient returns what sends requests. It follows nobody who points elsewhere: user and
// password, or what is signed, would go there too, and without TLS if that one likes.
func newHTTPClient() http.Client {
	return http.Client{Timeout: clientTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// NewClient returns a client that knows its user and password.
func NewClient(url, user, password string) *Client {
	return &Client{url: url, user: user, pass: password, http: newHTTPClient()}
}

// NewCookieClient returns a client that finds user and password in the node's
// cookie file.
func NewCookieClient(url, cookieFile string) *Client {
	return &Client{url: url, cookie: cookieFile, http: newHTTPClient()}
}

// Named are parameters by name. If it is the only parameter of a call, it takes the
// place of the list.
type Named map[string]any

// Call calls a method and decodes its result, unless result is nil. An error that the
// node gives is an *Error. Others say that there is no answer, and wrap
// ErrUnreachable or ErrUnauthorized where the user can do something about it.
func (c *Client) Call(ctx context.Context, method string, result any, params ...any) error {
	var all any = append([]any{}, params...)
	if len(params) == 1 {
		if named, ok := params[0].(Named); ok {
			all = named
		}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": all})
	if err != nil {
		return err
	}
	raw, err := c.post(ctx, body)
	if err != nil {
		return err
	}
	var r reply
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: the node's answer is no JSON-RPC: %w", method, plainly(err))
	}
	if r.Error != nil {
		return r.Error
	}
	if result == nil {
		return nil
	}
	if len(r.Result) == 0 {
		return fmt.Errorf("%s: the node's answer has neither a result nor an error", method)
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return fmt.Errorf("%s: the node's answer is not what was expected: %w", method, plainly(err))
	}
	return nil
}

// reply is an answer, of which the id tells to which call.
type reply struct {
	ID     *int            `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *Error          `json:"error"`
}

// maxMessage bounds the message of a node's error, in bytes: several times the longest help.
const maxMessage = 64 << 10

// UnmarshalJSON implements json.Unmarshaler. A message may be as long as an answer, and
// whoever shows one or looks for lines in it is not prepared for that.
func (e *Error) UnmarshalJSON(text []byte) error {
	type plain Error
	if err := json.Unmarshal(text, (*plain)(e)); err != nil {
		return err
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + " …"
	}
	return nil
}

// Batch calls a method with many lists of parameters, in few requests, and hands each
// result or *Error over in order. It ends with the first error that each returns.
func (c *Client) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	for first := 0; first < len(params); first += clientBatch {
		part := params[first:min(first+clientBatch, len(params))]
		calls := make([]map[string]any, len(part))
		for i := range part {
			calls[i] = map[string]any{"jsonrpc": "2.0", "id": i, "method": method, "params": part[i]}
		}
		body, err := json.Marshal(calls)
		if err != nil {
			return err
		}
		raw, err := c.post(ctx, body)
		if err != nil {
			return err
		}
		if err := eachReply(raw, method, len(part), func(i int, result json.RawMessage, err error) error {
			return each(first+i, result, err)
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachReply sorts the replies of a batch by their ids: JSON-RPC lets a server answer
// in any order.
func eachReply(raw []byte, method string, calls int, each func(i int, result json.RawMessage, err error) error) error {
	var refusal reply
	if json.Unmarshal(raw, &refusal) == nil && refusal.Error != nil { // of the batch as a whole
		return refusal.Error
	}
	// One by one, and no more than there are calls: replies with nothing in them take ten
	// times their bytes.
	d := json.NewDecoder(bytes.NewReader(raw))
	begin, err := d.Token()
	if err == nil && begin != json.Delim('[') {
		err = errors.New("it is no list")
	}
	byID := make([]*reply, calls)
	for n := 0; err == nil && d.More(); n++ {
		if n == calls {
			return fmt.Errorf("%s: the node has more answers than the %d calls", method, calls)
		}
		var r reply
		if err = d.Decode(&r); err == nil && r.ID != nil && *r.ID >= 0 && *r.ID < calls {
			byID[*r.ID] = &r
		}
	}
	if err == nil {
		_, err = d.Token() // its end
	}
	if err != nil {
		return fmt.Errorf("%s: the node's answer is no batch: %w", method, plainly(err))
	}
	for i, r := range byID {
		if r == nil {
			return fmt.Errorf("%s: the node left call %d of %d without an answer", method, i+1, calls)
		}
		var err error
		if r.Error != nil {
			err = r.Error
		}
		if err := each(i, r.Result, err); err != nil {
			return err
		}
	}
	return nil
}

// post sends a request and returns what the node answers, of any status: the older
// versions of JSON-RPC have statuses for the errors of calls.
func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	user, password, err := c.login()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("%w at %s", ErrUnauthorized, c.url)
	}
	if answer.StatusCode/100 == 3 {
		return nil, &callError{fmt.Sprintf("what answers at %s points elsewhere (HTTP status %s), which no node does", c.url, answer.Status), ErrNotNode, nil}
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxReply+1))
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	if len(raw) > maxReply {
		return nil, fmt.Errorf("the node's answer has more than %d bytes", maxReply)
	}
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
		return nil, fmt.Errorf("the node answers with HTTP status %s and nothing else", answer.Status)
	case answer.StatusCode != http.StatusOK && raw[0] != '{': // from another server than a node, or from before JSON-RPC
		return nil, fmt.Errorf("the node answers with HTTP status %s: %.200s", answer.Status, raw)
	}
	return raw, nil
}

// login returns user and password for one call.
func (c *Client) login() (user, password string, err error) {
	if c.cookie == "" {
		return c.user, c.pass, nil
	}
	data, err := wholefile.Read(c.cookie, 1<<12)
	if err != nil {
		return "", "", &callError{fmt.Sprintf("%s at %s: its cookie file cannot be read (%v)", ErrUnreachable, c.url, err), ErrNoCookie, err}
	}
	user, password, _ = strings.Cut(strings.TrimSpace(string(data)), ":")
	return user, password, nil
}
