package p2p

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of what one peer makes us hold and do.
const (
	// maxQueued and maxMessages bound what waits to be sent, in bytes and in messages. A
	// message takes memory beside its bytes. A peer that lets more wait is hung up on.
	maxQueued   = 24 << 20
	maxMessages = 16_384
	// serveBelow is the bytes that may wait to be sent while one more request is
	// answered. A peer that does not read its answers gets no more of them.
	serveBelow  = 4 << 20
	writeBuffer = 64 << 10
	// longMessage is how long a message may take us before the peer is excused: while
	// we deal with one message we do not read the next, so the peer is not silent.
	longMessage = time.Second
	// messageRate and messageBurst bound the messages that we handle and did not ask
	// for. Who sends more has to wait, and is not punished: it may have much to say.
	messageRate  = 500 // a second
	messageBurst = 5000
)

// peer is a connection after its handshake.
type peer struct {
	m       *Manager
	conn    *countedConn
	id      peerinfo.NodeID
	session types.Hash // of the handshake: both sides see the same
	number  int        // counts connections, so that people can tell them apart
	address string
	inbound bool
	manual  bool
	hello   wire.Hello
	version uint32
	since   time.Time
	offset  time.Duration // of its clock to ours

	answers int // messages that we had asked for, not counted by throttle yet; of read's goroutine
	in      inbox
	out     outbox
	held    atomic.Int64 // bytes of its requests and of answers that wait
	parts   atomic.Int64 // bytes of messages of which it has sent a part

	closed   chan struct{}
	closeErr error       // set before closed is closed
	closing  atomic.Bool // close was called

	received, sent atomic.Uint64 // bytes
	lastSend       atomic.Int64  // nanoseconds since 1970
	lastRecv       atomic.Int64
	lastPart       atomic.Int64 // of a message
	took           atomic.Int64 // when it last took something of what waits for it, or that began to wait
	lastBlock      atomic.Int64
	lastTx         atomic.Int64
	handling       atomic.Int64 // since when we deal with a message; 0: we are reading
	listening      atomic.Int64 // since when we read again after a message that took long

	mu sync.Mutex
	// Guarded by mu:
	pinged   time.Time // when the ping that is not answered was sent
	nonce    uint64
	pingTime time.Duration
	minPing  time.Duration
	minRate  types.FeeRate // below which it wants to hear of no transactions
	compact  bool          // it wants new blocks as compact blocks
	asked    bool          // for addresses, which is answered once
	asking   bool          // it may tell addresses, since we asked
}

// countedConn tells how many bytes go through a connection.
type countedConn struct {
	net.Conn
	read, written func(n int)
}

// Read implements net.Conn.
func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read(n)
	return n, err
}

// Write implements net.Conn.
func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written(n)
	return n, err
}

// connection runs a connection from its handshake to its end. It returns nil if
// the peer was let in.
func (m *Manager) connection(ctx context.Context, raw net.Conn, t target, inbound, manual bool) error {
	p := &peer{
		m: m, address: t.address, inbound: inbound, manual: manual, since: m.o.Now(),
		closed: make(chan struct{}),
	}
	p.in.filled, p.out.filled = poke.NewSlot(), poke.NewSlot()
	counted := &countedConn{Conn: raw,
		read:    func(n int) { p.received.Add(uint64(n)); m.received.Add(uint64(n)) },
		written: func(n int) { p.sent.Add(uint64(n)); m.sent.Add(uint64(n)) },
	}
	defer raw.Close()
	err := p.greet(ctx, counted, t)
	if inbound {
		m.count(&m.greeting, -1)
	}
	if err != nil {
		m.log.Debug("no connection", "peer", t, "inbound", inbound, "err", err)
		return err
	}
	if err := m.register(p); err != nil {
		return err
	}
	defer m.unregister(p)
	m.log.Log(ctx, p.level(), "connected", "peer", p, "agent", p.hello.UserAgent, "height", p.hello.Height, "inbound", inbound)
	if !inbound {
		m.book.good(p.id, t.address, m.o.Now())
	} else if at, ok := p.listenAddress(); ok {
		m.book.add([]wire.PeerAddress{{ID: p.id, Addr: at, LastSeen: m.o.Now().Unix()}}, m.o.Now())
	}
	err = p.talk(ctx)
	if ctx.Err() == nil {
		m.log.Log(ctx, p.level(), "disconnected", "peer", p, "err", err)
	}
	return nil
}

// level is the level of log lines about the connection. Who calls us may do so all day,
// so that is of no interest to the operator.
func (p *peer) level() slog.Level {
	if p.inbound {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// String names the peer for people: the beginning of its id, and its address.
func (p *peer) String() string { return p.id.String()[:16] + "@" + p.address }

// greet makes the handshake and exchanges hellos.
func (p *peer) greet(ctx context.Context, raw *countedConn, t target) error {
	m := p.m
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var conn *noise.Conn
	var err error
	network := m.o.Params.Identity()
	if p.inbound {
		conn, err = noise.Server(ctx, raw, m.o.Key, network)
	} else {
		conn, err = noise.Client(ctx, raw, m.o.Key, network, t.id)
	}
	if err != nil {
		return err
	}
	p.conn, p.id = &countedConn{Conn: conn, read: func(int) {}, written: func(int) {}}, conn.RemoteID()
	p.session = conn.Session()
	if !m.allowed(p.id) {
		return fmt.Errorf("node %s is not let in", p.id)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // at the deadline, and when the node ends
	defer stop()
	return p.exchangeHellos(conn)
}

func (p *peer) exchangeHellos(conn net.Conn) error {
	m := p.m
	tip := m.o.Headers.Tip()
	services := wire.ServiceNetwork | wire.ServiceNetworkLimited
	if m.o.Pruned {
		services = wire.ServiceNetworkLimited
	}
	var f wire.Fragmenter
	if err := f.Push(&wire.Hello{
		Version: wire.Version, Services: services, UserAgent: m.o.UserAgent, Height: tip.Height, Tip: tip.Hash,
		Time: m.o.Now().Unix(), ListenPort: m.o.ListenPort, Relay: true,
	}); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { // both sides speak first
		b, _ := f.AppendNext(nil)
		_, err := conn.Write(b)
		sent <- err
	}()
	hello, err := readHello(conn)
	if err != nil {
		conn.Close()
		<-sent
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	p.hello = *hello
	p.offset = time.Unix(hello.Time, 0).Sub(m.o.Now()).Round(time.Second)
	p.version, err = wire.Negotiate(hello.Version)
	return err
}

// readHello returns the first message, which is a hello: of anything else nothing is
// kept.
func readHello(r io.Reader) (*wire.Hello, error) {
	buf := make([]byte, wire.MaxFragmentSize)
	for assembler := wire.NewAssembler(0); ; {
		fragment, err := wire.ReadFragment(r, buf)
		if err != nil {
			return nil, err
		}
		if fragment.Type != wire.TypeHello {
			return nil, fmt.Errorf("%w: the first message is %s", wire.ErrProtocol, fragment.Type)
		}
		if message, done, err := assembler.Push(fragment); done || err != nil {
			hello, _ := message.(*wire.Hello)
			return hello, err
		}
	}
}

// readMessage returns the next message of a type that is known. It calls each after
// every fragment.
func readMessage(r io.Reader, buf []byte, a *wire.Assembler, each func()) (wire.Message, error) {
	for {
		fragment, err := wire.ReadFragment(r, buf)
		if err != nil {
			return nil, err
		}
		message, done, err := a.Push(fragment)
		each()
		if err != nil {
			return nil, err
		}
		if done && message != nil {
			return message, nil
		}
	}
}

// talk runs the connection until it ends, and returns why.
func (p *peer) talk(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.close(ctx.Err()) })
	defer stop()
	var work sync.WaitGroup
	work.Go(p.write)
	work.Go(p.serve)
	work.Go(p.keepAlive)
	p.m.sync.join(p)
	p.m.txs.join(p)
	if !p.inbound {
		p.mu.Lock()
		p.asking = true
		p.mu.Unlock()
		p.send(&wire.GetPeers{})
	}
	p.send(&wire.SendCompact{Announce: true})
	p.send(&wire.FeeFilter{MinFeeRate: p.m.o.Pool.MinFeeRate()})
	err := p.read(ctx)
	p.close(err)
	work.Wait()
	<-p.closed // by another goroutine, perhaps
	p.empty()
	p.m.txs.leave(p)
	p.m.sync.leave(p)
	return p.closeErr
}

// close ends the connection. Anyone may call it, and more than once: the first call
// does the work, and no other waits for it. The ban comes before the end of the
// connection, so that the peer cannot be back before it is banned. Banning takes the
// manager's lock. So close must not be called under any lock.
func (p *peer) close(err error) {
	if p.closing.Swap(true) {
		return
	}
	p.m.punish(p, err)
	p.closeErr = err
	close(p.closed)
	p.conn.Close()
}

// read handles messages, one after the other, until the connection ends. As long as one
// is dealt with, the next is not read: so a peer cannot send faster than we work.
func (p *peer) read(ctx context.Context) error {
	r := bufio.NewReaderSize(p.conn, 64<<10)
	buf := make([]byte, wire.MaxFragmentSize)
	assembler, parts := wire.NewAssembler(p.m.o.Params.MaxBlockWeight), 0
	weigh := func() {
		p.lastPart.Store(p.m.o.Now().UnixNano())
		if pending := assembler.Pending(); pending > parts {
			p.holdParts(pending - parts)
			parts = pending
		}
	}
	defer func() { p.holdParts(-parts) }()
	budget := throttle{tokens: messageBurst, at: p.m.o.Now()}
	for {
		// A message counts until it is dealt with, which may have to wait.
		pending := assembler.Pending()
		p.holdParts(pending - parts)
		parts = pending
		message, err := readMessage(r, buf, assembler, weigh)
		if err != nil {
			return err
		}
		p.lastRecv.Store(p.m.o.Now().UnixNano())
		budget.tokens += float64(p.answers)
		p.answers = 0
		if wait := budget.take(p.m.o.Now()); wait > 0 {
			select {
			case <-time.After(wait):
			case <-p.closed:
				return p.closeErr
			}
		}
		p.handling.Store(p.m.o.Now().UnixNano())
		err = p.handle(ctx, message)
		p.handled()
		if err != nil {
			if cost, _ := judge(err); cost == free {
				continue
			}
			return err
		}
	}
}

// busy reports whether a message of the peer keeps us from reading more. Then it is not
// the peer that is silent. A message that waits for the chain may take long, while the
// chain is being verified or reorganised.
func (p *peer) busy(now time.Time) bool {
	since := p.handling.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) > longMessage
}

// handled notes that we read again. After a message that took long, the peer's time to
// answer begins anew.
func (p *peer) handled() {
	now := p.m.o.Now()
	if p.busy(now) {
		p.listening.Store(now.UnixNano())
		p.m.sync.resume(p, now)
	}
	p.handling.Store(0)
}

// throttle lets messageBurst messages through at once, and messageRate a second.
type throttle struct {
	tokens float64
	at     time.Time
}

// take returns how long the next message has to wait.
func (t *throttle) take(now time.Time) time.Duration {
	t.tokens = min(t.tokens+now.Sub(t.at).Seconds()*messageRate, messageBurst)
	t.at = now
	t.tokens--
	if t.tokens >= 0 {
		return 0
	}
	return time.Duration(-t.tokens / messageRate * float64(time.Second))
}

// handle acts on a message. What takes long to answer is queued, and nobody waits for it
// here. The error says what is wrong with the message, and judge what that costs.
func (p *peer) handle(ctx context.Context, message wire.Message) error {
	switch m := message.(type) {
	case *wire.Ping:
		p.send(&wire.Pong{Nonce: m.Nonce})
	case *wire.Pong:
		p.pong(m.Nonce)
	case *wire.GetPeers:
		p.tellPeers()
	case *wire.Peers:
		p.peersTold(m.Peers)
	case *wire.SendCompact:
		p.mu.Lock()
		p.compact = m.Announce
		p.mu.Unlock()
	case *wire.FeeFilter:
		p.mu.Lock()
		p.minRate = m.MinFeeRate
		p.mu.Unlock()
	case *wire.GetHeaders:
		return p.later(len(m.Locator)*types.HashSize, func() { p.m.sync.serveHeaders(p, m) })
	case *wire.GetBlocks:
		return p.later(len(m.Hashes)*types.HashSize, func() { p.m.sync.serveBlocks(p, m) })
	case *wire.GetBlockTxs:
		return p.m.sync.blockTxsWanted(p, m)
	case *wire.GetTxs:
		return p.later(len(m.WTxIDs)*types.HashSize, func() { p.m.txs.serve(p, m) })
	case *wire.Headers:
		return p.m.sync.headers(p, m.Headers)
	case *wire.Block:
		return p.m.sync.block(p, m.Raw)
	case *wire.CompactBlock:
		return p.m.sync.compactBlock(p, m)
	case *wire.BlockTxs:
		return p.m.sync.blockTxs(p, m)
	case *wire.NotFound:
		return p.notFound(m)
	case *wire.Inv:
		return p.m.txs.inv(p, m.WTxIDs)
	case *wire.Tx:
		return p.m.txs.tx(ctx, p, m.Raw)
	case *wire.Hello:
		return fmt.Errorf("%w: a second hello", wire.ErrProtocol)
	}
	return nil
}

func (p *peer) notFound(m *wire.NotFound) error {
	switch m.What {
	case wire.WhatTxs:
		p.m.txs.notFound(p, m.Hashes)
	case wire.WhatBlocks:
		p.m.sync.notFound(p, m.Hashes)
	case wire.WhatBlockTxs:
		p.m.sync.txsNotFound(p, m.Hashes)
	}
	return nil
}

// keepAlive pings the peer now and then, and ends the connection when it falls silent: a
// connection whose other end is gone would otherwise take somebody's place for hours.
func (p *peer) keepAlive() {
	p.lastRecv.Store(p.m.o.Now().UnixNano())
	p.ping()
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-p.closed:
			return
		}
		now := p.m.o.Now()
		heard := max(p.lastRecv.Load(), p.listening.Load())
		if now.Sub(time.Unix(0, heard)) > silenceTimeout && !p.busy(now) {
			p.close(errors.New("it fell silent"))
			return
		}
		p.ping()
		p.send(&wire.FeeFilter{MinFeeRate: p.m.o.Pool.MinFeeRate()})
		// A header may have been announced when it was too early to be of use, or while
		// the operator had ruled it out. Nobody announces it again.
		p.m.sync.askHeaders(p)
	}
}

// ping asks for a sign of life. A nonce that nobody can guess keeps a peer from answering
// before it was asked, and so from seeming near.
func (p *peer) ping() {
	nonce := rand.Uint64()
	p.mu.Lock()
	if p.nonce == 0 {
		p.pinged, p.nonce = p.m.o.Now(), nonce
	}
	p.mu.Unlock()
	p.send(&wire.Ping{Nonce: nonce})
}

// pong takes the answer to a ping, and notes how long it took.
func (p *peer) pong(nonce uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if nonce != p.nonce || nonce == 0 {
		return
	}
	p.pingTime = max(p.m.o.Now().Sub(p.pinged), time.Microsecond)
	if p.minPing == 0 || p.pingTime < p.minPing {
		p.minPing = p.pingTime
	}
	p.nonce = 0
}

// tellPeers answers a request for addresses, once: who asks again and again would learn
// the whole book.
func (p *peer) tellPeers() {
	p.mu.Lock()
	again := p.asked
	p.asked = true
	p.mu.Unlock()
	if !again {
		p.send(&wire.Peers{Peers: p.m.book.sample(wire.MaxPeers)})
	}
}

// peersTold takes the answer to our question for addresses. It ignores addresses that
// nobody asked for: who calls us shall not choose whom we call.
func (p *peer) peersTold(peers []wire.PeerAddress) {
	p.mu.Lock()
	asked := p.asking
	p.asking = false
	p.mu.Unlock()
	if asked {
		p.m.book.add(peers, p.m.o.Now())
	}
}

// listenAddress is where the peer says that it can be called. Only the port is taken from
// what it says: the host is the one that it called from.
func (p *peer) listenAddress() (netip.AddrPort, bool) {
	remote, err := netip.ParseAddrPort(p.address)
	if err != nil || p.hello.ListenPort == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(remote.Addr(), p.hello.ListenPort), true
}

// send queues a message, and never waits. A peer that does not take what it asked for is
// hung up on. Closing takes the manager's lock, so send must not be called under a lock.
func (p *peer) send(m wire.Message) {
	grown, ok := p.out.push(m)
	p.hold(grown)
	if !ok {
		p.close(errors.New("it does not take what is sent"))
	}
}

// write sends what is queued, until the connection ends. Nothing is flushed while there
// is more to send, so that small messages share a record.
func (p *peer) write() {
	w := bufio.NewWriterSize(p.conn, writeBuffer)
	var b []byte
	for {
		var more bool
		var grown int
		b, more, grown = p.out.next(b[:0])
		p.hold(grown)
		if !more {
			if err := w.Flush(); err != nil {
				p.close(err)
				return
			}
			select {
			case <-p.out.filled:
				continue
			case <-p.closed:
				return
			}
		}
		_ = p.conn.SetWriteDeadline(time.Now().Add(silenceTimeout))
		if _, err := w.Write(b); err != nil {
			p.close(err)
			return
		}
		now := p.m.o.Now().UnixNano()
		p.lastSend.Store(now)
		p.took.Store(now)
	}
}
