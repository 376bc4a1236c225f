package addrbook

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// Wanted narrows what Select may return. Nil maps narrow nothing.
type Wanted struct {
	NewOnly bool // what no node has answered at, for feelers
	Groups  map[Group]bool
	Places  map[netip.AddrPort]bool
	IDs     map[peerinfo.NodeID]bool // that were proved at a place
}

// refuses reports whether an entry is none of what is wanted: those of the maps are not.
func (w *Wanted) refuses(e *entry) bool {
	return w.Places[e.At] || !e.answered.IsZero() && w.IDs[e.ID]
}

// Select returns a place to call, at random, so that nobody can foresee it: of any group
// with equal chance, and then of the group. It notes the call. A place that was called
// lately is left alone, the longer the more often it was called in vain.
//
// The new table is drawn from at most every other time, as in Bitcoin Core, since anybody
// can fill it with groups. It is drawn from less when it has few: when all good places
// are in the tried table, the new one may hold nothing but an attacker's.
func (b *Book) Select(w Wanted) (Candidate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	order := []*table{&b.new}
	if !w.NewOnly {
		fresh, met := b.new.count(w.Groups), b.tried.count(w.Groups)
		order = append(order, &b.tried)
		if share := float64(fresh) / float64(max(fresh+met, 1)); b.random.Float64() >= min(share, 0.5) {
			slices.Reverse(order)
		}
	}
	now := b.now()
	for _, t := range order {
		if e := b.draw(t, &w, now); e != nil {
			e.called = now
			return e.candidate(), true
		}
	}
	return Candidate{}, false
}

// draw draws an entry of a table. One that failed is taken less often, but rather than
// none. It assumes mu.
func (b *Book) draw(t *table, w *Wanted, now time.Time) *entry {
	var second *entry
	for _, m := range t.inOrder(b.random) {
		if w.Groups[m.group] {
			continue
		}
		e := b.drawOf(m.list, w, now)
		switch {
		case e == nil:
		case b.random.Float64() < chance(e):
			return e
		case second == nil:
			second = e
		}
	}
	return second
}

// drawOf draws one of a group's entries, each by its chance.
func (b *Book) drawOf(list []*entry, w *Wanted, now time.Time) (drawn *entry) {
	sum := 0.0
	for _, e := range list {
		if now.Sub(e.called) < firstWait<<min(e.waits, maxWaits) || e.terrible(now) && !e.tried || w.refuses(e) {
			continue
		}
		weight := chance(e)
		sum += weight
		if b.random.Float64()*sum < weight {
			drawn = e
		}
	}
	return drawn
}

// chance is how often an entry is taken when it is drawn.
func chance(e *entry) float64 { return math.Pow(0.66, float64(min(e.failures, 8))) }

// Answered reports whether a node with that id answered at the place.
func (b *Book) Answered(at netip.AddrPort, id peerinfo.NodeID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known[at]
	return e != nil && e.ID == id && !e.answered.IsZero()
}

// Size returns how many addresses are known.
func (b *Book) Size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.known)
}

// All returns what is known, in a random order.
func (b *Book) All() []peerinfo.Address {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]peerinfo.Address, 0, len(b.known))
	for _, e := range b.entries() {
		list = append(list, e.Address)
	}
	b.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// entries returns the entries in the order of their places, so that what is drawn of
// them depends on the seed alone. It assumes mu.
func (b *Book) entries() []*entry {
	list := make([]*entry, 0, len(b.known))
	for _, e := range b.known {
		list = append(list, e)
	}
	slices.SortFunc(list, func(x, y *entry) int { return x.At.Compare(y.At) })
	return list
}

// Places returns what is at every place of both tables, by table, bucket and position.
// An address may be in several buckets of the new table.
func (b *Book) Places() []peerinfo.BookPlace {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []peerinfo.BookPlace
	for _, t := range []*table{&b.new, &b.tried} {
		for nth, of := range t.buckets {
			if of == nil {
				continue
			}
			for position, e := range of {
				if e != nil {
					list = append(list, peerinfo.BookPlace{Address: e.Address, Source: e.source.address(), Tried: e.tried, Bucket: nth, Position: position})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(x, y peerinfo.BookPlace) int {
		return cmp.Or(cmp.Compare(x.Bucket, y.Bucket), cmp.Compare(x.Position, y.Position))
	})
	return list
}

// Counts returns how many addresses of each network are in the tables, by
// peerinfo.NetworkOf.
func (b *Book) Counts() map[string]peerinfo.BookCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[string]peerinfo.BookCount{}
	for _, e := range b.known {
		network := peerinfo.NetworkOf(e.At.Addr().String())
		count := counts[network]
		if e.tried {
			count.Tried++
		} else {
			count.New++
		}
		counts[network] = count
	}
	return counts
}
