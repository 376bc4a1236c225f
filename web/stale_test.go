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

// TestAtOnce: what has just come is told at once, or not yet, but never in a part that is kept
// until the pool changes again. Who sends it again hears the same.
func TestAtOnce(t *testing.T) {
	s := newAPISite(t)
	blocks := s.mineAnchors(4)
	type recent []struct{ TxID string }
	type pool struct {
		Count     int
		Histogram [][2]float64 `json:"fee_histogram"`
	}
	if len(read[recent](s, "/mempool/recent")) != 0 || read[pool](s, "/mempool").Count != 0 {
		t.Fatal("something waits")
	}
	from, value := s.coinbaseOf(blocks[0])
	raw := hex.EncodeToString(s.pay(from, value, chaintest.KeyScript()).AppendTo(nil))
	_, txid := s.post(raw)
	if list := read[recent](s, "/mempool/recent"); len(list) != 1 || list[0].TxID != txid {
		t.Errorf("what came last is %v", list)
	}
	want(t, s.page("/", 200), txid[:10])
	wait(t, func() bool {
		got := read[pool](s, "/mempool")
		if got.Count > 0 != (len(got.Histogram) > 0) {
			t.Fatalf("the histogram of %d transactions is %v", got.Count, got.Histogram)
		}
		return got.Count == 1
	})
	if code, again := s.post(raw); code != 200 || again != txid {
		t.Errorf("sent again: %d %s", code, again)
	}
}
