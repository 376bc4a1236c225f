package rpc

import (
	"context"
	"slices"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

func transactionMethods() []method {
	return []method{
		{name: "getrawtransaction", read: getRawTransaction, about: "Returns a transaction of the mempool or, with the transaction index or the block's hash, of a block.", params: []param{
			{name: "txid", kind: kindString, about: "The transaction id"},
			{name: "verbosity|verbose", kind: kindNumber, loose: true, optional: "0", about: "0 for hexadecimal, 1 for an object, 2 with fee and what is spent"},
			{name: "blockhash", kind: kindString, optional: "by the index", about: "The block in which to look"}}},
		{name: "decoderawtransaction", read: decodeRawTransaction, about: "Decodes a transaction in hexadecimal.", params: []param{
			{name: "hexstring", kind: kindString, about: "The transaction"},
			witnessParam}},
		{name: "decodescript", read: decodeScript, about: "Decodes a script in hexadecimal.", params: []param{
			{name: "hexstring", kind: kindString, about: "The script"}}},
	}
}

// getRawTransaction is Core's getrawtransaction. A block that the client names is the
// only place where it looks, so that the answer does not depend on what the pool has
// at the moment.
func getRawTransaction(s *Server, a *args) work {
	txid := a.hash(0, "parameter 1")
	if s.isUnspendableGenesis(txid) {
		a.fail(failf(CodeAddressOrKey, "The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved"))
	}
	verbosity, named := a.verbosity(1, 0, 2), a.given(2)
	var info header.Info
	if named {
		var ok bool
		if info, ok = s.Headers.Info(a.hash(2, "parameter 3")); !ok {
			a.fail(failf(CodeAddressOrKey, "Block hash not found"))
		}
	}
	return func(ctx context.Context) (any, error) {
		if named {
			return s.minedTx(ctx, &info, txid, verbosity, named)
		}
		if e := s.Pool.Get(txid); e != nil && verbosity <= 0 {
			return hexJSON(e.Raw), nil
		} else if e != nil {
			return s.poolTx(e), nil
		}
		place, info, err := s.findTx(ctx, txid)
		if err != nil {
			return nil, err
		}
		if verbosity <= 1 {
			if j := s.txAt(&place, txid); j != nil {
				return s.placed(j, &info, verbosity, named), nil
			}
		}
		return s.minedTx(ctx, &info, txid, verbosity, named)
	}
}

// txAt reads a transaction alone, from where the index says that it lies. It returns nil
// if that fails in any way: to read the block tells precisely why.
func (s *Server) txAt(place *types.TxPlace, txid types.Hash) *txJSON {
	raw, err := s.Blocks.BlockPart(place.Block, place.Offset, place.Size)
	if err != nil {
		return nil
	}
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return nil
	}
	j := s.txJSON(tx, true)
	if j.txid != txid {
		return nil
	}
	return j
}

// minedTx answers with a transaction of a block.
func (s *Server) minedTx(ctx context.Context, info *header.Info, txid types.Hash, verbosity int64, named bool) (any, error) {
	view, err := s.view(ctx, info)
	if err != nil {
		return nil, err
	}
	i := slices.Index(view.TxIDs, txid)
	if i < 0 {
		return nil, failf(CodeAddressOrKey, "No such transaction found in the provided block. Use gettransaction for wallet transactions.")
	}
	j := view.tx(i, s.Params.HRP, verbosity >= 2)
	if verbosity < 2 {
		j.spent = nil
	}
	return s.placed(j, info, verbosity, named), nil
}

// placed is what getrawtransaction tells of a transaction in a block.
func (s *Server) placed(j *txJSON, info *header.Info, verbosity int64, named bool) any {
	if verbosity <= 0 {
		return hexJSON(j.raw)
	}
	j.place = &txPlaceJSON{block: *info, named: named}
	if info.OnBestChain {
		j.place.confirmations = s.confirmations(info)
	}
	return j
}

// isUnspendableGenesis reports whether a transaction is the genesis block's on a
// network whose genesis block makes no coins, as on Bitcoin's. Core does not show it,
// because nothing else knows it as a transaction.
func (s *Server) isUnspendableGenesis(txid types.Hash) bool {
	return txid == s.Params.GenesisBlock().TxIDs[0] && len(s.Params.GenesisCoins()) == 0
}

// findTx returns where a transaction is, or an error that says what a client can do
// about it.
func (s *Server) findTx(ctx context.Context, txid types.Hash) (types.TxPlace, header.Info, error) {
	place, info, ok := s.placeOf(ctx, txid)
	if ok {
		return place, info, nil
	}
	message := "No such mempool or blockchain transaction."
	if !s.indexed(indexed.Txs) {
		message = "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries."
	} else if !s.indexState(indexed.Txs).Synced {
		message = "No such mempool transaction. Blockchain transactions are still in the process of being indexed."
	}
	return place, info, failf(CodeAddressOrKey, "%s Use gettransaction for wallet transactions.", message)
}

// placeOf returns where a transaction is, if the index knows it.
func (s *Server) placeOf(ctx context.Context, txid types.Hash) (place types.TxPlace, info header.Info, ok bool) {
	if !s.indexed(indexed.Txs) {
		return place, info, false
	}
	s.Index.Wait(ctx, indexed.Txs) // a client that has just heard of a block asks for its transactions
	place, err := s.Index.FindTx(txid)
	if err != nil {
		return place, info, false
	}
	info, ok = s.Headers.Info(place.Block)
	return place, info, ok
}

// indexedTx returns the block of a transaction, if the index knows it.
func (s *Server) indexedTx(ctx context.Context, txid types.Hash) (info header.Info, ok bool) {
	_, info, ok = s.placeOf(ctx, txid)
	return info, ok
}

// decodeRawTransaction is Core's decoderawtransaction.
func decodeRawTransaction(s *Server, a *args) work {
	tx := a.anyTransaction(0, 1, failf(CodeDeserialization, "TX decode failed"))
	return func(context.Context) (any, error) { return s.txJSON(tx, false), nil }
}

// decodeScript is Core's decodescript. It leaves out p2sh and segwit, the outputs that
// would pay to the script: there are none here.
func decodeScript(s *Server, a *args) work {
	text := a.text(0, "")
	script := a.bytes(text, failf(CodeInvalidParam, "argument must be hexadecimal string (not '%.100s')", text))
	return func(context.Context) (any, error) {
		j := s.scriptJSON(script)
		j.withoutHex = true
		return j, nil
	}
}
