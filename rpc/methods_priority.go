package rpc

import (
	"context"
	"strconv"

	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

func priorityMethods() []method {
	return []method{
		{name: "prioritisetransaction", read: prioritiseTransaction, about: "Makes a transaction count for a higher or lower fee than it pays, wherever this node weighs fees. Deltas add up.", params: []param{
			{name: "txid", kind: kindString, about: "The transaction id; the transaction need not be in the mempool yet"},
			{name: "dummy", kind: kindNumber, optional: "0", about: "Must be zero or null"},
			{name: "fee_delta", kind: kindNumber, about: "What to add to its fee, in grains; it is never paid, and may be negative"}}},
		{name: "getprioritisedtransactions", read: noParams(getPrioritisedTransactions), about: "Returns all fee deltas of prioritisetransaction by transaction id."},
	}
}

// prioritiseTransaction is Core's prioritisetransaction. Core bounds nothing.
func prioritiseTransaction(s *Server, a *args) work {
	dummy := 0.0
	if a.given(1) {
		var err error
		if dummy, err = strconv.ParseFloat(string(a.values[1]), 64); err != nil {
			a.wrongType(1, kindNumber)
		}
	}
	txid, delta := a.hash(0, "txid"), a.integer(2, 0)
	if dummy != 0 {
		a.fail(failf(CodeInvalidParam, "Priority is no longer supported, dummy argument to prioritisetransaction must be 0."))
	}
	return func(context.Context) (any, error) {
		if e := s.Pool.Get(txid); e != nil && len(standard.Dust(e.Tx, s.Pool.Info().DustRelay)) > 0 {
			return nil, failf(CodeInvalidParam, "Priority is not supported for transactions with dust outputs.")
		}
		if !s.Pool.Prioritise(txid, types.Amount(delta)) {
			return nil, failf(CodeMisc, "Too many transactions have a fee delta already")
		}
		return true, nil
	}
}

// deltaJSON is a fee delta, in grains as Core has it.
type deltaJSON struct {
	Delta    types.Amount  `json:"fee_delta"`
	InPool   bool          `json:"in_mempool"`
	Modified *types.Amount `json:"modified_fee,omitempty"`
}

// getPrioritisedTransactions is Core's getprioritisedtransactions.
func getPrioritisedTransactions(_ context.Context, s *Server) (any, error) {
	all := map[string]deltaJSON{}
	for _, d := range s.Pool.Prioritised() {
		j := deltaJSON{Delta: d.Delta, InPool: d.InPool}
		if d.InPool {
			j.Modified = &d.Modified
		}
		all[d.TxID.String()] = j
	}
	return all, nil
}
