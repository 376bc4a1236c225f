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

// The bounds of how blocks are taken over from those who do not bring them.
const (
	front          = 16 // of the lowest that are missing, which are taken over first: all others wait for them
	leastPatience  = 150 * time.Millisecond
	laggardTimeout = 5 * time.Second       // after which more are asked though something comes
	lookEvery      = 50 * time.Millisecond // while blocks are under way
)

// scheduling asks for blocks whenever something has changed, and every second. While
// blocks are under way it looks more often, to notice soon who does not bring them.
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
			wait = lookEvery
		}
		timer.Reset(wait)
		s.look()
	}
}

// schedule gives the blocks that are missing to peers that have them. What is missing
// is asked of each peer's own chain: the header chain with the most work may be one of
// which nobody gives the blocks, and must not keep us from the others. It reports
// whether blocks are under way.
func (s *syncer) schedule() (busy bool) {
	branches := s.branches()
	patience := s.measure()
	requests := map[*peer][]types.Hash{}
	s.mu.Lock()
	s.patience = patience
	r := s.newRound(branches)
	stalled := s.stalled(r.now)
	for _, b := range branches {
		for i := range b.missing {
			if s.arrivedBytes > maxArrived {
				break
			}
			for p := r.next(b, i); p != nil; p = r.next(b, i) {
				s.fly(p, b.missing[i], r.now).whole = true
				requests[p] = append(requests[p], b.missing[i].Hash)
			}
		}
	}
	busy = len(s.flying) > 0
	s.mu.Unlock()
	for _, p := range stalled {
		p.close(errStalled)
	}
	for p, hashes := range requests {
		for some := range slices.Chunk(hashes, wire.MaxGetBlocks) {
			p.send(&wire.GetBlocks{Hashes: some})
		}
	}
	return busy
}

// isNews reports whether it is new blocks that are missing, and not that we are behind.
func (b *branch) isNews() bool { return len(b.missing) <= 2 }

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
	byBest := map[types.Hash]*branch{}
	for p, sp := range s.peers {
		if 2*sp.load() > s.most(sp) {
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

// flights is how many blocks are asked of a peer at once at most. It assumes mu.
func (s *syncer) flights() int {
	return max(min(flightBytes/max(s.average, 1), maxFlights), minFlights)
}

// most is how many blocks are asked of a certain peer at once. It assumes mu.
func (s *syncer) most(sp *syncPeer) int { return min(sp.limit, s.flights()) }

// fly notes that a block is asked for. Who was asked before may still send it. It
// assumes mu.
func (s *syncer) fly(p *peer, at types.Index, now time.Time) *flight {
	sp := s.peers[p]
	if sp.load() == 0 {
		sp.resume(p, now)
	}
	if sp.flying[at.Hash] == nil { // or it is asked in another way
		delete(sp.late, at.Hash)
		f := &flight{at: at, peer: p, since: now, had: p.received.Load()}
		sp.flying[at.Hash] = f
		s.flying[at.Hash] = append(s.flying[at.Hash], f)
	}
	return sp.flying[at.Hash]
}

// unfly takes a flight off the list of its block. It assumes mu.
func (s *syncer) unfly(f *flight) {
	left := slices.DeleteFunc(s.flying[f.at.Hash], func(other *flight) bool { return other == f })
	if s.flying[f.at.Hash] = left; len(left) == 0 {
		delete(s.flying, f.at.Hash)
	}
}
