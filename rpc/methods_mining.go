package rpc

import (
	"context"
	"encoding/json"
	"math"
	"math/big"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
)

func miningMethods() []method {
	return []method{
		{name: "getmininginfo", read: noParams(getMiningInfo), about: "Returns the state of mining."},
		{name: "getnetworkhashps", read: getNetworkHashPS, about: "Estimates the hashes per second of the network.", params: []param{
			{name: "nblocks", kind: kindNumber, optional: "120", about: "The number of blocks to look at; -1 for all"},
			{name: "height", kind: kindNumber, optional: "-1", about: "The height of the last of them; -1 for the tip"}}},
	}
}

// miningInfoJSON is the answer of getmininginfo.
type miningInfoJSON struct {
	Blocks             uint32        `json:"blocks"`
	CurrentBlockWeight *int          `json:"currentblockweight,omitempty"`
	CurrentBlockTx     *int          `json:"currentblocktx,omitempty"`
	Bits               string        `json:"bits"`
	Difficulty         json.Number   `json:"difficulty"`
	Target             string        `json:"target"`
	NetworkHashPS      json.Number   `json:"networkhashps"`
	PooledTx           int           `json:"pooledtx"`
	BlockMinTxFee      json.Number   `json:"blockmintxfee"`
	Chain              string        `json:"chain"`
	Next               nextBlockJSON `json:"next"`
	Warnings           []string      `json:"warnings"`
}

type nextBlockJSON struct {
	Height     uint32      `json:"height"`
	Bits       string      `json:"bits"`
	Difficulty json.Number `json:"difficulty"`
	Target     string      `json:"target"`
}

// getMiningInfo is Core's getmininginfo. The current block is the last that was put
// together, for whoever asked; without one its fields are missing.
func getMiningInfo(_ context.Context, s *Server) (any, error) {
	state := s.Headers.TipState()
	end, _ := s.Headers.Info(state.Index.Hash)
	target, _, _ := consensus.ExpandBits(state.Header.Bits)
	next := consensus.NextBits(s.Params, &state)
	nextTarget, _, _ := consensus.ExpandBits(next)
	j := miningInfoJSON{
		Blocks: state.Index.Height, Bits: bitsHex(state.Header.Bits), Difficulty: difficulty(state.Header.Bits), Target: target.String(),
		NetworkHashPS: s.networkHashRate(end, 120), PooledTx: s.Pool.Info().Count, BlockMinTxFee: feeRate(s.BlockMinFeeRate),
		Chain: s.Params.Name, Warnings: s.Control.Warnings(),
		Next: nextBlockJSON{state.Index.Height + 1, bitsHex(next), difficulty(next), nextTarget.String()},
	}
	if s.Miner != nil {
		if t := s.Miner.Last(); t != nil {
			count := len(t.Entries) // as in Core, without the coinbase
			j.CurrentBlockWeight, j.CurrentBlockTx = &t.Weight, &count
		}
	}
	return j, nil
}

// getNetworkHashPS is Core's getnetworkhashps. Core's -1 is the time since the
// difficulty changed last; here it changes with every block, or never, so -1 counts
// from the genesis block.
func getNetworkHashPS(s *Server, a *args) work {
	blocks, height := a.int32(0, 120), a.int32(1, -1)
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
