package rpc

import (
	"context"
	"math"

	"github.com/karatcoin/karat/chain/types"
)

func coinMethods() []method {
	return []method{
		{name: "gettxout", read: getTxOut, about: "Returns an unspent output, or null if there is none.", params: []param{
			{name: "txid", kind: kindString, about: "The transaction id"},
			{name: "n", kind: kindNumber, about: "vout number"},
			{name: "include_mempool", kind: kindBool, optional: "true", about: "Whether transactions of the mempool spend and make outputs"}}},
		{name: "gettxoutsetinfo", slow: true, read: getTxOutSetInfo, about: "Counts and hashes all unspent outputs. Note this call may take some time.", params: []param{
			{name: "hash_type", kind: kindString, optional: "hash_serialized_3", about: "hash_serialized_3, muhash or none"},
			{name: "hash_or_height", kind: kindPlace, optional: "the tip", sample: "100", about: "The block after which coins are counted; only with a coinstatsindex, and not for hash_serialized_3"},
			{name: "use_index", kind: kindBool, optional: "true", about: "Use the coinstatsindex, if there is one, for muhash and none"}}},
	}
}

// getTxOut is Core's gettxout. An output that a waiting transaction spends counts as
// spent, one that a waiting transaction makes as unspent, unless the client wants
// the chain alone.
func getTxOut(s *Server, a *args) work {
	txid, n, withPool := a.hash(0, "txid"), a.bounded(1, 0, 0, math.MaxUint32), a.flag(2, true)
	outPoint := types.OutPoint{TxID: txid, Index: uint32(n)}
	return func(ctx context.Context) (any, error) {
		if withPool {
			if s.Pool.SpentBy(outPoint) != nil {
				return nil, nil
			}
			if e := s.Pool.Get(txid); e != nil {
				if int(n) >= len(e.Tx.Outputs) {
					return nil, nil
				}
				out := &e.Tx.Outputs[n]
				return coinJSON{s.Headers.Tip().Hash, 0, out.Value, s.scriptJSON(out.ScriptPubKey), false}, nil
			}
		}
		coins, state, err := s.Blocks.Coins(ctx, []types.OutPoint{outPoint})
		if err != nil || !coins[0].Found {
			return nil, err
		}
		coin := &coins[0].Coin
		return coinJSON{state.Index.Hash, state.Index.Height - coin.Height + 1, coin.Value, s.scriptJSON(coin.ScriptPubKey()), coin.IsCoinbase}, nil
	}
}
