// Package pipenet is a network within a test. Listeners and connections are pipes,
// which go by the clock of a testing/synctest bubble: there, a socket of the system
// would stop that clock. Only tests import it.
//
//	network := pipenet.New()
//	listener := network.Listen("alice:1")
//	conn, err := network.Dial("bob", "alice:1")
//	network.Separate(func(from, to string) bool { return from == "bob" || to == "bob" })
//
// A pipe has no buffer: whoever writes waits until the other side reads. So a test
// finds out at once who relies on a buffer.
package pipenet

import (
	"fmt"
	"net"
	"sync"
)

// Network joins those who listen and those who dial. An address is HOST:PORT, with
// any text as the host.
type Network struct {
	mu sync.Mutex
	// Guarded by mu:
	listeners map[string]*listener
	conns     map[*conn]struct{}
	separate  func(from, to string) bool
}

// New returns a network with nobody in it.
func New() *Network {
	return &Network{listeners: map[string]*listener{}, conns: map[*conn]struct{}{}}
}

// Separate cuts the connections between hosts for which the function returns true,
// and refuses new ones from now on. Nil joins all hosts again.
func (n *Network) Separate(separate func(from, to string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.separate = separate
	if separate == nil {
		return
	}
	for c := range n.conns {
		if separate(c.from, c.to) {
			c.Conn.Close()
		}
	}
}

// Listen returns a listener for those who dial the address, until it is closed.
func (n *Network) Listen(address string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{network: n, address: address, calls: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l
}

// Dial connects a host to whoever listens at an address. It waits until that one
// accepts.
func (n *Network) Dial(from, address string) (net.Conn, error) {
	to, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[address]
	reachable := l != nil && (n.separate == nil || !n.separate(from, to))
	n.mu.Unlock()
	if !reachable {
		return nil, fmt.Errorf("%s cannot be reached", address)
	}
	near, far := net.Pipe()
	ours := &conn{Conn: near, network: n, from: from, to: to, remote: addr(address)}
	theirs := &conn{Conn: far, network: n, from: to, to: from, remote: addr(from + ":2")}
	n.mu.Lock()
	n.conns[ours], n.conns[theirs] = struct{}{}, struct{}{}
	n.mu.Unlock()
	select {
	case l.calls <- theirs:
		return ours, nil
	case <-l.closed:
		ours.Close()
		theirs.Close()
		return nil, fmt.Errorf("%s does not listen", address)
	}
}

// listener hands over the other ends of pipes.
type listener struct {
	network *Network
	address string
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

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		if l.network.listeners[l.address] == l {
			delete(l.network.listeners, l.address)
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return addr(l.address) }

// conn is an end of a pipe.
type conn struct {
	net.Conn
	network  *Network
	from, to string // hosts
	remote   addr
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

type addr string

// Network implements net.Addr.
func (addr) Network() string { return "pipe" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }
