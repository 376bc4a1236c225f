package addrbook

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The attacker of TestEclipse.
const (
	honestGroups  = 100
	hostileGroups = 4
	hostileMost   = 1000
	restarts      = 100
	outbound      = 8
)

// hostile reports whether a place is the attacker's.
func hostile(at netip.AddrPort) bool {
	group := at.Addr().As4()
	return group[0] == 66
}

func hostilePlace(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, byte(n % hostileGroups), byte(n / 256), byte(n)}), 9555)
}

// flood tells the book all places of the attacker, from each of its groups.
func flood(b *Book, c *clock) {
	for n := range hostileMost {
		b.Add([]peerinfo.Address{c.told(hostilePlace(n), uint32(10_000+n))}, SourceAt(hostilePlace(n+1).Addr()))
	}
}

// connect makes outbound connections as a node does that starts, of distinct groups. All
// nodes of the attacker answer, and so do those honest ones that are up. It returns how
// many are the attacker's.
func connect(b *Book, c *clock, up func(n int) bool) (captured int) {
	groups, ids := map[Group]bool{}, map[peerinfo.NodeID]bool{}
	for tries := 0; len(groups) < outbound && tries < 10_000; tries++ {
		got, ok := b.Select(Wanted{Groups: groups, IDs: ids})
		if !ok {
			c.pass(firstWait)
			continue
		}
		if !hostile(got.At) && !up(int(got.At.Addr().As4()[1])) {
			b.Failed(got.At, len(groups) > 1)
			continue
		}
		b.Good(got.At, idAt(got.At))
		groups[got.Group()] = true
		if hostile(got.At) {
			captured++
		}
	}
	return captured
}

// idAt is the id of the node at a place.
func idAt(at netip.AddrPort) peerinfo.NodeID {
	ip := at.Addr().As4()
	return peerinfo.NodeID{ip[0], ip[1], ip[2], ip[3], 1}
}

// TestEclipse: an attacker with a thousand addresses in four groups, all of which answer,
// against a book of a hundred honest ones in a hundred groups. The node starts again and
// again, and its feelers have moved as many of the attacker's addresses as they could
// into the tried table. With a third of the honest nodes gone as well.
func TestEclipse(t *testing.T) {
	for _, test := range []struct {
		name   string
		honest func(b *Book, c *clock)
		up     func(n int) bool
	}{
		{"honest nodes were met", func(b *Book, c *clock) {
			for n := range honestGroups {
				b.Good(place(n, 1), idAt(place(n, 1)))
			}
		}, func(int) bool { return true }},
		{"honest nodes were told", func(b *Book, c *clock) {
			for n := range honestGroups {
				b.Add([]peerinfo.Address{c.told(place(n, 1), uint32(n))}, SourceAt(place(n%8, 1).Addr()))
			}
		}, func(int) bool { return true }},
		{"a third of them is gone", func(b *Book, c *clock) {
			for n := range honestGroups {
				b.Good(place(n, 1), idAt(place(n, 1)))
			}
		}, func(n int) bool { return n%3 > 0 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, c := newTestBook()
			test.honest(b, c)
			var captured []int
			rounds := restarts
			if testing.Short() {
				rounds /= 4
			}
			for restart := range rounds {
				flood(b, c)
				for range 10 { // feelers
					if got, ok := b.Select(Wanted{NewOnly: true}); ok && (hostile(got.At) || test.up(int(got.At.Addr().As4()[1]))) {
						b.Good(got.At, idAt(got.At))
					} else if ok {
						b.Failed(got.At, true)
					}
					c.pass(firstWait * 2)
					b.Contested()
				}
				file, err := json.Marshal(b.saved())
				if err != nil {
					t.Fatal(err)
				}
				b = New(c.now, [32]byte{byte(restart), 9})
				if err := b.read(file); err != nil {
					t.Fatal(err)
				}
				captured = append(captured, connect(b, c, test.up))
			}
			slices.Sort(captured)
			median, most := captured[len(captured)/2], captured[len(captured)-1]
			t.Logf("of %d outbound connections, at the median %d and at most %d were the attacker's; %d of its addresses are in the tried table",
				outbound, median, most, hostileTried(b))
			if median > 2 || most == outbound {
				t.Errorf("captured: %s", fmt.Sprint(captured))
			}
		})
	}
}

func hostileTried(b *Book) (n int) {
	for _, p := range b.Places() {
		if p.Tried && hostile(p.At) {
			n++
		}
	}
	return n
}

// TestMetStay: whatever is told, and however often, what answered stays in the book.
func TestMetStay(t *testing.T) {
	b, c := newTestBook()
	for n := range honestGroups {
		b.Good(place(n, 1), idAt(place(n, 1)))
	}
	met := b.tried.size
	for n := range 50_000 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{66, byte(n), byte(n / 65536), byte(n / 256)}), uint16(1+n%7))
		b.Add([]peerinfo.Address{c.told(at, uint32(n))}, SourceAt(at.Addr()))
	}
	if b.tried.size != met {
		t.Errorf("%d of %d that answered are left", b.tried.size, met)
	}
	b.check(t)
}
