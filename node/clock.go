package node

import (
	"sync/atomic"
	"time"
)

// clock is the time that the node's rules go by. On networks whose blocks cost nothing
// a client can set it, so that tests need not wait. Connections go by the real time all
// the same: timeouts would stand still with a clock that does.
type clock struct {
	real   func() time.Time
	mocked atomic.Int64 // seconds since 1970; 0: it goes
	ahead  atomic.Int64 // nanoseconds by which it goes before the real time
}

func newClock(real func() time.Time) *clock {
	if real == nil {
		real = time.Now
	}
	return &clock{real: real}
}

func (c *clock) now() time.Time {
	if mocked := c.mocked.Load(); mocked != 0 {
		return time.Unix(mocked, 0)
	}
	return c.real().Add(time.Duration(c.ahead.Load()))
}

// lead is how far it goes before the real time.
func (c *clock) lead() time.Duration { return c.now().Sub(c.real()) }

// move lets the clock go on from a time. One that was stopped stays stopped there.
func (c *clock) move(to time.Time) {
	if c.mocked.Load() != 0 {
		c.set(to.Unix())
		return
	}
	c.ahead.Store(int64(to.Sub(c.real())))
}

// set stops the clock at a time in seconds since 1970; 0 lets it go on.
func (c *clock) set(seconds int64) { c.mocked.Store(seconds) }
