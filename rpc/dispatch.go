package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// request is one call, as it came. Its members stay raw until they are looked at, so
// that a mistake in one is told with the request's id.
type request struct {
	Version json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
}

func (r *request) isV2() bool { return string(r.Version) == `"2.0"` }

// method returns the name of the method, if the request has the form that its
// version asks for.
func (r *request) method() (name string, err error) {
	switch string(r.Version) {
	case "", "null", `"1.0"`, `"1.1"`, `"2.0"`:
	default:
		if r.Version[0] != '"' {
			return "", failf(CodeInvalidRequest, "jsonrpc field must be a string")
		}
		return "", failf(CodeInvalidRequest, "JSON-RPC version not supported")
	}
	if r.Method == nil || string(r.Method) == "null" {
		return "", failf(CodeInvalidRequest, "Missing method")
	}
	if json.Unmarshal(r.Method, &name) != nil {
		return "", failf(CodeInvalidRequest, "Method must be a string")
	}
	return name, nil
}

// isNotification reports whether no answer is wanted. Only version 2.0 has such
// requests: before it, a missing id was a careless client.
func (r *request) isNotification() bool { return r.isV2() && r.ID == nil }

// session is who calls, and by what.
type session struct {
	user   *User
	socket *socket // nil over HTTP
}

// answer handles a body, which is one request or a batch. It returns the reply with
// its HTTP status; a nil reply is what notifications get.
func (s *Server) answer(ctx context.Context, on *session, body []byte) ([]byte, int) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		return s.answerBatch(ctx, on, body)
	}
	var r request
	if err := unmarshal(body, &r); err != nil {
		return encodeReply(&request{}, nil, failf(CodeParse, "Parse error")), http.StatusInternalServerError
	}
	result, fault := s.call(ctx, on, &r)
	if r.isNotification() {
		return nil, http.StatusNoContent
	}
	return encodeReply(&r, result, fault), statusOf(&r, fault)
}

// unmarshal reads a request. encoding/json takes null, and leaves the request empty;
// here it must be an object.
func unmarshal(body []byte, r *request) error {
	if len(body) == 0 || body[0] != '{' {
		return errors.New("no object")
	}
	return json.Unmarshal(body, r)
}

// statusOf is the HTTP status of a reply, Bitcoin Core's. Version 2.0 keeps HTTP out
// of it: a call that failed was still carried well. Older clients find an error by
// the status.
func statusOf(r *request, fault *Error) int {
	switch {
	case fault != nil && fault.Code == CodeForbidden: // who may call is a matter of HTTP in every version
		return http.StatusForbidden
	case fault == nil || r.isV2():
		return http.StatusOK
	case fault.Code == CodeInvalidRequest:
		return http.StatusBadRequest
	case fault.Code == CodeMethodNotFound:
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}

// answerBatch answers each request of a batch in turn: a client that sends a block and
// then asks about it wants them in that order.
func (s *Server) answerBatch(ctx context.Context, on *session, body []byte) ([]byte, int) {
	if !json.Valid(body) {
		return encodeReply(&request{}, nil, failf(CodeParse, "Parse error")), http.StatusInternalServerError
	}
	if elements(body) > maxBatch {
		return encodeReply(&request{}, nil, failf(CodeInvalidRequest, "a batch has at most %d requests", maxBatch)), http.StatusBadRequest
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return encodeReply(&request{}, nil, failf(CodeParse, "Parse error")), http.StatusInternalServerError
	}
	reply := []byte{'['}
	for _, raw := range list {
		var r request
		var result json.RawMessage
		fault := failf(CodeInvalidRequest, "Invalid Request object")
		if err := unmarshal(bytes.TrimSpace(raw), &r); err == nil {
			if len(reply) > maxAnswers {
				fault = failf(CodeMisc, "the answers before this one are too long together; ask in smaller batches")
			} else {
				result, fault = s.call(ctx, on, &r)
			}
			if r.isNotification() {
				continue
			}
		}
		if len(reply) > 1 {
			reply = append(reply, ',')
		}
		reply = append(reply, encodeReply(&r, result, fault)...)
	}
	if len(reply) == 1 && len(list) > 0 {
		return nil, http.StatusNoContent
	}
	return append(reply, ']'), http.StatusOK
}

// encodeReply makes a reply: version 2.0 has either a result or an error, versions
// before it have both, one of them null. The id goes back as it came, digit for
// digit, and the result is written as it is, which json.Marshal would check again.
func encodeReply(r *request, result json.RawMessage, fault *Error) []byte {
	id := r.ID
	if id == nil {
		id = json.RawMessage("null")
	}
	if result == nil {
		result = json.RawMessage("null")
	}
	problem, _ := json.Marshal(fault)
	var b bytes.Buffer
	switch {
	case r.isV2() && fault == nil:
		b.WriteString(`{"jsonrpc":"2.0","result":`)
		b.Write(result)
	case r.isV2():
		b.WriteString(`{"jsonrpc":"2.0","error":`)
		b.Write(problem)
	default:
		b.WriteString(`{"result":`)
		b.Write(result)
		b.WriteString(`,"error":`)
		b.Write(problem)
	}
	b.WriteString(`,"id":`)
	b.Write(id)
	b.WriteByte('}')
	return b.Bytes()
}

// marshal is json.Marshal without its escapes for HTML: Core writes none, and a node
// serves no pages.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// call makes one call, and encodes its result or says what went wrong.
func (s *Server) call(ctx context.Context, on *session, r *request) (json.RawMessage, *Error) {
	result, fault := s.dispatch(ctx, on, r)
	if fault != nil {
		return nil, fault
	}
	if raw, ready := result.(json.RawMessage); ready {
		return raw, nil
	}
	raw, err := marshal(result)
	if err != nil {
		return nil, failf(CodeInternal, "%v", err)
	}
	return raw, nil
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
		return nil, failf(CodeForbidden, "the user %s may not call %s", on.user.Name, printable(name))
	}
	m := s.table[name]
	if on.socket != nil {
		if handle, ok := socketMethods[name]; ok {
			return on.socket.handle(handle, r.Params)
		}
	}
	if m == nil {
		return nil, failf(CodeMethodNotFound, "Method not found")
	}
	a, err := parseArgs(m, r.Params)
	if err != nil {
		return nil, asError(err)
	}
	if m.slow { // one that waits is not under way yet: getrpcinfo does not show it
		leave, err := s.takePlace(ctx)
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
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, userKey{}, on.user), callTimeout)
	defer cancel()
	s.log.Debug("call", "method", name, "user", on.user.Name)
	result, err = m.run(ctx, s, a)
	if err != nil {
		return nil, asError(err)
	}
	return result, nil
}

// takePlace waits for a place among the slow calls, and returns what gives it back.
func (s *Server) takePlace(ctx context.Context) (leave func(), err error) {
	select {
	case s.slow <- struct{}{}:
		return func() { <-s.slow }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// printable makes a client's word fit for a log: a method's name could hold a line
// that looks like another entry, or be as long as a request.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 64)])
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
		delete(c.calls, id)
		c.wg.Done()
	}, true
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
