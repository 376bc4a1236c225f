package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/internal/baton"
)

// The limits of a WebSocket.
const (
	socketLogin    = 10 * time.Second // in which a client must say who it is
	loginBytes     = 4 << 10          // of that message: one who may be anybody gets little memory
	socketWrite    = 30 * time.Second // in which a client must take a piece of what is sent
	socketFarewell = 5 * time.Second  // longer, so that it may yet learn why it is cut off
	socketPing     = 30 * time.Second
	socketSilence  = 3 * socketPing // a client that answered none of three pings is gone
	socketCalls    = 16             // calls of a client at once; it is not read while all are busy

	// What was made for clients and not taken by them yet. Beyond that the client that
	// makes the node hold most is cut off.
	maxUntaken = 256 << 20 // bytes
)

// socket is one WebSocket. Calls are answered in the order in which they end, so
// that a slow one does not hold up the others; clients tell answers apart by id.
type socket struct {
	s       *Server
	id      uint64 // random, so that a client sees when it talks to another connection
	conn    *websocket.Conn
	from    string          // its address, for the log
	user    *User           // set before the first call
	ctx     context.Context // ends with the connection
	end     context.CancelFunc
	work    sync.WaitGroup // calls, pings and notifications
	calls   chan struct{}  // the places of calls
	sending baton.Baton    // held while a message is written: gorilla/websocket has one writer
	goodbye atomic.Bool    // it is being cut off: nothing more is sent
	reason  chan []byte    // why, as a close frame; one fits
	wanted  wanted
	blocks  flow
	txs     flow
	rescans baton.Baton // one rescan at a time
}

// A WebSocket has one goroutine that reads messages, one that pings, one that says why
// it ends, one for each call that is under way, and one for each kind of notifications. They share the
// connection's one writer, and all of them end with ctx.

// serveSocket turns a request into a WebSocket, and serves it until the client goes
// or the server ends. A client that sends no user with the request must call
// authenticate first, as btcd's does.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	user, ok := s.userOf(r)
	if !ok && r.Header.Get("Authorization") != "" {
		s.refuse(w, r)
		return
	}
	if ok {
		if err := s.enter(r.Context(), user); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	upgrader := websocket.Upgrader{HandshakeTimeout: readTimeout}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	ctx, cancel := context.WithCancel(r.Context())
	c := &socket{s: s, id: rand.Uint64() >> 1, conn: conn, from: r.RemoteAddr, ctx: ctx, end: cancel, calls: make(chan struct{}, socketCalls), reason: make(chan []byte, 1), user: user}
	c.sending, c.blocks.turn, c.txs.turn, c.rescans = baton.New(), baton.New(), baton.New(), baton.New()
	defer c.forget()
	context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now())                        // read returns, and with it serveSocket
		time.AfterFunc(shutdownWait/5, func() { _ = conn.Close() }) // the last answers are out by then
	})
	c.work.Go(c.keepAlive)
	c.work.Go(c.farewell)
	c.read()
	cancel()
	c.work.Wait()
	conn.Close()
}

// keepAlive pings the client: a connection over which nothing is said does not notice
// that the other end is gone.
func (c *socket) keepAlive() {
	ticker := time.NewTicker(socketPing)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			// The ping waits for a frame that is on its way, which has a deadline of its own.
			if c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(2*socketWrite)) != nil {
				c.conn.Close()
				return
			}
		}
	}
}

// watchRights cuts the client off when its user loses a right, by which it may be told of something.
func (c *socket) watchRights(lost <-chan struct{}) {
	select {
	case <-c.ctx.Done():
	case <-lost:
		c.cut(websocket.ClosePolicyViolation, "this user may do less now: connect again")
	}
}

// read takes messages until the client goes. A message is what a body is over HTTP: a
// call, or a batch.
func (c *socket) read() {
	if c.user == nil && !c.login() {
		return
	}
	lost := c.user.rights.Load().lost // those of now: the first call may be answered before anybody watches
	c.work.Go(func() { c.watchRights(lost) })
	c.conn.SetReadLimit(maxBody)
	alive := func() { _ = c.conn.SetReadDeadline(time.Now().Add(socketSilence)) }
	c.conn.SetPongHandler(func(string) error { alive(); return nil })
	for {
		alive()
		if c.ctx.Err() != nil {
			return // the deadline that should have ended this was moved by alive
		}
		h := &hold{a: c.s.accounts.of(c.user.Name)}
		message, err := c.readHolding(h)
		if err != nil {
			h.end()
			return
		}
		select {
		case c.calls <- struct{}{}:
		case <-c.ctx.Done():
			h.end()
			return
		}
		c.work.Go(func() {
			defer func() { <-c.calls }()
			defer h.end()
			on := &session{user: c.user, socket: c, hold: h}
			c.s.answer(c.ctx, on, message, &socketReply{c: c})
			for _, then := range on.then {
				then()
			}
		})
	}
}

// readHolding reads a message, whose bytes count among what its user has under way.
func (c *socket) readHolding(h *hold) ([]byte, error) {
	_, r, err := c.conn.NextReader()
	if err != nil {
		return nil, err
	}
	return h.readHolding(c.ctx, r)
}

// login takes the first message of a client that sent no user with its request.
func (c *socket) login() bool {
	c.conn.SetReadLimit(loginBytes)
	_ = c.conn.SetReadDeadline(time.Now().Add(socketLogin))
	_, message, err := c.conn.ReadMessage()
	return err == nil && c.authenticate(message)
}

// authenticate reads btcd's authenticate. A client that sends anything else, or a
// wrong password, gets no answer, as from btcd: the connection ends.
func (c *socket) authenticate(message []byte) bool {
	var r request
	var method string
	var names []string
	if unmarshal(bytes.TrimSpace(message), &r) != nil || json.Unmarshal(r.Method, &method) != nil ||
		method != "authenticate" || json.Unmarshal(r.Params, &names) != nil || len(names) != 2 {
		return false
	}
	user, ok := c.s.Auth.find(names[0], names[1])
	if !ok {
		c.s.deter(c.ctx)
		return false
	}
	if err := c.s.enter(c.ctx, user); err != nil {
		c.s.reply(c.ctx, &socketReply{c: c}, &r, nil, failf(CodeMisc, "%v", err))
		return false
	}
	c.user = user
	c.s.reply(c.ctx, &socketReply{c: c}, &r, nil, nil)
	return true
}

// send writes one message. Whoever sends waits until the client has taken it, so that
// what waits for a client is bounded by what it asked for: its calls, and a step of each
// kind of its notifications.
func (c *socket) send(message []byte) { c.sendAll([][]byte{message}) }

// sendAll writes messages. What is not written yet counts as waiting for the client.
func (c *socket) sendAll(messages [][]byte) {
	size := 0
	for _, message := range messages {
		size += len(message)
	}
	c.s.sockets.untaken.hold(c, size)
	defer c.s.sockets.untaken.hold(c, -size)
	for _, message := range messages {
		out := socketReply{c: c, counted: true}
		out.begin(http.StatusOK, int64(len(message)))
		out.end(writePieces(&out, message))
	}
}

// inTime writes a frame, and cuts the client off if it does not take it in time.
func (c *socket) inTime(write func() error) error {
	late := time.AfterFunc(socketWrite, func() {
		c.cut(websocket.ClosePolicyViolation, "too slow: what is sent must be taken within 30 seconds")
	})
	defer late.Stop()
	_ = c.conn.SetWriteDeadline(time.Now().Add(socketWrite + socketFarewell))
	return write()
}

// cut ends the connection and tells the client why, if it takes the frame that it is
// being sent within a moment. It waits for nothing.
func (c *socket) cut(code int, reason string) {
	if c.goodbye.Swap(true) {
		return
	}
	user := ""
	if c.user != nil {
		user = c.user.Name
	}
	c.s.log.Warn("a WebSocket client is cut off", "user", user, "from", c.from, "reason", reason)
	c.reason <- websocket.FormatCloseMessage(code, reason)
}

// farewell waits until the client is to be cut off, and does that.
func (c *socket) farewell() {
	select {
	case <-c.ctx.Done():
	case reason := <-c.reason:
		// It waits for the frame that is on its way.
		_ = c.conn.WriteControl(websocket.CloseMessage, reason, time.Now().Add(socketFarewell))
		c.end()
		c.conn.Close()
	}
}

// socketsHold is what all WebSockets together make the node hold.
type socketsHold struct {
	readings chan struct{} // the places in which blocks are read for notifications
	untaken  untaken
	watched  atomic.Int64 // scripts and outpoints
	limits   watchLimits
	run      uint64 // random, of this run of the node
}

func newSocketsHold() socketsHold {
	return socketsHold{
		readings: make(chan struct{}, readingPlaces), untaken: untaken{most: maxUntaken}, limits: watchLimits{maxWatched, maxWatchedAll},
		run: rand.Uint64()>>11 | 1, // exact as a floating number, and not 0
	}
}

// untaken counts the bytes that wait for clients.
type untaken struct {
	most int // of all clients together
	mu   sync.Mutex
	// Guarded by mu:
	total int
	by    map[*socket]int
}

// hold counts so many bytes more for a client. If all clients together have too many,
// the one that has most is cut off.
func (u *untaken) hold(c *socket, n int) {
	u.mu.Lock()
	if u.by == nil {
		u.by = map[*socket]int{}
	}
	u.total += n
	if u.by[c] += n; u.by[c] == 0 {
		delete(u.by, c)
	}
	var worst *socket
	if n > 0 && u.total > u.most {
		for c, bytes := range u.by {
			if worst == nil || bytes > u.by[worst] {
				worst = c
			}
		}
	}
	u.mu.Unlock()
	if worst != nil {
		worst.cut(websocket.CloseTryAgainLater, "what waits for all clients takes too much memory, and most of it is this one's")
	}
}

// forget takes back what is counted for a client that is gone.
func (u *untaken) forget(c *socket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total -= u.by[c]
	delete(u.by, c)
}

// notification is one in btcd's form: a request of version 1.0 without an id.
func notification(method string, params ...any) []byte {
	list, err := marshal(params)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return slices.Concat([]byte(`{"jsonrpc":"1.0","method":"`+method+`","params":`), list, []byte(`,"id":null}`))
}
