package web

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// pageBudget is the memory in bytes for pages that were made.
const pageBudget = 24 << 20

// pageCache keeps the pages that were asked for last. One that many want at once is made by
// the first of them, and the others wait for it.
type pageCache struct {
	limit int

	mu sync.Mutex
	// Guarded by mu:
	bytes   int
	entries map[string]*cachedPage
	recent  list.List // of *cachedPage, the one used last at the front
}

type cachedPage struct {
	key   string
	ready chan struct{} // closed when the fields below are set
	made  made
	err   error
	place *list.Element // guarded by the cache's mu; nil while it is made
}

func newPageCache(limit int) *pageCache {
	return &pageCache{limit: limit, entries: map[string]*cachedPage{}}
}

// get returns a page, and makes it if it is not there. Errors are not kept.
func (c *pageCache) get(ctx context.Context, key string, make func() (made, error)) (made, error) {
	for {
		c.mu.Lock()
		e := c.entries[key]
		if e == nil {
			e = &cachedPage{key: key, ready: newReady()}
			c.entries[key] = e
			c.mu.Unlock()
			c.fill(e, make)
			return e.made, e.err
		}
		if e.place != nil {
			c.recent.MoveToFront(e.place)
		}
		c.mu.Unlock()
		select {
		case <-e.ready:
		case <-ctx.Done():
			return made{}, ctx.Err()
		}
		if !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded) || ctx.Err() != nil {
			return e.made, e.err
		} // else only the one who came first has gone
	}
}

func newReady() chan struct{} { return make(chan struct{}) }

// errFault is what those are told who wait for a page whose making panics.
var errFault = errors.New("making the page panicked")

// fill makes a page, and lets older ones go.
func (c *pageCache) fill(e *cachedPage, make func() (made, error)) {
	e.err = errFault
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(e.ready)
		size := len(e.key) + e.made.size()
		if e.err != nil || size > c.limit/4 {
			delete(c.entries, e.key)
			return
		}
		e.place = c.recent.PushFront(e)
		for c.bytes += size; c.bytes > c.limit; {
			last := c.recent.Remove(c.recent.Back()).(*cachedPage)
			c.bytes -= len(last.key) + last.made.size()
			delete(c.entries, last.key)
		}
	}()
	e.made, e.err = make()
}
