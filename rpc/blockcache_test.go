package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// testCache returns a cache for three blocks of the size that is reserved. At the end
// nothing of it may be in use.
func testCache(t *testing.T, load func(blockKey) (*blockView, int64, error)) *blockCache {
	c := newBlockCache(3*blockReserve, load)
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		held := int64(0)
		for _, e := range c.entries {
			if e.users != 0 || e.place == nil {
				t.Errorf("block %s has %d users at the end", e.key.hash, e.users)
			}
			held += e.size
		}
		if c.bytes != held || c.waiting.Len() != 0 {
			t.Errorf("%d bytes are counted of %d, %d wait", c.bytes, held, c.waiting.Len())
		}
	})
	return c
}

func blockNumber(n int) blockKey { return blockKey{types.Hash{byte(n)}, viewSpent} }

// TestBlockCache: many who want many blocks get each, load no more than there is room
// for at once, and leave nothing behind.
func TestBlockCache(t *testing.T) {
	var loads, now, most atomic.Int32
	c := testCache(t, func(blockKey) (*blockView, int64, error) {
		loads.Add(1)
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(100 * time.Microsecond)
		now.Add(-1)
		return &blockView{}, blockReserve, nil
	})
	var all sync.WaitGroup
	for g := range 20 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 20 {
				ctx, cancel := t.Context(), func() {}
				if r.IntN(4) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(300))*time.Microsecond)
				}
				l := lease{cache: c, key: blockNumber(r.IntN(9))}
				_, err := l.view(ctx)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				l.giveBack()
				cancel()
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d blocks were loaded at once", most.Load())
	}
	if loads.Load() < 9 {
		t.Errorf("%d loads", loads.Load())
	}
}

// TestBlockCacheShares: one block is loaded once for all, and stays while there is room.
func TestBlockCacheShares(t *testing.T) {
	var loads atomic.Int32
	c := testCache(t, func(blockKey) (*blockView, int64, error) { loads.Add(1); return &blockView{}, 100, nil })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			l := lease{cache: c, key: blockNumber(1)}
			if _, err := l.view(t.Context()); err != nil {
				t.Error(err)
			}
			l.giveBack()
		})
	}
	all.Wait()
	if loads.Load() != 1 {
		t.Errorf("%d loads", loads.Load())
	}
}

// TestBlockCacheErrors: an error is told and not kept, and neither is a bug.
func TestBlockCacheErrors(t *testing.T) {
	fail := errors.New("damaged")
	c := testCache(t, func(key blockKey) (*blockView, int64, error) {
		if key.hash[0] == 1 {
			return nil, 0, fail
		}
		if key.hash[0] == 2 {
			panic("a bug")
		}
		return &blockView{}, 10 * blockReserve, nil // more than the budget, which one may be
	})
	for n := range 4 {
		l := lease{cache: c, key: blockNumber(n)}
		_, err := l.view(t.Context())
		l.giveBack()
		if (n == 1 || n == 2) != (err != nil) || n == 1 && !errors.Is(err, fail) {
			t.Errorf("block %d: %v", n, err)
		}
	}
}

// TestSlowClient: who takes long for a piece lends its block, and has it again after.
func TestSlowClient(t *testing.T) {
	c := testCache(t, func(blockKey) (*blockView, int64, error) { return &blockView{}, 3 * blockReserve, nil })
	slow := lease{cache: c, key: blockNumber(1)}
	if _, err := slow.view(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := slow.lend()
	other := lease{cache: c, key: blockNumber(2)}
	if _, err := other.view(t.Context()); err != nil { // it waits until the first one lends
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := again(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two blocks at once: %v", err)
	}
	other.giveBack()
	if err := again(t.Context()); err != nil {
		t.Error(err)
	}
	slow.giveBack()
}
