package stratum

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of a connection.
const (
	handshakeTimeout = 30 * time.Second // until it is given work
	idleTimeout      = 10 * time.Minute // without a line
	writeTimeout     = 10 * time.Second // for one line

	maxReplies = 16 // that wait to be written; then nothing more is read
	maxWaiting = 64 // lines that wait to be written; then the miner is too slow

	readBuffer = 1 << 10
)

// What a miner may do wrong. A bad share costs a point, and a good one earns it back, so
// that who has more good ones than bad ones is never hung up on.
const (
	points        = 50.0
	costOfName    = 5 // a worker that cannot be
	costOfNothing = 1 // a request that means nothing
)

// Why a connection is ended.
var (
	errSlow    = errors.New("does not read what it is sent")
	errLine    = errors.New("sent a line that is too long")
	errFlood   = errors.New("sent more bad than good")
	errNoUse   = errors.New("found nothing, and another wants its place")
	errStopped = errors.New("the server stops")
)

// connection is a miner, or a proxy of several.
type connection struct {
	server *Server
	raw    net.Conn // what is below TLS, whose end waits for nobody
	conn   net.Conn
	from   place
	out    chan outgoing
	places chan struct{} // of the replies in out
	done   chan struct{} // is closed when the connection ends
	credit float64       // of the points; only the reading goroutine knows it
	useful atomic.Int64  // when it began, or found its last share, in nanoseconds since 1970
	began  time.Time
	joined time.Time     // began, by the server's clock
	work   atomic.Uint64 // sum of the difficulties of its shares, as a float's bits; only the reading goroutine changes it
	own    *bucket       // of the lines that it may send

	mu sync.Mutex
	// Guarded by mu:
	why     error              // it ended; nil: it has not
	session *session           // nil before mining.subscribe
	resumed bool               // the session is one that it had before
	script  []byte             // that is paid; nil before mining.authorize
	payee   string             // the address of it; empty: the node's own
	names   map[string]*worker // as the miner writes them
	agent   string
	hints   hints
	working bool // it gets jobs
	told    bool // it has got one
}

// hints are what is known of a miner before it works.
type hints struct {
	chosen float64 // the difficulty that it wants, whatever it finds; 0: it has not said
	guess  float64 // the one that it would begin with; 0: it has not said
	before float64 // the one that its worker had lately; 0: none
	least  float64 // the least that it can do; 0: it has not said
	mask   uint32  // the bits of the version that it may choose
}

// outgoing is a line that waits to be written.
type outgoing struct {
	line  []byte
	reply bool
}

func newConnection(s *Server, conn net.Conn, from place) *connection {
	c := &connection{
		server: s, raw: conn, conn: conn, from: from, credit: points, names: map[string]*worker{}, began: time.Now(), own: newBucket(ownLines, ownAtOnce),
		out: make(chan outgoing, maxWaiting), places: make(chan struct{}, maxReplies), done: make(chan struct{}),
	}
	c.joined = s.o.Clock()
	c.useful.Store(c.joined.UnixNano())
	if s.o.TLS != nil {
		c.conn = tls.Server(conn, s.o.TLS)
	}
	return c
}

// run serves the miner until either side ends, and returns when nothing of it is left.
func (c *connection) run(ctx context.Context) {
	var writing sync.WaitGroup
	writing.Go(c.write)
	stop := context.AfterFunc(ctx, c.farewell)
	err := c.read()
	stop()
	offence := errors.Is(err, errFlood) || errors.Is(err, errLine) || errors.Is(err, errNoMessage)
	banned := false
	if offence { // before it can come again
		banned = c.server.limits.offend(c.from, c.server.o.Clock())
	}
	c.end(err)
	writing.Wait()
	c.leave()
	if offence {
		c.server.o.Logger.Info("a miner was hung up on", "from", c.from.name, "why", err, "banned", banned)
		return
	}
	c.server.o.Logger.Debug("a miner has gone", "from", c.from.name, "why", err)
}

// read reads lines and does what they say.
func (c *connection) read() error {
	reader := bufio.NewReaderSize(c.conn, readBuffer)
	for {
		deadline := time.Now().Add(idleTimeout)
		if !c.isWorking() {
			deadline = c.began.Add(handshakeTimeout)
		}
		if err := c.conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		line, err := readLine(reader)
		if err != nil {
			return err
		}
		c.pace(len(line))
		if err := c.handle(line); err != nil {
			return err
		}
		if c.credit <= 0 {
			return errFlood
		}
	}
}

// readLine returns a line, which may have no end if the stream has.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		if len(line)+len(piece) > maxLine {
			return nil, errLine
		}
		switch {
		case err == nil && line == nil:
			return piece, nil
		case err == nil:
			return append(line, piece...), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		line = append(line, piece...)
	}
}

// write writes what waits, until the connection ends. What waits then is still written
// if the server stops.
func (c *connection) write() {
	defer c.conn.Close()
	for {
		select {
		case o := <-c.out:
			if !c.writeLine(o) {
				return
			}
		case <-c.done:
			if !errors.Is(c.reason(), errStopped) {
				return
			}
			for {
				select {
				case o := <-c.out:
					if !c.writeLine(o) {
						return
					}
				default:
					return
				}
			}
		}
	}
}

func (c *connection) writeLine(o outgoing) bool {
	timeout := writeTimeout
	if c.reason() != nil {
		timeout = closeWait
	}
	c.conn.SetWriteDeadline(time.Now().Add(timeout))
	_, err := c.conn.Write(o.line)
	if o.reply {
		<-c.places
	}
	if err != nil {
		c.end(err)
	}
	return err == nil
}

// reply sends an answer. It waits while too many are on their way: then the miner does
// not read them, and gets no more done.
func (c *connection) reply(line []byte) error {
	select {
	case c.places <- struct{}{}:
	case <-c.done:
		return io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(outgoing{line, true})
	return nil
}

// push sends a line and never waits. Who has not read so many of them is hung up on. It
// assumes mu.
func (c *connection) push(o outgoing) {
	select {
	case c.out <- o:
	default:
		c.hangUp(errSlow)
	}
}

// end ends the connection: reading and writing stop. It may be called more than once;
// the first reason is the one.
func (c *connection) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp(why)
}

// hangUp is end. It assumes mu.
func (c *connection) hangUp(why error) {
	if c.why != nil {
		return
	}
	c.why = why
	close(c.done)
	if why != errStopped { // else what waits is still written, for a moment
		c.raw.Close()
	}
}

// reason is why the connection ended; nil: it has not.
func (c *connection) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// farewell tells the miner to come back, and ends.
func (c *connection) farewell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working {
		c.push(outgoing{line: notice("client.show_message", "the node stops")})
		c.push(outgoing{line: notice("client.reconnect")})
	}
	c.hangUp(errStopped)
}

func (c *connection) isWorking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.working
}

// leave gives back what the connection had. Its session waits for the miner to come
// again, if it has worked.
func (c *connection) leave() {
	s, now := c.server, c.server.o.Clock()
	s.mu.Lock()
	delete(s.working, c)
	delete(s.connections, c)
	s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.names {
		s.workers.leave(w, now)
	}
	switch {
	case c.session == nil:
	case c.working || c.resumed:
		s.sessions.park(c.session, c.from, now)
	default:
		s.sessions.discard(c.session)
	}
}
