package addrbook

import (
	"net/netip"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestCallers: ten thousand callers from one group have four places, take none from
// others, and one of them is called a minute.
func TestCallers(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	callers := NewCallers(c.now, [32]byte{1})
	for n := range 50 {
		callers.Add(c.told(place(n, 1), uint32(n)), SourceAt(place(n, 1).Addr()))
	}
	for n := range 10_000 {
		at := netip.AddrPortFrom(netip.MustParseAddr("66.6.6.6"), uint16(n+1))
		callers.Add(c.told(at, uint32(n)), SourceAt(at.Addr()))
	}
	honest, hostile := 0, 0
	for {
		a, ok := callers.Next()
		if !ok {
			break
		}
		if GroupOf(a.At) == GroupOf(netip.MustParseAddrPort("66.6.6.6:1")) {
			hostile++
		} else {
			honest++
		}
	}
	if honest != 50 || hostile != 1 {
		t.Errorf("%d honest and %d hostile callers are called at once, want 50 and 1", honest, hostile)
	}
	c.pass(time.Minute)
	for range maxPerGroup - 1 {
		if _, ok := callers.Next(); !ok {
			t.Error("the others of a group are never called")
		}
		c.pass(time.Minute)
	}
	if _, ok := callers.Next(); ok {
		t.Error("more than its share of a group waits")
	}
}

// TestCallersBounded: the list is bounded whatever the addresses are.
func TestCallersBounded(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	callers := NewCallers(c.now, [32]byte{1})
	for n := range 3000 {
		callers.Add(c.told(place(n, 1), 1), SourceAt(place(n, 1).Addr()))
		if n%2 == 0 {
			callers.Next()
		}
		sum := 0
		for _, group := range callers.groups {
			sum += len(callers.waiting[group])
		}
		if sum != callers.size || sum > maxCallers || len(callers.groups) != len(callers.waiting) || len(callers.last) > maxGroupsKnown {
			t.Fatalf("%d wait, %d counted, %d groups of %d", sum, callers.size, len(callers.waiting), len(callers.groups))
		}
	}
	for _, refused := range []string{"127.0.0.1:1", "10.0.0.1:1", "1.2.3.4:0"} {
		before := callers.size
		callers.Add(c.told(netip.MustParseAddrPort(refused), 1), SourceAt(netip.MustParseAddr("20.0.0.1")))
		if callers.size != before {
			t.Errorf("%s was taken from a stranger", refused)
		}
	}
}

// TestLaboratory: many callers on one machine all get their turn.
func TestLaboratory(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	callers := NewCallers(c.now, [32]byte{1})
	for n := range 100 {
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(1000+n))
		callers.Add(peerinfo.Address{ID: id(uint32(n)), At: at, LastSeen: c.at}, SourceAt(at.Addr()))
	}
	for n := range 100 {
		if _, ok := callers.Next(); !ok {
			t.Fatalf("only %d are called", n)
		}
	}
}
