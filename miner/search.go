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
	"github.com/karatcoin/karat/chain/types"
)

// checkEvery is the number of hashes between looks at whether to stop, at most.
const checkEvery = 1 << 14

// search looks for a nonce on all threads. Each has a coinbase of its own, so
// that none tries what another does. It returns nil without an error when
// maxTries hashes were not enough, and the context's error when that ended.
func (m *Miner) search(ctx context.Context, t *Template, maxTries uint64) (*types.Block, error) {
	target, _, _ := consensus.ExpandBits(t.Block.Header.Bits)
	var (
		wg    sync.WaitGroup
		done  atomic.Bool
		taken atomic.Uint64 // of maxTries
		mu    sync.Mutex
		found *types.Block
	)
	stop := context.AfterFunc(ctx, func() { done.Store(true) })
	defer stop()
	take := func() uint64 {
		for ctx.Err() == nil && !done.Load() {
			before := taken.Load()
			n := min(checkEvery, maxTries-before)
			if taken.CompareAndSwap(before, before+n) {
				return n
			}
		}
		return 0
	}
	branch := merkleBranch(t.Block.Txs)
	threads := m.o.Threads
	if m.o.Params.Difficulty.Algorithm == consensus.DifficultyFixed {
		threads = 1 // a block costs a few hashes
	}
	for range threads {
		wg.Go(func() {
			for !done.Load() && taken.Load() < maxTries {
				block := m.vary(t, branch)
				nonce, ok := m.scan(&block.Header, target, take)
				if ok {
					block.Header.Nonce = nonce
					mu.Lock()
					found = block
					mu.Unlock()
					done.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if found == nil {
		return nil, ctx.Err()
	}
	return found, nil
}

// vary returns the template's block with another extra nonce.
func (m *Miner) vary(t *Template, branch []types.Hash) *types.Block {
	block := *t.Block
	block.Txs = append([]types.Tx(nil), block.Txs...)
	input := block.Txs[0].Inputs[0]
	input.ScriptSig = append([]byte(nil), input.ScriptSig...)
	binary.LittleEndian.PutUint64(input.ScriptSig[t.extraNonceAt():], m.extra.Add(1))
	block.Txs[0].Inputs = []types.TxIn{input}
	block.Header.MerkleRoot = rootOf(block.Txs[0].TxID(), branch)
	return &block
}

// scan tries all nonces. Only the last 16 bytes of a header change, so that the
// state of the hash after the first 64 is computed once. take tells how many may
// be tried next, at most checkEvery; none ends the scan.
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
	top := target[3] // the most significant limb, by which most hashes fail
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
