package miner

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/sha256d"
)

// checkEvery is the number of hashes between looks at whether to stop, at most: a
// few milliseconds, which nobody notices, and enough that the looks cost nothing.
const checkEvery = 1 << 14

// search looks for a nonce on all threads, and returns the block with it. Each
// thread has a coinbase of its own, so that none tries what another does, and takes
// the next one when it has tried all nonces. It returns nil without an error when
// maxTries hashes were not enough, and the context's error when that ended.
func (m *Miner) search(ctx context.Context, t *template.Template, scriptPubKey []byte, maxTries uint64) (*types.Block, error) {
	target, _, _ := consensus.ExpandBits(t.Header.Bits)
	var (
		wg    sync.WaitGroup
		taken atomic.Uint64 // of maxTries, by all threads
		found atomic.Pointer[types.Block]
	)
	most := uint64(checkEvery)
	if m.budget != nil {
		most = slice(m.o.MaxRate)
	}
	goOn := func() bool { return found.Load() == nil && ctx.Err() == nil && taken.Load() < maxTries }
	take := func() uint64 {
		for goOn() {
			before := taken.Load()
			n := min(most, maxTries-before)
			if !taken.CompareAndSwap(before, before+n) {
				continue
			}
			if m.budget != nil && m.budget.WaitN(ctx, int(n)) != nil {
				<-ctx.Done() // it has ended, or will before it is time
				return 0
			}
			return n
		}
		return 0
	}
	threads := m.o.Threads
	if m.o.Params.Difficulty.Algorithm == consensus.DifficultyFixed {
		threads = 1 // a block costs a few hashes, less than to begin a thread
	}
	for range threads {
		wg.Go(func() {
			for goOn() {
				block := m.block(t, scriptPubKey)
				nonce, ok := m.scan(&block.Header, target, take)
				if ok {
					block.Header.Nonce = nonce
					found.Store(block)
				}
			}
		})
	}
	wg.Wait()
	if block := found.Load(); block != nil {
		return block, nil
	}
	return nil, ctx.Err()
}

// slice is how many hashes are done at once by who may do so many a second: those of some
// milliseconds, since what is left of them when a block is found is lost.
func slice(rate float64) uint64 { return max(1, min(checkEvery, uint64(rate/200))) }

// scan tries all nonces of a header, the lowest first. take tells how many may be
// tried next, at most checkEvery; none ends the scan.
func (m *Miner) scan(h *types.Header, target consensus.Uint256, take func() uint64) (nonce uint32, ok bool) {
	scanner := sha256d.New(h, target)
	for next := uint64(0); next <= math.MaxUint32; {
		n := take()
		if n == 0 {
			return 0, false
		}
		first := next
		next = min(first+n, math.MaxUint32+1)
		if nonce, ok := scanner.Scan(first, next); ok {
			m.hashes.Add(uint64(nonce) - first + 1)
			return nonce, true
		}
		m.hashes.Add(next - first)
	}
	return 0, false
}
