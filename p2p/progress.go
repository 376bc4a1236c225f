package p2p

import (
	"sync"
	"time"
)

// progressEvery is how often a long sync is told of.
const progressEvery = 10 * time.Second

// slowBlock is how long a block may take before what comes of it counts for nothing.
const slowBlock = 5 * time.Minute

// progress tells people in the log that the node syncs, how far it is, and that it
// has synced.
type progress struct {
	mu sync.Mutex
	// Guarded by mu:
	began time.Time // zero: there is nothing to tell
	told  time.Time
	first uint32 // the height then
}

// tell is called when there may be more headers or blocks than before.
func (s *syncer) tell() {
	tip, best, now := s.tree.Tip(), s.tree.BestHeader(), time.Now()
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.began.IsZero() && s.syncing():
		p.began, p.told, p.first = now, now, tip.Height
		s.log.Info("syncing", "height", tip.Height, "of", best.Height)
	case p.began.IsZero():
	case tip == best || s.near.Load() && now.Sub(p.told) >= progressEvery: // the rest does not come
		s.log.Info("synced", "height", tip.Height, "block", tip.Hash, "took", now.Sub(p.began).Round(time.Millisecond))
		p.began = time.Time{}
	case now.Sub(p.told) >= progressEvery && tip.Height > p.first && best.Height > tip.Height:
		p.told = now
		left := now.Sub(p.began) / time.Duration(tip.Height-p.first) * time.Duration(best.Height-tip.Height)
		s.log.Info("syncing", "height", tip.Height, "of", best.Height, "left", left.Round(time.Second))
	}
}

// syncing reports that the node has begun with blocks that exist, and was not near
// the best chain yet. Once it is false it stays false, whatever headers come.
func (s *syncer) syncing() bool { return !s.near.Load() && s.ahead() }

// ahead reports whether there are headers of more than one block above the tip, of
// which the blocks may not exist.
func (s *syncer) ahead() bool {
	best, ok := s.tree.Info(s.tree.BestHeader().Hash)
	state := s.tree.TipState()
	return ok && best.Work.Cmp(state.Work) > 0 && best.Height > state.Index.Height+1
}

// look finds out whether the tip is near the best chain. Headers alone can only delay
// that: those of which no block comes count for nothing after a while. What was near
// once stays so (as in Bitcoin Core): were it taken back, three headers without blocks
// would silence a node.
func (s *syncer) look() {
	if s.near.Load() || s.tree.TipState().Work.Cmp(s.params.MinimumChainWork) < 0 {
		return
	}
	ahead, now := s.ahead(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ahead:
		s.near.Store(s.heard)
		s.behind = time.Time{}
	case s.behind.IsZero():
		s.behind, s.blocked = now, now
	case s.growing() && now.Sub(s.blocked) < slowBlock:
		s.behind = now
	case now.Sub(s.behind) > withheldTime:
		s.near.Store(true)
	}
}

// growing reports whether more has come of blocks from peers of our own choice: over a
// slow line a block takes its time. Those who call us have no say in it, and nobody for
// longer than slowBlock. It assumes mu.
func (s *syncer) growing() bool {
	bytes := uint64(0)
	for p := range s.peers {
		if !p.inbound {
			bytes += p.blockBytes()
		}
	}
	was := s.ownBytes
	s.ownBytes = bytes
	return bytes > was
}
