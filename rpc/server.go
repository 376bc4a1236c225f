// Package rpc answers questions about the node as JSON-RPC over HTTP and
// WebSocket, and asks them: it holds the server, the table of methods, the shapes
// of their results, and a client.
//
// Names, parameters, results and error codes are Bitcoin Core's, notifications
// btcd's, so that programs made for those work. The package decides nothing: it
// asks the interfaces that it declares.
package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// The limits of the server.
const (
	maxBody        = 32 << 20 // bytes of a request: a block in hexadecimal fits
	maxBatch       = 10_000   // requests in a batch
	maxAnswers     = 64 << 20 // bytes of the answers to a batch, after which no more is called
	maxConnections = 512
	maxSlow        = 2 // slow calls at once; others of them wait
	readTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	callTimeout    = 15 * time.Minute // of a slow one; it ends with its client too
	shutdownWait   = 5 * time.Second
	refusalDelay   = 250 * time.Millisecond // guessing a password should take long
	writeTimeout   = 30 * time.Second       // in which a client must take a piece of an answer
	writePiece     = 64 << 10               // bytes
)

// Options are what a server answers from. Params, Headers, Blocks, Operator, Pool,
// Network and Control are needed.
type Options struct {
	Params    *consensus.Params
	UserAgent string // such as "/karat:0.1.0/"
	Headers   Headers
	Blocks    Blocks
	Operator  Operator
	Index     Index // nil: there is none
	Pool      Pool
	Miner     Miner // nil: nothing can be mined here
	Network   Network
	Control   Control
	Auth      *Auth
	Logger    *slog.Logger // nil: discard
}

// Server answers clients.
type Server struct {
	Options
	log     *slog.Logger
	table   map[string]*method
	slow    chan struct{}
	warm    atomic.Bool
	active  activeCalls
	sockets sync.WaitGroup
}

// NewServer returns a server that tells clients to wait until Ready is called.
func NewServer(o Options) *Server {
	s := &Server{Options: o, log: o.Logger, table: methods(), slow: make(chan struct{}, max(maxSlow, runtime.GOMAXPROCS(0)/2))}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Ready lets the server answer.
func (s *Server) Ready() { s.warm.Store(true) }

// Run serves a listener until the context ends, which is no error. It returns
// when every call has ended.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	// Calls live a little longer than ctx, so that the answer to stop gets out.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readTimeout, ReadTimeout: 5 * time.Minute, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return calls },
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(newLimitListener(l, maxConnections)) }()
	var err error
	select {
	case err = <-done: // the listener failed
		server.Close()
	case <-ctx.Done():
		shutdown, stop := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
		timer := time.AfterFunc(shutdownWait/5, cancel) // what still runs is told to end
		if server.Shutdown(shutdown) != nil {
			server.Close()
		}
		timer.Stop()
		stop()
		<-done
	}
	cancel()
	s.sockets.Wait()
	s.active.end()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// limitListener accepts so many connections at once.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, most int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, most), closed: make(chan struct{})}
}

// Close implements net.Listener. It wakes an Accept that waits for a connection to
// end, too: those of WebSockets end only after the listener.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serveSocket)
	mux.HandleFunc("/", s.serveHTTP)
	return mux
}

// serveHTTP answers one request, or one batch of them.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	inTime := func() { _ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) }
	defer inTime() // what is buffered is written after this function
	if r.Method != http.MethodPost {
		http.Error(w, "JSONRPC server handles only POST requests", http.StatusMethodNotAllowed)
		return
	}
	user, ok := s.Auth.check(r)
	if !ok {
		s.refuse(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request is too long or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	reply, status := s.answer(r.Context(), &session{user: user}, body)
	if reply == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reply = append(reply, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	w.WriteHeader(status)
	for piece := range slices.Chunk(reply, writePiece) {
		inTime()
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// refuse answers who is no user.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	s.log.Warn("a client without a valid user and password", "from", r.RemoteAddr)
	time.Sleep(refusalDelay)
	w.Header().Set("WWW-Authenticate", `Basic realm="jsonrpc"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// request is one call.
type request struct {
	Version json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
}

func (r *request) isV2() bool { return string(r.Version) == `"2.0"` }

// method returns the name of the method, of a request in order.
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

// isNotification reports whether no answer is wanted (2.0 only).
func (r *request) isNotification() bool { return r.isV2() && r.ID == nil }

// session is on whose behalf calls are made.
type session struct {
	user   *User
	socket *socket // nil over HTTP
}

// answer handles a body, and returns the reply with its HTTP status. A nil reply
// is that to notifications.
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

// unmarshal refuses what encoding/json lets pass: values of the wrong shape.
func unmarshal(body []byte, r *request) error {
	if len(body) == 0 || body[0] != '{' {
		return errors.New("no object")
	}
	return json.Unmarshal(body, r)
}

// statusOf is the HTTP status of a reply: of version 2.0 always 200 to one who may
// call, before that one that tells of the error.
func statusOf(r *request, fault *Error) int {
	switch {
	case fault != nil && fault.Code == CodeForbidden: // a matter of HTTP, of which all versions are told
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

// encodeReply makes a reply: version 2.0 has a result or an error, versions before
// have both.
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

// marshal is json.Marshal without escapes for HTML, which clients of a node have
// no use for.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// call makes one call, whatever happens.
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

// dispatch finds who handles a call, and lets it.
func (s *Server) dispatch(ctx context.Context, on *session, r *request) (result any, fault *Error) {
	defer func() {
		// Over HTTP net/http would end the connection, over a WebSocket the node would end.
		if bug := recover(); bug != nil {
			s.log.Error("a call panicked", "method", printable(string(r.Method)), "panic", bug, "stack", string(debug.Stack()))
			result, fault = nil, failf(CodeInternal, "internal error; the node's log has more")
		}
	}()
	name, err := r.method()
	if err == nil {
		err = ctx.Err() // of the rest of a batch, whose client is gone
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
	if m.slow {
		select {
		case s.slow <- struct{}{}:
			defer func() { <-s.slow }()
		case <-ctx.Done():
			return nil, asError(ctx.Err())
		}
	}
	end, ok := s.active.begin(name)
	if !ok {
		return nil, asError(context.Canceled)
	}
	defer end()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.log.Debug("call", "method", name, "user", on.user.Name)
	result, err = m.handle(ctx, s, a)
	if err != nil {
		return nil, asError(err)
	}
	return result, nil
}

// printable makes a client's word fit for a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 64)])
}

// activeCalls knows which calls are under way.
type activeCalls struct {
	mu    sync.Mutex
	next  int
	calls map[int]activeCall
	ended bool
	wg    sync.WaitGroup
}

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
