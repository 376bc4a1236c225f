package rpc_test

import (
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/node"
)

type spentOutput struct {
	TxID, SpendingTxID, SpendingTx, BlockHash string
	Vout                                      int
}

// TestSpenders: the pool is asked first, then the index, unless only the pool is to be.
func TestSpenders(t *testing.T) {
	for _, with := range []bool{false, true} {
		s := start(t, func(c *node.Config) {
			if with {
				c.Indexes = append(c.Indexes, indexed.Spenders)
			}
		})
		call[[]string](s, "generatetoaddress", 101, s.anchor)
		coinbase := call[struct{ Tx []string }](s, "getblock", call[string](s, "getblockhash", 1)).Tx[0]
		paid := call[string](s, "createrawtransaction", []any{map[string]any{"txid": coinbase, "vout": 0}}, []any{map[string]any{s.anchor: 1}, map[string]any{"data": "00"}})
		txid := call[string](s, "sendrawtransaction", paid, 0)
		outputs := []any{map[string]any{"txid": coinbase, "vout": 0}, map[string]any{"txid": txid, "vout": 0}}
		ask := func(options map[string]any) []spentOutput {
			return call[[]spentOutput](s, "gettxspendingprevout", outputs, options)
		}
		unspent := spentOutput{TxID: txid}
		if got := ask(map[string]any{"return_spending_tx": true}); got[0] != (spentOutput{TxID: coinbase, SpendingTxID: txid, SpendingTx: paid}) || got[1] != unspent {
			t.Errorf("index %t, in the pool: %+v", with, got)
		}
		block := call[[]string](s, "generatetoaddress", 1, s.anchor)[0]
		if !with {
			if got := refused(s, "gettxspendingprevout", outputs, map[string]any{"mempool_only": false}); !strings.Contains(got, "-1 Mempool lacks a relevant spend, and txospenderindex is unavailable.") {
				t.Errorf("without an index: %s", got)
			}
			if got := ask(nil); got[0] != (spentOutput{TxID: coinbase}) || got[1] != unspent {
				t.Errorf("without an index: %+v", got)
			}
			continue
		}
		if got := ask(nil); got[0] != (spentOutput{TxID: coinbase, SpendingTxID: txid, BlockHash: block}) || got[1] != unspent {
			t.Errorf("in a block: %+v", got)
		}
		if got := ask(map[string]any{"return_spending_tx": true}); got[0].SpendingTx != paid {
			t.Errorf("in a block, whole: %+v", got)
		}
		if got := ask(map[string]any{"mempool_only": true}); got[0] != (spentOutput{TxID: coinbase}) {
			t.Errorf("in a block, when only the pool is asked: %+v", got)
		}
		call[any](s, "invalidateblock", block)
		if got := ask(nil); got[0] != (spentOutput{TxID: coinbase, SpendingTxID: txid}) {
			t.Errorf("back in the pool: %+v", got)
		}
	}
}
