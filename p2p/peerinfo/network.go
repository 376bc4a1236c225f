package peerinfo

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// The networks through which a node can be reached, by Bitcoin Core's names.
const (
	IPv4       = "ipv4"
	IPv6       = "ipv6"
	Onion      = "onion" // Tor
	I2P        = "i2p"
	CJDNS      = "cjdns"
	Unroutable = "not_publicly_routable" // this machine, private networks, and names that were not looked up
)

// Networks returns the networks in Bitcoin Core's order, without Unroutable.
func Networks() []string { return []string{IPv4, IPv6, Onion, I2P, CJDNS} }

// NetworkOf names the network of an address, which is HOST or HOST:PORT. As in Bitcoin
// Core, what cannot be reached from elsewhere is of none, and IPv6 addresses that stand
// for one of IPv4 (6to4, Teredo, NAT64) count as IPv4. A CJDNS address looks like a
// private one of IPv6, and counts as that.
func NetworkOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip, err := netip.ParseAddr(host)
	switch lower := strings.ToLower(host); {
	case strings.HasSuffix(lower, ".onion"):
		return Onion
	case strings.HasSuffix(lower, ".i2p"):
		return I2P
	case err != nil || !Routable(ip):
		return Unroutable
	case ip.Unmap().Is4() || within(ip, "2002::/16", "2001::/32", "64:ff9b::/96"):
		return IPv4
	}
	return IPv6
}

// Routable reports whether an address may be that of a node elsewhere: it is not of
// this machine, of a private network, or kept for examples and experiments.
func Routable(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsLoopback(), ip.IsPrivate(), ip.IsLinkLocalUnicast(), ip.IsMulticast():
		return false
	case ip.Is4():
		return !within(ip, "0.0.0.0/8", "100.64.0.0/10", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4")
	}
	return !within(ip, "2001:10::/28", "2001:20::/28", "2001:db8::/32")
}

// within reports whether an address is in one of the prefixes.
func within(ip netip.Addr, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return netip.MustParsePrefix(p).Contains(ip) })
}

// Reach is how a network is reached.
type Reach struct {
	Network   string
	Reachable bool
	Proxy     string // HOST:PORT; empty: without one
	Isolated  bool   // the proxy is told to keep connections apart
}

// External is an address at which others can reach this node.
type External struct {
	At    netip.AddrPort
	Score int // how sure that is, of two the higher one more
}
