package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

func chainMethods() []method {
	return []method{
		{name: "getbestblockhash", read: noParams(getBestBlockHash), about: "Returns the hash of the best (tip) block in the most-work fully-validated chain."},
		{name: "getblockcount", read: noParams(getBlockCount), about: "Returns the height of the most-work fully-validated chain. The genesis block has height 0."},
		{name: "getblockhash", read: getBlockHash, about: "Returns hash of block in best-block-chain at height provided.", params: []param{
			{name: "height", kind: kindNumber, about: "The height index"}}},
		{name: "getblockchaininfo", read: noParams(getBlockchainInfo), about: "Returns the state of the chain."},
		{name: "getchaintips", read: noParams(getChainTips), about: "Returns all known tips in the block tree, the main chain's and those of branches."},
		{name: "getdifficulty", read: noParams(getDifficulty), about: "Returns the proof-of-work difficulty as a multiple of Bitcoin's minimum difficulty."},
		{name: "getchaintxstats", read: getChainTxStats, about: "Counts the transactions of a window of blocks.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "one month", about: "Size of the window in blocks"},
			{name: "blockhash", kind: kindString, optional: "chain tip", about: "The block that ends the window"}}},
		{name: "invalidateblock", read: operate(Operator.Invalidate), about: "Marks a block as invalid, as if it broke a rule.", params: []param{paramBlockHash}},
		{name: "reconsiderblock", read: operate(Operator.Reconsider), about: "Takes invalidateblock back: a block, its ancestors and its descendants are checked again.", params: []param{paramBlockHash}},
		{name: "preciousblock", read: operate(Operator.Precious), about: "Treats a block as if it had come before others with the same work.", params: []param{paramBlockHash}},
		{name: "verifychain", slow: true, read: verifyChain, about: "Checks the last blocks again, as they are stored.", params: []param{
			{name: "checklevel", kind: kindNumber, optional: "3", about: "How thorough: 0 to 4"},
			{name: "nblocks", kind: kindNumber, optional: "6", about: "The number of blocks, 0 for all"}}},
	}
}

// getBestBlockHash is Core's getbestblockhash.
func getBestBlockHash(_ context.Context, s *Server) (any, error) {
	return s.Headers.Tip().Hash, nil
}

// getBlockCount is Core's getblockcount.
func getBlockCount(_ context.Context, s *Server) (any, error) {
	return s.Headers.Tip().Height, nil
}

// getBlockHash is Core's getblockhash. A height has one hash, that of the best chain;
// blocks of branches are found by getchaintips.
func getBlockHash(s *Server, a *args) work {
	height := a.int32(0, 0)
	return func(context.Context) (any, error) {
		if height >= 0 && height <= math.MaxUint32 {
			if hash, ok := s.Headers.HashAt(uint32(height)); ok {
				return hash, nil
			}
		}
		return nil, failf(CodeInvalidParam, "Block height out of range")
	}
}

// confirmations counts the blocks from one on the best chain to the tip; it is -1
// for one that is not on it. The tip may have moved since info was read, even to a
// lower one, so the count is at least 1.
func (s *Server) confirmations(info *header.Info) int64 {
	if !info.OnBestChain {
		return -1
	}
	return max(int64(s.Headers.Tip().Height)-int64(info.Height)+1, 1)
}

func bitsHex(bits uint32) string { return fmt.Sprintf("%08x", bits) }

// difficulty is how many times harder than Bitcoin's easiest target one is: the ratio
// of the two mantissas, moved by a byte for each step between the exponents, which
// for that target is 29 (0x1d). It is computed as Core does, in double precision, so
// that the digits are the same.
func difficulty(bits uint32) json.Number {
	shift := int(bits >> 24)
	d := float64(0x0000ffff) / float64(bits&0x00ffffff)
	for ; shift < 29; shift++ {
		d *= 256
	}
	for ; shift > 29; shift-- {
		d /= 256
	}
	return double(d)
}

// double writes a number as Bitcoin Core does: with up to 16 significant digits, which
// is one less than a double may need. Go's own shortest form would differ in the
// last.
func double(d float64) json.Number {
	if d == math.Trunc(d) && math.Abs(d) < 1e15 {
		return json.Number(strconv.FormatFloat(d, 'f', -1, 64))
	}
	return json.Number(strconv.FormatFloat(d, 'g', 16, 64))
}

// chainInfoJSON has the heights of pruning only if blocks are pruned, as Core's.
type chainInfoJSON struct {
	Chain                string      `json:"chain"`
	Blocks               uint32      `json:"blocks"`
	Headers              uint32      `json:"headers"`
	BestBlockHash        types.Hash  `json:"bestblockhash"`
	Bits                 string      `json:"bits"`
	Target               string      `json:"target"`
	Difficulty           json.Number `json:"difficulty"`
	Time                 uint32      `json:"time"`
	MedianTime           uint32      `json:"mediantime"`
	VerificationProgress json.Number `json:"verificationprogress"`
	InitialBlockDownload bool        `json:"initialblockdownload"`
	ChainWork            string      `json:"chainwork"`
	SizeOnDisk           int64       `json:"size_on_disk"`
	Pruned               bool        `json:"pruned"`
	PruneHeight          *uint32     `json:"pruneheight,omitempty"`
	AutomaticPruning     *bool       `json:"automatic_pruning,omitempty"`
	PruneTargetSize      *int64      `json:"prune_target_size,omitempty"`
	Warnings             []string    `json:"warnings"`
}

// getBlockchainInfo is Core's getblockchaininfo. Core guesses from the age of the tip
// whether it has synced, and how far it is. On a quiet network such a guess stays
// wrong, so karat goes by the best header that it knows.
func getBlockchainInfo(_ context.Context, s *Server) (any, error) {
	state := s.Headers.TipState()
	headers := s.Headers.BestHeader()
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	j := chainInfoJSON{
		Chain: s.Params.Name, Blocks: state.Index.Height, Headers: headers.Height, BestBlockHash: state.Index.Hash,
		Bits: bitsHex(state.Header.Bits), Target: target.String(), Difficulty: difficulty(state.Header.Bits),
		Time: state.Header.Timestamp, MedianTime: state.MedianTimePast(), VerificationProgress: progress(state.Index, headers),
		InitialBlockDownload: s.Control.Syncing(), ChainWork: state.Work.String(), SizeOnDisk: s.Operator.SizeOnDisk(),
		Warnings: s.Control.Warnings(),
	}
	if pruned, height, target := s.Control.Pruned(); pruned {
		automatic := target > 0
		j.Pruned, j.PruneHeight, j.AutomaticPruning = true, &height, &automatic
		if automatic {
			j.PruneTargetSize = &target
		}
	}
	return j, nil
}

// progress is how far the chain is, of what is known of it.
func progress(tip, headers types.Index) json.Number {
	if headers.Height <= tip.Height {
		return "1"
	}
	return double(float64(tip.Height) / float64(headers.Height))
}

// getChainTips is Core's getchaintips, the highest first. The best tip is among them
// even if headers above it are known.
func getChainTips(_ context.Context, s *Server) (any, error) {
	type tip struct {
		Height       uint32     `json:"height"`
		Hash         types.Hash `json:"hash"`
		BranchLength uint32     `json:"branchlen"`
		Status       string     `json:"status"`
	}
	tips := []tip{}
	for _, t := range s.Headers.Tips() {
		tips = append(tips, tip{t.Index.Height, t.Index.Hash, t.BranchLength, t.Status})
	}
	return tips, nil
}

// getDifficulty is Core's getdifficulty.
func getDifficulty(_ context.Context, s *Server) (any, error) {
	state := s.Headers.TipState()
	return difficulty(state.Header.Bits), nil
}

// chainTxStatsJSON has what is of the window only if there is one.
type chainTxStatsJSON struct {
	Time     uint32      `json:"time"`
	TxCount  uint64      `json:"txcount"`
	Hash     types.Hash  `json:"window_final_block_hash"`
	Height   uint32      `json:"window_final_block_height"`
	Blocks   int64       `json:"window_block_count"`
	Interval *int64      `json:"window_interval,omitempty"`
	Txs      *uint64     `json:"window_tx_count,omitempty"`
	Rate     json.Number `json:"txrate,omitempty"`
}

// getChainTxStats is Core's getchaintxstats. The window that it takes by itself is a
// month of blocks at the network's spacing.
func getChainTxStats(s *Server, a *args) work {
	end, known := s.Headers.Info(s.Headers.Tip().Hash)
	switch {
	case a.given(1):
		if end = s.blockInfo(a, 1, "blockhash"); !end.OnBestChain {
			a.fail(failf(CodeInvalidParam, "Block is not in main chain"))
		}
	case !known:
		a.fail(errNoBlock)
	}
	month := int64(30*24*60*60) / int64(max(s.Params.TargetSpacing, 1))
	count := a.int32(0, min(month, max(int64(end.Height)-1, 0)))
	if count < 0 || count > 0 && count >= int64(end.Height) {
		a.fail(failf(CodeInvalidParam, "Invalid block count: should be between 0 and the block's height - 1"))
	}
	return func(context.Context) (any, error) {
		hash, _ := s.Headers.HashAt(end.Height - uint32(count))
		start, _ := s.Headers.Info(hash)
		j := chainTxStatsJSON{Time: end.Header.Timestamp, TxCount: end.ChainTxs, Hash: end.Hash, Height: end.Height, Blocks: count}
		if count > 0 {
			interval := int64(end.MedianTime) - int64(start.MedianTime)
			txs := end.ChainTxs - start.ChainTxs
			j.Interval, j.Txs = &interval, &txs
			if interval > 0 {
				j.Rate = double(float64(txs) / float64(interval))
			}
		}
		return j, nil
	}
}

// operate makes Core's invalidateblock, reconsiderblock and preciousblock, which
// differ only in what is done to the block.
func operate(do func(Operator, context.Context, types.Hash) error) func(*Server, *args) work {
	return func(s *Server, a *args) work {
		info := s.blockInfo(a, 0, "blockhash")
		return func(ctx context.Context) (any, error) { return nil, do(s.Operator, ctx, info.Hash) }
	}
}

// verifyChain is Core's verifychain. Damage is the result false, as there, and the
// log says what it is; a call that was ended has found nothing. Core has nothing below
// the least level and above the most, so it takes these, and all blocks for fewer than none.
func verifyChain(s *Server, a *args) work {
	level, depth := min(max(a.int32(0, 3), 0), 4), max(a.int32(1, 6), 0)
	return func(ctx context.Context) (any, error) {
		err := s.Operator.Verify(ctx, uint32(depth), int(level))
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return nil, err
		case err != nil:
			s.log.Error("not all blocks could be verified", "err", err)
		}
		return err == nil, nil
	}
}
