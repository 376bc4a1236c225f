package wallet

import (
	"context"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// filterBatch is how many filters are fetched at once: few enough that a sync which is cut
// off loses little, and many enough that the way to the node hardly counts.
const filterBatch = 500

// batch is a run of blocks of the wallet's chain with their filters, on which all nodes agree
// that were asked.
type batch struct {
	from    uint32 // height of the first
	hashes  []types.Hash
	times   []uint32
	filters [][]byte
	headers []types.Hash // of the filters
	source  *remote      // where the filters are from
}

// last returns the last block.
func (b *batch) last() types.Index {
	return types.Index{Height: b.from + uint32(len(b.hashes)) - 1, Hash: b.hashes[len(b.hashes)-1]}
}

// fetch fetches the filters of the blocks from one, which it leaves out, to a height. prev is
// the filter header of that one. Filters of all blocks are fetched, so that no node can tell
// which of them matter. The last header is compared with those of other nodes; where they
// differ, it is found out who lies, and that node is not asked again.
func (s *session) fetch(ctx context.Context, from types.Index, prev types.Hash, to uint32) (*batch, error) {
	b := &batch{from: from.Height + 1}
	for height := from.Height + 1; height <= to; height++ {
		h, err := s.w.headerAt(height)
		if err != nil {
			return nil, err
		}
		b.hashes, b.times = append(b.hashes, h.Hash()), append(b.times, h.Timestamp)
	}
	for {
		sources := s.usable(to)
		if len(sources) == 0 {
			return nil, s.nobody()
		}
		b.source = sources[0]
		if err := b.fill(ctx, prev); err != nil {
			if err := s.drop(ctx, b.source, err); err != nil {
				return nil, err
			}
			continue
		}
		if agreed, err := s.compare(ctx, b, from.Height); agreed || err != nil {
			return b, err
		}
	}
}

// fill fetches filters from the batch's source. The headers are computed, and must be those
// that the node names: a node that tells now these filters and now those is found out where
// they meet.
func (b *batch) fill(ctx context.Context, prev types.Hash) error {
	got, err := b.source.filters(ctx, b.hashes)
	if err != nil {
		return err
	}
	b.filters, b.headers = make([][]byte, len(got)), make([]types.Hash, len(got))
	for i := range got {
		switch prev = filter.Header(got[i].filter, prev); {
		case prev == got[i].header:
		case i == 0 && b.from > 1:
			return lying("filters from block %s on that do not follow those of earlier blocks: this node lies, or one did that was asked before; a rescan looks through all blocks anew", b.hashes[0])
		default:
			return lying("the filter of block %s is not the one that its header names", b.hashes[i])
		}
		b.filters[i], b.headers[i] = got[i].filter, prev
	}
	return nil
}

// compare holds the batch against what other nodes say of its last block, or of the last
// that they have. All agree on the block below the batch. It is not agreed if the source of
// the batch is found to lie.
func (s *session) compare(ctx context.Context, b *batch, below uint32) (agreed bool, err error) {
	for _, other := range s.usable(b.from) {
		at := min(b.last().Height, other.upTo)
		if other == b.source {
			continue
		}
		header, err := other.filterHeader(ctx, b.hashes[at-b.from])
		if err != nil {
			if err := s.drop(ctx, other, err); err != nil {
				return false, err
			}
			continue
		}
		if header == b.headers[at-b.from] {
			continue
		}
		if err := s.settle(ctx, b.source, other, below, at); err != nil {
			return false, err
		}
	}
	return !s.oneOut(b.source), nil
}

// begin returns the filter header of a block, on which all nodes agree that have it. stored is
// what the wallet was told of it earlier, zero if nothing. If all of several nodes say
// something else, begin reports that what was told earlier is false.
func (s *session) begin(ctx context.Context, at types.Index, stored types.Hash) (header types.Hash, agreed bool, err error) {
	if at.Height == 0 { // nobody has to be asked for what the network's file says
		return s.genesisHeader(), true, nil
	}
	for {
		list := s.usable(at.Height)
		if len(list) == 0 {
			return header, false, s.nobody()
		}
		if len(list) == 1 && !stored.IsZero() { // the next filter shows whether it agrees
			return stored, true, nil
		}
		headers := make([]types.Hash, 0, len(list))
		for _, r := range list {
			header, err := r.filterHeader(ctx, at.Hash)
			if err != nil {
				if err := s.drop(ctx, r, err); err != nil {
					return header, false, err
				}
				break
			}
			if headers = append(headers, header); header != headers[0] {
				if err := s.settle(ctx, list[0], r, 0, at.Height); err != nil {
					return header, false, err
				}
				break
			}
		}
		if len(headers) == len(list) && headers[len(headers)-1] == headers[0] {
			return headers[0], stored.IsZero() || stored == headers[0], nil
		}
	}
}

// genesisHeader returns the filter header of the genesis block, which spends nothing.
func (s *session) genesisHeader() types.Hash {
	genesis := s.w.params.GenesisBlock()
	return filter.Header(filter.OfScripts(genesis.Hash, paidScripts(genesis)), types.Hash{})
}

// paidScripts returns the scripts that a block pays and that filters hold: OP_RETURN outputs are
// in none (BIP158).
func paidScripts(block *consensus.HashedBlock) (paid [][]byte) {
	for i := range block.Block.Txs {
		for j := range block.Block.Txs[i].Outputs {
			if script := block.Block.Txs[i].Outputs[j].ScriptPubKey; len(script) > 0 && script[0] != taproot.OpReturn {
				paid = append(paid, script)
			}
		}
	}
	return paid
}

// block returns a block of the wallet's chain from any node that gives it.
func (s *session) block(ctx context.Context, at types.Index) (*consensus.HashedBlock, error) {
	var refused error
	for _, r := range s.usable(at.Height) {
		block, err := r.block(ctx, at.Hash)
		if err == nil {
			return block, nil
		}
		if codeOf(err) != 0 { // a node that prunes is good for all else
			refused = firstError(refused, r.named(err))
			continue
		}
		if err := s.drop(ctx, r, err); err != nil {
			return nil, err
		}
	}
	if refused == nil {
		return nil, s.nobody()
	}
	return nil, fmt.Errorf("%w: block %d (%s) may hold a payment: %w; a node that keeps all blocks has it", ErrNoBlock, at.Height, at.Hash, refused)
}
