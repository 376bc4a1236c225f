package p2p

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/internal/poke"
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
	// freeRecords and recordData say in how many records a fragment may come: in so many,
	// and one for each recordData bytes of it. Each further one counts as a message, since
	// records of a byte would make us work for hundreds of times the bytes.
	freeRecords = 8
	recordData  = 256 // bytes
)

// connection is the bytes between us and somebody: it reads and writes messages, queues
// requests and answers, weighs what waits, and ends. It knows nobody: not who the other
// is, nor what messages mean.
type connection struct {
	now            func() time.Time
	budget         *budget
	maxBlockWeight int
	spared         bool          // it is not closed to save memory
	answer         func(request) // answers one
	ended          func(error)   // is called once, before the connection ends

	conn    net.Conn      // encrypted; nil before the handshake
	records func() uint64 // that were read from it; nil: it has none

	counted uint64 // of the records; of read's goroutine
	answers int    // messages that we had asked for, not counted by throttle yet; of read's goroutine
	in      inbox
	out     outbox
	held    atomic.Int64 // bytes of its requests and of answers that wait
	parts   atomic.Int64 // bytes of messages of which it has sent a part

	closed   chan struct{}
	closeErr error       // set before closed is closed
	closing  atomic.Bool // close was called

	received, sent atomic.Uint64 // bytes
	recvTypes      traffic
	sentTypes      traffic
	lastSend       atomic.Int64 // nanoseconds since 1970
	lastRecv       atomic.Int64
	lastPart       atomic.Int64 // of a message
	took           atomic.Int64 // when it last took something of what waits for it, or that began to wait
	handling       atomic.Int64 // since when we deal with a message; 0: we are reading
	idle           atomic.Int64 // nanoseconds in which answers waited for the peer
	listening      atomic.Int64 // since when we read again after a message that took long
}

// open makes the connection ready for use.
func (c *connection) open() {
	c.closed = make(chan struct{})
	c.in.filled, c.out.filled = poke.NewSlot(), poke.NewSlot()
}

// countedConn tells how many bytes go through a connection, and how long that took.
type countedConn struct {
	net.Conn
	read, written func(n int)
	idle          atomic.Int64 // nanoseconds in which we waited for it
}

// Read implements net.Conn.
func (c *countedConn) Read(b []byte) (int, error) {
	began := time.Now()
	n, err := c.Conn.Read(b)
	c.idle.Add(int64(time.Since(began)))
	c.read(n)
	return n, err
}

// Write implements net.Conn.
func (c *countedConn) Write(b []byte) (int, error) {
	began := time.Now()
	n, err := c.Conn.Write(b)
	c.idle.Add(int64(time.Since(began)))
	c.written(n)
	return n, err
}

// readMessage returns the next message of a type that is known. It calls each after
// every fragment.
func readMessage(r io.Reader, buf []byte, a *wire.Assembler, each func(wire.Fragment)) (wire.Message, error) {
	for {
		fragment, err := wire.ReadFragment(r, buf)
		if err != nil {
			return nil, err
		}
		message, done, err := a.Push(fragment)
		each(fragment)
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
func (c *connection) close(err error) {
	if c.closing.Swap(true) {
		return
	}
	c.ended(err)
	c.closeErr = err
	close(c.closed)
	c.conn.Close()
}

// read handles messages, one after the other, until the connection ends. As long as one
// is dealt with, the next is not read: so a peer cannot send faster than we work.
func (c *connection) read(handle func(wire.Message) error) error {
	r := bufio.NewReaderSize(c.conn, 64<<10)
	buf := make([]byte, wire.MaxFragmentSize)
	assembler, parts := wire.NewAssembler(c.maxBlockWeight), 0
	budget := throttle{tokens: messageBurst, at: c.now()}
	weigh := func(f wire.Fragment) {
		if n := c.crumbs(f); n > 0 {
			c.rest(budget.take(n, c.now()))
		}
		c.recvTypes.add(f.Type, wire.FragmentHeaderSize+len(f.Data))
		c.lastPart.Store(c.now().UnixNano())
		if pending := assembler.Pending(); pending > parts {
			c.holdParts(pending - parts)
			parts = pending
		}
	}
	defer func() { c.holdParts(-parts) }()
	for {
		// A message counts until it is dealt with, which may have to wait.
		pending := assembler.Pending()
		c.holdParts(pending - parts)
		parts = pending
		message, err := readMessage(r, buf, assembler, weigh)
		if err != nil {
			return err
		}
		c.lastRecv.Store(c.now().UnixNano())
		budget.tokens += float64(c.answers)
		c.answers = 0
		if !c.rest(budget.take(1, c.now())) {
			return c.closeErr
		}
		if err := handle(message); err != nil {
			return err
		}
	}
}

// crumbs returns how many messages a fragment counts as, besides the one that it may end:
// a type that is not known is skipped, but not for nothing.
func (c *connection) crumbs(f wire.Fragment) (n int) {
	if !f.Type.Known() {
		n++
	}
	if c.records == nil {
		return n
	}
	before := c.counted
	c.counted = c.records()
	return n + max(int(c.counted-before)-freeRecords-len(f.Data)/recordData, 0)
}

// rest waits for a time. It reports false if the connection ends before.
func (c *connection) rest(wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-c.closed:
		return false
	}
}

// busy reports whether a message of the peer keeps us from reading more. Then it is not
// the peer that is silent. A message that waits for the chain may take long, while the
// chain is being verified or reorganised.
func (c *connection) busy(now time.Time) bool {
	since := c.handling.Load()
	return since != 0 && now.Sub(time.Unix(0, since)) > longMessage
}

// throttle lets messageBurst messages through at once, and messageRate a second.
type throttle struct {
	tokens float64
	at     time.Time
}

// take returns how long the next n messages have to wait.
func (t *throttle) take(n int, now time.Time) time.Duration {
	t.tokens = min(t.tokens+now.Sub(t.at).Seconds()*messageRate, messageBurst)
	t.at = now
	t.tokens -= float64(n)
	if t.tokens >= 0 {
		return 0
	}
	return time.Duration(-t.tokens / messageRate * float64(time.Second))
}

// send queues a message, and never waits. A peer that does not take what it asked for is
// hung up on. Closing takes the manager's lock, so send must not be called under a lock.
func (c *connection) send(m wire.Message) {
	grown, ok := c.out.push(m)
	c.hold(grown)
	if !ok {
		c.close(errors.New("it does not take what is sent"))
	}
}

// write sends what is queued, until the connection ends. Nothing is flushed while there
// is more to send, so that small messages share a record.
func (c *connection) write() {
	w := bufio.NewWriterSize(c.conn, writeBuffer)
	var b []byte
	for {
		var more bool
		var grown int
		b, more, grown = c.out.next(b[:0])
		c.hold(grown)
		if !more {
			if err := w.Flush(); err != nil {
				c.close(err)
				return
			}
			select {
			case <-c.out.filled:
				continue
			case <-c.closed:
				return
			}
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(silenceTimeout))
		if _, err := w.Write(b); err != nil {
			c.close(err)
			return
		}
		c.sentTypes.add(wire.Type(b[1]), len(b)) // the second byte of a fragment
		now := c.now().UnixNano()
		c.lastSend.Store(now)
		c.took.Store(now)
	}
}
