package seed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// The bounds of what is done for those who ask.
const (
	askedBurst   = 20 // by UDP, from one network: at once
	askedRate    = 5  // and then a second
	allBurst     = 2000
	allRate      = 500
	maxAskers    = 10_000 // that are told apart
	maxTCP       = 100    // connections
	maxTCPEach   = 4      // from one network
	maxTCPAsked  = 8      // questions on one connection
	tcpTime      = 2 * time.Second
	shutdownTime = 2 * time.Second
	acceptPause  = 100 * time.Millisecond
)

// nameserver answers DNS.
type nameserver struct {
	zone    zone
	now     func() time.Time
	addr    netip.AddrPort
	udp     net.PacketConn
	tcp     *limitedListener
	limits  *limits
	answers atomic.Pointer[answers]

	queries, limited atomic.Uint64
}

// portTries is how often a free port is looked for: one that is free for UDP may be taken for TCP.
const portTries = 20

// listen opens the sockets. Of port 0 both get the same.
func listen(address string, z zone, now func() time.Time) (*nameserver, error) {
	udp, tcp, at, err := listenBoth(address)
	for tries := 1; err != nil && strings.HasSuffix(address, ":0") && tries < portTries; tries++ {
		udp, tcp, at, err = listenBoth(address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w (port 53 needs rights, and may be taken; choose another address with --listen)", err)
	}
	s := &nameserver{zone: z, now: now, addr: at, udp: udp, tcp: &limitedListener{Listener: tcp, from: map[netip.Prefix]int{}}, limits: newLimits()}
	s.answers.Store(&answers{})
	return s, nil
}

// listenBoth opens a port for UDP and TCP, and returns what it is.
func listenBoth(address string) (udp net.PacketConn, tcp net.Listener, at netip.AddrPort, err error) {
	if udp, err = net.ListenPacket("udp", address); err != nil {
		return nil, nil, at, err
	}
	if at, err = netip.ParseAddrPort(udp.LocalAddr().String()); err == nil {
		tcp, err = net.Listen("tcp", at.String())
	}
	if err != nil {
		udp.Close()
	}
	return udp, tcp, at, err
}

// run answers until the context ends.
func (s *nameserver) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers := []*dns.Server{
		{PacketConn: s.udp, Handler: dns.HandlerFunc(s.byUDP)},
		{
			Listener: s.tcp, Handler: dns.HandlerFunc(s.byTCP), MaxTCPQueries: maxTCPAsked,
			ReadTimeout: tcpTime, WriteTimeout: tcpTime, IdleTimeout: func() time.Duration { return tcpTime },
		},
	}
	errs := make([]error, len(servers))
	var work sync.WaitGroup
	for i, server := range servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		work.Go(func() {
			defer cancel()
			errs[i] = server.ActivateAndServe()
		})
		work.Go(func() {
			<-ctx.Done()
			select {
			case <-started: // before which it cannot be shut down
			case <-time.After(shutdownTime):
			}
			bye, end := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
			defer end()
			_ = server.ShutdownContext(bye)
		})
	}
	work.Wait()
	s.udp.Close()
	s.tcp.Close()
	return errors.Join(errs...)
}

// byTCP answers who has shown that its address is its own.
func (s *nameserver) byTCP(w dns.ResponseWriter, q *dns.Msg) {
	s.queries.Add(1)
	if r := s.reply(q); r != nil {
		_ = w.WriteMsg(r)
	}
}

// byUDP answers who may have written another's address on its question. Of those that ask
// too much every second is told to ask by TCP, in no more bytes than it sent, and the
// others get nothing.
func (s *nameserver) byUDP(w dns.ResponseWriter, q *dns.Msg) {
	s.queries.Add(1)
	switch s.limits.take(networkOf(w.RemoteAddr()), s.now()) {
	case full:
		if r := s.reply(q); r != nil {
			_ = w.WriteMsg(r)
		}
		return
	case short:
		if len(q.Question) == 1 {
			r := new(dns.Msg).SetReply(q)
			r.Truncated = true
			_ = w.WriteMsg(r)
		}
	}
	s.limited.Add(1)
}

func (s *nameserver) reply(q *dns.Msg) *dns.Msg {
	return s.zone.answer(q, s.answers.Load(), uint32(s.now().Unix()))
}

// networkOf returns what one asker has as a rule: the network of 24 bits, or of 56.
func networkOf(address net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	bits := 24
	a := at.Addr().Unmap().WithZone("")
	if a.Is6() {
		bits = 56
	}
	network, _ := a.Prefix(bits)
	return network
}

// verdict is what an asker gets.
type verdict int

const (
	nothing verdict = iota
	short           // an answer that says that it is cut short
	full
)

// bucket lets some through at once and then some a second.
type bucket struct {
	room float64
	at   time.Time
}

func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.room = min(b.room+max(now.Sub(b.at).Seconds(), 0)*rate, burst)
	b.at = now
	if b.room < 1 {
		return false
	}
	b.room--
	return true
}

// limits bound the answers by UDP, for each network and for all.
type limits struct {
	mu sync.Mutex
	// Guarded by mu:
	all    bucket
	askers map[netip.Prefix]*bucket
	cut    uint64 // that were not answered in full
}

func newLimits() *limits { return &limits{askers: map[netip.Prefix]*bucket{}} }

// take counts a question.
func (l *limits) take(from netip.Prefix, now time.Time) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.askers[from]
	if b == nil {
		if len(l.askers) >= maxAskers {
			for other := range l.askers { // any: what all get is bounded beside it
				delete(l.askers, other)
				break
			}
		}
		b = &bucket{room: askedBurst, at: now}
		l.askers[from] = b
	}
	if b.take(now, askedRate, askedBurst) && l.all.take(now, allRate, allBurst) {
		return full
	}
	if l.cut++; l.cut%2 == 0 {
		return short
	}
	return nothing
}

// limitedListener hangs up on those who have, or who are, too many connections.
type limitedListener struct {
	net.Listener

	mu sync.Mutex
	// Guarded by mu:
	all  int
	from map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(acceptPause) // the server asks again at once, also without descriptors
			}
			return nil, err
		}
		network := networkOf(conn.RemoteAddr())
		if l.admit(network) {
			return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { l.left(network) })}, nil
		}
		conn.Close()
	}
}

func (l *limitedListener) admit(network netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxTCP || l.from[network] >= maxTCPEach {
		return false
	}
	l.all++
	l.from[network]++
	return true
}

func (l *limitedListener) left(network netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	subtract(l.from, network)
}

// limitedConn tells when it ends.
type limitedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
