package rpc

import (
	"context"
	"encoding/json"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

func pruneMethods() []method {
	return []method{
		{name: "pruneblockchain", slow: true, read: pruneBlockchain, about: "Removes blocks and what undoes them up to a height, as far as they may go: the last 288 stay, what an\n" +
			"index needs stays, and files go as a whole. The node must run with --prune. Returns the height of the\n" +
			"last block that was pruned, or -1.", params: []param{
			{name: "height", kind: kindNumber, sample: "1000", about: "The block height to prune up to, or a time in seconds since 1970: blocks are pruned whose time is at least two hours before it"}}},
		{name: "getchainstates", read: noParams(getChainStates), about: "Returns information about the chain and the coins at its tip. There is one: it is never made of a snapshot."},
	}
}

// leastTime is above all heights and below all times since 2001: as in Core, what is
// greater than it is a time.
const leastTime = 1_000_000_000

// pruneBlockchain is Core's pruneblockchain. Core refuses it on a chain of less than
// 100,000 blocks (1,000 on regtest); karat wherever nothing could go.
func pruneBlockchain(s *Server, a *args) work {
	height := int64(a.int32(0, 0))
	pruned, _, _ := s.Control.Pruned()
	tip := s.Headers.Tip().Height
	switch {
	case a.err != nil:
		return nil
	case !pruned:
		a.fail(failf(CodeMisc, "Cannot prune blocks because node is not in prune mode."))
	case height < 0:
		a.fail(failf(CodeInvalidParam, "Negative block height."))
	case height > leastTime:
		first, ok := s.Operator.FirstSince(uint32(height - consensus.MaxFutureSeconds))
		if !ok {
			a.fail(failf(CodeInvalidParam, "Could not find block with at least the specified timestamp."))
		}
		height = int64(first.Height)
	}
	switch {
	case tip <= keptBlocks:
		a.fail(failf(CodeMisc, "Blockchain is too short for pruning."))
	case height > int64(tip):
		a.fail(failf(CodeInvalidParam, "Blockchain is shorter than the attempted prune height."))
	}
	return func(ctx context.Context) (any, error) {
		if err := s.Operator.PruneTo(ctx, uint32(height)); err != nil {
			return nil, err
		}
		_, from, _ := s.Control.Pruned()
		return int64(from) - 1, nil
	}
}

// keptBlocks is how many blocks below the tip are never pruned.
const keptBlocks = 288

// getChainStates is Core's getchainstates.
func getChainStates(_ context.Context, s *Server) (any, error) {
	type chainState struct {
		Blocks               uint32      `json:"blocks"`
		BestBlockHash        types.Hash  `json:"bestblockhash"`
		Bits                 string      `json:"bits"`
		Target               string      `json:"target"`
		Difficulty           json.Number `json:"difficulty"`
		VerificationProgress json.Number `json:"verificationprogress"`
		DatabaseCache        int64       `json:"coins_db_cache_bytes"`
		CoinCache            int64       `json:"coins_tip_cache_bytes"`
		Validated            bool        `json:"validated"`
	}
	state := s.Headers.TipState()
	headers := s.Headers.BestHeader()
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	database, coins := s.Operator.CacheBytes()
	return struct {
		Headers     uint32       `json:"headers"`
		ChainStates []chainState `json:"chainstates"`
	}{headers.Height, []chainState{{
		state.Index.Height, state.Index.Hash, bitsHex(state.Header.Bits), target.String(), difficulty(state.Header.Bits),
		progress(state.Index, headers), database, coins, true,
	}}}, nil
}
