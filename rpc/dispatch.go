package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/karatcoin/karat/rpc/callinfo"
)

// request is one call, as it came. Its members stay raw until they are looked at, so
// that a mistake in one is told with the request's id.
type request struct {
	Version json.RawMessage // jsonrpc
	ID      json.RawMessage
	Method  json.RawMessage
	Params  json.RawMessage
}

// readRequest reads an object. Names are exact, and the first member of a name counts,
// as in Bitcoin Core.
func readRequest(object []byte) (r request) {
	eachMember(object, func(name string, value json.RawMessage) bool {
		var into *json.RawMessage
		switch name {
		case "jsonrpc":
			into = &r.Version
		case "id":
			into = &r.ID
		case "method":
			into = &r.Method
		case "params":
			into = &r.Params
		default:
			return true
		}
		if *into == nil {
			*into = value
		}
		return true
	})
	return r
}

func (r *request) isV2() bool { return isText(r.Version, "2.0") }

// method returns the name of the method, if the request has the form that its
// version asks for.
func (r *request) method() (name string, err error) {
	switch {
	case r.Version == nil, string(r.Version) == "null", r.isV2(), isText(r.Version, "1.0"), isText(r.Version, "1.1"):
	case r.Version[0] != '"':
		return "", failf(CodeInvalidRequest, "jsonrpc field must be a string")
	default:
		return "", failf(CodeInvalidRequest, "JSON-RPC version not supported")
	}
	switch {
	case r.Method == nil || string(r.Method) == "null":
		return "", failf(CodeInvalidRequest, "Missing method")
	case r.Method[0] != '"':
		return "", failf(CodeInvalidRequest, "Method must be a string")
	case r.Params != nil && string(r.Params) != "null" && r.Params[0] != '[' && r.Params[0] != '{':
		return "", failf(CodeInvalidRequest, "Params must be an array or object")
	}
	return textOf(r.Method), nil
}

// isNotification reports whether no answer is wanted. Only version 2.0 has such
// requests: before it, a missing id was a careless client.
func (r *request) isNotification() bool { return r.isV2() && r.ID == nil }

// session is who calls, and by what.
type session struct {
	user   *User
	socket *socket  // nil over HTTP
	hold   *hold    // of its user's memory; nil: it is not counted
	then   []func() // what is done behind the answer
}

// answer handles a body, which is one request or a batch, and sends the reply.
// Notifications get one that is empty.
func (s *Server) answer(ctx context.Context, on *session, body []byte, out outlet) {
	ctx = context.WithValue(ctx, userKey{}, on.user)
	body = bytes.Trim(body, " \t\r\n")
	if !wellFormed(body) {
		s.reply(ctx, out, &noRequest, nil, failf(CodeParse, "Parse error"))
		return
	}
	switch body[0] {
	case '[':
		s.answerBatch(ctx, on, body, out)
		return
	case '{':
	default:
		s.reply(ctx, out, &noRequest, nil, failf(CodeParse, "Top-level object parse error"))
		return
	}
	r := readRequest(body)
	result, fault := s.dispatch(ctx, on, &r)
	if r.isNotification() && (fault == nil || fault.Code != CodeInvalidRequest) {
		out.begin(http.StatusNoContent, 0)
		out.end(nil)
		return
	}
	s.reply(ctx, out, &r, result, fault)
}

// noRequest is answered with an error whose id is null, as what came has none.
var noRequest = request{ID: json.RawMessage("null")}

// unmarshal reads a request that must be one alone.
func unmarshal(body []byte, r *request) error {
	if !wellFormed(body) || body[0] != '{' {
		return errors.New("no object")
	}
	*r = readRequest(body)
	return nil
}

// answerBatch answers each request of a batch, which is well formed, in turn: a client that sends a block and
// then asks about it wants them in that order.
func (s *Server) answerBatch(ctx context.Context, on *session, body []byte, out outlet) {
	if elements(body) > maxBatch {
		s.reply(ctx, out, &noRequest, nil, failf(CodeInvalidRequest, "a batch has at most %d requests", maxBatch))
		return
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		s.reply(ctx, out, &noRequest, nil, failf(CodeParse, "Parse error"))
		return
	}
	replies := s.newBatchReply(ctx, on, out)
	for _, raw := range list {
		r := noRequest
		var result any
		fault := failf(CodeInvalidRequest, "Invalid Request object")
		if raw[0] == '{' {
			r = readRequest(raw)
			if replies.full() {
				fault = errBatchTooLong
			} else {
				result, fault = s.dispatch(ctx, on, &r)
			}
			if r.isNotification() {
				continue
			}
		}
		replies.add(&r, result, fault)
	}
	replies.end(len(list) == 0)
}

// dispatch finds the method of a call, and runs it. The order of its checks decides
// what a client learns: that the node is starting, before anything of the call is
// looked at; whether a method exists, only if the user may call it.
func (s *Server) dispatch(ctx context.Context, on *session, r *request) (result any, fault *Error) {
	defer func() {
		// Without this a bug in one method would end the node from a WebSocket, and
		// over HTTP leave the client without an answer.
		if bug := recover(); bug != nil {
			s.log.Error("a call panicked", "method", printable(string(r.Method)), "panic", bug, "stack", string(debug.Stack()))
			result, fault = nil, failf(CodeInternal, "internal error; the node's log has more")
		}
	}()
	name, err := r.method()
	if err == nil {
		err = ctx.Err() // nobody waits for the rest of a batch whose client is gone
	}
	if err != nil {
		return nil, asError(err)
	}
	if !s.warm.Load() {
		return nil, failf(CodeInWarmup, "the node is starting")
	}
	if !on.user.may(name) {
		s.log.Warn("a client may not call a method", "user", on.user.Name, "method", printable(name))
		return nil, failf(CodeForbidden, "the user %s may not call %s; the node's operator can let it with --rpc-allow", on.user.Name, printable(name))
	}
	m := s.table[name]
	if m == nil {
		return nil, failf(CodeMethodNotFound, "Method not found")
	}
	a, err := parseArgs(m, r.Params)
	if err != nil {
		return nil, asError(err)
	}
	if a.session, a.socket = on, on.socket; m.socket && a.socket == nil {
		return nil, failf(CodeMethodNotFound, "Method not found over HTTP: it is about what a WebSocket is told")
	}
	if err := s.accounts.of(on.user.Name).call(ctx); err != nil {
		return nil, asError(err)
	}
	if m.slow { // one that waits is not under way yet: getrpcinfo does not show it
		leave, err := s.slow.wait(ctx, on.user.Name)
		if err != nil {
			return nil, asError(err)
		}
		defer leave()
	}
	end, ok := s.active.begin(name)
	if !ok { // Run waits no more, and the node closes what the call would use
		return nil, asError(context.Canceled)
	}
	defer end()
	ctx, cancel := s.inTime(ctx)
	defer cancel()
	s.log.Debug("call", "method", name, "user", on.user.Name)
	result, err = m.run(ctx, s, a)
	if err != nil {
		s.active.failed(name)
		return nil, asError(err)
	}
	return result, nil
}

// printable makes a client's word fit for a log: a method's name could hold a line
// that looks like another entry, or be as long as a request.
func printable(s string) string { return printableTo(64, s) }

// printableTo is printable with a length of one's own.
func printableTo(most int, s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
}

// activeCalls knows which calls are under way, for getrpcinfo, and lets Run wait for
// them.
type activeCalls struct {
	wg sync.WaitGroup // of calls

	mu sync.Mutex
	// Guarded by mu:
	next  int // the id of the next call
	calls map[int]activeCall
	ended bool
	done  map[string]*callinfo.Method // by name: of our table, so that there are not many
}

// activeCall is what getrpcinfo tells of a call.
type activeCall struct {
	method string
	since  time.Time
}

// begin notes a call, and returns what ends it. It is refused after end.
func (c *activeCalls) begin(method string) (end func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false
	}
	if c.calls == nil {
		c.calls = map[int]activeCall{}
	}
	id := c.next
	c.next++
	c.calls[id] = activeCall{method, time.Now()}
	c.wg.Add(1)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.method(method).Add(time.Since(c.calls[id].since))
		delete(c.calls, id)
		c.wg.Done()
	}, true
}

// method returns what is counted of a method. It assumes mu.
func (c *activeCalls) method(name string) *callinfo.Method {
	m := c.done[name]
	if m == nil {
		if c.done == nil {
			c.done = map[string]*callinfo.Method{}
		}
		m = &callinfo.Method{Name: name}
		c.done[name] = m
	}
	return m
}

// failed counts a call that is answered with an error.
func (c *activeCalls) failed(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.method(method).Faults++
}

// Calls tells of the calls that have ended, by method. Those that were refused before their
// method ran are not among them.
func (s *Server) Calls() []callinfo.Method {
	c := &s.active
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]callinfo.Method, 0, len(c.done))
	for _, m := range c.done {
		copied := *m
		copied.Counts = slices.Clone(m.Counts)
		list = append(list, copied)
	}
	slices.SortFunc(list, func(a, b callinfo.Method) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (c *activeCalls) list() []activeCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]activeCall, 0, len(c.calls))
	for _, call := range c.calls {
		list = append(list, call)
	}
	return list
}

// end lets no call begin any more, and waits for those under way.
func (c *activeCalls) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.wg.Wait()
}
