package web_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/internal/chaintest"
)

// TestSideBlock: a block that was looked at while it lay beside the best chain is told
// whole after it has become a part of it.
func TestSideBlock(t *testing.T) {
	s, coins, from := keyed(t, nil)
	tx := coins.Spend(7777, chaintest.KeyScript(), from[0])
	var side struct{ Hash, Hex string }
	s.rpc(&side, "generateblock", "raw("+anyone+")", []string{hex.EncodeToString(tx.AppendTo(nil))}, false)
	first := s.mine(1)[0]
	s.rpc(new(any), "submitblock", side.Hex)
	for _, path := range []string{"/block/" + side.Hash, "/tx/" + tx.TxID().String() + "?block=" + side.Hash, "/api/block/" + side.Hash + "/txs", "/blocks"} {
		if a := s.ask(path); a.StatusCode != 200 {
			t.Fatalf("%s: %s", path, a.Status)
		}
	}
	s.rpc(new(any), "invalidateblock", first)
	if s.hash(9) != side.Hash {
		t.Fatal("the other branch is not the best chain")
	}
	want(t, s.page("/block/"+side.Hash, 200), `value="0.00007777"`)
	a := s.ask("/api/block/" + side.Hash + "/txs")
	var txs []struct {
		TxID   string
		Fee    int
		Inputs []struct{ Prevout *struct{ Value int } } `json:"vin"`
	}
	if err := json.Unmarshal([]byte(a.body), &txs); err != nil || len(txs) != 2 || txs[1].Fee != 7777 || txs[1].Inputs[0].Prevout == nil {
		t.Errorf("%v\n%s", err, a.body)
	}
	if page := s.page("/tx/"+tx.TxID().String(), 200); !strings.Contains(page, `value="0.00007777"`) {
		t.Error("the transaction has no fee")
	}
}
