package rpc

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// The memory for blocks that answers are made of. It holds those that are in use and,
// while there is room, those that were used last: clients ask for the same block again,
// and many ask for the newest at once. Who wants another block waits for room, in turn.
const (
	blockBudget = 64 << 20 // bytes

	// What a block takes is known when it is decoded. Until then it counts as much as
	// nearly every block of 4 MB.
	blockReserve = 20 << 20

	// A client that does not take a piece of its answer in this time gives its block back
	// meanwhile, so that others do not wait for it.
	slowClient = 250 * time.Millisecond
)

// blockCache holds blocks, each as bytes alone or decoded.
type blockCache struct {
	limit int64
	load  func(key blockKey) (v *blockView, size int64, err error)

	mu sync.Mutex
	// Guarded by mu:
	bytes   int64
	entries map[blockKey]*cachedBlock
	idle    list.List // of those that nobody uses, the one used last at the front
	waiting list.List // of channels, which are closed when there is room
}

type blockKey struct {
	hash types.Hash
	kind viewKind
}

// viewKind is what there is of a block: bytes alone, or decoded, without or with what it
// spends.
type viewKind uint8

const (
	viewBytes viewKind = iota
	viewAlone
	viewSpent
)

// cachedBlock is a block that is here or about to come.
type cachedBlock struct {
	key   blockKey
	ready chan struct{} // closed when the fields below are set
	view  *blockView
	err   error

	// Guarded by the cache's mu:
	size  int64 // for which it counts
	users int
	place *list.Element // among the idle ones; nil: it is in use
}

func newBlockCache(limit int64, load func(blockKey) (*blockView, int64, error)) *blockCache {
	return &blockCache{limit: limit, load: load, entries: map[blockKey]*cachedBlock{}}
}

// take returns a block, which must be given back.
func (c *blockCache) take(ctx context.Context, key blockKey) (*cachedBlock, error) {
	for {
		c.mu.Lock()
		e := c.entries[key]
		if e == nil {
			e = &cachedBlock{key: key, ready: make(chan struct{}), size: blockReserve, users: 1}
			c.entries[key] = e
			c.mu.Unlock()
			c.fill(ctx, e)
		} else {
			e.users++
			if e.place != nil {
				c.idle.Remove(e.place)
				e.place = nil
			}
			c.mu.Unlock()
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			c.give(e)
			return nil, ctx.Err()
		}
		if e.err == nil {
			return e, nil
		}
		c.give(e)
		if !errors.Is(e.err, context.Canceled) && !errors.Is(e.err, context.DeadlineExceeded) || ctx.Err() != nil {
			return nil, e.err
		} // else only the one who wanted it first has gone
	}
}

// fill waits for room and loads a block.
func (c *blockCache) fill(ctx context.Context, e *cachedBlock) {
	size := int64(0)
	if e.err = c.makeRoom(ctx, e.size); e.err == nil {
		e.view, size, e.err = c.safely(e.key)
		c.mu.Lock()
		c.bytes += size - e.size
		e.size = size
	} else {
		c.mu.Lock()
		e.size = 0
	}
	if e.err != nil {
		c.bytes -= e.size
		e.size = 0
		delete(c.entries, e.key)
	}
	c.wake()
	c.mu.Unlock()
	close(e.ready)
}

// safely loads a block. After a bug in that nobody waits for it for ever.
func (c *blockCache) safely(key blockKey) (v *blockView, size int64, err error) {
	defer func() {
		if bug := recover(); bug != nil {
			v, size, err = nil, 0, fmt.Errorf("internal error: block %s: %v", key.hash, bug)
		}
	}()
	return c.load(key)
}

// makeRoom takes bytes from the budget. One block may exceed it if it is alone.
func (c *blockCache) makeRoom(ctx context.Context, size int64) error {
	var turn *list.Element
	c.mu.Lock()
	defer c.mu.Unlock()
	for first := true; ; first = false {
		if !first || c.waiting.Len() == 0 {
			for c.bytes+size > c.limit && c.idle.Len() > 0 {
				c.forget(c.idle.Back().Value.(*cachedBlock))
			}
			if c.bytes+size <= c.limit || c.bytes == 0 {
				c.bytes += size
				c.wake() // there may be room for one more
				return nil
			}
		}
		room := make(chan struct{})
		if turn == nil {
			turn = c.waiting.PushBack(room)
		} else {
			turn = c.waiting.PushFront(room) // it was the first and stays that
		}
		c.mu.Unlock()
		select {
		case <-room:
			c.mu.Lock()
		case <-ctx.Done():
			c.mu.Lock()
			select {
			case <-room:
				c.wake()
			default:
				c.waiting.Remove(turn)
			}
			return ctx.Err()
		}
	}
}

// wake lets the first who waits look for room. It assumes mu.
func (c *blockCache) wake() {
	if first := c.waiting.Front(); first != nil {
		close(c.waiting.Remove(first).(chan struct{}))
	}
}

// give ends a use. A block that nobody uses stays, unless somebody waits for room.
func (c *blockCache) give(e *cachedBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users > 0 || c.entries[e.key] != e {
		return
	}
	e.place = c.idle.PushFront(e)
	if c.waiting.Len() > 0 {
		c.wake()
	}
}

// forget takes a block out that nobody uses. It assumes mu.
func (c *blockCache) forget(e *cachedBlock) {
	c.idle.Remove(e.place)
	e.place = nil
	delete(c.entries, e.key)
	c.bytes -= e.size
}

// lease is the use of a block by an answer that is being written.
type lease struct {
	cache *blockCache
	key   blockKey

	mu sync.Mutex
	// Guarded by mu:
	held *cachedBlock // nil: it was given back
	lent bool         // nobody needs it at the moment
}

// view returns the block.
func (l *lease) view(ctx context.Context) (*blockView, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		e, err := l.cache.take(ctx, l.key)
		if err != nil {
			return nil, err
		}
		l.held = e
	}
	return l.held.view, nil
}

// eachPiece hands the encoding of a block on in pieces, from an offset on. Between two the
// block may be lent, so f keeps none while it waits.
func (l *lease) eachPiece(ctx context.Context, offset, size int, f func(part []byte) error) error {
	for {
		v, err := l.view(ctx)
		if err != nil {
			return err
		}
		n := min(pieceBytes/2, size, len(v.raw)-offset)
		if n <= 0 {
			return nil
		}
		if err := f(v.raw[offset : offset+n]); err != nil {
			return err
		}
		offset, size = offset+n, size-n
	}
}

// giveBack ends the use, until the block is asked for again.
func (l *lease) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		l.cache.give(l.held)
		l.held = nil
	}
}

// lend lets others have the block if that lasts, and returns what ends it.
func (l *lease) lend() (again func(context.Context) error) {
	set := func(lent bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lent = lent
	}
	set(true)
	slow := time.AfterFunc(slowClient, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lent && l.held != nil {
			l.cache.give(l.held)
			l.held = nil
		}
	})
	return func(ctx context.Context) error {
		slow.Stop()
		set(false)
		_, err := l.view(ctx)
		return err
	}
}

// leaseOf returns the use of a block, decoded or as bytes alone. The error says why there
// is no such block: one that was pruned may be in memory still.
func (s *Server) leaseOf(info *header.Info, decoded bool) (*lease, error) {
	kind := viewBytes
	switch {
	case decoded && info.Status.Has(header.StatusUndo):
		kind = viewSpent
	case decoded:
		kind = viewAlone
	}
	if !info.Status.Has(header.StatusBody) {
		if _, err := s.body(info); err != nil {
			return nil, err
		}
	}
	return &lease{cache: s.blocks, key: blockKey{info.Hash, kind}}, nil
}

// loadBlock reads a block for the cache.
func (s *Server) loadBlock(key blockKey) (v *blockView, size int64, err error) {
	info, ok := s.Headers.Info(key.hash)
	if !ok {
		return nil, 0, errNoBlock
	}
	if key.kind == viewBytes {
		raw, err := s.body(&info)
		return &blockView{raw: raw}, int64(len(raw)), err
	}
	v, err = s.decode(&info, key.kind == viewSpent)
	if err != nil {
		return nil, 0, err
	}
	return v, v.size(), nil
}

// view returns a decoded block for a short use.
func (s *Server) view(ctx context.Context, info *header.Info) (*blockView, error) {
	l, err := s.leaseOf(info, true)
	if err != nil {
		return nil, err
	}
	defer l.giveBack()
	return l.view(ctx)
}
