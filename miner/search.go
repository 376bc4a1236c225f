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

// checkEvery is the number of hashes between looks at whether to stop.
const checkEvery = 1 << 14

// search looks for a nonce on all threads. Each has a coinbase of its own, so
// that none tries what another does. It returns nil without an error when
// maxTries hashes were not enough, and the context's error when that ended.
func (m *Miner) search(ctx context.Context, t *Template, maxTries uint64) (*types.Block, error) {
	target, _, _ := consensus.ExpandBits(t.Block.Header.Bits)
	var (
		wg    sync.WaitGroup
		done  atomic.Bool
		tries atomic.Uint64
		mu    sync.Mutex
		found *types.Block
	)
	stop := context.AfterFunc(ctx, func() { done.Store(true) })
	defer stop()
	branch := merkleBranch(t.Block.Txs)
	threads := m.o.Threads
	if m.o.Params.Difficulty.Algorithm == consensus.DifficultyFixed {
		threads = 1 // a block costs a few hashes
	}
	for range threads {
		wg.Go(func() {
			for !done.Load() {
				block := m.vary(t, branch)
				nonce, ok := m.scan(&block.Header, target, func(n uint64) bool {
					return done.Load() || tries.Add(n) > maxTries
				})
				if ok {
					block.Header.Nonce = nonce
					mu.Lock()
					found = block
					mu.Unlock()
					done.Store(true)
				} else if tries.Load() > maxTries {
					return
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
// state of the hash after the first 64 is computed once. enough is asked after
// every so many hashes whether to stop.
func (m *Miner) scan(h *types.Header, target consensus.Uint256, enough func(tried uint64) bool) (nonce uint32, ok bool) {
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
	for n := uint64(0); n <= math.MaxUint32; n++ {
		binary.LittleEndian.PutUint32(tail[12:], uint32(n))
		if restore.UnmarshalBinary(state) != nil {
			return 0, false
		}
		hasher.Write(tail)
		hash := types.Hash(sha256.Sum256(hasher.Sum(sum[:0])))
		if binary.LittleEndian.Uint64(hash[24:]) <= top && consensus.Uint256FromHash(hash).Cmp(target) <= 0 {
			m.hashes.Add(n%checkEvery + 1)
			return uint32(n), true
		}
		if n%checkEvery == checkEvery-1 {
			m.hashes.Add(checkEvery)
			if enough(checkEvery) {
				return 0, false
			}
		}
	}
	return 0, false
}
