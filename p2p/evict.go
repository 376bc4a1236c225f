package p2p

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// How many callers are protected from giving way, by what a stranger cannot fake or must
// work for. The numbers are Bitcoin Core's.
const (
	protectGroups    = 4 // by a keyed hash of their network, which nobody can predict
	protectPing      = 8 // the nearest
	protectTx        = 4 // that brought transactions last
	protectBlocksFor = 8 // that take no part in transactions, and brought blocks last
	protectBlock     = 4 // that brought blocks last
)

// candidate is a caller who may have to give way, with all that is asked of it.
type candidate struct {
	number    int
	group     uint64 // of its network, by a keyed hash
	network   string // as peerinfo.NetworkOf names it
	since     time.Time
	ping      time.Duration // the shortest; 0: it has not answered one
	lastTx    time.Time     // that it brought and that the pool took
	lastBlock time.Time     // that it brought and that was good
	full      bool          // it has blocks
	relaysTxs bool
	unwanted  bool // it costs much or is silent: if not protected it goes first
}

// evict returns the number of the caller who gives way to a new one. It reports false if
// all are protected. The idea is Bitcoin Core's (node/eviction.cpp): some are protected
// by each of several merits, so that who wants all places has to be better than honest
// peers in every one of them; then half of the rest by how long they have stayed. Of those
// left the youngest of the largest network group goes.
func evict(list []candidate) (number int, ok bool) {
	all := func(candidate) bool { return true }
	list = slices.Clone(list)
	list = protect(list, protectGroups, func(a, b candidate) int { return cmp.Compare(a.group, b.group) }, all)
	list = protect(list, protectPing, func(a, b candidate) int { return cmp.Compare(b.distance(), a.distance()) }, all)
	list = protect(list, protectTx, byTx, all)
	list = protect(list, protectBlocksFor, byBlock, func(c candidate) bool { return !c.relaysTxs && c.full })
	list = protect(list, protectBlock, byBlock, all)
	list = protectAged(list)
	if slices.ContainsFunc(list, func(c candidate) bool { return c.unwanted }) {
		list = slices.DeleteFunc(list, func(c candidate) bool { return !c.unwanted })
	}
	if len(list) == 0 {
		return 0, false
	}
	return youngestOfLargest(list).number, true
}

// distance is the ping, without which a caller is the farthest.
func (c candidate) distance() time.Duration {
	if c.ping == 0 {
		return math.MaxInt64
	}
	return c.ping
}

// byStay has those who have stayed longest last.
func byStay(a, b candidate) int {
	return cmp.Or(b.since.Compare(a.since), cmp.Compare(b.number, a.number))
}

func byTx(a, b candidate) int {
	return cmp.Or(a.lastTx.Compare(b.lastTx), compareBool(a.relaysTxs, b.relaysTxs))
}

func byBlock(a, b candidate) int {
	return cmp.Or(a.lastBlock.Compare(b.lastBlock), compareBool(a.full, b.full))
}

// compareBool has true last.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// protect takes out the last of an order, at most so many, of those that may be protected.
// Of equals who has stayed longer comes later.
func protect(list []candidate, most int, order func(a, b candidate) int, may func(candidate) bool) []candidate {
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(compareBool(may(a), may(b)), order(a, b), byStay(a, b))
	})
	keep := len(list)
	for keep > 0 && len(list)-keep < most && may(list[keep-1]) {
		keep--
	}
	return list[:keep]
}

// protectAged takes out the half that has stayed longest, so that who comes later than the
// honest ones cannot take all places. Half of that half is for networks whose pings are
// long or which have few nodes, if there are any of them.
func protectAged(list []candidate) []candidate {
	half, before := len(list)/2, len(list)
	rare := []string{peerinfo.CJDNS, peerinfo.I2P, peerinfo.Unroutable, peerinfo.Onion}
	counts := map[string]int{}
	for _, c := range list {
		counts[c.network]++
	}
	slices.SortStableFunc(rare, func(a, b string) int { return cmp.Compare(counts[a], counts[b]) })
	for taken := -1; taken != before-len(list) && before-len(list) < half/2; {
		taken = before - len(list)
		list = protectRare(list, rare, counts, half/2-taken)
	}
	return protect(list, half-(before-len(list)), byStay, func(candidate) bool { return true })
}

// protectRare takes out some of each rare network, so many together. Those that have
// fewest come first, and what one does not use is shared among the others by the next
// call.
func protectRare(list []candidate, rare []string, counts map[string]int, most int) []candidate {
	networks := 0
	for _, name := range rare {
		if counts[name] > 0 {
			networks++
		}
	}
	if networks == 0 {
		return list
	}
	before := len(list)
	for _, name := range rare {
		left := most - (before - len(list))
		if counts[name] == 0 || left == 0 {
			continue
		}
		was := len(list)
		list = protect(list, min(max(most/networks, 1), left), byStay, func(c candidate) bool { return c.network == name })
		counts[name] -= was - len(list)
	}
	return list
}

// youngestOfLargest returns the youngest of the network group that has most; of two
// groups that have as many, of that whose youngest is younger.
func youngestOfLargest(list []candidate) candidate {
	slices.SortFunc(list, byStay)
	sizes := map[uint64]int{}
	for _, c := range list {
		sizes[c.group]++
	}
	victim := list[0]
	for _, c := range list {
		if sizes[c.group] > sizes[victim.group] {
			victim = c
		}
	}
	return victim
}
