package rpc

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/karatcoin/karat/chain/coinhistory"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The hashes of gettxoutsetinfo.
const (
	hashSerialized = "hash_serialized_3"
	hashMu         = "muhash"
	hashNone       = "none"
)

// coinSetJSON is what gettxoutsetinfo tells. An index knows more of the block, and not
// how many transactions have coins.
type coinSetJSON struct {
	Height         uint32         `json:"height"`
	BestBlock      types.Hash     `json:"bestblock"`
	TxOuts         uint64         `json:"txouts"`
	BogoSize       uint64         `json:"bogosize"`
	HashSerialized *types.Hash    `json:"hash_serialized_3,omitempty"`
	MuHash         *types.Hash    `json:"muhash,omitempty"`
	TotalAmount    json.Number    `json:"total_amount"`
	Transactions   *uint64        `json:"transactions,omitempty"`
	DiskSize       *int64         `json:"disk_size,omitempty"`
	Unspendable    json.Number    `json:"total_unspendable_amount,omitempty"`
	Block          *blockInfoJSON `json:"block_info,omitempty"`
}

type blockInfoJSON struct {
	PrevoutSpent json.Number      `json:"prevout_spent"`
	Coinbase     json.Number      `json:"coinbase"`
	NewOutputs   json.Number      `json:"new_outputs_ex_coinbase"`
	Unspendable  json.Number      `json:"unspendable"`
	Unspendables unspendablesJSON `json:"unspendables"`
}

type unspendablesJSON struct {
	Genesis   json.Number `json:"genesis_block"`
	BIP30     json.Number `json:"bip30"` // there is no such block
	Scripts   json.Number `json:"scripts"`
	Unclaimed json.Number `json:"unclaimed_rewards"`
}

// getTxOutSetInfo is Core's gettxoutsetinfo. By the index of coin statistics it answers at
// once, and of any block that was on the best chain; without, it walks over the coins of
// now, which takes a while.
func getTxOutSetInfo(s *Server, a *args) work {
	kind := a.text(0, hashSerialized)
	if kind != hashSerialized && kind != hashMu && kind != hashNone {
		a.fail(failf(CodeInvalidParam, "'%s' is not a valid hash_type", kind))
	}
	byIndex, at := a.flag(2, true), (*header.Info)(nil)
	if a.given(1) {
		switch {
		case !s.indexed(indexed.CoinStats):
			a.fail(failf(CodeInvalidParam, "Querying specific block heights requires coinstatsindex"))
		case kind == hashSerialized:
			a.fail(failf(CodeInvalidParam, "hash_serialized_3 hash type cannot be queried for a specific block"))
		case !byIndex:
			a.fail(failf(CodeInvalidParam, "Cannot set use_index to false when querying for a specific block"))
		default:
			info := s.blockAt(a, 1)
			at = &info
		}
	}
	byIndex = byIndex && kind != hashSerialized && s.indexed(indexed.CoinStats)
	return func(ctx context.Context) (any, error) {
		if byIndex {
			return s.indexedCoins(ctx, kind, at)
		}
		return s.countedCoins(ctx, kind)
	}
}

// indexedCoins answers by the index, of a block or of the tip.
func (s *Server) indexedCoins(ctx context.Context, kind string, at *header.Info) (any, error) {
	synced := s.Index.Wait(ctx, indexed.CoinStats)
	block := s.indexState(indexed.CoinStats).At
	if !synced && (at == nil || at.Height > block.Height) {
		return nil, failf(CodeInternal, "Unable to get data because coinstatsindex is still syncing. Current height: %d", block.Height)
	}
	if at != nil {
		block = types.Index{Height: at.Height, Hash: at.Hash}
	}
	record, err := s.Index.CoinsAt(block.Hash)
	if errors.Is(err, indexed.ErrBehind) { // it was never on the best chain
		return nil, failf(CodeInternal, "Unable to read UTXO set")
	}
	if err != nil {
		return nil, err
	}
	j := coinSetJSON{
		Height: block.Height, BestBlock: block.Hash, TxOuts: record.TxOuts, BogoSize: record.BogoSize,
		TotalAmount: amount(record.TotalAmount), Unspendable: amount(record.Unspendable), Block: newBlockInfo(&record.Block),
	}
	if kind == hashMu {
		j.MuHash = &record.MuHash
	}
	return j, nil
}

func newBlockInfo(info *coinhistory.BlockInfo) *blockInfoJSON {
	return &blockInfoJSON{
		PrevoutSpent: amount(info.PrevoutSpent), Coinbase: amount(info.Coinbase), NewOutputs: amount(info.NewOutputs),
		Unspendable: amount(info.Unspendable()),
		Unspendables: unspendablesJSON{
			Genesis: amount(info.Genesis), BIP30: amount(0), Scripts: amount(info.Scripts), Unclaimed: amount(info.Unclaimed),
		},
	}
}

// countedCoins walks over all coins.
func (s *Server) countedCoins(ctx context.Context, kind string) (any, error) {
	at, stats, err := s.Operator.CoinSet(ctx, kind == hashMu, kind == hashSerialized)
	if err != nil {
		return nil, err
	}
	size := s.Operator.CoinsOnDisk()
	j := coinSetJSON{
		Height: at.Height, BestBlock: at.Hash, TxOuts: stats.TxOuts, BogoSize: stats.BogoSize, TotalAmount: amount(stats.TotalAmount),
		Transactions: &stats.Transactions, DiskSize: &size,
	}
	switch kind {
	case hashSerialized:
		j.HashSerialized = &stats.HashSerialized3
	case hashMu:
		j.MuHash = &stats.MuHash
	}
	return j, nil
}
