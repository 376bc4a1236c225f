package peerinfo

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Selector names peers: one by its id, or all whose addresses are in a subnet. One of
// both is set. Selectors can be compared.
type Selector struct {
	ID     NodeID
	Subnet netip.Prefix // masked, and of IPv4 where it can be
}

// ParseSelector reads a node id, an address, or a subnet: 192.0.2.0/24,
// 192.0.2.0/255.255.255.0 or 2001:db8::/32.
func ParseSelector(s string) (Selector, error) {
	id, err := ParseNodeID(s)
	if err == nil && !id.IsZero() { // which stands for an id that is not known
		return Selector{ID: id}, nil
	}
	wrong := fmt.Errorf("%.100q names no peers: want a node id, an address or a subnet", s)
	host, mask, isSubnet := strings.Cut(s, "/")
	address, err := netip.ParseAddr(host)
	if err != nil || address.Zone() != "" {
		return Selector{}, wrong
	}
	bits := address.BitLen()
	if isSubnet {
		prefix, err := netip.ParsePrefix(s)
		if bits = prefix.Bits(); err != nil {
			if bits, err = maskBits(address, mask); err != nil {
				return Selector{}, wrong
			}
		}
	}
	if address.Is4In6() {
		if bits < 96 {
			return Selector{}, wrong
		}
		address, bits = address.Unmap(), bits-96
	}
	subnet, err := address.Prefix(bits)
	if err != nil {
		return Selector{}, wrong
	}
	return Selector{Subnet: subnet}, nil
}

// maskBits reads a mask such as 255.255.255.0.
func maskBits(address netip.Addr, text string) (int, error) {
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() || !address.Is4() {
		return 0, errors.New("no mask")
	}
	for bits := range 33 {
		if all, _ := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits); all.Addr() == mask {
			return bits, nil
		}
	}
	return 0, errors.New("a mask with holes")
}

// String returns the id, or the subnet with its bits, as Bitcoin Core writes it.
func (s Selector) String() string {
	if s.Subnet.IsValid() {
		return s.Subnet.String()
	}
	return s.ID.String()
}

// Names reports whether a peer is meant. The address is invalid if it is not known.
func (s Selector) Names(id NodeID, address netip.Addr) bool {
	if s.Subnet.IsValid() {
		return address.IsValid() && s.Subnet.Contains(address.Unmap())
	}
	return s.ID == id
}

// Ban keeps those whom it names from being peers.
type Ban struct {
	Who       Selector
	Since     time.Time
	Until     time.Time
	Automatic bool // because of what they sent, and not by the operator
}

// ErrBanned and ErrNotBanned say that a ban is there already, or is not.
var (
	ErrBanned    = errors.New("it is banned already")
	ErrNotBanned = errors.New("it is not banned")
)
