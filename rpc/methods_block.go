package rpc

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
)

var (
	paramBlockHash = param{name: "blockhash", kind: kindString, about: "The block hash"}
	errNoBlock     = failf(CodeAddressOrKey, "Block not found")
)

func blockMethods() []method {
	return []method{
		{name: "getblockheader", read: getBlockHeader, about: "Returns a block's header, as an object or in hexadecimal.", params: []param{
			paramBlockHash,
			{name: "verbose", kind: kindBool, optional: "true", about: "true for an object, false for hexadecimal"}}},
		{name: "getblock", read: getBlock, about: "Returns a block: at verbosity 0 in hexadecimal, 1 with transaction ids, 2 with transactions, 3 with what they spend.", params: []param{
			paramBlockHash,
			{name: "verbosity|verbose", kind: kindNumber, loose: true, optional: "1", about: "0 to 3"}}},
		{name: "getblockfilter", read: getBlockFilter, about: "Returns the BIP158 filter of a block and its BIP157 header.", params: []param{
			paramBlockHash,
			{name: "filtertype", kind: kindString, optional: "basic", about: "The type name of the filter"}}},
		{name: "getblockstats", read: getBlockStats, about: "Returns statistics of a block of the best chain: its fees, feerates, sizes, inputs and outputs.", params: []param{
			{name: "hash_or_height", kind: kindPlace, about: "The block hash or height"},
			{name: "stats", kind: kindArray, optional: "all values", about: "Names of the values that are wanted"}}},
		{name: "gettxoutproof", read: getTxOutProof, about: "Returns a proof, in hexadecimal, that transactions are in a block.", params: []param{
			{name: "txids", kind: kindArray, sample: `'["TXID"]'`, about: "The transaction ids"},
			{name: "blockhash", kind: kindString, optional: "by the index", about: "The block in which to look"}}},
	}
}

// blockInfo finds the block whose hash is parameter i. It may be on a branch, and its
// body may not have come yet.
func (s *Server) blockInfo(a *args, i int, name string) header.Info {
	info, ok := s.Headers.Info(a.hash(i, name))
	if !ok {
		a.fail(errNoBlock)
	}
	return info
}

// getBlockHeader is Core's getblockheader.
func getBlockHeader(s *Server, a *args) work {
	verbose := a.flag(1, true)
	info := s.blockInfo(a, 0, "hash")
	return func(context.Context) (any, error) {
		if !verbose {
			return hex.EncodeToString(info.Header.AppendTo(nil)), nil
		}
		return s.headerJSON(&info), nil
	}
}

// getBlock is Core's getblock.
func getBlock(s *Server, a *args) work {
	verbosity := a.verbosity(1, 1, 3)
	info := s.blockInfo(a, 0, "blockhash")
	return func(context.Context) (any, error) {
		if verbosity <= 0 {
			return &rawBlockJSON{s, info}, nil
		}
		return &blockJSON{s, s.headerJSON(&info), verbosity}, nil
	}
}

// body returns the encoding of a block. A block whose transactions are counted had a
// body, so pruning has taken it; that of another never came.
func (s *Server) body(info *header.Info) ([]byte, error) {
	raw, err := s.Blocks.Block(info.Hash)
	if !errors.Is(err, consensus.ErrNotFound) {
		return raw, err
	}
	if info.TxCount > 0 {
		return nil, failf(CodeMisc, "Block not available (pruned data)")
	}
	return nil, failf(CodeMisc, "Block not available (not fully downloaded)")
}

// block reads a block that is stored.
func (s *Server) block(info *header.Info) (*consensus.HashedBlock, error) {
	raw, err := s.body(info)
	if err != nil {
		return nil, err
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		return nil, consensus.Local(err) // it could be decoded when it came
	}
	return block, nil
}

// getBlockFilter is Core's getblockfilter. Filters are on by default here, because
// karat's wallet finds its payments by them.
func getBlockFilter(s *Server, a *args) work {
	if a.text(1, "basic") != "basic" {
		a.fail(failf(CodeAddressOrKey, "Unknown filtertype"))
	}
	info := s.blockInfo(a, 0, "blockhash")
	return func(ctx context.Context) (any, error) {
		if !s.indexed(indexed.Filters) {
			return nil, failf(CodeMisc, "Index is not enabled for filtertype basic")
		}
		s.Index.Wait(ctx, indexed.Filters) // a client that has just heard of a block asks for its filter
		filter, filterHeader, err := s.Index.Filter(info.Hash)
		switch {
		case err == nil:
			return map[string]any{"filter": hex.EncodeToString(filter), "header": filterHeader}, nil
		case !info.OnBestChain: // one that was, while the index followed, has a filter
			return nil, failf(CodeAddressOrKey, "Filter not found. Block was not connected to active chain.")
		}
		return nil, failf(CodeMisc, "Filter not found. Block filters are still in the process of being indexed.")
	}
}
