package rpc

import (
	"net/netip"
	"sync"
	"time"
)

// The places of connections. A connection costs its client nothing, so that what is
// given up when all places are taken is what is worth least.
const (
	maxConnections = 512

	// A stranger is who has not said a valid password yet. So many strangers keep their
	// place though connections of users are idle, if they came a moment ago: a user is a
	// stranger at first.
	strangersShare = 4 // of all places, one in so many
	strangersGrace = time.Second

	// One user may have three quarters of the places, if there are others.
	userPlaces, userPlacesOf = 3, 4
)

// lobby holds the connections of all listeners. When a connection comes and all places
// are taken, one gives way: of the address with most strangers the one that came first,
// or of the user with most connections the one that has been idle for longest. Calls that
// are under way are not given up; if there is nothing else, who comes waits.
type lobby struct {
	most   int
	others bool // there is more than one user

	mu sync.Mutex
	// Guarded by mu, with the fields of clients that say so:
	all    map[*client]struct{}
	crowds map[string]int // connections by user, and of strangers by address
	ended  bool
	empty  chan struct{} // closed when the end has come and nobody is in a request
	room   *sync.Cond    // told when add has to look again
}

func newLobby(most int, others bool) *lobby {
	l := &lobby{most: most, others: others, all: map[*client]struct{}{}, crowds: map[string]int{}, empty: make(chan struct{})}
	l.room = sync.NewCond(&l.mu)
	return l
}

// crowdOf is what strangers from an address have in common. One line has a network of
// 64 bits in IPv6.
func crowdOf(address netip.Addr) string {
	if address = address.Unmap(); address.Is6() {
		network, _ := address.WithZone("").Prefix(64)
		address = network.Addr()
	}
	return ":" + address.String() // no user has a colon in its name
}

// add takes a connection in, and waits until there is a place. It reports false once
// the lobby has ended.
func (l *lobby) add(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.ended && len(l.all) >= l.most {
		if victim := l.victim(time.Now()); victim != nil {
			l.drop(victim)
			break
		}
		l.room.Wait()
	}
	if l.ended {
		return false
	}
	c.crowd, c.since = crowdOf(c.from.Addr()), time.Now()
	l.all[c] = struct{}{}
	l.crowds[c.crowd]++
	return true
}

// victim is the connection that gives way, or nil.
func (l *lobby) victim(now time.Time) *client {
	var stranger, user *client
	strangers := 0
	for c := range l.all {
		switch {
		case !c.known:
			strangers++
			if stranger == nil || l.less(c, stranger) {
				stranger = c
			}
		case c.idle && (user == nil || l.less(c, user)):
			user = c
		}
	}
	if stranger != nil && (user == nil || strangers > l.most/strangersShare || now.Sub(stranger.since) > strangersGrace) {
		return stranger
	}
	return user
}

// less reports whether a gives way before b.
func (l *lobby) less(a, b *client) bool {
	if l.crowds[a.crowd] != l.crowds[b.crowd] {
		return l.crowds[a.crowd] > l.crowds[b.crowd]
	}
	return a.since.Before(b.since)
}

// drop takes a connection out and closes it.
func (l *lobby) drop(c *client) {
	if _, ok := l.all[c]; !ok {
		return
	}
	delete(l.all, c)
	if l.crowds[c.crowd]--; l.crowds[c.crowd] == 0 {
		delete(l.crowds, c.crowd)
	}
	close(c.gone)
	c.raw.Close() // of a TCP connection this does not wait
	l.look()
}

// keep closes connections from where nobody may connect any more.
func (l *lobby) keep(may func(netip.Addr) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.all {
		if !may(c.from.Addr()) {
			l.drop(c)
		}
	}
}

// look tells who waits that there may be a place, or that the end is near.
func (l *lobby) look() {
	l.room.Broadcast()
	if !l.ended {
		return
	}
	for c := range l.all {
		if !c.hijacked {
			return
		}
	}
	select {
	case <-l.empty:
	default:
		close(l.empty)
	}
}

// leave takes a connection out, if it is still there.
func (l *lobby) leave(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(c)
}

// begin notes that a request has come.
func (l *lobby) begin(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.idle = false
}

// rest notes that a request is over. It reports whether the connection goes on.
func (l *lobby) rest(c *client) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.idle = true
	if c.known { // a stranger grows no younger by a wrong password
		c.since = time.Now()
	}
	l.room.Signal()
	return !l.ended
}

// hijack notes that a connection is a WebSocket now, which nobody waits for at the end.
func (l *lobby) hijack(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.hijacked = true
	l.look()
}

// enter notes whose connection it is. It reports false if the user has too many. A
// stranger has no name.
func (l *lobby) enter(c *client, user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.all[c]; !ok || c.crowd == user {
		return true
	}
	if user != "" && l.others && l.crowds[user] >= l.most*userPlaces/userPlacesOf {
		return false
	}
	if l.crowds[c.crowd]--; l.crowds[c.crowd] == 0 {
		delete(l.crowds, c.crowd)
	}
	if c.known, c.crowd = user != "", user; !c.known {
		c.crowd = crowdOf(c.from.Addr())
	}
	l.crowds[c.crowd]++
	return true
}

// end lets nobody in any more, and closes what is in no request. The channel is closed
// when all requests are over.
func (l *lobby) end() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.all {
		if c.idle || !c.known && !c.hijacked {
			l.drop(c)
		}
	}
	l.look()
	return l.empty
}

// close ends the lobby and every connection.
func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.all {
		l.drop(c)
	}
	l.look()
}
