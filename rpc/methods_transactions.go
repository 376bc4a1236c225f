package rpc

import (
	"context"
	"encoding/hex"

	"github.com/karatcoin/karat/chain/consensus"
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
			{name: "iswitness", kind: kindBool, optional: "ignored", about: "Ignored: the encoding says whether there are witnesses"}}},
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
		if !named {
			if e := s.Pool.Get(txid); e != nil && verbosity <= 0 {
				return hex.EncodeToString(e.Raw), nil
			} else if e != nil {
				return s.txJSON(e.Tx, true), nil
			}
			var err error
			if info, err = s.findTx(ctx, txid); err != nil {
				return nil, err
			}
		}
		block, err := s.block(&info)
		if err != nil {
			return nil, err
		}
		for i := range block.TxIDs {
			if block.TxIDs[i] == txid {
				return s.transactionOf(&info, block, i, verbosity, named), nil
			}
		}
		return nil, failf(CodeAddressOrKey, "No such transaction found in the provided block. Use gettransaction for wallet transactions.")
	}
}

// isUnspendableGenesis reports whether a transaction is the genesis block's on a
// network whose genesis block makes no coins, as on Bitcoin's. Core does not show it,
// because nothing else knows it as a transaction.
func (s *Server) isUnspendableGenesis(txid types.Hash) bool {
	return txid == s.Params.GenesisBlock().TxIDs[0] && len(s.Params.GenesisCoins()) == 0
}

// findTx returns the block of a transaction, or an error that says what a client can
// do about it.
func (s *Server) findTx(ctx context.Context, txid types.Hash) (header.Info, error) {
	info, ok := s.indexedTx(ctx, txid)
	if ok {
		return info, nil
	}
	message := "No such mempool or blockchain transaction."
	if !s.indexed(indexed.Txs) {
		message = "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries."
	} else if !s.indexState(indexed.Txs).Synced {
		message = "No such mempool transaction. Blockchain transactions are still in the process of being indexed."
	}
	return info, failf(CodeAddressOrKey, "%s Use gettransaction for wallet transactions.", message)
}

// indexedTx returns the block of a transaction, if the index knows it.
func (s *Server) indexedTx(ctx context.Context, txid types.Hash) (info header.Info, ok bool) {
	if !s.indexed(indexed.Txs) {
		return info, false
	}
	s.Index.Wait(ctx, indexed.Txs) // a client that has just heard of a block asks for its transactions
	place, err := s.Index.FindTx(txid)
	if err != nil {
		return info, false
	}
	return s.Headers.Info(place.Block)
}

// transactionOf is what getrawtransaction tells of a transaction in a block. Only a
// block that was named can be off the best chain, so only then is it told.
func (s *Server) transactionOf(info *header.Info, block *consensus.HashedBlock, i int, verbosity int64, named bool) any {
	tx := &block.Block.Txs[i]
	if verbosity <= 0 {
		return hex.EncodeToString(tx.AppendTo(nil))
	}
	j := s.txJSON(tx, true)
	if named {
		j.InActiveChain = &info.OnBestChain
	}
	j.BlockHash = &info.Hash
	confirmations := int64(0)
	if info.OnBestChain {
		confirmations = s.confirmations(info)
		j.Time, j.BlockTime = info.Header.Timestamp, info.Header.Timestamp
	}
	j.Confirmations = &confirmations
	if verbosity >= 2 {
		if spent := s.spentCoins(info); spent != nil {
			s.addSpent(j, tx, spent[i], true)
		}
	}
	return j
}

// decodeRawTransaction is Core's decoderawtransaction. Core guesses whether an
// encoding has witnesses, because one without inputs can be read in two ways; here
// it is read as BIP144 says.
func decodeRawTransaction(s *Server, a *args) work {
	tx := a.transaction(a.text(0, ""), failf(CodeDeserialization, "TX decode failed"))
	return func(context.Context) (any, error) { return s.txJSON(tx, false), nil }
}

// decodeScript is Core's decodescript. It leaves out p2sh and segwit, the outputs that
// would pay to the script: there are none here.
func decodeScript(s *Server, a *args) work {
	text := a.text(0, "")
	script := a.bytes(text, failf(CodeInvalidParam, "argument must be hexadecimal string (not '%.100s')", text))
	return func(context.Context) (any, error) {
		j := s.scriptJSON(script)
		j.Hex = ""
		return j, nil
	}
}
