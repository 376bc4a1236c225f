package zeromq

import (
	"bufio"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

// The limits of an address. Subscribers have no password: whoever reaches the address may
// listen.
const (
	maxSubscribers = 64
	maxTopics      = 32       // of a subscriber
	maxSent        = 1 << 10  // bytes of a message from a subscriber, with all its frames
	maxWaiting     = 64 << 20 // bytes that wait for a subscriber

	handshakeTime = 10 * time.Second
	writeTime     = 30 * time.Second // for a message
)

// message is what subscribers get.
type message struct {
	topic  string
	body   []byte
	number []byte
}

func (m *message) size() int { return len(m.topic) + len(m.body) + len(m.number) }

// socket is an address with its subscribers.
type socket struct {
	listener net.Listener
	log      *slog.Logger
	all      sync.WaitGroup // of connections

	mu sync.Mutex
	// Guarded by mu:
	subscribers map[*subscriber]struct{}
	closed      bool
}

func newSocket(l net.Listener, log *slog.Logger) *socket {
	return &socket{listener: l, log: log, subscribers: map[*subscriber]struct{}{}}
}

// accept takes subscribers until the socket is closed.
func (s *socket) accept() {
	for wait := time.Duration(0); ; {
		conn, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				break
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second) // no file descriptors are left
			time.Sleep(wait)
			continue
		}
		wait = 0
		sub := newSubscriber(conn)
		if !s.add(sub) {
			conn.Close()
			continue
		}
		s.all.Go(func() {
			defer s.remove(sub)
			sub.serve()
		})
	}
	s.all.Wait()
}

func (s *socket) add(sub *subscriber) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(s.subscribers) >= maxSubscribers {
		s.log.Warn("a subscriber was not let in: there are too many", "at", s.listener.Addr(), "most", maxSubscribers)
		return false
	}
	s.subscribers[sub] = struct{}{}
	return true
}

func (s *socket) remove(sub *subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.subscribers, sub)
}

func (s *socket) close() {
	s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub := range s.subscribers {
		sub.conn.Close()
	}
}

// send puts a message into the queues of those who want it.
func (s *socket) send(m message, water int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subscribers {
		sub.put(m, water)
	}
}

// subscriber is one connection. One goroutine reads what it wants, one writes.
type subscriber struct {
	conn net.Conn
	wake chan struct{} // one slot: there is something to write

	mu sync.Mutex
	// Guarded by mu:
	topics  map[string]struct{} // beginnings of topics
	queue   []message
	waiting int // bytes of the queue
}

func newSubscriber(conn net.Conn) *subscriber {
	return &subscriber{conn: conn, wake: make(chan struct{}, 1), topics: map[string]struct{}{}}
}

// put adds a message to the queue, unless the subscriber does not want it or has too
// many waiting.
func (u *subscriber) put(m message, water int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.wants(m.topic) || len(u.queue) >= water || u.waiting+m.size() > maxWaiting {
		return
	}
	u.queue, u.waiting = append(u.queue, m), u.waiting+m.size()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// wants assumes mu.
func (u *subscriber) wants(topic string) bool {
	for prefix := range u.topics {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// take returns the first message of the queue.
func (u *subscriber) take() (m message, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.queue) == 0 {
		return m, false
	}
	m = u.queue[0]
	u.queue[0] = message{}
	if u.queue, u.waiting = u.queue[1:], u.waiting-m.size(); len(u.queue) == 0 {
		u.queue = nil
	}
	return m, true
}

// serve talks to a subscriber until it goes.
func (u *subscriber) serve() {
	defer u.conn.Close()
	_ = u.conn.SetDeadline(time.Now().Add(handshakeTime))
	line := &guarded{Conn: u.conn}
	peer, err := zmq4.Open(line, null.Security(), zmq4.Pub, nil, true, nil)
	if err != nil {
		return
	}
	_ = u.conn.SetDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer u.conn.Close()
		u.read(peer)
	}()
	u.write(line, peer, done)
	u.conn.Close()
	<-done
}

// read takes what the subscriber wants: a message that begins with 1 and goes on with
// the beginning of topics, or with 0 for what it wants no longer.
func (u *subscriber) read(peer *zmq4.Conn) {
	for {
		m, err := peer.RecvMsg()
		if err != nil {
			return
		}
		if len(m.Frames) != 1 || len(m.Frames[0]) == 0 || m.Frames[0][0] > 1 {
			continue
		}
		u.mu.Lock()
		topic := string(m.Frames[0][1:])
		if m.Frames[0][0] == 0 {
			delete(u.topics, topic)
		} else if len(u.topics) < maxTopics {
			u.topics[topic] = struct{}{}
		}
		u.mu.Unlock()
	}
}

func (u *subscriber) write(line *guarded, peer *zmq4.Conn, done <-chan struct{}) {
	for {
		m, ok := u.take()
		if !ok {
			select {
			case <-u.wake:
				continue
			case <-done:
				return
			}
		}
		_ = u.conn.SetWriteDeadline(time.Now().Add(writeTime))
		line.hold()
		if peer.SendMsg(zmq4.NewMsgFrom([]byte(m.topic), m.body, m.number)) != nil || line.flush() != nil {
			return
		}
	}
}

// guarded is a connection that passes on no message that is too long: zmq4 makes room for
// as many bytes as the other side says, and keeps frames until the last of a message. It
// also keeps the parts of a message together, which zmq4 writes one by one.
type guarded struct {
	net.Conn

	mu    sync.Mutex    // who reads answers pings
	held  *bufio.Writer // nil: what is written goes at once
	spare *bufio.Writer

	// Of the goroutine that reads:
	greeting int // bytes of it that have come
	header   []byte
	body     uint64 // bytes that are left of the frame
	message  uint64 // bytes of the message so far, up to the end of the frame
}

var errFrame = errors.New("a message is too long")

const greetingBytes = 64

// Read implements io.Reader.
func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if e := g.look(p[:n]); e != nil {
		return 0, e
	}
	return n, err
}

// hold lets what is written wait for flush.
func (g *guarded) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spare == nil {
		g.spare = bufio.NewWriter(g.Conn)
	}
	g.held = g.spare
}

// Write implements io.Writer.
func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		return g.held.Write(p)
	}
	return g.Conn.Write(p)
}

func (g *guarded) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	held := g.held
	g.held = nil // a ping is answered at once again
	return held.Flush()
}

// look follows the frames (ZMTP 3.0).
func (g *guarded) look(p []byte) error {
	const more, long = 1, 2 // flags
	skip := min(greetingBytes-g.greeting, len(p))
	g.greeting, p = g.greeting+skip, p[skip:]
	for len(p) > 0 {
		if g.body > 0 {
			skip := min(g.body, uint64(len(p)))
			g.body, p = g.body-skip, p[skip:]
			continue
		}
		g.header, p = append(g.header, p[0]), p[1:]
		switch {
		case len(g.header) == 2 && g.header[0]&long == 0:
			g.body = uint64(g.header[1])
		case len(g.header) == 9:
			g.body = binary.BigEndian.Uint64(g.header[1:])
		default:
			continue
		}
		if g.message += uint64(len(g.header)); g.body > maxSent || g.message+g.body > maxSent {
			return errFrame
		}
		if g.message += g.body; g.header[0]&more == 0 {
			g.message = 0
		}
		g.header = g.header[:0]
	}
	return nil
}
