package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

func miningMethods() []method {
	return []method{
		{name: "getmininginfo", read: noParams(getMiningInfo), about: "Returns the state of mining."},
		{name: "getnetworkhashps", read: getNetworkHashPS, about: "Estimates the hashes per second of the network.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "120", about: "The number of blocks to look at; -1 for all"},
			{name: "height", kind: kindNumber, optional: "-1", about: "The height of the last of them; -1 for the tip"}}},
		{name: "submitblock", read: submitBlock, about: "Gives a block to the node. The result is null, or why the block was refused.", params: []param{
			{name: "hexdata", kind: kindString, about: "The block in hexadecimal"},
			{name: "dummy", kind: kindAny, optional: "ignored", about: "Ignored"}}},
		{name: "generatetoaddress", slow: true, read: generateToAddress, about: "Mines blocks at once (on networks of fixed difficulty).", params: []param{
			{name: "nblocks", kind: kindNumber, about: "How many blocks"},
			{name: "address", kind: kindString, about: "The address that the blocks pay"},
			{name: "maxtries", kind: kindNumber, optional: "1000000", about: "Hashes to try for each block"}}},
		{name: "setmocktime", read: setMockTime, about: "Stops the node's clock at a time (on networks of fixed difficulty).", params: []param{
			{name: "timestamp", kind: kindNumber, about: "The time in seconds since 1970; 0 lets the clock go on"}}},
	}
}

// getMiningInfo is Core's getmininginfo. blockmintxfee is the relay minimum, because
// karat mines what it relays. The current block is the one that a miner would get
// now; Core's is the last that it made.
func getMiningInfo(_ context.Context, s *Server) (any, error) {
	state := s.Headers.TipState()
	end, _ := s.Headers.Info(state.Index.Hash)
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	next := consensus.NextBits(s.Params, &state)
	nextTarget, _, _ := consensus.ExpandBits(next)
	pool := s.Pool.Info()
	j := map[string]any{
		"blocks": state.Index.Height, "bits": bitsHex(state.Header.Bits), "difficulty": difficulty(state.Header.Bits), "target": target.String(),
		"networkhashps": s.networkHashRate(end, 120), "pooledtx": pool.Count, "blockmintxfee": feeRate(pool.MinRelay),
		"chain": s.Params.Name, "warnings": []string{},
		"next": map[string]any{"height": state.Index.Height + 1, "bits": bitsHex(next), "difficulty": difficulty(next), "target": nextTarget.String()},
	}
	if s.Miner != nil {
		t := s.Miner.Template()
		j["currentblocktx"], j["currentblockweight"] = len(t.Entries), t.Weight // Core does not count the coinbase
	}
	return j, nil
}

// getNetworkHashPS is Core's getnetworkhashps. Core's -1 is the time since the
// difficulty changed last; here it changes with every block, or never, so -1 counts
// from the genesis block.
func getNetworkHashPS(s *Server, a *args) work {
	blocks, height := a.integer(0, 120), a.integer(1, -1)
	if blocks < -1 || blocks == 0 {
		a.fail(failf(CodeInvalidParam, "Invalid nblocks. Must be a positive number or -1."))
	}
	return func(context.Context) (any, error) {
		hash := s.Headers.Tip().Hash
		if height != -1 {
			ok := height >= 0 && height <= math.MaxUint32
			if ok {
				hash, ok = s.Headers.HashAt(uint32(height))
			}
			if !ok {
				return nil, failf(CodeInvalidParam, "Block does not exist at specified height")
			}
		}
		end, _ := s.Headers.Info(hash)
		return s.networkHashRate(end, blocks), nil
	}
}

// networkHashRate estimates the hashes a second that the blocks up to one took: the
// work of the last blocks, over the time from the earliest of their timestamps to
// the latest, which need not be those of the first and the last.
func (s *Server) networkHashRate(end header.Info, blocks int64) json.Number {
	if blocks <= 0 || blocks > int64(end.Height) {
		blocks = int64(end.Height)
	}
	if blocks == 0 {
		return "0"
	}
	hash, _ := s.Headers.HashAt(end.Height - uint32(blocks))
	start, _ := s.Headers.Info(hash)
	least, most := end.Header.Timestamp, end.Header.Timestamp
	for height := start.Height; height <= end.Height; height++ {
		hash, _ := s.Headers.HashAt(height)
		info, _ := s.Headers.Info(hash)
		least, most = min(least, info.Header.Timestamp), max(most, info.Header.Timestamp)
	}
	if least == most {
		return "0"
	}
	work, _ := new(big.Float).SetInt(new(big.Int).Sub(bigWork(end.Work), bigWork(start.Work))).Float64()
	return double(work / float64(most-least)) // in double precision, as Core's, so that the digits are the same
}

// bigWork is work for the one place where it is divided.
func bigWork(work consensus.Uint256) *big.Int {
	n, _ := new(big.Int).SetString(work.String(), 16)
	return n
}

// submitBlock is Core's submitblock. The result tells a miner what became of the
// block, in the words of BIP22: null if it is the tip, inconclusive if it is on a
// branch, duplicate if it was known, else the broken rule. Only what is no block, or
// a fault of this node, is an error.
func submitBlock(s *Server, a *args) work {
	undecodable := failf(CodeDeserialization, "Block decode failed")
	raw := a.bytes(a.text(0, ""), undecodable)
	block, err := types.DecodeBlock(raw)
	if err != nil || len(block.Txs) == 0 {
		a.fail(undecodable)
		return nil
	}
	if completeCoinbase(block) {
		raw = block.AppendTo(nil)
	}
	return func(ctx context.Context) (any, error) {
		if info, known := s.Headers.Info(block.Hash()); known {
			switch {
			case info.Status.Has(header.StatusInvalid), info.Status.Has(header.StatusInvalidAncestor):
				return "duplicate-invalid", nil
			case info.Status.Has(header.StatusValid), info.Status.Has(header.StatusBody):
				return "duplicate", nil
			}
		}
		err := s.Operator.AddBlock(ctx, raw)
		var rule *consensus.RuleError
		switch {
		case errors.As(err, &rule):
			return string(rule.Reason), nil
		case err != nil:
			return nil, err
		}
		if info, known := s.Headers.Info(block.Hash()); known && !info.OnBestChain {
			return "inconclusive", nil
		}
		return nil, nil
	}
}

// completeCoinbase gives a coinbase its reserved value of zeros (BIP141) if it lacks
// one and commits to witnesses, as Core does: miners that know no witnesses leave it
// out. It reports whether it has changed the block.
func completeCoinbase(block *types.Block) bool {
	coinbase := &block.Txs[0]
	if len(coinbase.Inputs) != 1 || coinbase.HasWitness() {
		return false
	}
	if consensus.WitnessCommitment(coinbase) == nil {
		return false
	}
	coinbase.Inputs[0].Witness = [][]byte{make([]byte, types.HashSize)}
	return true
}

// forTesting refuses what would harm a network that is worth something.
func (s *Server) forTesting(method string) error {
	if s.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return failf(CodeMisc, "%s works on networks of fixed difficulty only, such as dev", method)
	}
	return nil
}

// generateToAddress is Core's generatetoaddress, with which tests make blocks when
// they want them. The bound on blocks keeps a call within its time.
func generateToAddress(s *Server, a *args) work {
	a.fail(s.forTesting("generatetoaddress"))
	n := a.number(0, 0, 0, 100_000)
	script, err := taproot.DecodeAddress(s.Params.HRP, a.text(1, ""))
	if err != nil {
		a.fail(failf(CodeAddressOrKey, "Error: Invalid address"))
	}
	tries := a.number(2, 1_000_000, 1, math.MaxInt64)
	return func(ctx context.Context) (any, error) {
		if s.Miner == nil {
			return nil, failf(CodeMisc, "this node cannot mine")
		}
		hashes, err := s.Miner.Generate(ctx, int(n), script, uint64(tries))
		switch {
		case err != nil && len(hashes) > 0:
			return nil, fmt.Errorf("after %d of %d blocks: %w", len(hashes), n, err)
		case err != nil:
			return nil, err
		}
		return append([]types.Hash{}, hashes...), nil
	}
}

// setMockTime is Core's setmocktime. Core has it on regtest alone.
func setMockTime(s *Server, a *args) work {
	a.fail(s.forTesting("setmocktime"))
	at := a.integer(0, 0)
	if at < 0 || at > math.MaxUint32 {
		a.fail(failf(CodeInvalidParam, "Mocktime must be in the range [0, %d], not %s.", uint32(math.MaxUint32), a.unquoted(0)))
	}
	return func(context.Context) (any, error) {
		s.Control.SetTime(at)
		return nil, nil
	}
}
