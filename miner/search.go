package miner

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
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
	goOn := func() bool { return found.Load() == nil && ctx.Err() == nil && taken.Load() < maxTries }
	take := func() uint64 {
		for goOn() {
			before := taken.Load()
			n := min(checkEvery, maxTries-before)
			if taken.CompareAndSwap(before, before+n) {
				return n
			}
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

// scan tries all nonces of a header. Only the last 16 of its 80 bytes change, and
// SHA-256 works through 64 at a time, so that its state after the first 64 is
// computed once and restored for each nonce. take tells how many may be tried next,
// at most checkEvery; none ends the scan.
func (m *Miner) scan(h *types.Header, target consensus.Uint256, take func() uint64) (nonce uint32, ok bool) {
	raw := h.AppendTo(make([]byte, 0, types.HeaderSize))
	hasher := sha256.New()
	hasher.Write(raw[:64])
	state, err := hasher.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return 0, false
	}
	restore := hasher.(encoding.BinaryUnmarshaler)
	tail := raw[64:]
	var sum [sha256.Size]byte
	top := target[3] // the most significant limb, at which nearly every hash fails
	for next := uint64(0); next <= math.MaxUint32; {
		n, first := take(), next
		if n == 0 {
			return 0, false
		}
		for end := min(first+n, math.MaxUint32+1); next < end; next++ {
			binary.LittleEndian.PutUint32(tail[12:], uint32(next))
			if restore.UnmarshalBinary(state) != nil {
				return 0, false
			}
			hasher.Write(tail)
			hash := types.Hash(sha256.Sum256(hasher.Sum(sum[:0])))
			if binary.LittleEndian.Uint64(hash[24:]) <= top && consensus.Uint256FromHash(hash).Cmp(target) <= 0 {
				m.hashes.Add(next - first + 1)
				return uint32(next), true
			}
		}
		m.hashes.Add(next - first)
	}
	return 0, false
}
