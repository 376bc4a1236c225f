package stratum

import (
	"context"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/template"
)

// emptyWeight is set aside for the header and the coinbase of an empty block.
const emptyWeight = 8000

// follower makes jobs: on a new tip at once, for better fees and a fresh time after a
// while, and for whoever comes when there is none. While nobody wants jobs it makes none.
// The pool may take long to follow a tip, and templates with it, so they are made beside;
// when one is not there soon, an empty block comes first.
type follower struct {
	s        *Server
	ready    chan *template.Template
	making   sync.WaitGroup
	busy     bool        // a template is being made
	again    bool        // and is out of date already
	fresh    bool        // the next job is wanted even if its template is the same
	refresh  *time.Timer // for the next job without a reason
	patience *time.Timer // until an empty block is better than none
	rest     *time.Timer // until the next job at all
	resting  bool
}

// follow runs until the context ends.
func (s *Server) follow(ctx context.Context) {
	f := &follower{
		s: s, ready: make(chan *template.Template, 1),
		refresh: time.NewTimer(refreshAfter), patience: time.NewTimer(tipPatience), rest: time.NewTimer(spacing),
	}
	tip, cancelTip := s.o.Chain.Subscribe()
	pool, cancelPool := s.o.Pool.Subscribe()
	defer func() {
		cancelTip()
		cancelPool()
		for _, timer := range []*time.Timer{f.refresh, f.patience, f.rest} {
			timer.Stop()
		}
		f.making.Wait()
	}()
	for ctx.Err() == nil {
		f.step(ctx, tip, pool)
	}
}

// step waits for a reason to do something, and does it.
func (f *follower) step(ctx context.Context, tip, pool <-chan struct{}) {
	current := f.s.jobs.current()
	if f.resting {
		tip, pool = nil, nil
	}
	if current == nil || !current.template.PoolBehind {
		pool = nil // anything is better than an empty block; else there is time
	}
	select {
	case <-tip:
		f.patience.Reset(tipPatience)
		if !f.make() {
			f.s.jobs.drop()
		}
	case <-pool:
		f.make()
	case <-f.s.wanted:
		f.make()
	case <-f.refresh.C:
		f.fresh = true
		f.make()
	case t := <-f.ready:
		f.made(t)
	case <-f.patience.C:
		f.emptyBlock()
	case <-f.rest.C:
		f.resting = false
	case <-ctx.Done():
	}
}

// make begins to make a template, and reports whether anybody wants one.
func (f *follower) make() bool {
	switch {
	case len(f.s.atWork()) == 0:
		return false
	case f.busy:
		f.again = true
		return true
	}
	f.busy = true
	f.making.Go(func() { f.ready <- f.s.o.Templates.Template() })
	return true
}

// made gives a template out, unless the tip has moved meanwhile.
func (f *follower) made(t *template.Template) {
	f.busy = false
	if again := f.again; again {
		f.again = false
		f.make()
	}
	state := f.s.o.Chain.TipState()
	current := f.s.jobs.current()
	if t.Header.PrevBlock != state.Index.Hash || current != nil && current.template == t && !f.fresh {
		return
	}
	f.offer(t)
}

// emptyBlock makes a job of no transactions if there is none on the tip yet.
func (f *follower) emptyBlock() {
	state := f.s.o.Chain.TipState()
	current := f.s.jobs.current()
	if !f.busy || current != nil && current.template.Header.PrevBlock == state.Index.Hash {
		return
	}
	f.offer(template.New(f.s.o.Params, &state, nil, emptyWeight, f.s.o.Now()))
}

// offer makes a job of a template and gives it to all who work.
func (f *follower) offer(t *template.Template) {
	j := f.s.jobs.add(t, f.s.o.Now(), f.s.o.Clock())
	for _, c := range f.s.atWork() {
		c.give(j)
	}
	f.fresh = false
	f.refresh.Reset(refreshAfter)
	f.resting = true
	f.rest.Reset(spacing)
}
