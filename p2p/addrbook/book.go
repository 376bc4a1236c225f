// Package addrbook knows where other nodes can be called, and keeps strangers from
// choosing whom this node calls. Who owned all the connections that a node makes could
// show it any chain (Heilman and others, "Eclipse Attacks on Bitcoin's Peer-to-Peer
// Network", 2015).
//
// Its ideas are Bitcoin Core's addrman, with one more:
//
//   - There are two tables. What was told is in the new one, where a node answered us is
//     in the tried one. Nothing that is told moves anything in the tried one.
//   - Both are dealt into small buckets by a secret key, by network group, and in the
//     new table by the group of who told. So one owner of addresses fills a few buckets,
//     and does not know which.
//   - An address that answered gives up its place to another only when it answers no
//     more (test before evict).
//   - Whom to call is drawn by group first, and then among the addresses of the group:
//     a thousand addresses in four groups weigh as much as four.
//
// A place is an address and a port. The id of the node there is known once it was
// proved to us; what others say of ids is not used.
//
//	book := addrbook.New(time.Now, seed)
//	book.Add(told, addrbook.SourceAt(peer))
//	candidate, ok := book.Select(addrbook.Wanted{Groups: taken})
//	book.Good(candidate.At, id) // or book.Failed(candidate.At, true)
//
// A Book speaks to nobody and waits for nothing. It has one lock; all its methods may be
// called concurrently.
package addrbook

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// How long things hold. Most are Bitcoin Core's.
const (
	horizon      = 30 * 24 * time.Hour // after which an address that nobody saw is terrible
	maxRetries   = 3                   // failures of an address that never answered
	maxFailures  = 10                  // of one that did, all later than minFail
	minFail      = 7 * 24 * time.Hour  // since it answered
	toldPenalty  = 2 * time.Hour       // what is taken off a time that was told
	replaceAfter = 4 * time.Hour       // an answer protects a tried place for so long
	testWindow   = 40 * time.Minute    // in which one that is in question must be called
	firstWait    = time.Minute         // until an address is called again, twice as long each time
	maxWaits     = 4                   // doublings
	maxContested = 16                  // tried places in question at once
)

// entry is what is known of a place.
type entry struct {
	peerinfo.Address // of which the id may be hearsay, see answered
	group            Group
	source           Source
	answered         time.Time // it proved its id; zero: never
	called           time.Time
	failures         int // calls that failed, while others did not, since it answered
	waits            int // calls since it answered, of which the wait until the next depends
	tried            bool
	buckets          []int // of the new table
	index            int   // in its group's list
}

// terrible reports whether an address may be dropped for any other.
func (e *entry) terrible(now time.Time) bool {
	switch {
	case now.Sub(e.called) < time.Minute:
		return false // it is being called perhaps
	case now.Sub(e.LastSeen) > horizon:
		return true
	case e.answered.IsZero():
		return e.failures >= maxRetries
	}
	return now.Sub(e.answered) > minFail && e.failures >= maxFailures
}

// candidate is the entry for who calls.
func (e *entry) candidate() Candidate {
	c := Candidate{At: e.At, Tried: e.tried}
	// Where a node is not found any more for a week, another may be.
	if !e.answered.IsZero() && e.failures < maxFailures {
		c.ID = e.ID
	}
	return c
}

// Book is the addresses that a node knows.
type Book struct {
	now func() time.Time

	mu sync.Mutex
	// Guarded by mu:
	random     *rand.Rand
	key        secret
	known      map[netip.AddrPort]*entry
	new, tried table
	contested  map[netip.AddrPort]netip.AddrPort // tried places, and who wants them
	answers    [answerKinds]answer
	changes    uint64 // counts them
}

// New returns an empty book. The seed must be random and secret: what is drawn, and
// where what is kept, depends on it.
func New(now func() time.Time, seed [32]byte) *Book {
	b := &Book{now: now, random: rand.New(rand.NewChaCha8(seed))}
	b.reset()
	b.key = b.newKey()
	return b
}

func (b *Book) reset() {
	b.known, b.contested = map[netip.AddrPort]*entry{}, map[netip.AddrPort]netip.AddrPort{}
	b.new, b.tried = newTable(newBuckets), newTable(triedBuckets)
}

func (b *Book) newKey() (key secret) {
	for i := range key {
		key[i] = byte(b.random.Uint32())
	}
	return key
}

// Changes counts what changed, so that whoever saves the book knows whether to.
func (b *Book) Changes() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes
}

// Add takes places that a source told. It returns how many of them are new. A time in
// the future is not believed, nor is any quite.
func (b *Book) Add(told []peerinfo.Address, source Source) (added int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, a := range told {
		a.At = netip.AddrPortFrom(a.At.Addr().Unmap(), a.At.Port())
		if a.LastSeen.After(now.Add(10*time.Minute)) || a.LastSeen.Unix() <= 0 {
			a.LastSeen = now.Add(-5 * 24 * time.Hour)
		}
		a.LastSeen = a.LastSeen.Add(-toldPenalty)
		if !usable(a.At) || Local(a.At.Addr()) && !source.Local || now.Sub(a.LastSeen) > horizon {
			continue
		}
		if b.add(a, source, now) {
			added++
		}
	}
	return added
}

// add takes one place into the new table, or gives it one more bucket there. It assumes
// mu.
func (b *Book) add(a peerinfo.Address, source Source, now time.Time) (added bool) {
	e := b.known[a.At]
	if e != nil {
		if e.tried { // what is told of it is of no interest
			return false
		}
		if a.LastSeen.After(e.LastSeen.Add(time.Hour)) {
			e.LastSeen = a.LastSeen
			b.changes++
		}
		if e.ID.IsZero() {
			e.ID = a.ID
		}
		// The more buckets hold it, the rarer it gets another.
		if len(e.buckets) == maxReferences || b.random.IntN(1<<len(e.buckets)) != 0 {
			return false
		}
	} else {
		e = &entry{Address: a, group: GroupOf(a.At), source: source}
	}
	return b.placeNew(e, b.key.newBucket(e.group, source.group()), now)
}

// placeNew puts an entry into a bucket of the new table. If its position is taken, it is
// put there only if the other is terrible or has other buckets. It reports whether it was
// not known before and is now.
func (b *Book) placeNew(e *entry, nth int, now time.Time) (added bool) {
	position := b.key.position("new", nth, e.At)
	other := b.new.at(nth, position)
	if other == e {
		return false
	}
	if other != nil {
		if !other.terrible(now) && (len(other.buckets) < 2 || len(e.buckets) > 0) {
			return false
		}
		b.clearNew(nth, position)
	}
	b.new.set(nth, position, e)
	e.buckets = append(e.buckets, nth)
	b.changes++
	if len(e.buckets) > 1 {
		return false
	}
	b.new.join(e)
	b.known[e.At] = e
	return true
}

// clearNew empties a position of the new table. What is in no bucket any more is
// forgotten.
func (b *Book) clearNew(nth, position int) {
	e := b.new.at(nth, position)
	if e == nil {
		return
	}
	b.new.set(nth, position, nil)
	e.buckets = slices.DeleteFunc(e.buckets, func(other int) bool { return other == nth })
	b.changes++
	if len(e.buckets) == 0 {
		b.new.leave(e)
		delete(b.known, e.At)
	}
}

// leaveNew takes an entry out of the new table.
func (b *Book) leaveNew(e *entry) {
	for len(e.buckets) > 0 {
		nth := e.buckets[0]
		b.clearNew(nth, b.key.position("new", nth, e.At))
	}
}

// Good notes that a node proved its id at a place that we chose to dial. The place moves
// to the tried table, unless another is there: that one is called first, see Contested.
// It reports whether no node had answered there before.
func (b *Book) Good(at netip.AddrPort, id peerinfo.NodeID) (first bool) {
	return b.answer(at, id, true)
}

// Met notes that a node proved its id at a place that it had told us itself when it
// called. It is as Good, but the place stays in the new table: who calls us does not get
// into the tried one before it is drawn.
func (b *Book) Met(at netip.AddrPort, id peerinfo.NodeID) (first bool) {
	return b.answer(at, id, false)
}

func (b *Book) answer(at netip.AddrPort, id peerinfo.NodeID, chosen bool) (first bool) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if !usable(at) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	e := b.known[at]
	if e == nil {
		e = &entry{Address: peerinfo.Address{At: at, LastSeen: now}, group: GroupOf(at), source: SourceAt(at.Addr())}
	}
	first = e.answered.IsZero()
	e.ID, e.answered, e.called, e.failures, e.waits = id, now, now, 0, 0
	if e.LastSeen.Before(now.Add(-24 * time.Hour)) { // to the day: when exactly is nobody's business
		e.LastSeen = now
	}
	b.changes++
	switch {
	case e.tried:
	case chosen:
		b.toTried(e, now)
	case len(e.buckets) == 0:
		b.placeNew(e, b.key.newBucket(e.group, e.source.group()), now)
	}
	return first && b.known[at] == e
}

// toTried moves an entry to the tried table if there is room. It assumes mu.
func (b *Book) toTried(e *entry, now time.Time) {
	nth := b.key.triedBucket(e.At, e.group)
	position := b.key.position("tried", nth, e.At)
	old := b.tried.at(nth, position)
	if old != nil && !old.terrible(now) {
		if _, taken := b.contested[old.At]; !taken && len(b.contested) < maxContested {
			b.contested[old.At] = e.At
		}
		if len(e.buckets) == 0 { // it waits there
			b.placeNew(e, b.key.newBucket(e.group, e.source.group()), now)
		}
		return
	}
	b.leaveNew(e)
	if old != nil {
		b.backToNew(old, nth, position, now)
	}
	b.tried.set(nth, position, e)
	e.tried = true
	b.tried.join(e)
	b.known[e.At] = e
}

// backToNew moves what lost its place in the tried table to the new one.
func (b *Book) backToNew(e *entry, nth, position int, now time.Time) {
	b.tried.set(nth, position, nil)
	b.tried.leave(e)
	delete(b.contested, e.At)
	delete(b.known, e.At)
	e.tried = false
	back := b.key.newBucket(e.group, e.source.group())
	b.clearNew(back, b.key.position("new", back, e.At))
	b.placeNew(e, back, now)
}

// Contested returns a tried place that another wants, so that it is called. Those of
// which it is clear are decided: who answered within four hours stays, and who was
// called and did not answer goes.
func (b *Book) Contested() (Candidate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	var open []*entry
	for oldAt, wantedBy := range b.contested {
		old, next := b.known[oldAt], b.known[wantedBy]
		switch {
		case old == nil || !old.tried || next == nil || next.tried || now.Sub(old.answered) < replaceAfter:
			delete(b.contested, oldAt)
		case old.failedLately(now), now.Sub(next.answered) > testWindow:
			delete(b.contested, oldAt)
			nth := b.key.triedBucket(old.At, old.group)
			b.backToNew(old, nth, b.key.position("tried", nth, old.At), now)
			// That may have pushed the other out of the new table, but not of memory.
			b.toTried(next, now)
		default:
			open = append(open, old)
		}
	}
	if len(open) == 0 {
		return Candidate{}, false
	}
	e := open[b.random.IntN(len(open))]
	e.called = now
	return e.candidate(), true
}

// failedLately reports whether the last call of a place was in vain, and is neither under
// way nor long ago. One that did not count, since our own network may have been down, says
// nothing.
func (e *entry) failedLately(now time.Time) bool {
	since := now.Sub(e.called)
	return e.failures > 0 && e.called.After(e.answered) && since > time.Minute && since < replaceAfter
}

// Failed notes that a place was called in vain. It counts only when other places can be
// reached: else it may be our own network that is down.
func (b *Book) Failed(at netip.AddrPort, counts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known[at]
	if e == nil {
		return
	}
	e.called = b.now()
	e.waits++
	if counts {
		e.failures++
		b.changes++
	}
}

// Seen notes that a connection to a place has just ended. It is not called while one
// goes on: others, whom we tell these times, would see whom we are connected to.
func (b *Book) Seen(at netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if e := b.known[at]; e != nil && now.Sub(e.LastSeen) > 20*time.Minute {
		e.LastSeen = now
		b.changes++
	}
}

// Forget removes a place, such as one at which we met ourselves.
func (b *Book) Forget(at netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.known[at]
	switch {
	case e == nil:
	case e.tried:
		nth := b.key.triedBucket(e.At, e.group)
		b.tried.set(nth, b.key.position("tried", nth, e.At), nil)
		b.tried.leave(e)
		delete(b.known, e.At)
		b.changes++
	default:
		b.leaveNew(e)
	}
}
