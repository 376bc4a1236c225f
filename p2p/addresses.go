package p2p

import (
	"errors"
	"net/netip"

	"github.com/karatcoin/karat/p2p/addrbook"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// KnownAddresses returns where other nodes were seen, at most so many, in a random
// order. The id of one that has not answered is hearsay, or zero.
func (m *Manager) KnownAddresses(most int) []peerinfo.Address {
	known := m.discovery.book.All()
	return known[:max(min(len(known), most), 0)]
}

// BookPlaces returns what is at each place of the two tables of known addresses.
func (m *Manager) BookPlaces() []peerinfo.BookPlace { return m.discovery.book.Places() }

// BookCounts returns how many addresses of each network are known, by
// peerinfo.NetworkOf.
func (m *Manager) BookCounts() map[string]peerinfo.BookCount { return m.discovery.book.Counts() }

// AddAddress takes an address into the book, as if it told itself; if tried, as if the
// node had answered there. Its id may be zero if it is not tried. The error is that the
// book has no place for it, or has it.
func (m *Manager) AddAddress(a peerinfo.Address, tried bool) error {
	book := m.discovery.book
	a.LastSeen = m.o.Now()
	if !tried {
		if book.Add([]peerinfo.Address{a}, addrbook.SourceAt(a.At.Addr())) == 0 {
			return errors.New("the book of addresses has it already, or no place for it")
		}
		return nil
	}
	if a.ID.IsZero() {
		return errors.New("a place that answered has a node id")
	}
	book.Good(a.At, a.ID)
	if !book.Answered(netip.AddrPortFrom(a.At.Addr().Unmap(), a.At.Port()), a.ID) {
		return errors.New("the book of addresses has no place for it")
	}
	return nil
}
