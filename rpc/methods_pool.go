package rpc

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

func poolMethods() []method {
	txid := param{name: "txid", kind: kindString, about: "The transaction id, of a transaction in the mempool"}
	verbose := param{name: "verbose", kind: kindBool, optional: "false", about: "true for objects, false for ids"}
	ancestors := func(d *pending.Details) []types.Hash { return d.Ancestors.TxIDs }
	descendants := func(d *pending.Details) []types.Hash { return d.Descendants.TxIDs }
	return []method{
		{name: "getmempoolinfo", read: noParams(getMempoolInfo), about: "Returns the state of the mempool."},
		{name: "getrawmempool", read: getRawMempool, about: "Returns the transactions of the mempool.", params: []param{
			verbose,
			{name: "mempool_sequence", kind: kindBool, optional: "false", about: "Whether to add the mempool's sequence number; not with verbose"}}},
		{name: "getmempoolentry", read: getMempoolEntry, about: "Returns what the mempool knows of a transaction.", params: []param{txid}},
		{name: "getmempoolancestors", read: relatives(ancestors), about: "Returns the transactions of the mempool that a transaction builds on.", params: []param{txid, verbose}},
		{name: "getmempooldescendants", read: relatives(descendants), about: "Returns the transactions of the mempool that build on a transaction.", params: []param{txid, verbose}},
	}
}

// mempoolInfoJSON is the state of the pool, in Core's order.
type mempoolInfoJSON struct {
	Loaded             bool        `json:"loaded"`
	Size               int         `json:"size"`
	Bytes              int         `json:"bytes"`
	Usage              int         `json:"usage"`
	TotalFee           json.Number `json:"total_fee"`
	MaxMempool         int         `json:"maxmempool"`
	MinFee             json.Number `json:"mempoolminfee"`
	MinRelayFee        json.Number `json:"minrelaytxfee"`
	IncrementalFee     json.Number `json:"incrementalrelayfee"`
	UnbroadcastCount   int         `json:"unbroadcastcount"`
	PermitBareMultisig bool        `json:"permitbaremultisig"`
	MaxDataCarrierSize int         `json:"maxdatacarriersize"`
	LimitClusterCount  int         `json:"limitclustercount"`
	LimitClusterSize   int         `json:"limitclustersize"`
	Optimal            bool        `json:"optimal"`
	FullRBF            bool        `json:"fullrbf"`
}

// getMempoolInfo is Core's getmempoolinfo. Memory is counted in karat's own way. Policy
// says nothing about outputs of bare multisig, since the rules allow none.
func getMempoolInfo(_ context.Context, s *Server) (any, error) {
	info := s.Pool.Info()
	return mempoolInfoJSON{
		Loaded: info.Loaded, Size: info.Count, Bytes: info.VSize, Usage: info.Usage, TotalFee: amount(info.TotalFee),
		MaxMempool: info.MaxBytes, MinFee: feeRate(info.MinFeeRate), MinRelayFee: feeRate(info.MinRelay), IncrementalFee: feeRate(info.IncrementalRelay),
		UnbroadcastCount: info.Unbroadcast, PermitBareMultisig: true,
		MaxDataCarrierSize: info.MaxDataCarrier, LimitClusterCount: info.MaxClusterCount, LimitClusterSize: info.MaxClusterVSize, Optimal: true, FullRBF: true,
	}, nil
}

var errNotInPool = failf(CodeAddressOrKey, "Transaction not in mempool")

// detailsAtOnce is how many transactions the pool is asked about while it can do nothing else.
const detailsAtOnce = 200

// describe lists transactions by their ids or, if that is wanted, with what the pool
// knows of each. One that has left meanwhile is left out.
func (s *Server) describe(ctx context.Context, txids []types.Hash, verbose bool) (any, error) {
	if !verbose {
		return hashesJSON(txids), nil
	}
	all := make(poolEntriesJSON, 0, len(txids))
	for part := range slices.Chunk(txids, detailsAtOnce) {
		if err := ctx.Err(); err != nil { // each may have to wait for the pool
			return nil, err
		}
		all = append(all, s.Pool.AllDetails(part)...)
	}
	return all, nil
}

// getRawMempool is Core's getrawmempool. The sequence number grows with each transaction
// that comes or goes, as Core's does, and begins anew with each start.
func getRawMempool(s *Server, a *args) work {
	verbose, withSequence := a.flag(0, false), a.flag(1, false)
	if verbose && withSequence {
		a.fail(failf(CodeInvalidParam, "Verbose results cannot contain mempool sequence values."))
	}
	return func(ctx context.Context) (any, error) {
		entries, sequence := s.Pool.Listing()
		txids := make([]types.Hash, len(entries))
		for i, e := range entries {
			txids[i] = e.TxID
		}
		if !withSequence {
			return s.describe(ctx, txids, verbose)
		}
		return &sequencedJSON{hashesJSON(txids), sequence}, nil
	}
}

// getMempoolEntry is Core's getmempoolentry.
func getMempoolEntry(s *Server, a *args) work {
	txid := a.hash(0, "txid")
	return func(context.Context) (any, error) {
		d, ok := s.Pool.Details(txid)
		if !ok {
			return nil, errNotInPool
		}
		return poolEntryJSON{&d}, nil
	}
}

// relatives makes Core's getmempoolancestors and getmempooldescendants.
func relatives(which func(*pending.Details) []types.Hash) func(*Server, *args) work {
	return func(s *Server, a *args) work {
		verbose, txid := a.flag(1, false), a.hash(0, "txid")
		return func(ctx context.Context) (any, error) {
			d, ok := s.Pool.Details(txid)
			if !ok {
				return nil, errNotInPool
			}
			return s.describe(ctx, which(&d), verbose)
		}
	}
}
