package p2p

import (
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// inbox is the requests of a peer that wait for an answer, in order. They are weighed and
// not counted: a request may be of 40 bytes or of 40,000.
type inbox struct {
	filled poke.Slot // there is something
	mu     sync.Mutex
	// Guarded by mu:
	queue []request
	bytes int
}

// request is a request with what it takes.
type request struct {
	answer func()
	bytes  int
	bulk   bool // the peer pays for the answer by taking many bytes
}

// push reports false if there is too much already.
func (i *inbox) push(r request) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.bytes+r.bytes > maxRequestBytes {
		return false
	}
	i.queue = append(i.queue, r)
	i.bytes += r.bytes
	i.filled.Poke()
	return true
}

// next takes the first request. It reports false if there is none.
func (i *inbox) next() (r request, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.queue) == 0 {
		return request{}, false
	}
	r = i.queue[0]
	i.queue[0] = request{}
	i.queue = i.queue[1:]
	i.bytes -= r.bytes
	return r, true
}

// later queues an answer that takes long to a request of so many bytes. Who asks
// for more than is answered is flooding us.
func (c *connection) later(size int, answer func()) error {
	return c.queue(request{answer: answer, bytes: size + requestOverhead})
}

// laterBulk does so for an answer that costs the peer about as much as us, since it has to
// take the bytes.
func (c *connection) laterBulk(size int, answer func()) error {
	return c.queue(request{answer: answer, bytes: size + requestOverhead, bulk: true})
}

func (c *connection) queue(r request) error {
	if !c.in.push(r) {
		return errFlood
	}
	c.hold(r.bytes)
	return nil
}

// serve answers requests one after the other, while what was answered before goes
// out.
func (c *connection) serve() {
	for {
		r, ok := c.in.next()
		if !ok {
			select {
			case <-c.in.filled:
				continue
			case <-c.closed:
				return
			}
		}
		open := c.room()
		if open {
			c.answer(r)
		}
		c.hold(-r.bytes)
		if !open {
			return
		}
	}
}

// room waits until there is room for one more answer. It reports false if the
// connection ends before.
func (c *connection) room() bool {
	below := serveBelow
	if c.budget.scarce() {
		below = 1
	}
	began := time.Now()
	defer func() { c.idle.Add(int64(time.Since(began))) }()
	return c.out.wait(below, c.closed)
}

// pause waits for a time. It reports false if the connection ends before.
func (p *peer) pause(wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.closed:
		return false
	}
}

// empty gives back what still waits when the connection has ended.
func (c *connection) empty() {
	for r, ok := c.in.next(); ok; r, ok = c.in.next() {
		c.hold(-r.bytes)
	}
	c.hold(c.out.shut())
}

// outbox is what waits to be sent to a peer. Anyone may push, and one goroutine takes.
type outbox struct {
	filled poke.Slot // there is something
	mu     sync.Mutex
	// Guarded by mu:
	queue   wire.Fragmenter
	waiting []waiter
	held    int  // bytes that it was last weighed at
	ended   bool // nothing is taken any more
}

// waiter waits until less than so many bytes wait to be sent.
type waiter struct {
	below int
	ready chan struct{} // is closed then
}

// push reports false if there is too much already. It returns the bytes by which
// the outbox has grown.
func (o *outbox) push(m wire.Message) (grown int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, true
	}
	if o.queue.Pending() > maxQueued || o.queue.Messages() >= maxMessages || o.queue.Push(m) != nil {
		return 0, false
	}
	o.filled.Poke()
	return o.weigh(), true
}

// weigh returns the bytes by which the outbox has grown since it was called last.
// It assumes mu.
func (o *outbox) weigh() int {
	was := o.held
	o.held = o.queue.Pending() + messageOverhead*o.queue.Messages()
	return o.held - was
}

// next appends the next fragment to b. It reports whether there was one, and the bytes by
// which the outbox has grown, which is negative.
func (o *outbox) next(b []byte) (_ []byte, more bool, grown int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, more = o.queue.AppendNext(b)
	o.waiting = slices.DeleteFunc(o.waiting, func(w waiter) bool {
		enough := o.queue.Pending() < w.below
		if enough {
			close(w.ready)
		}
		return enough
	})
	return b, more, o.weigh()
}

// shut forgets what waits, and takes nothing any more.
func (o *outbox) shut() (grown int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue, o.ended = wire.Fragmenter{}, true
	return o.weigh()
}

// wait waits until less than so many bytes wait to be sent. It reports false if the
// connection ends first.
func (o *outbox) wait(below int, closed <-chan struct{}) bool {
	o.mu.Lock()
	if o.queue.Pending() < below {
		o.mu.Unlock()
		return true
	}
	w := waiter{below, make(chan struct{})}
	o.waiting = append(o.waiting, w)
	o.mu.Unlock()
	select {
	case <-w.ready:
		return true
	case <-closed:
		return false
	}
}
