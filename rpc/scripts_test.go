package rpc_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/node"
)

type addressBalance struct {
	BestBlock        string
	Height           int
	Balance, Pending float64
	Chain            addressStats `json:"chain_stats"`
	Mempool          addressStats `json:"mempool_stats"`
}

type addressStats struct {
	Txs       int     `json:"tx_count"`
	Funded    int     `json:"funded_txo_count"`
	FundedSum float64 `json:"funded_txo_sum"`
	Spent     int     `json:"spent_txo_count"`
	SpentSum  float64 `json:"spent_txo_sum"`
}

type addressPage struct {
	BestBlock    string
	PendingCount int `json:"pending_count"`
	Pending      []struct {
		TxID           string
		Vout           int
		Amount         float64
		Received, Sent float64
		Address        string
		SpentBy        string
	}
	Transactions []struct {
		TxID                   string
		Amount, Received, Sent float64
		Confirmations          int
		BlockHash              string
		BlockHeight            int
		BlockIndex             int
		BlockTime              int
	}
	UTXOs []struct {
		TxID          string
		Vout          int
		Address       string
		ScriptPubKey  string
		Amount        float64
		Confirmations int
		Height        int
		Coinbase      bool
		SpentBy       string
	}
	Next string
}

// TestScriptIndex: a payment is told of as pending, then as confirmed, to whom it pays and
// from whom it comes, and by whatever name the script is asked for.
func TestScriptIndex(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Indexes = append(c.Indexes, indexed.Scripts) })
	mined := call[[]string](s, "generatetoaddress", 110, s.anchor)
	other := chaintest.Anyone(7)
	otherAddress := call[struct{ Address string }](s, "decodescript", hex.EncodeToString(other)).Address

	var balance addressBalance
	ask := func(who any) addressBalance {
		t.Helper()
		balance = call[addressBalance](s, "getaddressbalance", who)
		return balance
	}
	if b := ask(s.anchor); b.BestBlock != mined[109] || b.Height != 110 || b.Chain.Txs != 110 || b.Chain.Funded != 110 || b.Balance != b.Chain.FundedSum || b.Balance == 0 || b.Mempool != (addressStats{}) {
		t.Fatalf("after 110 blocks: %+v", b)
	}
	whole := balance.Balance
	for _, who := range []any{
		hex.EncodeToString(chaintest.Anchor), "addr(" + s.anchor + ")", "raw(" + hex.EncodeToString(chaintest.Anchor) + ")",
		[]any{s.anchor, s.anchor, map[string]any{"desc": "addr(" + s.anchor + ")"}}, map[string]any{"addresses": []string{s.anchor}},
		map[string]any{"desc": "addr(" + s.anchor + ")"},
	} {
		if b := ask(who); b.Balance != whole {
			t.Errorf("%v has %v, want %v", who, b.Balance, whole)
		}
	}

	coins := call[addressPage](s, "getaddressutxos", s.anchor, map[string]any{"oldest_first": true, "limit": 1})
	if len(coins.UTXOs) != 1 || coins.UTXOs[0].Height != 1 || !coins.UTXOs[0].Coinbase || coins.UTXOs[0].Confirmations != 110 || coins.Next == "" {
		t.Fatalf("the oldest coin: %+v", coins)
	}
	coin := coins.UTXOs[0]
	paid := call[string](s, "createrawtransaction", []any{map[string]any{"txid": coin.TxID, "vout": coin.Vout}}, []any{map[string]any{otherAddress: 3}, map[string]any{s.anchor: fmt.Sprintf("%.8f", coin.Amount-3.001)}})
	txid := call[string](s, "sendrawtransaction", paid, 0)

	b := ask(s.anchor)
	if b.Balance != whole || b.Mempool.Txs != 1 || b.Mempool.Spent != 1 || b.Mempool.Funded != 1 || b.Pending > -3.0009 || b.Pending < -3.0011 {
		t.Errorf("while a payment waits: %+v", b)
	}
	if b := ask(otherAddress); b.Balance != 0 || b.Pending != 3 || b.Mempool.Funded != 1 || b.Chain.Txs != 0 {
		t.Errorf("who waits for a payment: %+v", b)
	}
	history := call[addressPage](s, "getaddresshistory", []string{otherAddress, s.anchor})
	if history.PendingCount != 1 || len(history.Pending) != 1 || history.Pending[0].TxID != txid || history.Pending[0].Sent != coin.Amount || len(history.Transactions) != 100 || history.Next == "" {
		t.Errorf("history while a payment waits: %+v", history.Pending)
	}
	coins = call[addressPage](s, "getaddressutxos", s.anchor, map[string]any{"oldest_first": true})
	if coins.UTXOs[0].SpentBy != txid || coins.UTXOs[1].SpentBy != "" || coins.PendingCount != 1 || coins.Pending[0].TxID != txid || coins.Pending[0].Vout != 1 {
		t.Errorf("coins while a payment waits: %+v", coins.UTXOs[:2])
	}

	block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
	if b := ask(otherAddress); b.Balance != 3 || b.Pending != 0 || b.Mempool != (addressStats{}) || b.Chain.Txs != 1 || b.BestBlock != block {
		t.Errorf("after the payment: %+v", b)
	}
	history = call[addressPage](s, "getaddresshistory", otherAddress)
	if tx := history.Transactions; len(tx) != 1 || tx[0].TxID != txid || tx[0].BlockHash != block || tx[0].BlockIndex != 1 || tx[0].Amount != 3 || tx[0].BlockTime == 0 || tx[0].Confirmations != 1 || history.Next != "" {
		t.Errorf("history after the payment: %+v", history)
	}
	seen := 0
	for options := map[string]any{"limit": 50}; ; {
		page := call[addressPage](s, "getaddresshistory", s.anchor, options)
		seen += len(page.Transactions)
		if page.Next == "" {
			break
		}
		options["cursor"] = page.Next
	}
	if seen != 112 {
		t.Errorf("%d transactions on all pages, want 112", seen)
	}

	page := call[addressPage](s, "getaddresshistory", s.anchor, map[string]any{"limit": 1})
	call[any](s, "invalidateblock", block)
	call[[]string](s, "generatetoaddress", 1, otherAddress)
	if got := refused(s, "getaddresshistory", s.anchor, map[string]any{"cursor": page.Next}); !strings.Contains(got, "-8 The block of the cursor has left") {
		t.Errorf("a cursor after a reorganisation: %s", got)
	}
}

// TestScriptIndexRefuses: what is no address, page or index is said.
func TestScriptIndexRefuses(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Indexes = append(c.Indexes, indexed.Scripts) })
	for _, c := range []struct {
		want   string
		params []any
	}{
		{"is no address of this network", []any{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}},
		{"is no address of this network", []any{""}},
		{"limit must be 1 to 1000", []any{s.anchor, map[string]any{"limit": 0}}},
		{"limit must be 1 to 1000", []any{s.anchor, map[string]any{"limit": 1001}}},
		{"Invalid cursor", []any{s.anchor, map[string]any{"cursor": "ff"}}},
		{"More than 2500 scripts", []any{map[string]any{"desc": "rawtr(tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/*)", "range": 5000}}},
	} {
		if got := refused(s, "getaddressutxos", c.params...); !strings.Contains(got, c.want) {
			t.Errorf("%v: %s", c.params, got)
		}
	}
	s = start(t, nil)
	if got := refused(s, "getaddressbalance", s.anchor); !strings.Contains(got, "-1 scriptindex is not enabled") {
		t.Errorf("without the index: %s", got)
	}
}
