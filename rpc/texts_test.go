package rpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestFirstMistake: of several mistakes the one is told that Bitcoin Core tells, in its
// words, whatever the caller's language would have said.
func TestFirstMistake(t *testing.T) {
	s := start(t, nil)
	tooMany := make([]string, 26)
	zero := types.Hash{}.String()
	for _, c := range []struct {
		want, method string
		params       []any
	}{
		{"-8 Fee rates larger than or equal to 1BTC/kvB are not accepted", "testmempoolaccept", []any{[]string{"00"}, 1}},
		{"-8 Array must contain between 1 and 25 transactions.", "testmempoolaccept", []any{tooMany, 1}},
		{"-8 Array must contain between 1 and 25 transactions.", "submitpackage", []any{[]string{}, 1, -1}},
		{"-8 Fee rates larger than or equal to 1BTC/kvB are not accepted", "submitpackage", []any{[]string{"00"}, 1, -1}},
		{"-3 JSON value of type number is not of expected type string", "testmempoolaccept", []any{[]any{5}}},
		{"-3 JSON value of type bool is not of expected type string", "submitpackage", []any{[]any{true}}},
		{"-3 JSON value of type null is not of expected type string", "generateblock", []any{s.anchor, []any{nil}}},
		{"-3 JSON value of type string for field use_current_time is not of expected type bool", "importmempool", []any{"none", map[string]any{"use_current_time": "x"}}},
		{"-3 JSON value of type number for field mempool_only is not of expected type bool", "gettxspendingprevout", []any{[]any{map[string]any{"txid": zero, "vout": 0}}, map[string]any{"mempool_only": 1}}},
		{"-3 Invalid amount", "testmempoolaccept", []any{[]string{"00"}, json.RawMessage("1e-9")}}, // not 0, which is no limit
		{"-3 Invalid amount", "sendrawtransaction", []any{"00", 0.1, "0.000000001"}},
		{"-22 TX decode failed. Make sure the tx has at least one input.", "sendrawtransaction", []any{"00", 1}},
		{"-22 TX decode failed. Make sure the tx has at least one input.", "sendrawtransaction", []any{"00", "0.000000001"}},
		{"-8 txid must be of length 64 (not 1, for 'x')", "prioritisetransaction", []any{"x", 1, 1}},
		{"-1 JSON integer out of range", "prioritisetransaction", []any{zero, 1, 1.5}},
		{"-1 JSON integer out of range", "generatetoaddress", []any{1, s.anchor, -5}},
		{"-8 nblocks is 100001, at most 100000 are made in a call", "generatetoaddress", []any{100_001, s.anchor}},
	} {
		if got := refused(s, c.method, c.params...); got != c.want {
			t.Errorf("%s %.200v: %s, want %s", c.method, c.params, got, c.want)
		}
	}
}

// TestNoBlocks: less than none are none, and without a try none is found.
func TestNoBlocks(t *testing.T) {
	s := start(t, nil)
	for _, params := range [][]any{{-1, s.anchor}, {0, s.anchor}, {3, s.anchor, 0}} {
		if got := call[[]string](s, "generatetoaddress", params...); got == nil || len(got) != 0 {
			t.Errorf("%v: %v", params, got)
		}
	}
	if height := call[int](s, "getblockcount"); height != 0 {
		t.Errorf("the chain has %d blocks", height)
	}
}

// TestExamplesOfHelp: what stands in an example has its place, and can be given as it is.
func TestExamplesOfHelp(t *testing.T) {
	s := start(t, nil)
	for method, want := range map[string]string{
		"prioritisetransaction": "> karat rpc prioritisetransaction TXID 0 FEE_DELTA\n",
		"getblocktemplate":      "> karat rpc getblocktemplate '{\"rules\": [\"segwit\"]}'\n",
		"generateblock":         "> karat rpc generateblock OUTPUT '[\"TXID\"]'\n",
		"getblock":              "> karat rpc getblock BLOCKHASH\n",
	} {
		if text := call[string](s, "help", method); !strings.Contains(text, want) {
			t.Errorf("%s\nlacks %s", text, want)
		}
	}
}
