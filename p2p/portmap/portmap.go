// Package portmap asks the router of a home network to forward a port to this machine,
// so that peers outside can call: by NAT-PMP (RFC 6886), or by UPnP's Internet Gateway
// Device.
//
//	m := portmap.New(portmap.Options{Port: 9555, Name: "karat"})
//	go m.Run(ctx)            // keeps the port mapped, and gives it back at the end
//	addresses := m.External() // where peers outside can call, while that is so
//
// Anybody on the local network can pretend to be a router. So what a router sends is
// bounded in bytes and time, it can make us call no host but itself, and what it says of
// our address is passed on as its word and no more.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// The times of a mapping.
const (
	lease      = 2 * time.Hour    // for which a router is asked
	renewMost  = 20 * time.Minute // after which it is asked again, since it may have been restarted
	renewLeast = time.Minute
	retryAfter = 5 * time.Minute // when there was no router
	goodbye    = 3 * time.Second // to give the port back
)

// Options are the choices of New. Port is needed.
type Options struct {
	Port   uint16 // at which this node takes connections, of TCP
	Name   string // that the router shows to its owner
	Logger *slog.Logger

	// What tests replace: the routers that may speak NAT-PMP, where UPnP's are looked
	// for, and the clock.
	Gateways func() []netip.Addr
	Search   netip.AddrPort
	After    func(time.Duration) <-chan time.Time
}

// Mapper keeps a port mapped. Its methods may be called concurrently.
type Mapper struct {
	o   Options
	log *slog.Logger

	mu sync.Mutex
	// Guarded by mu:
	external netip.AddrPort // not valid: there is none
}

// New returns a Mapper that does nothing before Run.
func New(o Options) *Mapper {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Gateways == nil {
		o.Gateways = gateways
	}
	if !o.Search.IsValid() {
		o.Search = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 255, 250}), 1900)
	}
	if o.After == nil {
		o.After = time.After
	}
	return &Mapper{o: o, log: o.Logger}
}

// External returns where peers outside can call, as the router says: one address, or
// none.
func (m *Mapper) External() []netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.external.IsValid() {
		return nil
	}
	return []netip.AddrPort{m.external}
}

// router forwards ports.
type router interface {
	// forward forwards a port to ours: the one that is wanted if it is free. The lease
	// is how long that holds.
	forward(ctx context.Context, want uint16) (external netip.AddrPort, lease time.Duration, err error)
	// remove ends that.
	remove(ctx context.Context, port uint16) error
	String() string
}

// state is what Run knows of the mapping.
type state struct {
	by       router // nil: none
	external netip.AddrPort
	told     bool // that there is no router
}

// Run keeps the port mapped until the context ends, and gives it back. It returns nil:
// a node does without a router too.
func (m *Mapper) Run(ctx context.Context) error {
	var s state
	for ctx.Err() == nil {
		wait := m.renew(ctx, &s)
		m.set(s.external)
		select {
		case <-m.o.After(wait):
		case <-ctx.Done():
		}
	}
	m.set(netip.AddrPort{})
	if s.by != nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if err := s.by.remove(bye, s.external.Port()); err != nil {
			m.log.Warn("a port could not be given back to the router", "router", s.by, "err", shorten(err))
		}
	}
	return nil
}

// renew maps the port, or does so again, and returns how long to wait before the next
// time. The same failure is told once.
func (m *Mapper) renew(ctx context.Context, s *state) (wait time.Duration) {
	by, external, held, err := m.forward(ctx, *s)
	switch {
	case ctx.Err() != nil:
		// At the end the mapping that there is must be known, to be removed.
		if err == nil {
			s.by, s.external = by, external
		}
		return 0
	case err != nil:
		if s.by != nil || !s.told {
			m.log.Warn("no router forwards a port to this node", "err", shorten(err), "again_in", retryAfter)
		}
		*s = state{told: true}
		return retryAfter
	}
	if external != s.external {
		m.log.Info("a router forwards a port to this node", "router", by, "external", external, "reachable", public(external.Addr()))
	}
	*s = state{by: by, external: external}
	return min(max(held/2, renewLeast), renewMost)
}

// forward asks one router after the other for a port, until one forwards it: at first
// for that which it forwarded before.
func (m *Mapper) forward(ctx context.Context, s state) (by router, external netip.AddrPort, held time.Duration, err error) {
	port := m.o.Port
	if s.external.IsValid() {
		port = s.external.Port()
	}
	none := errors.New("none answers")
	for r := range m.routers(ctx, s.by) {
		if external, held, err = r.forward(ctx, port); err == nil {
			return r, external, held, nil
		}
		if none = err; ctx.Err() != nil {
			break
		}
	}
	return nil, netip.AddrPort{}, 0, none
}

// routers yields the router that forwarded the port before, and then whatever may be
// one, those first that cost least to ask.
func (m *Mapper) routers(ctx context.Context, before router) iter.Seq[router] {
	return func(yield func(router) bool) {
		if before != nil && !yield(before) {
			return
		}
		list := m.o.Gateways()
		for _, gateway := range list[:min(len(list), maxGateways)] {
			if !yield(&natPMP{gateway: gateway, port: m.o.Port}) {
				return
			}
		}
		for r := range m.search(ctx) {
			if !yield(r) {
				return
			}
		}
	}
}

// set notes the external address. One that nobody outside can call, since the router
// itself is behind another, is of no use to peers.
func (m *Mapper) set(external netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.external = netip.AddrPort{}
	if external.IsValid() && public(external.Addr()) {
		m.external = external
	}
}

// public reports whether an address may be one of the internet. Providers put many
// customers behind 100.64.0.0/10 (RFC 6598).
func public(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// shorten returns the beginning of an error. The rest may be whatever a router sent.
func shorten(err error) string { return fmt.Sprintf("%.200s", err.Error()) }
