package wallet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
)

// ErrDisagree are nodes that tell different filters of a block, of which none can be shown to
// lie: the transactions that the block spends from are not to be had.
var ErrDisagree = errors.New("nodes tell different filters of a block, and it cannot be found out which of them lies")

// settle finds out which of two nodes lies about filters: they agree on the filter header of
// the block at a height, and differ at another above. The first block at which they differ
// decides by itself. A node that lies is asked no more; if neither can be shown to, that is an
// error.
func (s *session) settle(ctx context.Context, a, b *remote, same, differs uint32) error {
	for differs-same > 1 {
		middle := same + (differs-same)/2
		equal, err := s.sameHeader(ctx, a, b, middle)
		if s.oneOut(a, b) || err != nil {
			return err
		}
		if equal {
			same = middle
		} else {
			differs = middle
		}
	}
	h, err := s.w.headerAt(differs)
	if err != nil {
		return err
	}
	at := types.Index{Height: differs, Hash: h.Hash()}
	filters := map[*remote][]byte{}
	for _, r := range []*remote{a, b} {
		got, err := r.filters(ctx, []types.Hash{at.Hash})
		if err != nil {
			return s.drop(ctx, r, err)
		}
		filters[r] = got[0].filter
	}
	if bytes.Equal(filters[a], filters[b]) {
		return s.settleHeaders(ctx, a, b, at)
	}
	return s.judge(ctx, a, b, at, filters)
}

// sameHeader reports whether two nodes tell the same filter header of a block.
func (s *session) sameHeader(ctx context.Context, a, b *remote, height uint32) (bool, error) {
	h, err := s.w.headerAt(height)
	if err != nil {
		return false, err
	}
	first, err := a.filterHeader(ctx, h.Hash())
	if err != nil {
		return false, s.drop(ctx, a, err)
	}
	second, err := b.filterHeader(ctx, h.Hash())
	if err != nil {
		return false, s.drop(ctx, b, err)
	}
	return first == second, nil
}

// settleHeaders judges two nodes that tell the same filter of a block and different headers.
// They agree on the header below, from which that of the block is computed.
func (s *session) settleHeaders(ctx context.Context, a, b *remote, at types.Index) error {
	below := s.genesisHeader()
	if at.Height > 1 {
		h, err := s.w.headerAt(at.Height - 1)
		if err != nil {
			return err
		}
		if below, err = a.filterHeader(ctx, h.Hash()); err != nil {
			return s.drop(ctx, a, err)
		}
	}
	for _, r := range []*remote{a, b} {
		got, err := r.filters(ctx, []types.Hash{at.Hash})
		if err == nil && filter.Header(got[0].filter, below) != got[0].header {
			err = lying("the filter of block %d (%s) is not the one that its header names", at.Height, at.Hash)
		}
		if err != nil {
			return s.drop(ctx, r, err)
		}
	}
	return fmt.Errorf("%w: block %d (%s)", ErrDisagree, at.Height, at.Hash)
}

// judge finds out which of two filters of a block is false, by the block itself.
func (s *session) judge(ctx context.Context, a, b *remote, at types.Index, filters map[*remote][]byte) error {
	block, err := s.block(ctx, at)
	if err != nil {
		return err
	}
	for _, r := range []*remote{a, b} {
		if err := leavesOut(filters[r], block); err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return err
			}
		}
	}
	if s.oneOut(a, b) {
		return nil
	}
	// Both have what the block pays. What it spends is not in the block, but in transactions
	// that their ids prove.
	spent, all, err := s.spentScripts(ctx, block)
	if err != nil {
		return err
	}
	if all {
		right := filter.OfScripts(at.Hash, append(spent, paidScripts(block)...))
		for _, r := range []*remote{a, b} {
			if !bytes.Equal(filters[r], right) {
				if err := s.drop(ctx, r, lying("its filter of block %d (%s) is not the one that the block has", at.Height, at.Hash)); err != nil {
					return err
				}
			}
		}
	}
	if s.oneOut(a, b) {
		return nil
	}
	return s.vote(ctx, a, b, at)
}

// leavesOut returns what is wrong with a filter that lacks what the block pays. A filter that
// pays the wallet and hides another payment of the same block is found out so. What the block
// spends cannot be held against it here: those scripts are not in the block.
func leavesOut(f []byte, block *consensus.HashedBlock) error {
	if match, err := filter.MatchAll(f, block.Hash, paidScripts(block)); err != nil || !match {
		return lying("its filter of block %s leaves out what the block pays", block.Hash)
	}
	return nil
}

// spentScripts returns the scripts of all coins that a block spends. all is false if a
// transaction that made one cannot be had: not every node has an index of transactions.
func (s *session) spentScripts(ctx context.Context, block *consensus.HashedBlock) (scripts [][]byte, all bool, err error) {
	made := map[types.Hash]*types.Tx{}
	for _, b := range []*consensus.HashedBlock{block, s.w.params.GenesisBlock()} {
		for i := range b.Block.Txs {
			made[b.TxIDs[i]] = &b.Block.Txs[i]
		}
	}
	wanted := map[types.Hash][]uint32{} // which outputs of transactions elsewhere
	for i := range block.Block.Txs[1:] {
		for _, in := range block.Block.Txs[i+1].Inputs {
			out := in.PreviousOutPoint
			if tx := made[out.TxID]; tx != nil && uint64(out.Index) < uint64(len(tx.Outputs)) {
				scripts = append(scripts, tx.Outputs[out.Index].ScriptPubKey)
			} else {
				wanted[out.TxID] = append(wanted[out.TxID], out.Index)
			}
		}
	}
	for _, r := range s.usable(0) {
		var left []types.Hash
		for txid := range wanted {
			left = append(left, txid)
		}
		for part := range slices.Chunk(left, poolBatch) { // their scripts are kept, and nothing else
			txs, err := r.transactions(ctx, part, math.MaxInt)
			if err != nil {
				if err := s.drop(ctx, r, err); err != nil {
					return nil, false, err
				}
				break
			}
			for txid, tx := range txs {
				for _, index := range wanted[txid] {
					if uint64(index) >= uint64(len(tx.Outputs)) {
						return nil, false, nil // a block that breaks a rule which no miner pays for
					}
					scripts = append(scripts, tx.Outputs[index].ScriptPubKey)
				}
				delete(wanted, txid)
			}
		}
	}
	return scripts, len(wanted) == 0, nil
}

// vote asks all nodes that have a block for its filter header, and believes what most of them
// say, if that is one of two that differ. It is the last resort: who can be many is believed.
func (s *session) vote(ctx context.Context, a, b *remote, at types.Index) error {
	votes := map[types.Hash][]*remote{}
	said := map[*remote]types.Hash{}
	for _, r := range s.usable(at.Height) {
		header, err := r.filterHeader(ctx, at.Hash)
		if err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return err
			}
			continue
		}
		votes[header] = append(votes[header], r)
		said[r] = header
	}
	first, second := len(votes[said[a]]), len(votes[said[b]])
	if first == second || s.oneOut(a, b) {
		return fmt.Errorf("%w: block %d (%s), nodes %s and %s", ErrDisagree, at.Height, at.Hash, a.name, b.name)
	}
	loser := said[a]
	if first > second {
		loser = said[b]
	}
	for _, r := range votes[loser] {
		if err := s.drop(ctx, r, lying("its filter of block %d (%s) is another than most nodes have", at.Height, at.Hash)); err != nil {
			return err
		}
	}
	return nil
}
