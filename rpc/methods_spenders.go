package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

func lookupMethods() []method {
	return []method{
		{name: "gettxspendingprevout", read: getTxSpendingPrevout, about: "Finds the transactions that spend outputs: in the mempool, and with txospenderindex in blocks.", params: []param{
			{name: "outputs", kind: kindArray, sample: `'[{"txid": "TXID", "vout": 0}]'`, about: "Objects with txid and vout"},
			{name: "options", kind: kindObject, optional: "none", about: "An object with any of the named arguments", options: []param{
				{name: "mempool_only", kind: kindBool, optional: "true without txospenderindex, else false", about: "false looks into the index for what nothing in the mempool spends, and fails if there is none"},
				{name: "return_spending_tx", kind: kindBool, optional: "false", about: "Whether to add the transactions in hexadecimal"}}}}},
	}
}

// spentJSON is an output and what spends it, if anything does.
type spentJSON struct {
	TxID         types.Hash  `json:"txid"`
	Vout         uint32      `json:"vout"`
	SpendingTxID *types.Hash `json:"spendingtxid,omitempty"`
	SpendingTx   string      `json:"spendingtx,omitempty"`
	BlockHash    *types.Hash `json:"blockhash,omitempty"`
}

// askedOutPoint reads an output that a client asks for, with Core's errors.
func (a *args) askedOutPoint(raw json.RawMessage) (o types.OutPoint) {
	if kind := jsonType(raw); kind != "object" {
		a.fail(failf(CodeType, "JSON value of type %s is not of expected type object", kind))
		return o
	}
	given, err := readMembers(raw)
	a.fail(err)
	values := map[string]json.RawMessage{}
	for _, want := range [][2]string{{"txid", "string"}, {"vout", "number"}} {
		at := given.at(want[0])
		if at < 0 || jsonType(given[at].value) == "null" {
			a.fail(failf(CodeType, "Missing %s", want[0]))
			return o
		}
		if kind := jsonType(given[at].value); kind != want[1] {
			a.fail(failf(CodeType, "JSON value of type %s for field %s is not of expected type %s", kind, want[0], want[1]))
			return o
		}
		values[want[0]] = given[at].value
	}
	for _, m := range given {
		if values[m.name] == nil {
			a.fail(failf(CodeType, "Unexpected key %.100s", m.name))
		}
	}
	var txid string
	a.fail(json.Unmarshal(values["txid"], &txid))
	o.TxID = a.parseHash("txid", txid)
	vout, err := strconv.ParseInt(string(values["vout"]), 10, 32)
	switch {
	case err != nil:
		a.fail(failf(CodeMisc, "JSON integer out of range"))
	case vout < 0:
		a.fail(failf(CodeInvalidParam, "Invalid parameter, vout cannot be negative"))
	}
	o.Index = uint32(vout)
	return o
}

// getTxSpendingPrevout is Core's gettxspendingprevout. The bound on outputs is karat's.
func getTxSpendingPrevout(s *Server, a *args) work {
	list := a.list(0, 10_000)
	if len(list) == 0 {
		a.fail(failf(CodeInvalidParam, "Invalid parameter, outputs are missing"))
	}
	var options struct {
		MempoolOnly *bool `json:"mempool_only"`
		Spender     bool  `json:"return_spending_tx"`
	}
	a.options(1, &options)
	outPoints := make([]types.OutPoint, len(list))
	for i, raw := range list {
		outPoints[i] = a.askedOutPoint(raw)
	}
	poolOnly := !s.indexed(indexed.Spenders)
	if options.MempoolOnly != nil {
		poolOnly = *options.MempoolOnly
	}
	return func(ctx context.Context) (any, error) {
		results := make([]spentJSON, len(outPoints))
		var unspent []*spentJSON
		for i, o := range outPoints {
			if err := ctx.Err(); err != nil { // each may have to wait for the pool
				return nil, err
			}
			results[i] = spentJSON{TxID: o.TxID, Vout: o.Index}
			spender := s.Pool.SpentBy(o)
			if spender == nil {
				unspent = append(unspent, &results[i])
				continue
			}
			results[i].SpendingTxID = &spender.TxID
			if options.Spender {
				results[i].SpendingTx = hex.EncodeToString(spender.Raw)
			}
		}
		if poolOnly || len(unspent) == 0 {
			return results, nil
		}
		unavailable := failf(CodeMisc, "Mempool lacks a relevant spend, and txospenderindex is unavailable.")
		if s.Index == nil || !s.Index.Wait(ctx, indexed.Spenders) {
			return nil, unavailable
		}
		for _, j := range unspent {
			if err := s.findSpender(ctx, j, options.Spender); err != nil {
				return nil, err
			}
		}
		if !s.Index.Wait(ctx, indexed.Spenders) { // it may have been found damaged, and begun anew
			return nil, unavailable
		}
		return results, nil
	}
}

// findSpender fills in what spends an output on the best chain, if anything does.
func (s *Server) findSpender(ctx context.Context, j *spentJSON, whole bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	unreadable := failf(CodeMisc, "IO error finding spending tx for outpoint %s:%d.", j.TxID, j.Vout)
	spender, err := s.Index.FindSpender(types.OutPoint{TxID: j.TxID, Index: j.Vout})
	if errors.Is(err, indexed.ErrBehind) {
		return nil // nothing does
	} else if err != nil {
		return unreadable
	}
	j.SpendingTxID, j.BlockHash = &spender.TxID, &spender.Place.Block
	if whole {
		raw, err := s.Blocks.BlockPart(spender.Place.Block, spender.Place.Offset, spender.Place.Size)
		if err != nil {
			return unreadable // its block was pruned
		}
		j.SpendingTx = hex.EncodeToString(raw)
	}
	return nil
}
