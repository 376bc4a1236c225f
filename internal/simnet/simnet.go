// Package simnet is a network of hosts within a process. It has what a real one has and
// package pipenet leaves out: lines are long and narrow, packets get lost, and a partition
// cuts nothing off at once. Tests have it on a clock that moves only when all wait
// (testing/synctest). Package lab opens and closes its lines.
//
//	network := simnet.New(simnet.Options{Seed: 1, Latency: latency, Loss: 0.01, Up: 1 << 20})
//	listener := network.Listen(netip.MustParseAddrPort("10.0.0.1:1"))
//	conn, err := network.Dial(ctx, netip.MustParseAddr("10.1.0.1"), "10.0.0.1:1")
//	network.Separate(func(a, b netip.Addr) bool { return a == lonely || b == lonely })
//
// A connection is a stream, as TCP's: what is written arrives whole and in order. A lost
// packet therefore shows only as a delay, of all that comes after it. What is left out
// is TCP's slow start, and that a line is as narrow for what comes as for what goes.
//
// What happens is a function of the seed and of what the hosts do: each direction of a
// connection draws its own losses.
package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options say what the network is like.
type Options struct {
	Seed    uint64
	Latency func(from, to netip.Addr) time.Duration // one way
	Loss    float64                                 // share of packets that have to be sent again
	Up      int                                     // bytes a second that a host can send; 0: any number
}

// The bounds of listeners and connections, which are about those of an operating system.
const (
	backlog = 128
	window  = 256 << 10 // bytes under way, after which whoever writes waits
)

// Network joins hosts, each of which has one address.
type Network struct {
	o Options

	mu sync.Mutex
	// Guarded by mu:
	hosts     map[netip.Addr]*host
	listeners map[netip.AddrPort]*listener
	nextPort  uint16
	conns     uint64
	separate  func(a, b netip.Addr) bool
	changed   chan struct{} // is closed when separate changes
}

// host is a line to the network.
type host struct {
	sent atomic.Uint64 // bytes

	mu sync.Mutex
	// Guarded by mu:
	free time.Time // from which on it can send more
}

// New returns a network with nobody in it.
func New(o Options) *Network {
	if o.Latency == nil {
		o.Latency = func(_, _ netip.Addr) time.Duration { return 0 }
	}
	return &Network{
		o: o, hosts: map[netip.Addr]*host{}, listeners: map[netip.AddrPort]*listener{}, nextPort: 1 << 15, changed: make(chan struct{}),
	}
}

// Separate lets nothing pass between hosts for which the function, which is symmetric,
// returns true. What is under way waits, as it does when TCP sends it again and again:
// it arrives when the hosts are joined again, if the connection was not given up. Nil
// joins all hosts.
func (n *Network) Separate(separate func(a, b netip.Addr) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.separate = separate
	close(n.changed)
	n.changed = make(chan struct{})
}

// Sent returns how many bytes a host has sent since the beginning. It counts what was
// written to connections, without the headers of TCP and IP.
func (n *Network) Sent(at netip.Addr) uint64 { return n.host(at).sent.Load() }

func (n *Network) host(at netip.Addr) *host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[at]
	if h == nil {
		h = &host{}
		n.hosts[at] = h
	}
	return h
}

// blocked reports whether nothing passes between two hosts now. The channel is closed
// when that may have changed.
func (n *Network) blocked(a, b netip.Addr) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.separate != nil && n.separate(a, b), n.changed
}

// Listen returns a listener at an address, until it is closed.
func (n *Network) Listen(at netip.AddrPort) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{network: n, at: at, calls: make(chan net.Conn, backlog), closed: make(chan struct{})}
	n.listeners[at] = l
	return l
}

// Dial connects a host to whoever listens at an address, IP:PORT. It takes the way there
// and back. Between hosts that are separated it takes until the context ends.
func (n *Network) Dial(ctx context.Context, from netip.Addr, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	for {
		blocked, changed := n.blocked(from, to.Addr())
		var arrives <-chan time.Time
		if !blocked {
			timer := time.NewTimer(n.o.Latency(from, to.Addr()) + n.o.Latency(to.Addr(), from))
			defer timer.Stop()
			arrives = timer.C
		}
		select {
		case <-arrives:
			return n.connect(from, to)
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: %w", address, ctx.Err())
		}
	}
}

// connect makes a connection whose ends know each other already.
func (n *Network) connect(from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[to]
	n.nextPort = max(n.nextPort+1, 1<<15)
	n.conns++
	number, port := n.conns, n.nextPort
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", to, syscall.ECONNREFUSED)
	}
	ours, theirs := n.pair(netip.AddrPortFrom(from, port), to, number)
	select {
	case l.calls <- theirs:
		return ours, nil
	default: // closed, or too many wait
		return nil, fmt.Errorf("dial %s: %w", to, syscall.ECONNREFUSED)
	}
}

// listener hands over the other ends of connections.
type listener struct {
	network *Network
	at      netip.AddrPort
	calls   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Calls that were not taken are hung up.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		if l.network.listeners[l.at] == l {
			delete(l.network.listeners, l.at)
		}
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.calls:
				c.Close()
				continue
			default:
			}
			break
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// errReset is for who writes to a connection that the other side has closed.
var errReset = errors.New("the other side has closed the connection")
