package web

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// statsJSON counts what was paid to a script.
type statsJSON struct {
	FundedCount uint64       `json:"funded_txo_count"`
	FundedSum   types.Amount `json:"funded_txo_sum"`
	SpentCount  uint64       `json:"spent_txo_count"`
	SpentSum    types.Amount `json:"spent_txo_sum"`
	TxCount     uint64       `json:"tx_count"`
}

func asStats(s indexed.ScriptStats) statsJSON {
	return statsJSON{s.Funded, s.FundedSum, s.Spent, s.SpentSum, s.Txs}
}

// scriptJSON is what was paid to a script, as it was asked for.
type scriptJSON struct {
	Address string    `json:"address,omitempty"`
	Hash    string    `json:"scripthash,omitempty"`
	Chain   statsJSON `json:"chain_stats"`
	Mempool statsJSON `json:"mempool_stats"`
}

// namedScript is the script of a path: by its address, or by its hash as Electrum writes it.
type namedScript struct {
	hash   indexed.ScriptHash
	value  string // as it was written
	byHash bool
}

func (s *Server) apiNamedScript(r *http.Request) (n namedScript, err error) {
	if n.value = r.PathValue("address"); n.value != "" {
		script, err := taproot.DecodeAddress(s.Params.HRP, n.value)
		if err != nil {
			return n, badRequest("Invalid address: " + Printable(err.Error(), 200))
		}
		n.hash = indexed.HashScript(script)
		return n, nil
	}
	n.value, n.byHash = r.PathValue("hash"), true
	raw, err := hex.DecodeString(n.value)
	if err != nil || len(raw) != len(n.hash) {
		return n, badRequest("Invalid script hash")
	}
	// Esplora writes the hash's bytes in their order, Electrum's protocol reversed.
	n.hash = indexed.ScriptHash(raw)
	return n, nil
}

// ofScript is what is told of the script of the path.
func (s *Server) ofScript(r *http.Request, what func(ctx context.Context, n namedScript) (any, error)) (*page, error) {
	n, err := s.apiNamedScript(r)
	if err != nil {
		return nil, err
	}
	if s.Scripts == nil || !s.keeps(indexed.Scripts) {
		return nil, &failure{status: http.StatusNotImplemented, title: "No index", text: "This node keeps no index of addresses: its operator can start karatd with --scriptindex"}
	}
	return asJSON(s.now()+s.indexAt(indexed.Scripts), 0, func(ctx context.Context) (any, error) {
		s.Index.Wait(ctx, indexed.Scripts)
		v, err := what(ctx, n)
		switch {
		case errors.Is(err, indexed.ErrCursor):
			return nil, notFound("Not found", "A reorganisation has changed the list: begin again")
		case errors.Is(err, indexed.ErrBehind):
			return nil, &failure{status: http.StatusServiceUnavailable, title: "Not yet", text: "The index of addresses is being made: try again later"}
		}
		return v, err
	}), nil
}

func (s *Server) apiScript(r *http.Request) (*page, error) {
	return s.ofScript(r, func(ctx context.Context, n namedScript) (any, error) {
		balances, err := s.Scripts.ScriptBalances([]indexed.ScriptHash{n.hash})
		if err != nil {
			return nil, err
		}
		waiting, err := s.touching.of(ctx, n.hash)
		if err != nil {
			return nil, err
		}
		var pool indexed.ScriptStats
		for _, w := range waiting {
			pool.Add(&w.stats)
		}
		j := scriptJSON{Chain: asStats(balances.Stats[0]), Mempool: asStats(pool)}
		if n.byHash {
			j.Hash = n.value
		} else {
			j.Address = n.value
		}
		return j, nil
	})
}

// chainTxs returns confirmed transactions of a script, the newest first, behind one of them.
func (s *Server) chainTxs(ctx context.Context, n namedScript, after *indexed.Cursor) ([]txJSON, error) {
	history, err := s.Scripts.ScriptHistory([]indexed.ScriptHash{n.hash}, indexed.Page{After: after, Limit: nextPage})
	if err != nil {
		return nil, err
	}
	list := []txJSON{}
	for i := range history.Txs {
		h := &history.Txs[i]
		info, ok := s.Headers.Info(h.Place.Block)
		if !ok {
			continue
		}
		if i+1 < len(history.Txs) && history.Txs[i+1].Place.Block == h.Place.Block {
			// Of a block that has several of them, none is read by itself.
			if _, err := s.blocks.get(ctx, h.Place.Block); err != nil {
				return nil, err
			}
		}
		j, err := s.foundJSON(ctx, foundTx{txid: h.TxID, info: info, n: int(h.Place.N)})
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

// waitingTxs returns the transactions of a script that wait, the newest first.
func (s *Server) waitingTxs(ctx context.Context, n namedScript) ([]txJSON, error) {
	waiting, err := s.touching.of(ctx, n.hash)
	if err != nil {
		return nil, err
	}
	slices.Reverse(waiting) // those of the same second, too
	list := []txJSON{}
	for _, w := range waiting[:min(firstWaiting, len(waiting))] {
		j, err := s.foundJSON(ctx, foundTx{txid: w.entry.TxID, entry: w.entry})
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

func (s *Server) apiScriptTxs(r *http.Request) (*page, error) {
	if after := r.URL.Query().Get("after_txid"); after != "" { // mempool.space's way to the next page
		return s.chainPage(r, after)
	}
	return s.ofScript(r, func(ctx context.Context, n namedScript) (any, error) {
		waiting, err := s.waitingTxs(ctx, n)
		if err != nil {
			return nil, err
		}
		confirmed, err := s.chainTxs(ctx, n, nil)
		return append(waiting, confirmed...), err
	})
}

func (s *Server) apiScriptChain(r *http.Request) (*page, error) {
	return s.chainPage(r, r.PathValue("after"))
}

// chainPage is a page of confirmed transactions behind the one that is named; empty: the first.
func (s *Server) chainPage(r *http.Request, last string) (*page, error) {
	var after *indexed.Cursor
	if last != "" {
		txid, err := types.ParseHash(last)
		if err != nil {
			return nil, badRequest("Invalid hash")
		}
		f, err := s.findTx(r.Context(), txid)
		if err != nil {
			return nil, err
		}
		if !f.status().Confirmed {
			return nil, notFound("Not found", "The last transaction that was seen is in no block")
		}
		after = &indexed.Cursor{Height: f.info.Height, Block: f.info.Hash, N: uint32(f.n)}
	}
	p, err := s.ofScript(r, func(ctx context.Context, n namedScript) (any, error) { return s.chainTxs(ctx, n, after) })
	if err == nil {
		p.version += " after " + last
	}
	return p, err
}

func (s *Server) apiScriptMempool(r *http.Request) (*page, error) {
	return s.ofScript(r, func(ctx context.Context, n namedScript) (any, error) { return s.waitingTxs(ctx, n) })
}

// coinJSON is an unspent output.
type coinJSON struct {
	TxID   types.Hash   `json:"txid"`
	Index  uint32       `json:"vout"`
	Status statusJSON   `json:"status"`
	Value  types.Amount `json:"value"`
}

// maxCoins is how many unspent outputs of a script are told. Esplora refuses more, too.
const maxCoins = 5000

func (s *Server) apiScriptCoins(r *http.Request) (*page, error) {
	return s.ofScript(r, func(ctx context.Context, n namedScript) (any, error) {
		list := []coinJSON{}
		waiting, err := s.touching.of(ctx, n.hash)
		if err != nil {
			return nil, err
		}
		for _, w := range waiting {
			for _, i := range w.pays {
				at := types.OutPoint{TxID: w.entry.TxID, Index: i}
				if s.Pool.SpentBy(at) == nil {
					list = append(list, coinJSON{at.TxID, i, statusJSON{}, w.entry.Tx.Outputs[i].Value})
				}
			}
		}
		coins, err := s.Scripts.ScriptCoins([]indexed.ScriptHash{n.hash}, indexed.Page{Limit: maxCoins + 1})
		if err != nil {
			return nil, err
		}
		if len(coins.Coins) > maxCoins {
			return nil, badRequest(fmt.Sprintf("Too many unspent outputs: more than %d", maxCoins))
		}
		for _, c := range coins.Coins {
			if s.Pool.SpentBy(c.OutPoint) != nil {
				continue
			}
			j := coinJSON{TxID: c.OutPoint.TxID, Index: c.OutPoint.Index, Value: c.Value}
			if info, ok := s.at(c.Height); ok {
				j.Status = statusIn(info)
			}
			list = append(list, j)
		}
		return list, nil
	})
}
