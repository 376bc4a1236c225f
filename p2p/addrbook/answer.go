package addrbook

import (
	"net/netip"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// What strangers are told of the book.
const (
	answerTime    = 21 * time.Hour
	answerSpread  = 6 * time.Hour // added to that at random
	answerPercent = 23            // of what may be told
	answerLeast   = 16            // though it may be more than that part
	answerMost    = 1000
	answerDay     = 24 * time.Hour // times are told to the day
)

// The kinds of strangers, each of which is told one answer.
const (
	toIPv4 = iota
	toIPv6
	toLocal
	answerKinds
)

// answer is what one kind of strangers is told for a day.
type answer struct {
	list  []peerinfo.Address
	until time.Time
}

// Answer returns the places that a stranger is told: some of those at which nodes have
// answered us, with the day when they were seen. All strangers on IPv4 are told the same
// for about a day, and so are those on IPv6 and those of our own network. So nobody
// learns the whole book by asking often or under many addresses, nor whom we are
// connected to by how the answers change (the idea is Bitcoin Core's). Only an answer of
// a few places grows until then: else who asked a new node first would keep all others
// from hearing of more.
func (b *Book) Answer(stranger netip.Addr) []peerinfo.Address {
	kind := toIPv6
	switch {
	case Local(stranger):
		kind = toLocal
	case stranger.Unmap().Is4():
		kind = toIPv4
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	a := &b.answers[kind]
	if !now.Before(a.until) {
		*a = answer{until: now.Add(answerTime + time.Duration(b.random.Int64N(int64(answerSpread))))}
	}
	if len(a.list) < answerLeast {
		b.extend(a, kind == toLocal, now)
	}
	return append([]peerinfo.Address(nil), a.list...)
}

// extend draws more places for an answer. It assumes mu.
func (b *Book) extend(a *answer, local bool, now time.Time) {
	told := map[netip.AddrPort]bool{}
	for _, t := range a.list {
		told[t.At] = true
	}
	var may []*entry
	for _, e := range b.entries() {
		if !e.answered.IsZero() && !e.terrible(now) && (local || !Local(e.At.Addr())) {
			may = append(may, e)
		}
	}
	b.random.Shuffle(len(may), func(i, j int) { may[i], may[j] = may[j], may[i] })
	most := len(may) * answerPercent / 100
	if len(a.list) > 0 {
		most = answerLeast
	}
	for _, e := range may {
		if len(a.list) >= min(max(most, answerLeast), answerMost) {
			return
		}
		if !told[e.At] {
			a.list = append(a.list, peerinfo.Address{ID: e.ID, At: e.At, LastSeen: e.LastSeen.Truncate(answerDay)})
		}
	}
}
