package addrbook

import (
	"net"
	"net/netip"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// Group is what costs an attacker something: a range of addresses that one owner has as
// a rule. It is opaque, and can be compared.
type Group string

var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // of providers (RFC 6598)
	linkLocal4  = netip.MustParsePrefix("169.254.0.0/16")
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	reserved    = netip.MustParsePrefix("240.0.0.0/4")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	teredo      = netip.MustParsePrefix("2001::/32")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
)

// Local reports whether an address means something only on this machine or in its own
// network: two nodes on the internet mean two different things by it.
func Local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || sharedSpace.Contains(a) || linkLocal4.Contains(a)
}

// usable reports whether an address can be dialled at all. An IPv6 address that only
// holds on one link would need the name of that link.
func usable(at netip.AddrPort) bool {
	a := at.Addr()
	return at.Port() != 0 && a.IsValid() && a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() &&
		!thisNetwork.Contains(a) && !reserved.Contains(a) && !(a.Is6() && a.IsLinkLocalUnicast())
}

// GroupOf returns the group of a place: of IPv4 the network of 16 bits, of IPv6 that of
// 32, and of an IPv6 address that stands for an IPv4 one the group of that. A local
// place is a group of its own, port included: many nodes of a laboratory live at one
// address, and there is nobody to sell others.
func GroupOf(at netip.AddrPort) Group {
	a := at.Addr().Unmap()
	if Local(a) {
		return Group("local " + netip.AddrPortFrom(a, at.Port()).String())
	}
	return publicGroup(a)
}

func publicGroup(a netip.Addr) Group {
	if a.Is6() {
		b := a.As16()
		switch {
		case sixToFour.Contains(a):
			a = netip.AddrFrom4([4]byte(b[2:6]))
		case nat64.Contains(a):
			a = netip.AddrFrom4([4]byte(b[12:16]))
		case teredo.Contains(a): // the client's address, with its bits turned over
			a = netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		}
	}
	bits := 32
	if a.Is4() {
		bits = 16
	}
	prefix, err := a.Prefix(bits)
	if err != nil { // of an address that is none
		return ""
	}
	return Group(prefix.String())
}

// GroupOfHost is GroupOf for HOST:PORT. A name is a group of its own: nothing is known
// of where it leads.
func GroupOfHost(hostPort string) Group {
	if at, err := netip.ParseAddrPort(hostPort); err == nil {
		return GroupOf(at)
	}
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	return Group("name " + host)
}

// Source is who told an address.
type Source struct {
	// Host is the IP address of who told it, or a name: of a DNS seed, or of a peer that
	// is dialled by name.
	Host string
	// Local is that it is of our own network, and may tell of addresses there. From a
	// stranger on the internet they would lead to our own machines.
	Local bool
}

// SourceAt is the source at an IP address.
func SourceAt(a netip.Addr) Source {
	a = a.Unmap()
	return Source{Host: a.String(), Local: Local(a)}
}

// group is the group of a source. All ports of a local address are one source.
func (s Source) group() Group {
	a, err := netip.ParseAddr(s.Host)
	switch {
	case err != nil:
		return Group("name " + s.Host)
	case Local(a):
		return Group("local " + a.Unmap().String())
	}
	return publicGroup(a.Unmap())
}

// address is the source's IP address, if it is one.
func (s Source) address() netip.Addr {
	a, err := netip.ParseAddr(s.Host)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// Candidate is a place to call.
type Candidate struct {
	At netip.AddrPort
	// ID is the node that must answer, because it did before. Zero: whoever does. What
	// was only told of an id is not in it: with a wrong one anybody could keep us from
	// a node that is there.
	ID    peerinfo.NodeID
	Tried bool // it is in the tried table
}

// Group is the candidate's group.
func (c Candidate) Group() Group { return GroupOf(c.At) }
