package p2p

import (
	"errors"
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

// hold counts bytes that wait because of a peer, or no longer do if n is negative.
// All peers share one budget. When it is used up, who holds most goes: what one
// peer may hold, a hundred strangers may not. It is not called under a lock.
func (p *peer) hold(n int) {
	p.held.Add(int64(n))
	if p.m.held.Add(int64(n)) > p.m.o.MaxMemory && n > 0 {
		p.m.relieve()
	}
}

// relieve closes the peers that hold most until the rest fits into the budget.
func (m *Manager) relieve() {
	for {
		var total int64
		var worst *peer
		most, now := 0.0, m.o.Now()
		for _, p := range m.all() {
			if p.closing.Load() {
				continue // what it holds goes with it
			}
			held := p.held.Load()
			total += held
			if weight := float64(held) * p.stillFor(now).Seconds(); weight > most && !p.manual {
				worst, most = p, weight
			}
		}
		if total <= m.o.MaxMemory || worst == nil {
			return
		}
		worst.close(errMemory)
	}
}

// stillFor is the time in which a peer took nothing of what waits for it, and a
// second at least: who reads is worth more than who does not.
func (p *peer) stillFor(now time.Time) time.Duration {
	return max(now.Sub(time.Unix(0, p.lastSend.Load())), 0) + time.Second
}

// scarce reports that half of the budget is used. Then a peer gets one answer at a
// time.
func (m *Manager) scarce() bool { return m.held.Load() > m.o.MaxMemory/2 }
