package p2p

import (
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// recent is how deep below the tip compact blocks are answered for. To read and
// decode others costs us more than the question costs the peer.
const recent = 10

// maxRecentBytes bounds the blocks of which transactions are at hand, but for the
// last of them.
const maxRecentBytes = 16 << 20

// recentBlock is a block that is at hand.
type recentBlock struct {
	at    types.Index
	block *types.Block
	size  int // of its encoding, in bytes
}

// recentBlocks keeps the newest blocks at hand, since everybody asks for parts of
// them at the same time.
type recentBlocks struct {
	loading chan struct{} // one slot: who holds it reads a block

	mu sync.Mutex
	// Guarded by mu:
	blocks []*recentBlock // in no order
	bytes  int
	floor  uint32 // the greatest height of a block that was let go
}

func newRecentBlocks() recentBlocks { return recentBlocks{loading: make(chan struct{}, 1)} }

func (r *recentBlocks) get(hash types.Hash) *recentBlock {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.blocks {
		if b.at.Hash == hash {
			return b
		}
	}
	return nil
}

// takes reports whether a block of a height may be kept. If not, it is not worth
// reading: nobody can make us read blocks in turn that do not fit together.
func (r *recentBlocks) takes(height uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return height > r.floor
}

// put keeps a block, and lets those go that are lower if it is too much.
func (r *recentBlocks) put(b *recentBlock) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks = append(r.blocks, b)
	r.bytes += b.size
	for len(r.blocks) > 1 && (r.bytes > maxRecentBytes || len(r.blocks) > recent+1) {
		i := r.lowest()
		r.bytes -= r.blocks[i].size
		r.floor = max(r.floor, r.blocks[i].at.Height)
		last := len(r.blocks) - 1
		r.blocks[i], r.blocks[last] = r.blocks[last], nil
		r.blocks = r.blocks[:last]
	}
}

// lowest returns the place of the lowest block. It assumes mu.
func (r *recentBlocks) lowest() int {
	lowest := 0
	for i, b := range r.blocks {
		if b.at.Height < r.blocks[lowest].at.Height {
			lowest = i
		}
	}
	return lowest
}

// load returns a block, which is read if it is not at hand; nil if it is not there
// or not worth that.
func (r *recentBlocks) load(at types.Index, read func(types.Hash) ([]byte, error)) *recentBlock {
	if b := r.get(at.Hash); b != nil {
		return b
	}
	r.loading <- struct{}{}
	defer func() { <-r.loading }()
	if b := r.get(at.Hash); b != nil || !r.takes(at.Height) {
		return b
	}
	raw, err := read(at.Hash)
	if err != nil {
		return nil
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		return nil
	}
	b := &recentBlock{at, block, len(raw)}
	r.put(b)
	return b
}
