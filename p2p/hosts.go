package p2p

import (
	"net"
	"net/netip"

	"github.com/karatcoin/karat/p2p/addrbook"
)

// ipOf returns the address of HOST:PORT, which is invalid if the host is a name.
func ipOf(address string) netip.Addr {
	at, _ := netip.ParseAddrPort(address)
	return at.Addr().Unmap().WithZone("")
}

// host is the part of an address that costs something: of an IPv6 address the
// network that one customer has.
func host(address string) string {
	ip := ipOf(address)
	if !ip.IsValid() {
		name, _, _ := net.SplitHostPort(address)
		return name
	}
	if ip.Is6() {
		network, _ := ip.Prefix(64)
		return network.String()
	}
	return ip.String()
}

// isLocal reports whether a caller is of this machine or of our own network, where one
// address may stand for many nodes, or for a proxy.
func isLocal(address string) bool {
	ip := ipOf(address)
	return ip.IsValid() && addrbook.Local(ip)
}

// netgroup is the network of a caller, of which many addresses cost little: of IPv4 that
// of 16 bits, of IPv6 that of 32. On our own network it is the address.
func netgroup(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil || isLocal(address) {
		return host(address)
	}
	return string(addrbook.GroupOf(at))
}
