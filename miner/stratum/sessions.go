package stratum

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

// The bounds of sessions that wait for their miner.
const (
	keepSession = 10 * time.Minute
	maxParked   = 2048
	perPlace    = 64 // of them from one address that is not the operator's own
)

// sessions are those that nobody has now, and the extra nonces of all.
type sessions struct {
	mu sync.Mutex
	// Guarded by mu:
	parked map[string]parkedSession       // by id
	from   map[string]int                 // how many of them, by the name of the place
	used   map[[extraNonce1Size]byte]bool // by sessions of connections and by those that are parked
}

type parkedSession struct {
	*session
	place place
	since time.Time
}

// errNoNonce says that no extra nonce is free, which needs billions of sessions.
var errNoNonce = errors.New("no extra nonce is free")

// create returns a new session with an extra nonce that no other has. It is random, so
// that two nodes which pay the same address do not give out the same work.
func (ss *sessions) create() (*session, error) {
	var random [8]byte
	rand.Read(random[:])
	s := &session{id: hex.EncodeToString(random[:])}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for range 100 {
		rand.Read(s.one[:])
		if !ss.used[s.one] {
			ss.used[s.one] = true
			return s, nil
		}
	}
	return nil, errNoNonce
}

// resume returns a session that is known and that nobody has; nil: there is none.
func (ss *sessions) resume(id string, now time.Time) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	p, ok := ss.parked[id]
	if !ok || now.Sub(p.since) > keepSession {
		return nil
	}
	ss.take(id, p)
	return p.session
}

// take removes a session from the table. It assumes mu.
func (ss *sessions) take(id string, p parkedSession) {
	delete(ss.parked, id)
	if ss.from[p.place.name]--; ss.from[p.place.name] == 0 {
		delete(ss.from, p.place.name)
	}
}

// park keeps a session whose connection has ended. When there are too many, the one that
// has waited longest goes, of the same address if it has its share already.
func (ss *sessions) park(s *session, from place, now time.Time) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case !from.local && ss.from[from.name] >= perPlace:
		ss.dropOldest(from.name)
	case len(ss.parked) >= maxParked:
		ss.dropOldest("")
	}
	ss.parked[s.id] = parkedSession{s, from, now}
	ss.from[from.name]++
}

// dropOldest forgets a session, of one place if that has a name. It assumes mu.
func (ss *sessions) dropOldest(name string) {
	oldest, found := parkedSession{}, false
	for _, p := range ss.parked {
		if (name == "" || p.place.name == name) && (!found || p.since.Before(oldest.since)) {
			oldest, found = p, true
		}
	}
	if found {
		ss.forget(oldest)
	}
}

// forget removes a session, and lets another have its extra nonce. It assumes mu.
func (ss *sessions) forget(p parkedSession) {
	ss.take(p.id, p)
	delete(ss.used, p.one)
}

// discard forgets a session that nobody will ask for.
func (ss *sessions) discard(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.used, s.one)
}

// expire forgets those that have waited long enough.
func (ss *sessions) expire(now time.Time) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, p := range ss.parked {
		if now.Sub(p.since) > keepSession {
			ss.forget(p)
		}
	}
}
