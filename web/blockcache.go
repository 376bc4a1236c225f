package web

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

const (
	// blockBudget is the memory in bytes for decoded blocks that may be asked for again.
	blockBudget = 32 << 20
	// decodedFactor is how much more a decoded block takes than its bytes, at the worst
	// that was measured for blocks of usual transactions; blockOverhead is what the smallest
	// takes beside.
	decodedFactor = 4
	blockOverhead = 4 << 10
)

// body is a decoded block, with what it spends if that is known: a block that was never
// connected has none of that.
type body struct {
	*consensus.HashedBlock
	spent [][]types.Coin // of each transaction's inputs; nil: not known
}

// loadBlock reads a block.
func (s *Server) loadBlock(hash types.Hash) (*body, error) {
	update, err := s.Blocks.BlockUpdate(hash)
	if err == nil {
		return &body{update.Block, update.SpentCoins()}, nil
	}
	raw, rawErr := s.Blocks.Block(hash)
	if rawErr != nil {
		return nil, errors.Join(rawErr, err)
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil, err
	}
	return &body{HashedBlock: block}, nil
}

// connected reports whether a block's undo data is here, which tells what it spends.
func (s *Server) connected(hash types.Hash) bool {
	info, ok := s.Headers.Info(hash)
	return ok && info.Status.Has(header.StatusUndo)
}

// blockCache keeps blocks that were asked for last. One block at a time is read: pages
// that want others wait.
type blockCache struct {
	load func(types.Hash) (*body, error)
	// connected tells of which blocks load finds what they spend. A block that was asked for
	// before it was connected is read again after that.
	connected func(types.Hash) bool
	loading   chan struct{} // held while a block is read

	mu sync.Mutex
	// Guarded by mu:
	bytes   int
	entries map[types.Hash]*list.Element
	recent  list.List // of *keptBlock
}

type keptBlock struct {
	hash types.Hash
	body *body
	size int
}

func newBlockCache(load func(types.Hash) (*body, error), connected func(types.Hash) bool) *blockCache {
	return &blockCache{load: load, connected: connected, loading: make(chan struct{}, 1), entries: map[types.Hash]*list.Element{}}
}

// get returns a block.
func (c *blockCache) get(ctx context.Context, hash types.Hash) (*body, error) {
	if b := c.find(hash); b != nil {
		return b, nil
	}
	select {
	case c.loading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.loading }()
	if b := c.find(hash); b != nil { // who was before has read it
		return b, nil
	}
	b, err := c.load(hash)
	if err != nil {
		return nil, err
	}
	c.keep(hash, b)
	return b, nil
}

func (c *blockCache) find(hash types.Hash) *body {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[hash]
	if e == nil {
		return nil
	}
	b := e.Value.(*keptBlock).body
	if b.spent == nil && c.connected(hash) {
		return nil
	}
	c.recent.MoveToFront(e)
	return b
}

func (c *blockCache) keep(hash types.Hash, b *body) {
	k := &keptBlock{hash, b, decodedFactor*len(b.Raw) + blockOverhead}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.entries[hash]; before != nil { // from before it was connected
		c.drop(before)
	}
	c.entries[hash] = c.recent.PushFront(k)
	for c.bytes += k.size; c.bytes > blockBudget && c.recent.Len() > 1; {
		c.drop(c.recent.Back())
	}
}

// drop lets a block go. It assumes mu.
func (c *blockCache) drop(e *list.Element) {
	k := c.recent.Remove(e).(*keptBlock)
	c.bytes -= k.size
	delete(c.entries, k.hash)
}
