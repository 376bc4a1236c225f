package p2p

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/types"
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
	now            func() time.Time
	budget         *budget
	maxBlockWeight int
	ended          func(*peer, error) // is called once, before the connection ends

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

// close ends the connection. Anyone may call it, and more than once: the first call
// does the work, and no other waits for it. The ban comes before the end of the
// connection, so that the peer cannot be back before it is banned. Banning takes a
// lock of its own. So close must not be called under any lock.
func (p *peer) close(err error) {
	if p.closing.Swap(true) {
		return
	}
	p.ended(p, err)
	p.closeErr = err
	close(p.closed)
	p.conn.Close()
}

// read handles messages, one after the other, until the connection ends. As long as one
// is dealt with, the next is not read: so a peer cannot send faster than we work.
func (p *peer) read(handle func(wire.Message) error) error {
	r := bufio.NewReaderSize(p.conn, 64<<10)
	buf := make([]byte, wire.MaxFragmentSize)
	assembler, parts := wire.NewAssembler(p.maxBlockWeight), 0
	weigh := func() {
		p.lastPart.Store(p.now().UnixNano())
		if pending := assembler.Pending(); pending > parts {
			p.holdParts(pending - parts)
			parts = pending
		}
	}
	defer func() { p.holdParts(-parts) }()
	budget := throttle{tokens: messageBurst, at: p.now()}
	for {
		// A message counts until it is dealt with, which may have to wait.
		pending := assembler.Pending()
		p.holdParts(pending - parts)
		parts = pending
		message, err := readMessage(r, buf, assembler, weigh)
		if err != nil {
			return err
		}
		p.lastRecv.Store(p.now().UnixNano())
		budget.tokens += float64(p.answers)
		p.answers = 0
		if wait := budget.take(p.now()); wait > 0 {
			select {
			case <-time.After(wait):
			case <-p.closed:
				return p.closeErr
			}
		}
		if err := handle(message); err != nil {
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

// ping asks for a sign of life. A nonce that nobody can guess keeps a peer from answering
// before it was asked, and so from seeming near.
func (p *peer) ping() {
	nonce := rand.Uint64()
	p.mu.Lock()
	if p.nonce == 0 {
		p.pinged, p.nonce = p.now(), nonce
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
	p.pingTime = max(p.now().Sub(p.pinged), time.Microsecond)
	if p.minPing == 0 || p.pingTime < p.minPing {
		p.minPing = p.pingTime
	}
	p.nonce = 0
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
		now := p.now().UnixNano()
		p.lastSend.Store(now)
		p.took.Store(now)
	}
}
