package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"math"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

func poolMethods() []method {
	const category = "Blockchain"
	txid := param{name: "txid", kind: kindString, about: "The transaction id, of a transaction in the mempool"}
	verbose := param{name: "verbose", kind: kindBool, optional: "false", about: "true for objects, false for ids"}
	return []method{
		{name: "getmempoolinfo", category: category, about: "Returns the state of the mempool.", handle: getMempoolInfo},
		{name: "getrawmempool", category: category, about: "Returns the transactions of the mempool.", params: []param{verbose,
			{name: "mempool_sequence", kind: kindBool, optional: "false", about: "Whether to add the mempool's sequence number"}}, handle: getRawMempool},
		{name: "getmempoolentry", category: category, about: "Returns what the mempool knows of a transaction.", params: []param{txid}, handle: getMempoolEntry},
		{name: "getmempoolancestors", category: category, about: "Returns what a transaction of the mempool builds on there.", params: []param{txid, verbose}, handle: relatives(func(r *pending.Details) []types.Hash { return r.Ancestors.TxIDs })},
		{name: "getmempooldescendants", category: category, about: "Returns what builds on a transaction of the mempool there.", params: []param{txid, verbose}, handle: relatives(func(r *pending.Details) []types.Hash { return r.Descendants.TxIDs })},
		{name: "gettxspendingprevout", category: category, about: "Finds the transactions of the mempool that spend outputs.", params: []param{
			{name: "outputs", kind: kindArray, about: "Objects with txid and vout"},
			{name: "options", kind: kindObject, optional: "none", about: "An object with any of the named arguments", options: []param{
				{name: "mempool_only", kind: kindBool, optional: "true", about: "false fails if nothing in the mempool spends an output: no index knows other spends"},
				{name: "return_spending_tx", kind: kindBool, optional: "false", about: "Whether to add the transactions in hexadecimal"}}}}, handle: getTxSpendingPrevout},
	}
}

func getMempoolInfo(_ context.Context, s *Server, _ *args) (any, error) {
	info := s.Pool.Info()
	return map[string]any{
		"loaded": info.Loaded, "size": info.Count, "bytes": info.VSize, "usage": info.Usage, "total_fee": amount(info.TotalFee),
		"maxmempool": info.MaxBytes, "mempoolminfee": feeRate(info.MinFeeRate), "minrelaytxfee": feeRate(info.MinRelay),
		"incrementalrelayfee": feeRate(info.IncrementalRelay), "unbroadcastcount": 0, "optimal": true,
		"limitclustercount": info.MaxClusterCount, "limitclustersize": info.MaxClusterVSize, "maxdatacarriersize": info.MaxDataCarrier,
	}, nil
}

type poolFeesJSON struct {
	Base       json.Number `json:"base"`
	Modified   json.Number `json:"modified"`
	Ancestor   json.Number `json:"ancestor"`
	Descendant json.Number `json:"descendant"`
	Chunk      json.Number `json:"chunk"`
}

type poolEntryJSON struct {
	VSize           int          `json:"vsize"`
	Weight          int          `json:"weight"`
	Time            int64        `json:"time"`
	Height          uint32       `json:"height"`
	DescendantCount int          `json:"descendantcount"`
	DescendantSize  int          `json:"descendantsize"`
	AncestorCount   int          `json:"ancestorcount"`
	AncestorSize    int          `json:"ancestorsize"`
	ChunkWeight     int          `json:"chunkweight"`
	WTxID           types.Hash   `json:"wtxid"`
	Fees            poolFeesJSON `json:"fees"`
	Depends         []types.Hash `json:"depends"`
	SpentBy         []types.Hash `json:"spentby"`
	Replaceable     bool         `json:"bip125-replaceable"`
	Unbroadcast     bool         `json:"unbroadcast"`
}

func entryJSON(r *pending.Details) poolEntryJSON {
	return poolEntryJSON{
		VSize: r.VSize, Weight: r.Weight, Time: r.Time.Unix(), Height: r.Height, WTxID: r.WTxID,
		DescendantCount: r.Descendants.Count, DescendantSize: r.Descendants.VSize,
		AncestorCount: r.Ancestors.Count, AncestorSize: r.Ancestors.VSize,
		Fees:        poolFeesJSON{amount(r.Fee), amount(r.Fee), amount(r.Ancestors.Fees), amount(r.Descendants.Fees), amount(r.Chunk.Fees)},
		ChunkWeight: r.Chunk.Weight,
		Depends:     append([]types.Hash{}, r.Depends...), SpentBy: append([]types.Hash{}, r.SpentBy...), Replaceable: true,
	}
}

var errNotInPool = failf(CodeAddressOrKey, "Transaction not in mempool")

func (s *Server) describe(ctx context.Context, txids []types.Hash, verbose bool) (any, error) {
	if !verbose {
		return append([]types.Hash{}, txids...), nil
	}
	all := map[string]poolEntryJSON{}
	for _, txid := range txids {
		if err := ctx.Err(); err != nil { // each may have to wait for the pool
			return nil, err
		}
		if r, ok := s.Pool.Details(txid); ok {
			all[txid.String()] = entryJSON(&r)
		}
	}
	return all, nil
}

func getRawMempool(ctx context.Context, s *Server, a *args) (any, error) {
	verbose, err := a.flag(0, false)
	if err != nil {
		return nil, err
	}
	sequence, err := a.flag(1, false)
	if err != nil {
		return nil, err
	}
	var txids []types.Hash
	for _, e := range s.Pool.Entries() {
		txids = append(txids, e.TxID)
	}
	if !sequence {
		return s.describe(ctx, txids, verbose)
	}
	if verbose {
		return nil, failf(CodeInvalidParam, "Verbose results cannot contain mempool sequence values.")
	}
	_, number := s.Pool.Accepted(math.MaxUint64, 0)
	return map[string]any{"txids": append([]types.Hash{}, txids...), "mempool_sequence": number}, nil
}

func (s *Server) poolDetails(a *args) (pending.Details, error) {
	text, err := a.text(0, "")
	if err != nil {
		return pending.Details{}, err
	}
	txid, err := parseHash("txid", text)
	if err != nil {
		return pending.Details{}, err
	}
	r, ok := s.Pool.Details(txid)
	if !ok {
		return r, errNotInPool
	}
	return r, nil
}

func getMempoolEntry(_ context.Context, s *Server, a *args) (any, error) {
	r, err := s.poolDetails(a)
	if err != nil {
		return nil, err
	}
	return entryJSON(&r), nil
}

func relatives(which func(*pending.Details) []types.Hash) func(context.Context, *Server, *args) (any, error) {
	return func(ctx context.Context, s *Server, a *args) (any, error) {
		verbose, err := a.flag(1, false)
		if err != nil {
			return nil, err
		}
		r, err := s.poolDetails(a)
		if err != nil {
			return nil, err
		}
		return s.describe(ctx, which(&r), verbose)
	}
}

func getTxSpendingPrevout(_ context.Context, s *Server, a *args) (any, error) {
	list, err := a.list(0, 10_000)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, failf(CodeInvalidParam, "Invalid parameter, outputs are missing")
	}
	var options struct {
		MempoolOnly *bool `json:"mempool_only"`
		Spender     bool  `json:"return_spending_tx"`
	}
	if err := a.options(1, &options); err != nil {
		return nil, err
	}
	results := []map[string]any{}
	for _, raw := range list {
		var wanted struct {
			TxID *types.Hash `json:"txid"`
			Vout *uint32     `json:"vout"`
		}
		if json.Unmarshal(raw, &wanted) != nil || wanted.TxID == nil || wanted.Vout == nil {
			return nil, failf(CodeInvalidParam, "outputs must be objects with txid and vout")
		}
		j := map[string]any{"txid": *wanted.TxID, "vout": *wanted.Vout}
		spender := s.Pool.SpentBy(types.OutPoint{TxID: *wanted.TxID, Index: *wanted.Vout})
		if spender != nil {
			j["spendingtxid"] = spender.TxID
		} else if options.MempoolOnly != nil && !*options.MempoolOnly {
			return nil, failf(CodeMisc, "Mempool lacks a relevant spend, and txospenderindex is unavailable.")
		}
		if spender != nil && options.Spender {
			j["spendingtx"] = hex.EncodeToString(spender.Raw)
		}
		results = append(results, j)
	}
	return results, nil
}
