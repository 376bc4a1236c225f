package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are what visitors may cost. Those of an address are of an IPv4 address or of an
// IPv6 network of 64 bits: who has one of these has all of it.
type Limits struct {
	Connections           int // of all
	ConnectionsPerAddress int // a class behind one router has one address
	Streams               int // of live events, of all
	StreamsPerAddress     int
	Requests              float64 // of an address in a second, on average; ten times as many at once
	Bytes                 float64 // that an address is sent in a second, on average; thirty seconds of it at once
	TotalBytes            float64 // the same, of all
	Work                  float64 // seconds that pages of an address take to make, in a second; ten seconds of it at once
	Sending               int     // bytes of large answers, and of what is sent here, that are on their way, of all; one may always be
	SendingPerAddress     int     // the same: who reads slowly holds what it was sent
}

// DefaultLimits suit a small machine that is open to the internet.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096, ConnectionsPerAddress: 256, Streams: 2048, StreamsPerAddress: 128,
		Requests: 40, Bytes: 2 << 20, TotalBytes: 32 << 20, Work: 0.5,
		Sending: 256 << 20, SendingPerAddress: 16 << 20,
	}
}

// guard counts what visitors cost. This machine's own visitors count among all, and as an
// address of their own have no limit, unless they are a proxy's.
type guard struct {
	limits    Limits
	forwarded bool
	total     *rate.Limiter // bytes
	handlers  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu. Accounts that were not used for a while are forgotten: recent becomes
	// older when it is full, and what nobody asks for in older goes.
	recent, older  map[netip.Prefix]*account
	conns, streams int
	sending        int // bytes
}

// account is what one address costs.
type account struct {
	requests, bytes, work *rate.Limiter // work in microseconds
	conns, streams        int           // guarded by the guard's mu
	sending               int           // bytes, guarded by the guard's mu
	turn                  chan struct{} // held while a page is made for the address: the others of it wait
}

// maxAccounts is how many addresses each of the two maps has.
const maxAccounts = 8192

func newGuard(l Limits, forwarded bool) *guard {
	return &guard{
		limits: l, forwarded: forwarded, total: rate.NewLimiter(rate.Limit(l.TotalBytes), int(30*l.TotalBytes)),
		recent: map[netip.Prefix]*account{}, older: map[netip.Prefix]*account{},
	}
}

// account returns an address's account. Who calls holds mu.
func (g *guard) account(at netip.Prefix) *account {
	if a := g.recent[at]; a != nil {
		return a
	}
	a := g.older[at]
	if a == nil {
		l := g.limits
		a = &account{
			requests: rate.NewLimiter(rate.Limit(l.Requests), int(10*l.Requests)),
			bytes:    rate.NewLimiter(rate.Limit(l.Bytes), int(30*l.Bytes)),
			work:     rate.NewLimiter(rate.Limit(l.Work*1e6), int(10*l.Work*1e6)),
			turn:     make(chan struct{}, 1),
		}
	}
	if len(g.recent) >= maxAccounts {
		g.older, g.recent = g.recent, map[netip.Prefix]*account{}
		for key, busy := range g.older {
			if busy.conns > 0 || busy.streams > 0 || busy.sending > 0 { // they are given back by name
				g.recent[key] = busy
			}
		}
	}
	g.recent[at] = a
	return a
}

// addressOf is what an address is counted by.
func addressOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

// visitor is who asks.
type visitor struct {
	at    netip.Prefix
	local bool // on this machine, and not by a proxy
}

// visitorOf tells who makes a request.
func (g *guard) visitorOf(r *http.Request) visitor {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return visitor{}
	}
	ip := from.Addr()
	if g.forwarded {
		// The last one is what the proxy itself has seen.
		list := r.Header.Values("X-Forwarded-For")
		if len(list) > 0 {
			last := list[len(list)-1]
			if told, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])); err == nil {
				return visitor{at: addressOf(told)}
			}
		}
		return visitor{at: addressOf(ip)}
	}
	// A proxy of this machine that names its visitors has strangers behind it, even if nobody
	// said so: they have the limits of one address together.
	return visitor{at: addressOf(ip), local: ip.IsLoopback() && !byProxy(r)}
}

// byProxy reports whether a proxy says that it has passed a request on.
func byProxy(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// admit counts a request, and reports whether it may be answered. What was sent before is paid
// before the next one.
func (g *guard) admit(v visitor) bool {
	if g.total.Tokens() < 0 {
		return false
	}
	if v.local {
		return true
	}
	g.mu.Lock()
	a := g.account(v.at)
	g.mu.Unlock()
	return a.requests.Allow() && a.bytes.Tokens() >= 0 && a.work.Tokens() >= 0
}

// charge counts what an answer has cost.
func (g *guard) charge(v visitor, bytes int, work time.Duration) {
	now := time.Now()
	owe(g.total, now, bytes)
	if v.local {
		return
	}
	g.mu.Lock()
	a := g.account(v.at)
	g.mu.Unlock()
	owe(a.bytes, now, bytes)
	owe(a.work, now, int(work.Microseconds()))
}

// owe takes tokens that may not be there yet. At most a burst of them is owed at once.
func owe(l *rate.Limiter, now time.Time, n int) {
	if n > 0 {
		l.ReserveN(now, min(n, l.Burst()))
	}
}

// turn waits until no other page is made for the address: however many it asks for at once,
// they take one place, and what they have cost counts before the next.
func (g *guard) turn(ctx context.Context, v visitor) (end func(), err error) {
	if v.local {
		return func() {}, nil
	}
	g.mu.Lock()
	a := g.account(v.at)
	g.mu.Unlock()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if a.work.Tokens() < 0 {
		<-a.turn
		return nil, &failure{status: http.StatusTooManyRequests, title: "Too much was asked", text: "Too much was asked from your address. Try again in some seconds."}
	}
	return func() { <-a.turn }, nil
}

// smallAnswer is how many bytes an answer has at most that is sent however many are on their
// way: the number of connections bounds those.
const smallAnswer = 64 << 10

// send counts an answer while it is on its way. Slow readers hold its bytes for as long.
func (g *guard) send(v visitor, bytes int) (end func(), ok bool) {
	if bytes <= smallAnswer {
		return func() {}, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(v.at)
	if g.sending > 0 && g.sending+bytes > g.limits.Sending || !v.local && a.sending > 0 && a.sending+bytes > g.limits.SendingPerAddress {
		return nil, false
	}
	g.sending += bytes
	a.sending += bytes
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sending -= bytes
		a.sending -= bytes
	}, true
}

// stream counts a stream of events while it goes on.
func (g *guard) stream(v visitor) (end func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(v.at)
	if g.streams >= g.limits.Streams || !v.local && a.streams >= g.limits.StreamsPerAddress {
		return nil, false
	}
	g.streams++
	a.streams++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.streams--
		a.streams--
	}, true
}

// listener lets no more connections in than may be. Those beyond are closed at once: a
// visitor who waits for nothing would be worse off.
func (g *guard) listener(l net.Listener) net.Listener { return &guardedListener{l, g} }

type guardedListener struct {
	net.Listener
	g *guard
}

// Accept implements net.Listener.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if end, ok := l.g.connection(c.RemoteAddr()); ok {
			return &guardedConn{Conn: c, end: sync.OnceFunc(end)}, nil
		}
		c.Close()
	}
}

func (g *guard) connection(from net.Addr) (end func(), ok bool) {
	at, _ := netip.ParseAddrPort(from.String()) // what has no such address counts as one
	// A proxy has all connections; what its visitors may is counted by request.
	free := at.Addr().IsLoopback() || g.forwarded
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(addressOf(at.Addr()))
	if g.conns >= g.limits.Connections || !free && a.conns >= g.limits.ConnectionsPerAddress {
		return nil, false
	}
	g.conns++
	a.conns++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.conns--
		a.conns--
	}, true
}

type guardedConn struct {
	net.Conn
	end func()
}

// Close implements net.Conn.
func (c *guardedConn) Close() error {
	c.end()
	return c.Conn.Close()
}

// wait waits until no handler runs: the node closes what they use after that.
func (g *guard) wait() { g.handlers.Wait() }
