package stratum

import (
	"sync"
	"time"
)

// The lines that are read, of which a long one counts for many. A connection has a few a
// second of its own, which are many times what a miner needs. What it sends beyond is taken from what all have together, so
// that a network whose every hash is a share can be mined on, and strangers cannot keep
// the processor busy.
const (
	ownLines    = 20.0 // a second, of one connection
	ownAtOnce   = 400.0
	allLines    = 20_000.0 // a second, of all together
	allAtOnce   = 20_000.0
	paceAtLeast = 10 * time.Millisecond // that is waited when there is none

	usualLine = 256 // bytes of a line that counts for one
)

// bucket holds what may be taken, and is filled by time.
type bucket struct {
	perSecond, most float64

	mu sync.Mutex
	// Guarded by mu:
	room float64
	at   time.Time
}

func newBucket(perSecond, most float64) *bucket {
	return &bucket{perSecond: perSecond, most: most, room: most, at: time.Now()}
}

// take takes so much, if it is there.
func (b *bucket) take(amount float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.room = min(b.room+now.Sub(b.at).Seconds()*b.perSecond, b.most)
	b.at = now
	if b.room < amount {
		return false
	}
	b.room -= amount
	return true
}

// pace waits until a line of so many bytes may be looked at. Meanwhile what comes behind
// it fills the connection up, and so the miner waits, too.
func (c *connection) pace(size int) {
	amount := 1 + float64(size/usualLine)
	for !c.own.take(amount) && !c.server.all.take(amount) {
		select {
		case <-time.After(paceAtLeast):
		case <-c.done:
			return
		}
	}
}
