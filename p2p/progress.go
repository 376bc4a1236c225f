package p2p

import (
	"sync"
	"time"
)

// progressEvery is how often a long sync is told of.
const progressEvery = 10 * time.Second

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
	tip, best, now := s.m.o.Headers.Tip(), s.m.o.Headers.BestHeader(), time.Now()
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.began.IsZero() && s.m.Syncing():
		p.began, p.told, p.first = now, now, tip.Height
		s.m.log.Info("syncing", "height", tip.Height, "of", best.Height)
	case p.began.IsZero():
	case tip == best:
		s.m.log.Info("synced", "height", tip.Height, "block", tip.Hash, "took", now.Sub(p.began).Round(time.Millisecond))
		p.began = time.Time{}
	case now.Sub(p.told) >= progressEvery && tip.Height > p.first && best.Height > tip.Height:
		p.told = now
		left := now.Sub(p.began) / time.Duration(tip.Height-p.first) * time.Duration(best.Height-tip.Height)
		s.m.log.Info("syncing", "height", tip.Height, "of", best.Height, "left", left.Round(time.Second))
	}
}
