package p2p

import (
	"errors"
	"sync/atomic"
	"time"
)

// DefaultMaxMemory is the budget of Options.MaxMemory in bytes.
const DefaultMaxMemory = 256 << 20

// What is weighed besides the bytes of messages.
const (
	messageOverhead = 64        // bytes of a message that waits to be sent
	requestOverhead = 1 << 10   // bytes of a request, which is more than it takes: answering costs too
	maxRequestBytes = 512 << 10 // requests of a peer that wait for an answer
)

// errMemory is for the peer that holds most when there is too little memory.
var errMemory = errors.New("it makes us hold more than others while there is too little memory")

// hold counts bytes of requests and answers that wait because of a peer, or no longer
// do if n is negative. It is not called under a lock.
func (c *connection) hold(n int) {
	if c.held.Add(int64(n)) == int64(n) && n > 0 { // nothing has waited until now
		c.took.Store(c.now().UnixNano())
	}
	c.share(n)
}

// holdParts does so for the parts of messages that have not come to their end.
func (c *connection) holdParts(n int) {
	c.parts.Add(int64(n))
	c.share(n)
}

// share counts bytes in the budget that all peers share. When it is used up, who holds
// most goes: what one peer may hold, a hundred strangers may not.
func (c *connection) share(n int) {
	if c.budget.held.Add(int64(n)) > c.budget.most && n > 0 {
		c.budget.relieve()
	}
}

// budget is the bytes that may wait because of all peers together.
type budget struct {
	most  int64
	now   func() time.Time
	among func() []*connection // who may go
	held  atomic.Int64         // see hold
}

// relieve closes the peers that hold most until the rest fits into the budget.
func (b *budget) relieve() {
	for {
		var total int64
		var worst *connection
		most, now := 0.0, b.now()
		for _, c := range b.among() {
			if c.closing.Load() {
				continue // what it holds goes with it
			}
			total += c.held.Load() + c.parts.Load()
			if weight := c.weight(now); weight > most && !c.spared {
				worst, most = c, weight
			}
		}
		if total <= b.most || worst == nil {
			return
		}
		worst.close(errMemory)
	}
}

// weight is what a peer makes us hold, times the seconds in which nothing of it has moved, and a
// second at least: of what waits for the peer, until it took some, and of what it sends,
// until more came. So who reads or sends is worth more than who does not.
func (c *connection) weight(now time.Time) float64 {
	still := func(since *atomic.Int64) float64 {
		return (max(now.Sub(time.Unix(0, since.Load())), 0) + time.Second).Seconds()
	}
	sending := 1.0 // while we deal with its message it cannot send the next
	if c.handling.Load() == 0 {
		sending = still(&c.lastPart)
	}
	return float64(c.held.Load())*still(&c.took) + float64(c.parts.Load())*sending
}

// scarce reports that half of the budget is used. Then a peer gets one answer at a
// time.
func (b *budget) scarce() bool { return b.held.Load() > b.most/2 }
