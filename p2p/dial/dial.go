// Package dial calls peers: from this machine, or through a SOCKS5 proxy (RFC 1928),
// which hides who calls.
//
//	d := dial.New(dial.Options{Proxy: "127.0.0.1:9050", Isolate: true})
//	conn, err := d.Dial(ctx, "node.example:9555") // Tor looks the name up
//	_, err = d.Resolve(ctx, "seed.example")       // ErrByName: this machine would be seen to ask
//
// With a proxy nothing leaves this machine but connections to it. So no name is looked
// up here, and addresses on the machine itself are called through the proxy too. Tor's
// onion addresses have no other way in the first place.
//
// A Dialer has no state, and may be used by many goroutines.
package dial

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/proxy"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// ErrByName is returned by Resolve for names that only a proxy may look up.
var ErrByName = errors.New("the name is looked up by the proxy")

// Options are the choices of New. The zero Options calls from this machine.
type Options struct {
	Proxy string // HOST:PORT of the proxy for all addresses; empty: none
	Onion string // HOST:PORT of the proxy for onion addresses; empty: Proxy
	// Isolate names another user to the proxy for every connection, so that Tor sends
	// each on a way of its own, and no two can be seen to come from one node.
	Isolate bool
	// Direct connects this machine to HOST:PORT; nil: by TCP.
	Direct func(ctx context.Context, address string) (net.Conn, error)
	// Lookup returns the addresses of a name; nil: the machine's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Dialer calls peers.
type Dialer struct{ o Options }

// New returns a Dialer.
func New(o Options) *Dialer {
	if o.Direct == nil {
		var d net.Dialer
		o.Direct = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Onion == "" {
		o.Onion = o.Proxy
	}
	return &Dialer{o}
}

// ByName reports whether a host's name is looked up at the other end of a proxy, and
// never here.
func (d *Dialer) ByName(host string) bool { return d.o.Proxy != "" || isOnion(host) }

// Reach tells of each network how it is reached. There is no way to I2P and CJDNS.
func (d *Dialer) Reach() []peerinfo.Reach {
	var list []peerinfo.Reach
	for _, network := range peerinfo.Networks() {
		r := peerinfo.Reach{Network: network}
		switch network {
		case peerinfo.IPv4, peerinfo.IPv6:
			r.Reachable, r.Proxy = true, d.o.Proxy
		case peerinfo.Onion:
			r.Reachable, r.Proxy = d.o.Onion != "", d.o.Onion
		}
		r.Isolated = r.Proxy != "" && d.o.Isolate
		list = append(list, r)
	}
	return list
}

// Check says why nobody can be called at HOST:PORT, whoever listens there. The error is
// one line for the operator, with the flag that would help.
func (d *Dialer) Check(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !isOnion(host) {
		return err
	}
	if err := checkOnion(host); err != nil {
		return err
	}
	if d.o.Onion == "" {
		return fmt.Errorf("%.80s is a Tor address: --onion 127.0.0.1:9050 reaches it where Tor runs, and --proxy sends all else through Tor as well", host)
	}
	return nil
}

// Dial connects to HOST:PORT, until the context ends. The error may be one of Check's.
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	if err := d.Check(address); err != nil {
		return nil, err
	}
	via := d.o.Proxy
	if host, _, err := net.SplitHostPort(address); err == nil && isOnion(host) {
		via = d.o.Onion
	}
	if via == "" {
		return d.o.Direct(ctx, address)
	}
	var user *proxy.Auth
	if d.o.Isolate {
		user = &proxy.Auth{User: rand.Text(), Password: rand.Text()}
	}
	socks, err := proxy.SOCKS5("tcp", via, user, direct(d.o.Direct))
	if err != nil {
		return nil, err
	}
	conn, err := socks.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("by the proxy: %w", err)
	}
	return conn, nil
}

// Resolve returns the addresses of a name, or ErrByName.
func (d *Dialer) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.ByName(host) {
		return nil, ErrByName
	}
	return d.o.Lookup(ctx, host)
}

// direct is Options.Direct, as package proxy wants it.
type direct func(ctx context.Context, address string) (net.Conn, error)

// DialContext implements proxy.ContextDialer.
func (d direct) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return d(ctx, address)
}

// Dial implements proxy.Dialer, and is not called.
func (d direct) Dial(_, address string) (net.Conn, error) { return d(context.Background(), address) }
