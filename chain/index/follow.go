package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// A step has at most batchBlocks blocks, and fewer if they are large or take long: all
// of them are in memory at once, and indexes at the tip wait for one that is far behind.
// With one block a step a sync would wait for the disk most of the time.
const (
	batchBlocks = 200
	batchBytes  = 8 << 20
	batchTime   = 500 * time.Millisecond
)

// Run follows the chain until the context ends, which is no error. If an index fails,
// that is logged, and it stands still: this is no reason for a node to stop, nor for the
// others.
func (s *Set) Run(ctx context.Context) error {
	for _, x := range s.all {
		x.anew = false
		if x.db != nil { // one that cannot be opened does not come back
			x.fail(nil)
		}
	}
	limits := map[place]int{}
	return poke.Follow(ctx, s.chain, func() (bool, error) { return s.advance(ctx, limits), nil })
}

// place is where indexes can be that step together.
type place struct {
	at    types.Index
	fresh bool // not even the genesis block is indexed
}

// advance takes one step towards the tip with every index, and reports whether there may
// be more. limits are how many blocks to ask for at once, by where a group stands.
func (s *Set) advance(ctx context.Context, limits map[place]int) (more bool) {
	groups := map[place][]*index{}
	var places []place
	for _, x := range s.all {
		if x.damaged.Load() && !x.standsStill() {
			x.stumble(fmt.Errorf("%w: a query met damage", errAnew))
		}
		if x.standsStill() {
			continue
		}
		if x.old {
			var err error
			if x.old, err = x.dropOld(); err != nil {
				x.stumble(err)
				continue
			}
			more = more || x.old
		}
		p := place{x.at, x.fresh}
		if groups[p] == nil {
			places = append(places, p)
		}
		groups[p] = append(groups[p], x)
	}
	s.giveWay(ctx)
	// The one at the tip first: clients wait for it.
	slices.SortStableFunc(places, func(a, b place) int { return int(b.at.Height) - int(a.at.Height) })
	for _, p := range places {
		limit := max(limits[p], 1)
		delete(limits, p)
		next, stepped := s.step(groups[p], p, limit)
		if stepped {
			for _, x := range groups[p] {
				now := place{x.at, x.fresh}
				limits[now] = max(next, limits[now])
			}
		}
		more = more || stepped
	}
	return more
}

// step takes one step with indexes that are at the same place, on all cores. It returns
// how many blocks the next one should have, and whether it did anything.
func (s *Set) step(group []*index, p place, limit int) (next int, stepped bool) {
	began := time.Now()
	reverted, applied, err := s.updates(p, limit)
	if err == nil && len(reverted)+len(applied) == 0 {
		for _, x := range group {
			x.logged = time.Now()
		}
		return 1, false
	}
	errs := make([]error, len(group))
	var writing sync.WaitGroup
	for i, x := range group {
		if errs[i] = err; err == nil {
			writing.Go(func() { errs[i] = x.write(reverted, applied) })
		}
	}
	writing.Wait()
	for i, x := range group {
		if errs[i] != nil {
			x.stumble(errs[i])
			stepped = stepped || !x.standsStill()
			continue
		}
		stepped = true
		if time.Since(x.logged) > 10*time.Second {
			x.logged = time.Now()
			x.log.Info("indexing", "height", x.at.Height, "of", s.chain.Tip().Height)
		}
	}
	return nextLimit(limit, sizeOf(reverted)+sizeOf(applied), time.Since(began)), stepped
}

// updates returns what comes after a place.
func (s *Set) updates(p place, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	if p.fresh {
		u, err := s.chain.BlockUpdate(p.at.Hash)
		return nil, []consensus.BlockUpdate{u}, err
	}
	reverted, applied, err = s.chain.UpdatesSince(p.at, limit)
	switch {
	case errors.Is(err, consensus.ErrNotFound):
		err = fmt.Errorf("it is at %s, and blocks from there on were pruned: %w", p.at, err)
	case err != nil && !errors.Is(err, consensus.ErrLocal): // the chain does not know the block: it is another one than before
		err = fmt.Errorf("%w: %w", errAnew, err)
	}
	return reverted, applied, err
}

// stumble goes on after an error. What is damaged is made anew, but only once: a disk
// that damages it again and again would be worn out by that, and would never have an
// index. Otherwise the index stands still.
func (x *index) stumble(err error) {
	if isDamage(err) && !x.anew {
		x.log.Warn("making the index anew", "why", err)
		x.anew = true
		x.damaged.Store(false)
		if err = x.reset(); err == nil {
			return
		}
	}
	x.fail(err)
}

// giveWay waits while the node has more urgent work and gets on with it. A tip that
// has once stood still for too long is not waited for again.
func (s *Set) giveWay(ctx context.Context) {
	const patience = 5 * time.Second
	tip, since := s.chain.Tip(), time.Now()
	for s.o.Later != nil && tip != s.stood && s.o.Later() {
		if time.Since(since) >= patience {
			s.stood = tip
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		if now := s.chain.Tip(); now != tip {
			tip, since = now, time.Now()
		}
	}
}

// nextLimit returns how many blocks to ask for, when as many as limit had so many
// bytes and took so long: the number doubles or halves until a step is of the right size.
func nextLimit(limit, bytes int, took time.Duration) int {
	switch {
	case bytes > batchBytes || took > batchTime:
		return max(limit/2, 1)
	case bytes < batchBytes/2 && took < batchTime/2:
		return min(2*limit, batchBlocks)
	}
	return limit
}

func sizeOf(updates []consensus.BlockUpdate) (bytes int) {
	for i := range updates {
		bytes += len(updates[i].Block.Raw)
	}
	return bytes
}
