package simnet

import (
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// What a lost packet costs, which is about what it costs TCP.
const (
	packetSize = 1448                   // bytes of data in a packet
	resendTime = 200 * time.Millisecond // besides the way there and back
)

// conn is an end of a connection.
type conn struct {
	local, remote netip.AddrPort
	in, out       *lane
	read, write   deadline
	once          sync.Once
	closed        chan struct{}
}

// pair returns the two ends of a connection.
func (n *Network) pair(from, to netip.AddrPort, number uint64) (near, far *conn) {
	there, back := n.newLane(from.Addr(), to.Addr(), 2*number), n.newLane(to.Addr(), from.Addr(), 2*number+1)
	end := func(local, remote netip.AddrPort, in, out *lane) *conn {
		return &conn{local: local, remote: remote, in: in, out: out, read: newDeadline(), write: newDeadline(), closed: make(chan struct{})}
	}
	return end(from, to, back, there), end(to, from, there, back)
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	for {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.read.over():
			return 0, os.ErrDeadlineExceeded
		default:
		}
		n, wait, err := c.in.take(b)
		if wait == nil {
			return n, err
		}
		wait.until(c.closed, c.read.over())
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	written := 0
	for {
		select {
		case <-c.closed:
			return written, net.ErrClosed
		case <-c.write.over():
			return written, os.ErrDeadlineExceeded
		default:
		}
		n, err := c.out.put(b[written:])
		written += n
		if written == len(b) || err != nil {
			return written, err
		}
		select {
		case <-c.out.room:
		case <-c.closed:
		case <-c.write.over():
		}
	}
}

// Close implements net.Conn. What was written before still arrives.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.out.end()
		c.in.abandon()
		c.read.set(time.Time{})
		c.write.set(time.Time{})
	})
	return nil
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { c.read.set(t); return nil }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }

// lane is one direction of a connection.
type lane struct {
	network  *Network
	from, to netip.Addr
	host     *host // that sends
	latency  time.Duration
	came     chan struct{} // one slot: there is more to read
	room     chan struct{} // one slot: there may be room to write

	mu sync.Mutex
	// Guarded by mu:
	random    *rand.Rand
	queue     []chunk
	size      int       // bytes in queue
	last      time.Time // when the last of it arrives
	ended     bool      // nothing comes behind the queue
	abandoned bool      // nobody reads any more
}

// chunk is some bytes under way.
type chunk struct {
	due  time.Time
	data []byte
}

func (n *Network) newLane(from, to netip.Addr, number uint64) *lane {
	return &lane{
		network: n, from: from, to: to, host: n.host(from), latency: n.o.Latency(from, to), came: make(chan struct{}, 1),
		room: make(chan struct{}, 1), random: rand.New(rand.NewPCG(n.o.Seed, number)),
	}
}

// put sends as many of the bytes as there is room for, perhaps none.
func (l *lane) put(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.abandoned {
		return 0, errReset
	}
	b = b[:min(len(b), window-l.size)]
	if len(b) == 0 {
		return 0, nil
	}
	due := l.host.send(len(b), l.network.o.Up).Add(l.latency)
	for range (len(b) + packetSize - 1) / packetSize {
		if l.network.o.Loss > 0 && l.random.Float64() < l.network.o.Loss {
			due = due.Add(2*l.latency + resendTime)
		}
	}
	if due.Before(l.last) {
		due = l.last
	}
	l.last = due
	l.queue = append(l.queue, chunk{due, append([]byte(nil), b...)})
	l.size += len(b)
	poke(l.came)
	return len(b), nil
}

// send returns when bytes have left the host, after all that it has sent before.
func (h *host) send(n, up int) time.Time {
	h.sent.Add(uint64(n))
	now := time.Now()
	if up == 0 {
		return now
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.free.Before(now) {
		h.free = now
	}
	h.free = h.free.Add(time.Duration(n) * time.Second / time.Duration(up))
	return h.free
}

// take takes what has arrived. If that is nothing yet, it returns what to wait for.
func (l *lane) take(b []byte) (int, *waiting, error) {
	blocked, changed := l.network.blocked(l.from, l.to)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.queue) == 0 && !l.ended, blocked:
		return 0, &waiting{came: l.came, changed: changed}, nil
	case len(l.queue) == 0:
		if left := time.Until(l.last); left > 0 {
			return 0, &waiting{came: l.came, changed: changed, due: left}, nil
		}
		return 0, nil, io.EOF
	}
	if left := time.Until(l.queue[0].due); left > 0 {
		return 0, &waiting{changed: changed, due: left}, nil
	}
	n := copy(b, l.queue[0].data)
	l.queue[0].data = l.queue[0].data[n:]
	if len(l.queue[0].data) == 0 {
		l.queue[0] = chunk{}
		l.queue = l.queue[1:]
	}
	l.size -= n
	poke(l.room)
	return n, nil, nil
}

// end lets nothing more come.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if due := time.Now().Add(l.latency); due.After(l.last) {
		l.last = due
	}
	poke(l.came)
}

// abandon lets go what nobody reads any more.
func (l *lane) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.abandoned = true
	l.queue, l.size = nil, 0
	poke(l.room)
}

// waiting is what a reader waits for.
type waiting struct {
	came    <-chan struct{} // nil: that more comes changes nothing
	changed <-chan struct{}
	due     time.Duration // 0: nothing is under way
}

// until waits for it, or until one of the channels is closed.
func (w *waiting) until(closed, over <-chan struct{}) {
	var due <-chan time.Time
	if w.due > 0 {
		timer := time.NewTimer(w.due)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-w.came:
	case <-w.changed:
	case <-due:
	case <-closed:
	case <-over:
	}
}

func poke(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

// deadline is a moment that can be moved.
type deadline struct {
	mu sync.Mutex
	// Guarded by mu:
	timer  *time.Timer
	moved  int           // how often it was set
	passed chan struct{} // is closed then
}

func newDeadline() deadline { return deadline{passed: make(chan struct{})} }

// over returns a channel that is closed when the deadline has passed.
func (d *deadline) over() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

// set moves the deadline; zero is never. Whoever waits for the old one is woken by the
// old channel only, so a channel is replaced when it is closed, and not before.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	left := time.Until(t)
	switch {
	case t.IsZero():
	case left <= 0:
		close(d.passed)
	default:
		moved := d.moved
		d.timer = time.AfterFunc(left, func() { d.pass(moved) })
	}
}

// pass closes the channel, unless the deadline was moved since.
func (d *deadline) pass(moved int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if moved == d.moved {
		close(d.passed)
	}
}
