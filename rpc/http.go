package rpc

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// net/http's server refuses HTTP/1.1 without a Host, which Bitcoin Core takes and some of
// its clients send (electrs). So the loop around a request is here: its bounds, whose
// connection gives way, and how long a client is waited for. Requests are read by
// net/http (http.ReadRequest), and what answers them is an http.Handler.

// web is a server while it runs.
type web struct {
	s       *Server
	calls   context.Context // of all requests
	handler http.Handler
	hosts   hosts
	lobby   *lobby
	all     sync.WaitGroup // of connections and listeners
}

// client is a connection. One goroutine reads its requests and answers them in turn.
type client struct {
	web  *web
	from netip.AddrPort
	conn net.Conn // TLS over raw, or raw
	raw  net.Conn
	br   *bufio.Reader
	bw   *bufio.Writer
	ctx  context.Context
	gone chan struct{} // closed when the lobby has dropped it

	lastUser  *User // of the last request with a valid password; nil: none
	lastLogin [sha256.Size]byte
	lastTurn  uint64 // of the users

	// Guarded by the lobby's mu:
	known    bool   // the last request had a valid password
	crowd    string // the user, or where a stranger comes from
	idle     bool   // it is in no request
	hijacked bool
	since    time.Time // when it came, or became idle

	watchMu sync.Mutex
	// Guarded by watchMu:
	timer    *time.Timer
	cancel   context.CancelFunc // of the request that is watched; nil: none
	watching chan struct{}      // closed when the watch has ended; nil: there is none
}

// clientKey is where the context of a request has its client.
type clientKey struct{}

func clientOf(ctx context.Context) *client {
	c, _ := ctx.Value(clientKey{}).(*client)
	return c
}

// accept takes connections of a listener until that fails.
func (w *web) accept(l net.Listener) error {
	for wait := time.Duration(0); ; {
		conn, err := l.Accept()
		if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() { // no file descriptors are left
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			time.Sleep(wait)
			continue
		}
		if err != nil {
			return err
		}
		wait = 0
		c := w.newClient(conn)
		if !w.s.mayConnect(c.from.Addr()) || !w.lobby.add(c) {
			conn.Close()
			continue
		}
		w.all.Go(c.serve)
	}
}

// mayConnect reports whether an address is one of those that were given. This machine
// always is.
func (s *Server) mayConnect(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	allowed := *s.allowIP.Load()
	return len(allowed) == 0 || address.IsLoopback() || slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(address) })
}

func (w *web) newClient(raw net.Conn) *client {
	c := &client{web: w, raw: raw, conn: raw, gone: make(chan struct{})}
	c.from, _ = netip.ParseAddrPort(raw.RemoteAddr().String())
	if w.s.TLS != nil {
		c.conn = tls.Server(raw, w.s.TLS)
	}
	c.br, c.bw = bufio.NewReaderSize(c.conn, maxHead), bufio.NewWriterSize(timed{c.conn}, maxPending)
	c.ctx = context.WithValue(w.calls, clientKey{}, c)
	return c
}

// serve answers requests until there are no more.
func (c *client) serve() {
	defer c.web.lobby.leave(c)
	defer c.close()
	if !c.web.s.mayConnect(c.from.Addr()) { // the list was changed while it came in
		return
	}
	if err := c.raw.SetDeadline(time.Now().Add(min(readTimeout, c.web.s.idleTimeout()))); err != nil || !c.handshake() {
		return
	}
	for c.next() && c.web.lobby.rest(c) {
	}
}

// close ends a connection of which all is said. For TLS that is told to the client.
func (c *client) close() {
	_ = c.raw.SetDeadline(time.Now().Add(time.Second))
	c.conn.Close()
}

// handshake makes the connection a TLS one, if that is wanted. A client that speaks
// plain HTTP is told.
func (c *client) handshake() bool {
	conn, ok := c.conn.(*tls.Conn)
	if !ok {
		return true
	}
	err := conn.HandshakeContext(c.ctx)
	if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) && plain.Conn != nil {
		const text = "this port speaks TLS: use https://\n"
		_, _ = io.WriteString(plain.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+text)
		c.linger()
	}
	return err == nil
}

// next reads a request and answers it. It reports whether another one may follow.
func (c *client) next() bool {
	raw, err := c.readHead()
	if err != nil {
		return c.refuse(err)
	}
	h, err := checkHead(raw)
	if err != nil {
		return c.refuse(err)
	}
	behind := c.br.Buffered() - len(raw)
	r, err := http.ReadRequest(c.br)
	switch {
	case err != nil:
		return c.refuse(bad("a request that is none: " + err.Error()))
	case c.br.Buffered() != behind:
		return c.refuse(bad("a head that ends in two places"))
	}
	if err := checkRequest(r, h); err != nil {
		return c.refuse(err)
	}
	c.web.lobby.begin(c)
	w := &response{c: c, r: r, ends: h.length && h.encoded} // RFC 9112, 6.3
	return c.answer(w, r)
}

// readHead waits for a head and returns it, without taking it from the buffer.
func (c *client) readHead() ([]byte, error) {
	wait := c.web.s.idleTimeout()
	if !c.known {
		wait = min(wait, readTimeout)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	for begun, skipped := false, 0; ; {
		b, _ := c.br.Peek(c.br.Buffered())
		if len(b) > 0 && skipped < 2 && (b[0] == '\r' || b[0] == '\n') { // clients end bodies with an empty line
			_, _ = c.br.Discard(1)
			skipped++
			continue
		}
		if end := headEnd(b); end > 0 {
			return b[:end], nil
		}
		if len(b) >= maxHead {
			return nil, errHeadTooLong
		}
		if len(b) > 0 && c.known && !begun {
			begun = true
			if err := c.conn.SetReadDeadline(time.Now().Add(min(readTimeout, wait))); err != nil {
				return nil, err
			}
		}
		if _, err := c.br.Peek(len(b) + 1); err != nil {
			return nil, err
		}
	}
}

// refuse answers a request that is none. The connection cannot go on after it.
func (c *client) refuse(err error) bool {
	reason := &badHead{status: http.StatusBadRequest, reason: err.Error()}
	if !errors.As(err, &reason) && !errors.Is(err, errHeadTooLong) {
		return false // it has gone, or was waited for long enough
	}
	c.web.s.log.Debug("a request is refused", "from", c.from, "why", printable(reason.reason))
	w := &response{c: c, r: &http.Request{ProtoMajor: 1, ProtoMinor: 1}, ends: true}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reason.reason, reason.status)
	w.finish()
	c.linger()
	return false
}

// linger reads on for a moment, so that a client which is still sending sees the answer
// and not a reset.
func (c *client) linger() {
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.raw, lingerBytes)
}

// answer hands a request to the handler. It reports whether another one may follow.
func (c *client) answer(w *response, r *http.Request) bool {
	limit := c.web.s.inTime
	if pathOf(r) == "/ws" { // which lasts
		limit = context.WithCancel
	}
	ctx, cancel := limit(c.ctx)
	defer cancel()
	r = r.WithContext(ctx)
	r.RemoteAddr = c.from.String()
	b := &requestBody{ReadCloser: r.Body, w: w, left: r.ContentLength, expects: expects(r), cancel: cancel}
	if r.Body = b; b.left == 0 {
		b.end()
	} else if err := c.conn.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return false
	}
	ok := c.run(w, r)
	c.stopWatch()
	if w.hijacked || !ok {
		return false
	}
	if !b.ended && (b.expects || !b.discard()) {
		w.ends = true // the rest of the body is in the way of another request
	}
	if w.finish() {
		return true
	}
	if !b.ended {
		c.linger()
	}
	return false
}

// run calls the handler. It reports whether that went well.
func (c *client) run(w *response, r *http.Request) (ok bool) {
	defer func() {
		if bug := recover(); bug != nil && bug != http.ErrAbortHandler {
			c.web.s.log.Error("a request panicked", "panic", bug, "stack", string(debug.Stack()))
		}
	}()
	c.web.handler.ServeHTTP(w, r)
	return true
}

// requestBody is the body of a request. Who waits for a word before sending it gets that
// when it is first read.
type requestBody struct {
	io.ReadCloser
	w       *response
	left    int64 // bytes; negative: unknown
	ended   bool
	expects bool
	cancel  context.CancelFunc
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	if b.expects {
		b.expects = false
		_, _ = io.WriteString(b.w.c.bw, "HTTP/1.1 100 Continue\r\n\r\n")
		if err := b.w.c.bw.Flush(); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if errors.Is(err, io.EOF) || b.left == 0 {
		b.end()
	}
	return n, err
}

// end notes that all was read: from now on the client is waited with.
func (b *requestBody) end() {
	b.ended = true
	b.w.c.watch(b.cancel)
}

// discard reads what the handler did not, if that is little. It reports whether all was
// read.
func (b *requestBody) discard() bool {
	_ = b.w.c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, b.ReadCloser, lingerBytes)
	n, err := b.ReadCloser.Read(make([]byte, 1))
	b.ended = n == 0 && errors.Is(err, io.EOF)
	return b.ended
}

// watch calls cancel when the client goes. It begins after a moment, since most requests
// are over by then.
func (c *client) watch(cancel context.CancelFunc) {
	c.watchMu.Lock()
	defer c.watchMu.Unlock()
	c.cancel = cancel
	if c.timer == nil {
		c.timer = time.AfterFunc(watchAfter, c.look)
		return
	}
	c.timer.Reset(watchAfter)
}

// look waits for a byte or the end of the connection, while the request's own goroutine
// reads nothing.
func (c *client) look() {
	c.watchMu.Lock()
	cancel, done := c.cancel, make(chan struct{})
	if cancel == nil || c.watching != nil || c.br.Buffered() > 0 {
		c.watchMu.Unlock()
		return
	}
	_ = c.conn.SetReadDeadline(time.Time{}) // of a closed connection it fails, and so does what follows
	c.watching = done
	c.watchMu.Unlock()
	defer close(done)
	var timeout net.Error
	if _, err := c.br.Peek(1); err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		cancel()
	}
}

// stopWatch returns when nobody else reads.
func (c *client) stopWatch() {
	c.watchMu.Lock()
	c.cancel = nil
	watching := c.watching
	c.watching = nil
	if c.timer != nil {
		c.timer.Stop()
	}
	c.watchMu.Unlock()
	if watching != nil {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
		<-watching
	}
}

// pathOf is the path of a request. One that is asked for by a whole URL may have none.
func pathOf(r *http.Request) string {
	if r.URL.Path == "" && r.URL.IsAbs() {
		return "/"
	}
	return strings.TrimSpace(r.URL.Path)
}
