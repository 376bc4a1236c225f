package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// The limits of a WebSocket.
const (
	socketLogin   = 10 * time.Second // in which a client must say who it is
	loginBytes    = 4 << 10          // of that message: one who may be anybody gets little memory
	socketWrite   = 30 * time.Second // in which a client must take a piece of what is sent
	socketPing    = 30 * time.Second
	socketSilence = 3 * socketPing // a client that answered none of three pings is gone
	socketCalls   = 16             // calls of a client at once; it is not read while all are busy

	// What a slow client has not taken yet is held in memory: two blocks, or some
	// hundreds of transaction ids. It asks for more only when they are gone.
	notifyBlocks = 2
	notifyTxs    = 500
)

// socket is one WebSocket. Calls are answered in the order in which they end, so
// that a slow one does not hold up the others; clients tell answers apart by id.
type socket struct {
	s      *Server
	id     uint64 // random, so that a client sees when it talks to another connection
	conn   *websocket.Conn
	user   *User           // set before the first call
	ctx    context.Context // ends with the connection
	work   sync.WaitGroup  // calls, pings and notifications
	calls  chan struct{}   // the places of calls
	sendMu sync.Mutex      // held while a message is written: gorilla/websocket has one writer

	mu sync.Mutex
	// Guarded by mu:
	blocks *flow // nil: the client is not told of blocks
	txs    *flow
}

// flow is one kind of notifications to a client.
type flow struct {
	cancel context.CancelFunc
	done   chan struct{} // closed behind the last one
}

// socketMethod is a method that only a WebSocket has: it changes what the client is
// told of.
type socketMethod func(c *socket, params json.RawMessage) (any, error)

// socketMethods are btcd's, from which their names and notifications come.
var socketMethods = map[string]socketMethod{
	"notifyblocks":              (*socket).notifyBlocks,
	"stopnotifyblocks":          (*socket).stopNotifyBlocks,
	"notifynewtransactions":     (*socket).notifyTxs,
	"stopnotifynewtransactions": (*socket).stopNotifyTxs,
	"session":                   (*socket).session,
}

// A WebSocket has one goroutine that reads messages, one that pings, one for each
// call that is under way, and one for each kind of notifications. They share the
// connection's one writer, and all of them end with ctx.

// serveSocket turns a request into a WebSocket, and serves it until the client goes
// or the server ends. A client that sends no user with the request must call
// authenticate first, as btcd's does.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	user, ok := s.Auth.check(r)
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
	c := &socket{s: s, id: rand.Uint64() >> 1, conn: conn, ctx: ctx, calls: make(chan struct{}, socketCalls), user: user}
	context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Now())                        // read returns, and with it serveSocket
		time.AfterFunc(shutdownWait/5, func() { _ = conn.Close() }) // the last answers are out by then
	})
	c.work.Go(c.keepAlive)
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

// read takes messages until the client goes. A message is what a body is over HTTP: a
// call, or a batch.
func (c *socket) read() {
	if c.user == nil && !c.login() {
		return
	}
	c.conn.SetReadLimit(maxBody)
	alive := func() { _ = c.conn.SetReadDeadline(time.Now().Add(socketSilence)) }
	c.conn.SetPongHandler(func(string) error { alive(); return nil })
	for {
		alive()
		if c.ctx.Err() != nil {
			return // the deadline that should have ended this was moved by alive
		}
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		select {
		case c.calls <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
		c.work.Go(func() {
			defer func() { <-c.calls }()
			on := &session{user: c.user, socket: c}
			c.s.answer(c.ctx, on, message, &socketReply{c: c})
		})
	}
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
	c.user = user
	c.send(encodeReply(&r, nil, nil))
	return true
}

// send writes one message.
func (c *socket) send(message []byte) {
	out := socketReply{c: c}
	out.begin(http.StatusOK, int64(len(message)))
	out.end(writePieces(&out, message))
}

// notify sends a notification, in btcd's form: a request of version 1.0 without an id.
func (c *socket) notify(method string, params ...any) {
	message, err := marshal(map[string]any{"jsonrpc": "1.0", "method": method, "params": params, "id": nil})
	if err == nil {
		c.send(message)
	}
}

func (c *socket) handle(m socketMethod, params json.RawMessage) (any, *Error) {
	result, err := m(c, params)
	if err != nil {
		return nil, asError(err)
	}
	return result, nil
}

// session is btcd's session: by the id a client sees, after it has connected again,
// that what it asked to be told of is forgotten.
func (c *socket) session(json.RawMessage) (any, error) {
	return map[string]any{"sessionid": c.id}, nil
}

// startFlow starts a kind of notifications unless it runs.
func (c *socket) startFlow(which **flow, run func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *which != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	f := &flow{cancel, make(chan struct{})}
	*which = f
	c.work.Go(func() {
		defer close(f.done)
		run(ctx)
	})
}

// endFlow ends a kind of notifications, and waits until the last is out: none comes
// behind the answer to the client's call.
func (c *socket) endFlow(which **flow) {
	c.mu.Lock()
	f := *which
	*which = nil
	c.mu.Unlock()
	if f != nil {
		f.cancel()
		<-f.done
	}
}

// notifyBlocks begins at the tip of now: what is older the client can ask for.
func (c *socket) notifyBlocks(json.RawMessage) (any, error) {
	at := c.s.Headers.Tip()
	c.startFlow(&c.blocks, func(ctx context.Context) { c.followBlocks(ctx, at) })
	return nil, nil
}

func (c *socket) stopNotifyBlocks(json.RawMessage) (any, error) {
	c.endFlow(&c.blocks)
	return nil, nil
}

// followBlocks tells of every block that is disconnected and connected after a
// position, in order and without gaps, however slow the client is.
func (c *socket) followBlocks(ctx context.Context, at types.Index) {
	err := poke.Follow(ctx, c.s.Blocks, func() (more bool, err error) {
		reverted, applied, err := c.s.Blocks.UpdatesSince(at, notifyBlocks)
		for i := range reverted {
			if ctx.Err() != nil {
				break
			}
			u := &reverted[i]
			c.notify("blockdisconnected", u.Block.Hash, u.Update.Block.Height, u.Block.Block.Header.Timestamp)
			c.notify("filteredblockdisconnected", u.Update.Block.Height, headerHex(u))
			at = u.Update.Parent
		}
		for i := range applied {
			if ctx.Err() != nil {
				break
			}
			u := &applied[i]
			c.notify("blockconnected", u.Block.Hash, u.Update.Block.Height, u.Block.Block.Header.Timestamp)
			c.notify("filteredblockconnected", u.Update.Block.Height, headerHex(u), []string{}) // clients load no filters here
			at = u.Update.Block
		}
		return len(reverted)+len(applied) > 0, err
	})
	if err != nil {
		c.s.log.Warn("a client is hung up on: the blocks that it should be told of cannot be read", "err", err)
		c.conn.Close()
	}
}

func headerHex(u *consensus.BlockUpdate) string {
	return hex.EncodeToString(u.Block.Block.Header.AppendTo(nil))
}

// notifyTxs takes whether transactions are told in full. A second call changes that,
// from the next transaction on.
func (c *socket) notifyTxs(params json.RawMessage) (any, error) {
	verbose := false
	var list []bool
	if len(params) > 0 && json.Unmarshal(params, &list) == nil && len(list) == 1 {
		verbose = list[0]
	}
	c.endFlow(&c.txs)
	_, since := c.s.Pool.Accepted(math.MaxUint64, 0)
	c.startFlow(&c.txs, func(ctx context.Context) { c.followTxs(ctx, since, verbose) })
	return nil, nil
}

func (c *socket) stopNotifyTxs(json.RawMessage) (any, error) {
	c.endFlow(&c.txs)
	return nil, nil
}

// followTxs tells of the transactions that the pool takes after a position.
func (c *socket) followTxs(ctx context.Context, since uint64, verbose bool) {
	_ = poke.Follow(ctx, c.s.Pool, func() (more bool, err error) {
		wtxids, next := c.s.Pool.Accepted(since, notifyTxs)
		since = next
		for _, wtxid := range wtxids {
			e := c.s.Pool.GetByWitness(wtxid)
			if ctx.Err() != nil {
				break
			}
			if e == nil {
				continue // it has left meanwhile
			}
			if verbose {
				c.notify("txacceptedverbose", c.s.txJSON(e.Tx, true))
				continue
			}
			total := types.Amount(0)
			for j := range e.Tx.Outputs {
				total += e.Tx.Outputs[j].Value
			}
			c.notify("txaccepted", e.TxID, amount(total))
		}
		return len(wtxids) > 0, nil
	})
}
