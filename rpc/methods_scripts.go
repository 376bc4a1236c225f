package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

const (
	defaultPage = 100
	maxPage     = 1_000
)

func scriptMethods() []method {
	who := param{name: "address|addresses", kind: kindAny, sample: "ADDRESS", about: "An address, a script in hexadecimal, a descriptor, an object with desc and range (default 1000, the last index or [first,last]), or a list of these; at most 2,500 scripts"}
	page := param{name: "options", kind: kindObject, optional: "none", about: "An object with any of the named arguments", options: []param{
		{name: "cursor", kind: kindString, optional: "the beginning", about: "The next of the page before. It stays good as long as its block is on the best chain, and is refused after"},
		{name: "limit", kind: kindNumber, optional: "100", about: "Entries of a page, at most 1,000"},
		{name: "oldest_first", kind: kindBool, optional: "false", about: "Whether to begin with the oldest"}}}
	return []method{
		{name: "getaddressbalance", read: getAddressBalance, about: "Returns what addresses have and were ever paid, in blocks and by what waits in the mempool apart. Needs scriptindex.", params: []param{who}},
		{name: "getaddresshistory", read: getAddressHistory, about: "Returns the transactions that pay to addresses or spend from them, the newest first, page by page. Needs scriptindex.", params: []param{who, page}},
		{name: "getaddressutxos", read: getAddressUTXOs, about: "Returns the unspent outputs of addresses, the newest first, page by page. Needs scriptindex.", params: []param{who, page}},
	}
}

// page reads which page is wanted.
func (a *args) page(i int) indexed.Page {
	var o struct {
		Cursor *string `json:"cursor"`
		Limit  *int64  `json:"limit"`
		Oldest bool    `json:"oldest_first"`
	}
	a.options(i, &o)
	page := indexed.Page{Limit: defaultPage, Oldest: o.Oldest}
	if o.Limit != nil {
		if *o.Limit < 1 || *o.Limit > maxPage {
			a.fail(failf(CodeInvalidParam, "limit must be 1 to %d", maxPage))
		}
		page.Limit = int(*o.Limit)
	}
	if o.Cursor != nil {
		var err error
		if page.After, err = indexed.ParseCursor(*o.Cursor); err != nil {
			a.fail(failf(CodeInvalidParam, "Invalid cursor: %s", err))
		}
	}
	return page
}

// asOfOneMoment asks the index of scripts and then the pool, again if a block came in
// between: what is confirmed and what waits are then of the same moment. After some tries
// the answer may count a transaction in both.
func (s *Server) asOfOneMoment(ctx context.Context, ask func() (types.Index, error)) ([]*pendingTx, error) {
	const tries = 5
	if !s.indexed(indexed.Scripts) || s.Scripts == nil {
		return nil, failf(CodeMisc, "scriptindex is not enabled. Start the node with --scriptindex")
	}
	for try := 1; ; try++ {
		if !s.Index.Wait(ctx, indexed.Scripts) {
			state := s.indexState(indexed.Scripts)
			if state.Problem != "" {
				return nil, failf(CodeMisc, "scriptindex stands still at height %d: %s", state.At.Height, state.Problem)
			}
			return nil, failf(CodeMisc, "scriptindex is still being built, and is at height %d", state.At.Height)
		}
		at, err := ask()
		switch {
		case errors.Is(err, indexed.ErrCursor):
			return nil, failf(CodeInvalidParam, "The block of the cursor has left the best chain: begin again without it")
		case errors.Is(err, indexed.ErrBehind):
			return nil, failf(CodeMisc, "scriptindex is being made anew")
		case err != nil:
			return nil, err
		}
		txs, err := s.pendingTxs(ctx)
		if err != nil || try == tries || s.Headers.Tip() == at {
			return txs, err
		}
	}
}

// scriptStatsJSON has the names of Esplora's.
type scriptStatsJSON struct {
	Txs       uint64      `json:"tx_count"`
	Funded    uint64      `json:"funded_txo_count"`
	FundedSum json.Number `json:"funded_txo_sum"`
	Spent     uint64      `json:"spent_txo_count"`
	SpentSum  json.Number `json:"spent_txo_sum"`
}

func scriptStats(s *indexed.ScriptStats) scriptStatsJSON {
	return scriptStatsJSON{s.Txs, s.Funded, amount(s.FundedSum), s.Spent, amount(s.SpentSum)}
}

type addressBalanceJSON struct {
	Block   types.Hash      `json:"bestblock"`
	Height  uint32          `json:"height"`
	Balance json.Number     `json:"balance"`
	Pending json.Number     `json:"pending"`
	Chain   scriptStatsJSON `json:"chain_stats"`
	Pool    scriptStatsJSON `json:"mempool_stats"`
}

func getAddressBalance(s *Server, a *args) work {
	objects := a.askedScripts(0)
	return func(ctx context.Context) (any, error) {
		set, err := s.scriptSet(ctx, objects)
		if err != nil {
			return nil, err
		}
		var balances indexed.Balances
		txs, err := s.asOfOneMoment(ctx, func() (_ types.Index, err error) {
			balances, err = s.Scripts.ScriptBalances(set.hashes)
			return balances.At, err
		})
		if err != nil {
			return nil, err
		}
		var confirmed, waiting indexed.ScriptStats
		for i := range balances.Stats {
			confirmed.Add(&balances.Stats[i])
		}
		for _, tx := range txs {
			if stats := tx.of(set); stats != nil {
				waiting.Add(stats)
			}
		}
		return addressBalanceJSON{
			balances.At.Hash, balances.At.Height, amount(confirmed.Balance()), amount(waiting.Balance()),
			scriptStats(&confirmed), scriptStats(&waiting),
		}, nil
	}
}

// addressTxJSON is a transaction in a block, in the words of Core's listtransactions.
type addressTxJSON struct {
	TxID          types.Hash  `json:"txid"`
	Amount        json.Number `json:"amount"`
	Received      json.Number `json:"received"`
	Sent          json.Number `json:"sent"`
	Confirmations uint32      `json:"confirmations"`
	BlockHash     types.Hash  `json:"blockhash"`
	BlockHeight   uint32      `json:"blockheight"`
	BlockIndex    uint32      `json:"blockindex"`
	BlockTime     uint32      `json:"blocktime"`
}

// pendingTxJSON is a transaction that waits.
type pendingTxJSON struct {
	TxID     types.Hash  `json:"txid"`
	Amount   json.Number `json:"amount"`
	Received json.Number `json:"received"`
	Sent     json.Number `json:"sent"`
	Fee      json.Number `json:"fee"`
	VSize    int         `json:"vsize"`
	Time     int64       `json:"time"`
}

type addressHistoryJSON struct {
	Block        types.Hash      `json:"bestblock"`
	Height       uint32          `json:"height"`
	PendingCount int             `json:"pending_count"`
	Pending      []pendingTxJSON `json:"pending"`
	Txs          []addressTxJSON `json:"transactions"`
	Next         string          `json:"next,omitempty"`
}

// touching returns the transactions that do something to scripts, the newest first.
func touching(txs []*pendingTx, set *scriptSet) (list []*pendingTx) {
	for _, tx := range txs {
		if tx.of(set) != nil {
			list = append(list, tx)
		}
	}
	slices.SortFunc(list, func(a, b *pendingTx) int {
		return cmp.Or(b.Time.Compare(a.Time), bytes.Compare(a.TxID[:], b.TxID[:]))
	})
	return list
}

func getAddressHistory(s *Server, a *args) work {
	objects, page := a.askedScripts(0), a.page(1)
	return func(ctx context.Context) (any, error) {
		set, err := s.scriptSet(ctx, objects)
		if err != nil {
			return nil, err
		}
		var history indexed.History
		txs, err := s.asOfOneMoment(ctx, func() (_ types.Index, err error) {
			history, err = s.Scripts.ScriptHistory(set.hashes, page)
			return history.At, err
		})
		if err != nil {
			return nil, err
		}
		j := addressHistoryJSON{Block: history.At.Hash, Height: history.At.Height, Pending: []pendingTxJSON{}, Txs: make([]addressTxJSON, len(history.Txs))}
		for i := range history.Txs {
			tx := &history.Txs[i]
			info, _ := s.Headers.Info(tx.Place.Block)
			j.Txs[i] = addressTxJSON{
				tx.TxID, amount(tx.Received - tx.Sent), amount(tx.Received), amount(tx.Sent), history.At.Height - tx.Height + 1,
				tx.Place.Block, tx.Height, tx.Place.N, info.Header.Timestamp,
			}
		}
		list := touching(txs, set)
		j.PendingCount = len(list)
		for _, tx := range list[:min(len(list), page.Limit)] {
			stats := tx.of(set)
			j.Pending = append(j.Pending, pendingTxJSON{
				tx.TxID, amount(stats.Balance()), amount(stats.FundedSum), amount(stats.SpentSum), amount(tx.Fee), tx.VSize, tx.Time.Unix(),
			})
		}
		if history.Next != nil {
			j.Next = history.Next.String()
		}
		return j, nil
	}
}

// addressCoinJSON is an unspent output, in the words of Core's listunspent.
type addressCoinJSON struct {
	TxID          types.Hash  `json:"txid"`
	Vout          uint32      `json:"vout"`
	Address       string      `json:"address,omitempty"`
	Script        string      `json:"scriptPubKey"`
	Amount        json.Number `json:"amount"`
	Confirmations uint32      `json:"confirmations"`
	Height        uint32      `json:"height"`
	IsCoinbase    bool        `json:"coinbase"`
	SpentBy       *types.Hash `json:"spentby,omitempty"` // of the pool
}

// pendingCoinJSON is an output of a transaction that waits.
type pendingCoinJSON struct {
	TxID    types.Hash  `json:"txid"`
	Vout    uint32      `json:"vout"`
	Address string      `json:"address,omitempty"`
	Script  string      `json:"scriptPubKey"`
	Amount  json.Number `json:"amount"`
	SpentBy *types.Hash `json:"spentby,omitempty"`
}

type addressCoinsJSON struct {
	Block        types.Hash        `json:"bestblock"`
	Height       uint32            `json:"height"`
	PendingCount int               `json:"pending_count"`
	Pending      []pendingCoinJSON `json:"pending"`
	Coins        []addressCoinJSON `json:"utxos"`
	Next         string            `json:"next,omitempty"`
}

func getAddressUTXOs(s *Server, a *args) work {
	objects, page := a.askedScripts(0), a.page(1)
	return func(ctx context.Context) (any, error) {
		set, err := s.scriptSet(ctx, objects)
		if err != nil {
			return nil, err
		}
		var coins indexed.Coins
		txs, err := s.asOfOneMoment(ctx, func() (_ types.Index, err error) {
			coins, err = s.Scripts.ScriptCoins(set.hashes, page)
			return coins.At, err
		})
		if err != nil {
			return nil, err
		}
		j := addressCoinsJSON{Block: coins.At.Hash, Height: coins.At.Height, Pending: []pendingCoinJSON{}, Coins: make([]addressCoinJSON, len(coins.Coins))}
		list := touching(txs, set)
		spentBy := map[types.OutPoint]*types.Hash{}
		for _, tx := range list {
			for i := range tx.touches {
				if t := &tx.touches[i]; t.spends {
					spentBy[t.outPoint] = &tx.TxID
				}
			}
		}
		for i := range coins.Coins {
			c := &coins.Coins[i]
			address, script := s.addressAndScript(set.scripts[c.Script])
			j.Coins[i] = addressCoinJSON{
				c.OutPoint.TxID, c.OutPoint.Index, address, script, amount(c.Value), coins.At.Height - c.Height + 1, c.Height, c.IsCoinbase, spentBy[c.OutPoint],
			}
		}
		for _, tx := range list {
			for i := range tx.touches {
				t := &tx.touches[i]
				if t.spends || set.scripts[t.script] == nil {
					continue
				}
				if j.PendingCount++; j.PendingCount <= page.Limit {
					address, script := s.addressAndScript(set.scripts[t.script])
					j.Pending = append(j.Pending, pendingCoinJSON{t.outPoint.TxID, t.outPoint.Index, address, script, amount(t.value), spentBy[t.outPoint]})
				}
			}
		}
		if coins.Next != nil {
			j.Next = coins.Next.String()
		}
		return j, nil
	}
}

// addressAndScript returns a script's address, if it has one, and the script in
// hexadecimal.
func (s *Server) addressAndScript(script []byte) (address, text string) {
	address, err := taproot.EncodeAddress(s.Params.HRP, script)
	if err != nil {
		address = ""
	}
	return address, hex.EncodeToString(script)
}
