package p2p

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of how many blocks are asked of a peer at once. Nobody can know beforehand
// who delivers, so that each begins with a few and earns more. Peers are compared with
// each other and never with a fixed rate: when our own line is slow, all of them are.
const (
	maxFlights   = 64      // at most
	minFlights   = 2       // of who delivers
	flightBytes  = 8 << 20 // at most, by what blocks have weighed lately
	firstOwn     = 16      // of who was called by us, at the beginning; Bitcoin Core's number
	firstCaller  = 4       // of who called us
	maxProbes    = 32      // of all callers together who have not delivered, while others do
	holdTime     = 2 * time.Second
	stallTimeout = time.Minute      // in which something must come of what was asked for
	slowTimeout  = 10 * time.Minute // after which a late block does not count as work of the peer any more
	trickle      = 2 << 10          // bytes in stallTimeout that are as good as none
	talk         = 64 << 10         // bytes in it that show that the line is not what is slow
)

// load is how many blocks a peer has still to bring, those included for which nobody
// waits any more.
func (sp *syncPeer) load() int { return len(sp.flying) + len(sp.late) }

// delivers reports whether a peer brings what it is asked for.
func (sp *syncPeer) delivers() bool { return sp.took > 0 && !sp.missed }

// came notes how long a block took. Who is quick is asked for more at once. When the
// blocks of a peer take long because there are many of them, it is asked for fewer: what
// one holds others cannot bring.
func (sp *syncPeer) came(p *peer, f *flight, now time.Time) {
	took := max(now.Sub(sp.asked(f)), time.Microsecond)
	if sp.took == 0 {
		sp.took = took
	}
	sp.took += (took - sp.took) / 4
	if f.since.After(sp.upTo) {
		sp.upTo = f.since
	}
	sp.resume(p, now)
	switch {
	case took < holdTime:
		sp.limit = min(sp.limit+1, maxFlights)
	case took > 2*holdTime && now.Sub(sp.shrunk) > took: // once for all that were asked for together
		sp.limit, sp.shrunk = max(sp.limit/2, minFlights), now
	}
}

// overtaken notes that others are asked for what a peer should have brought.
func (sp *syncPeer) overtaken(now time.Time) {
	sp.miss()
	if now.Sub(sp.shrunk) > sp.took {
		sp.limit, sp.shrunk = max(sp.limit/2, 1), now
	}
}

// asked is since when a peer could have brought a block.
func (sp *syncPeer) asked(f *flight) time.Time {
	if f.since.Before(sp.excused) {
		return sp.excused
	}
	return f.since
}

// resume begins to wait for what was asked of a peer anew.
func (sp *syncPeer) resume(p *peer, now time.Time) {
	sp.last, sp.before, sp.blocksBefore = now, p.received.Load(), p.blockBytes()
}

// resume is for a peer from which nothing could be read for a while, because we were busy
// with what it had sent before.
func (s *syncer) resume(p *peer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		sp.excused = now
		sp.resume(p, now)
	}
}

// blockBytes is what has come of blocks, in bytes.
func (p *peer) blockBytes() uint64 {
	return p.recvTypes[wire.TypeBlock].Load() + p.recvTypes[wire.TypeBlockTxs].Load()
}

// stalled returns the peers that send nothing of what was asked of them though their line
// would let them: others deliver over ours meanwhile, or they send other things. Who
// sends something is let stay, however slow it is: the blocks are asked of others then.
// It assumes mu.
func (s *syncer) stalled(now time.Time) (list []*peer) {
	for p, sp := range s.peers {
		if s.givesNothing(p, sp, now) {
			list = append(list, p)
			continue
		}
		waited := now.Sub(sp.last)
		if sp.load() == 0 || waited < stallTimeout || p.busy(now) {
			continue
		}
		if p.blockBytes() > sp.blocksBefore {
			sp.resume(p, now)
			continue
		}
		all := p.received.Load() - sp.before
		slow := all > trickle && all < talk && waited < slowTimeout
		alone := !s.delivered.After(sp.last) && waited < 2*stallTimeout
		if !slow && !alone {
			s.stallers.note(p, now)
			list = append(list, p)
		}
	}
	return list
}

// givesNothing forgets blocks that came from others long ago. It reports whether the peer
// is one that discovery called and that has brought no block at all, while others have:
// another may be of more use in its place.
func (s *syncer) givesNothing(p *peer, sp *syncPeer, now time.Time) (nothing bool) {
	for hash, f := range sp.late {
		if now.Sub(f.since) > slowTimeout {
			delete(sp.late, hash)
			nothing = sp.took == 0 && !p.inbound && !p.manual
		}
	}
	return nothing
}

// stallers remembers who was asked for blocks and brought none, by id and by address. A
// staller that comes back does not begin anew: under the same id it is asked last, and
// under another id after those from other addresses. It is never kept out: on one address
// there may be many nodes, and an honest one among them.
type stallers struct{ by map[string]stalls }

// stalls is how often.
type stalls struct {
	count int
	last  time.Time
}

const (
	stallMemory = 10 * time.Minute // after which it counts half
	mostStalls  = 64
)

// note counts a peer that brought nothing.
func (s *stallers) note(p *peer, now time.Time) {
	makeRoom(s.by, func(r stalls) bool { return r.now(now) == 0 })
	for _, key := range []string{p.id.String(), host(p.address)} {
		s.by[key] = stalls{min(s.by[key].now(now)+1, mostStalls), now}
	}
}

// now is what a count is worth.
func (r stalls) now(now time.Time) int { return r.count >> min(now.Sub(r.last)/stallMemory, 62) }

// knows reports whether a peer's id has stalled.
func (s *stallers) knows(p *peer, now time.Time) bool { return s.by[p.id.String()].now(now) > 0 }

// near counts those who have stalled at a peer's address.
func (s *stallers) near(p *peer, now time.Time) int { return s.by[host(p.address)].now(now) }

// forgive forgets what an id did, since it delivers.
func (s *stallers) forgive(p *peer) { delete(s.by, p.id.String()) }

// cameLate notes that a block came for which nobody waits any more. That the peer sent it
// tells that it is slow and does not stall. It assumes mu.
func (s *syncer) cameLate(p *peer, sp *syncPeer, hash types.Hash, now time.Time) {
	f := sp.late[hash]
	if f == nil {
		return
	}
	delete(sp.late, hash)
	sp.came(p, f, now)
	sp.missed = false
	s.stallers.forgive(p)
	p.answers++
}
