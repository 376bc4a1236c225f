package p2p

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The blocks of all branches are fetched at once, but far ahead only those of a few: each
// look ahead costs time, and strangers may have as many branches as they like.
const (
	mainBranches = 16 // that are fetched as far ahead as window says
	sideWindow   = 64 // blocks of others
)

// branch is a chain that one or more peers have, to its last header.
type branch struct {
	best    types.Hash
	work    consensus.Uint256
	peers   []*peer
	missing []types.Index // the lowest first
}

// scheduling asks for blocks whenever something has changed, and every second. While a new
// block is under way it looks more often, to notice soon who does not bring it.
func (s *syncer) scheduling(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		select {
		case <-s.more:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		wait := time.Second
		if s.schedule() {
			wait = lateTime / 5
		}
		timer.Reset(wait)
		s.look()
	}
}

// schedule gives the blocks that are missing to peers that have them. What is missing
// is asked of each peer's own chain: the header chain with the most work may be one of
// which nobody gives the blocks, and must not keep us from the others. It reports
// whether a new block is under way.
func (s *syncer) schedule() (news bool) {
	now := s.now()
	branches := s.branches()
	patience := s.measure()
	requests := map[*peer][]types.Hash{}
	s.mu.Lock()
	s.patience = patience
	stalled := s.dropStalled(now)
	limit := s.flights()
	holders := map[types.Hash][]*peer{}
	for _, b := range branches {
		for _, at := range b.missing {
			holders[at.Hash] = append(holders[at.Hash], b.peers...)
		}
	}
	for _, b := range branches {
		for i, at := range b.missing {
			if s.arrivedBytes > maxArrived {
				break
			}
			for range s.fetchers(b, i, now) {
				p := s.pick(at, holders[at.Hash], limit, b.isNews())
				if p == nil {
					break
				}
				s.fly(p, at, now)
				requests[p] = append(requests[p], at.Hash)
			}
			news = news || b.isNews() && len(s.flying[at.Hash]) > 0
		}
	}
	s.mu.Unlock()
	for _, p := range stalled {
		p.close(errStalled)
	}
	for p, hashes := range requests {
		for some := range slices.Chunk(hashes, wire.MaxGetBlocks) {
			p.send(&wire.GetBlocks{Hashes: some})
		}
	}
	return news
}

// isNews reports whether it is new blocks that are missing, and not that we are behind.
func (b *branch) isNews() bool { return len(b.missing) <= 2 }

// fetchers returns how many more peers a block is to be asked of now. It assumes mu.
func (s *syncer) fetchers(b *branch, i int, now time.Time) int {
	hash := b.missing[i].Hash
	flights := s.flying[hash]
	switch {
	case s.arrived[hash] != nil:
		return 0
	case len(flights) == 0:
		return 1
	case i > 0:
		return 0 // others come first
	}
	for _, f := range flights {
		if b.isNews() && !f.late(now, s.patience) || !b.isNews() && now.Sub(f.since) <= laggardTimeout {
			return 0
		}
	}
	if !b.isNews() {
		return 1
	}
	silent := 0
	for _, f := range flights {
		s.peers[f.peer].miss()
		if f.silent(now, s.patience) {
			silent++
		}
	}
	if silent < len(flights) {
		return 1 // it is our line that is slow, perhaps
	}
	return moreFetches * silent
}

// branches returns the chains of the peers that may be asked for more, as far as
// they have at least the work of the tip. Those with the most work come first.
func (s *syncer) branches() []*branch {
	list := s.ownBranches()
	least := s.tree.TipState().Work
	list = slices.DeleteFunc(list, func(b *branch) bool {
		info, ok := s.tree.Info(b.best)
		b.work = info.Work
		return !ok || b.work.Cmp(least) < 0
	})
	slices.SortFunc(list, func(a, b *branch) int { return cmp.Or(b.work.Cmp(a.work), len(b.peers)-len(a.peers)) })
	for i, b := range list {
		ahead := window
		if i >= mainBranches {
			ahead = sideWindow
		}
		b.missing = s.blocks.MissingTowards(b.best, ahead)
	}
	return list
}

// ownBranches returns what the peers have that are asked for at most half of what
// they may be: so that what is missing is not looked up for every block that comes.
func (s *syncer) ownBranches() (list []*branch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.flights() / 2
	byBest := map[types.Hash]*branch{}
	for p, sp := range s.peers {
		if len(sp.flying) > most {
			continue
		}
		b := byBest[sp.best.Hash]
		if b == nil {
			b = &branch{best: sp.best.Hash}
			byBest[sp.best.Hash] = b
			list = append(list, b)
		}
		b.peers = append(b.peers, p)
	}
	return list
}

// flights is how many blocks are asked of a peer at once. It assumes mu.
func (s *syncer) flights() int {
	return max(min(flightBytes/max(s.average, 1), maxFlights), minFlights)
}

// dropStalled takes blocks back from peers that deliver none. It returns those that did
// so too often, for the caller to close outside of the lock. It assumes mu.
func (s *syncer) dropStalled(now time.Time) (stalled []*peer) {
	for p, sp := range s.peers {
		if !sp.stalling(p, now) {
			continue
		}
		s.takeBack(sp)
		if sp.stalls++; sp.stalls >= maxStalls {
			stalled = append(stalled, p)
		}
	}
	return stalled
}

// stalling reports whether a peer sends nothing of what was asked of it, or so
// little that it might as well be nothing.
func (sp *syncPeer) stalling(p *peer, now time.Time) bool {
	waited := now.Sub(sp.last)
	if len(sp.flying) == 0 || waited < stallTimeout || p.busy(now) {
		return false
	}
	return waited > slowTimeout || float64(p.received.Load()-sp.before) < slowest*waited.Seconds()
}

// resume begins to wait for what was asked of a peer anew.
func (sp *syncPeer) resume(p *peer, now time.Time) { sp.last, sp.before = now, p.received.Load() }

// resume is for a peer from which nothing could be read for a while, because we were busy
// with what it had sent before.
func (s *syncer) resume(p *peer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		sp.resume(p, now)
	}
}

// pick returns the one of the peers that have a block with the least to do, for a new
// block the one that is the most likely to bring it; not one that has been asked
// already. It assumes mu.
func (s *syncer) pick(at types.Index, holders []*peer, limit int, news bool) *peer {
	var best *peer
	least, asked := 0, len(s.flying[at.Hash]) > 0
	for _, p := range holders {
		sp := s.peers[p]
		if sp == nil || sp.flying[at.Hash] != nil || !sp.has(p, at) || len(sp.flying) >= limit {
			continue
		}
		if busy := len(sp.flying) > 0; busy && !news && (asked || sp.stalls > 0 && len(s.peers) > 1) {
			continue
		}
		todo := len(sp.flying)
		if news {
			todo += sp.rank(p) * (maxFlights + 1)
		}
		if best == nil || todo < least {
			best, least = p, todo
		}
	}
	return best
}

// fly notes that a block is asked for. Who was asked before may still send it. It
// assumes mu.
func (s *syncer) fly(p *peer, at types.Index, now time.Time) {
	sp := s.peers[p]
	if len(sp.flying) == 0 {
		sp.resume(p, now)
	}
	if sp.flying[at.Hash] == nil { // or it is asked in another way
		f := &flight{at: at, peer: p, since: now, had: p.received.Load()}
		sp.flying[at.Hash] = f
		s.flying[at.Hash] = append(s.flying[at.Hash], f)
	}
}

// unfly takes a flight off the list of its block. It assumes mu.
func (s *syncer) unfly(f *flight) {
	left := slices.DeleteFunc(s.flying[f.at.Hash], func(other *flight) bool { return other == f })
	if s.flying[f.at.Hash] = left; len(left) == 0 {
		delete(s.flying, f.at.Hash)
	}
}
