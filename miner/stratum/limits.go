package stratum

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// The limits of what one address may do.
const (
	banAfter = 3 // connections that had to be hung up on for what they sent
	banFor   = 10 * time.Minute

	maxOffenders = 10_000 // addresses that are remembered
	maxCalls     = 600    // connections a minute from one address that is not of a private network
)

// place is where a connection comes from: an address, or the network of 64 bits of which
// a stranger may have all addresses (IPv6).
type place struct {
	name  string
	local bool // this machine, or a network of the operator's own
}

func placeOf(remote net.Addr) place {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil { // no address of the internet, such as one of a test's network
		host, _, _ := net.SplitHostPort(remote.String())
		return place{name: host}
	}
	ip := at.Addr().Unmap().WithZone("")
	p := place{name: ip.String(), local: ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()}
	if ip.Is6() && !p.local {
		prefix, _ := ip.Prefix(64)
		p.name = prefix.String()
	}
	return p
}

// limits counts connections and remembers offences.
type limits struct {
	most, perPlace int

	mu sync.Mutex
	// Guarded by mu:
	total     int
	connected map[string]int
	offenders map[string]*offender // by the name of the place
	calls     map[string]int       // of this minute, by the name of the place
	minute    time.Time            // when it began
}

type offender struct {
	offences int
	until    time.Time // when they are forgotten, or the ban ends
	banned   bool
}

// enter takes a place for a connection, and reports whether it may have one. makeRoom is
// called if all are taken, and reports whether somebody gives way.
func (l *limits) enter(p place, now time.Time, makeRoom func() bool) bool {
	if !l.admits(p, now) || l.full() && !makeRoom() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.connected[p.name]++
	return true
}

// admits reports whether an address is not kept out and has not its share of places.
func (l *limits) admits(p place, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.offenders[p.name]
	switch {
	case o != nil && o.banned && now.Before(o.until):
		return false
	case p.local:
		return true
	case l.calls == nil || now.Sub(l.minute) > time.Minute || len(l.calls) >= maxOffenders:
		l.calls, l.minute = map[string]int{}, now
	}
	l.calls[p.name]++
	return l.calls[p.name] <= maxCalls && l.connected[p.name] < l.perPlace
}

func (l *limits) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total >= l.most
}

// leave gives the place back.
func (l *limits) leave(p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.connected[p.name]--; l.connected[p.name] == 0 {
		delete(l.connected, p.name)
	}
}

// offend counts a connection that was hung up on for what it sent, and reports whether
// its address is kept out from now on. One of the operator's own never is: all who come
// through a proxy, a router or a container's gateway have the same.
func (l *limits) offend(p place, now time.Time) bool {
	if p.local {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.offenders[p.name]
	if o == nil || !now.Before(o.until) {
		if o == nil && len(l.offenders) >= maxOffenders {
			clear(l.offenders) // a ban is for a while, and memory is for ever
		}
		o = &offender{}
		l.offenders[p.name] = o
	}
	o.offences++
	o.until = now.Add(banFor)
	o.banned = o.offences >= banAfter
	return o.banned
}

// expire forgets offences and bans that are over.
func (l *limits) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, o := range l.offenders {
		if !now.Before(o.until) {
			delete(l.offenders, name)
		}
	}
}

// counts returns the connections and the addresses that are kept out.
func (l *limits) counts(now time.Time) (connections, banned int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.offenders {
		if o.banned && now.Before(o.until) {
			banned++
		}
	}
	return l.total, banned
}
