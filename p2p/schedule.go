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

// The blocks of many branches are fetched at once, but far ahead of few.
const (
	mainBranches = 16 // that are fetched as far ahead as window says
	sideWindow   = 64 // blocks of others
)

// branch is a chain that peers have, to its last header.
type branch struct {
	best    types.Hash
	work    consensus.Uint256
	peers   []*peer
	missing []types.Index // the lowest first
}

// scheduling asks for blocks.
func (s *syncer) scheduling(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-s.more:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.schedule()
		s.look()
	}
}

// schedule gives the blocks that are missing to peers that have them. What is missing
// is asked of each peer's own chain: the header chain with the most work may be one of
// which nobody gives the blocks, and must not keep us from the others.
func (s *syncer) schedule() {
	now := s.m.o.Now()
	branches := s.branches()
	requests := map[*peer][]types.Hash{}
	s.mu.Lock()
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
			if s.arrived[at.Hash] != nil {
				continue
			}
			f := s.flying[at.Hash]
			if f != nil && !(i == 0 && now.Sub(f.since) > laggardTimeout) {
				continue
			}
			if p := s.pick(at, holders[at.Hash], limit, f); p != nil {
				s.fly(p, at, now)
				requests[p] = append(requests[p], at.Hash)
			}
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
}

// branches returns the chains of the peers that may be asked for more, as far as
// they have at least the work of the tip. Those with the most work come first.
func (s *syncer) branches() []*branch {
	list := s.ownBranches()
	least := s.m.o.Headers.TipState().Work
	list = slices.DeleteFunc(list, func(b *branch) bool {
		info, ok := s.m.o.Headers.Info(b.best)
		b.work = info.Work
		return !ok || b.work.Cmp(least) < 0
	})
	slices.SortFunc(list, func(a, b *branch) int { return cmp.Or(b.work.Cmp(a.work), len(b.peers)-len(a.peers)) })
	for i, b := range list {
		ahead := window
		if i >= mainBranches {
			ahead = sideWindow
		}
		b.missing = s.m.o.Blocks.MissingTowards(b.best, ahead)
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

// dropStalled takes blocks back from peers that deliver none, and returns those
// that did so too often. It assumes mu.
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

// resume is for a peer whose blocks could not be read for a while, since we were
// busy with what it had sent before.
func (s *syncer) resume(p *peer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		sp.resume(p, now)
	}
}

// pick returns the one of the peers that have a block with the least to do; not the
// one that has been asked already. It assumes mu.
func (s *syncer) pick(at types.Index, holders []*peer, limit int, asked *flight) *peer {
	var best *peer
	least := limit
	for _, p := range holders {
		sp := s.peers[p]
		if sp == nil || asked != nil && (asked.peer == p || len(sp.flying) > 0) {
			continue
		}
		if !sp.has(p, at) || sp.stalls > 0 && len(s.peers) > 1 && len(sp.flying) > 0 {
			continue
		}
		if len(sp.flying) < least {
			best, least = p, len(sp.flying)
		}
	}
	return best
}

// fly notes that a block is asked for. Who was asked before may still send it. It
// assumes mu.
func (s *syncer) fly(p *peer, at types.Index, now time.Time) {
	f := &flight{at: at, peer: p, since: now}
	s.flying[at.Hash] = f
	sp := s.peers[p]
	if len(sp.flying) == 0 {
		sp.resume(p, now)
	}
	sp.flying[at.Hash] = f
}
