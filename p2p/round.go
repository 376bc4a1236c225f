package p2p

import (
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// round is one look at what is missing, and at who could bring it. Its methods assume the
// syncer's mu.
type round struct {
	s          *syncer
	now        time.Time
	holders    map[types.Hash][]*peer // who have a block, and are asked for little
	exhausted  map[*branch]bool       // of the branch everything that is looked at is asked for
	delivering bool                   // some peer brings what it is asked for
	probing    int                    // blocks that are asked of callers who have brought none
}

func (s *syncer) newRound(branches []*branch) *round {
	r := &round{s: s, now: s.now(), holders: map[types.Hash][]*peer{}, exhausted: map[*branch]bool{}}
	for p, sp := range s.peers {
		r.delivering = r.delivering || sp.delivers()
		if sp.isProbe(p) {
			r.probing += len(sp.flying)
		}
	}
	full := r.delivering && r.probing >= maxProbes
	for _, b := range branches {
		who := b.peers
		if full && !b.isNews() { // these are not asked for more: not to be looked at for every block
			who = slices.DeleteFunc(slices.Clone(who), func(p *peer) bool { sp := s.peers[p]; return sp == nil || sp.isProbe(p) })
		}
		asked := true
		for _, at := range b.missing {
			r.holders[at.Hash] = append(r.holders[at.Hash], who...)
			asked = asked && (len(s.flying[at.Hash]) > 0 || s.arrived[at.Hash] != nil)
		}
		r.exhausted[b] = asked
	}
	return r
}

// isProbe reports whether what is asked of a peer is asked to find out whether it brings
// it: it chose us, and has brought nothing.
func (sp *syncPeer) isProbe(p *peer) bool { return p.inbound && !sp.delivers() }

// next returns one more peer of whom to ask for a block now, or nil.
func (r *round) next(b *branch, i int) *peer {
	at := b.missing[i]
	flights := r.s.flying[at.Hash]
	switch {
	case r.s.arrived[at.Hash] != nil:
		return nil
	case len(flights) == 0:
		return r.pick(at, b.isNews())
	case b.isNews():
		return r.moreNews(at, flights, i)
	case i >= front && !r.exhausted[b]:
		return nil // what nobody was asked for comes first
	}
	if p := r.quickest(at); p != nil {
		return r.overtake(p, flights)
	}
	if i == 0 && r.mayWiden(flights) {
		return r.pick(at, false)
	}
	return nil
}

// quickest returns the quickest of those who deliver that can be asked for a block, if
// there is one.
func (r *round) quickest(at types.Index) (best *peer) {
	for _, p := range r.holders[at.Hash] {
		sp := r.s.peers[p]
		if r.mayAsk(p, at, false) && sp.delivers() && (best == nil || sp.took < r.s.peers[best].took) {
			best = p
		}
	}
	return best
}

// overtake returns the peer if all who were asked for a block should have brought it by
// now. It is asked of it then, and they may still bring it.
func (r *round) overtake(p *peer, flights []*flight) *peer {
	quick := r.s.peers[p].took
	for _, f := range flights {
		if !r.overdue(f, quick) {
			return nil
		}
	}
	for _, f := range flights {
		sp := r.s.peers[f.peer]
		if sp.took == 0 && !sp.missed {
			r.s.stallers.note(f.peer, r.now)
		}
		sp.overtaken(r.now)
	}
	return p
}

// overdue reports whether a block takes much longer than the quick ones need, and longer
// than who was asked usually needs; but that may be only so long. Who brings what it was
// asked for before is waited for, unless it leaves this one out.
func (r *round) overdue(f *flight, quick time.Duration) bool {
	sp := r.s.peers[f.peer]
	patience := max(3*quick, leastPatience)
	waited := r.now.Sub(sp.asked(f))
	if sp.delivers() {
		patience = max(patience, min(2*sp.took, 10*quick))
		if !sp.upTo.After(f.since) && waited < max(2*holdTime, 10*quick) {
			waited = min(waited, r.now.Sub(sp.last))
		}
	}
	return waited > patience && !f.peer.busy(r.now)
}

// mayWiden reports whether one more may be asked for the block that all wait for, when
// nobody who delivers could be: their number doubles each time that those before let us
// wait. Over a slow line something comes at least, and that takes its time.
func (r *round) mayWiden(flights []*flight) bool {
	waiting := 0 // less those for whom we do
	for _, f := range flights {
		sp := r.s.peers[f.peer]
		patience := r.s.patience
		if f.got() > firstPart {
			patience = laggardTimeout
		}
		if sp.delivers() {
			patience = max(patience, 2*sp.took)
		}
		if r.now.Sub(sp.asked(f)) > patience && !f.peer.busy(r.now) {
			waiting++
		} else {
			waiting--
		}
	}
	return waiting > 0
}

// moreNews returns one more peer of whom to fetch a new block, once those who were asked
// are late. Those who say nothing lose their places, and more take them each time.
func (r *round) moreNews(at types.Index, flights []*flight, i int) *peer {
	if i > 0 {
		return nil // others come first
	}
	fresh, silent := 0, 0
	for _, f := range flights {
		if f.since.Equal(r.now) {
			fresh++
			continue
		}
		if !f.late(r.now, r.s.patience) {
			return nil
		}
		r.s.peers[f.peer].miss()
		if f.silent(r.now, r.s.patience) {
			silent++
		}
	}
	places := 1 // it is our line that is slow, perhaps
	if silent == len(flights)-fresh {
		places = moreFetches * silent
	}
	if fresh >= places {
		return nil
	}
	return r.pick(at, true)
}

// mayAsk reports whether a peer has a block, was not asked for it, and may be asked for
// more. New blocks are few.
func (r *round) mayAsk(p *peer, at types.Index, news bool) bool {
	sp := r.s.peers[p]
	if sp == nil || sp.flying[at.Hash] != nil || !sp.has(p, at) {
		return false
	}
	if news {
		return len(sp.flying) < r.s.flights()
	}
	return sp.load() < r.s.most(sp)
}

// pick returns the one of the peers that have a block and were not asked for it that is
// the most likely to bring it, and of those alike the one with the least to do.
func (r *round) pick(at types.Index, news bool) (best *peer) {
	var least [3]int
	for _, p := range r.holders[at.Hash] {
		sp := r.s.peers[p]
		if !r.mayAsk(p, at, news) {
			continue
		}
		if !news && sp.isProbe(p) && r.delivering && r.probing >= maxProbes {
			continue
		}
		order := [3]int{sp.rank(p), r.s.stallers.near(p, r.now), sp.load()}
		if best == nil || less(order, least) {
			best, least = p, order
		}
	}
	if best != nil && r.s.peers[best].isProbe(best) {
		r.probing++
	}
	return best
}

// less compares by the first that differs.
func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
