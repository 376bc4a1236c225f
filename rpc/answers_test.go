package rpc_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
)

// refused calls a method that must fail, and returns code and message.
func refused(s *server, method string, params ...any) string {
	s.t.Helper()
	var result json.RawMessage
	err := s.client.Call(context.Background(), method, &result, params...)
	var e *rpc.Error
	if !errors.As(err, &e) {
		s.t.Errorf("%s %v: %s, %v", method, params, result, err)
		return ""
	}
	message, _, _ := strings.Cut(e.Message, "\n")
	return fmt.Sprint(e.Code, " ", message)
}

// TestBesideTheBestChain: what is told of blocks that are not, or are no longer,
// on the best chain, is what Bitcoin Core tells.
func TestBesideTheBestChain(t *testing.T) {
	s := start(t, nil)
	left := call[[]string](s, "generatetoaddress", 3, s.anchor)
	call[any](s, "getblockfilter", left[2]) // waits until it is indexed
	var raws []string
	for _, hash := range left {
		raws = append(raws, call[string](s, "getblock", hash, 0))
	}
	stats := call[json.RawMessage](s, "getblockstats", left[2])
	filter := call[json.RawMessage](s, "getblockfilter", left[2])
	call[any](s, "invalidateblock", left[0])
	if got := call[string](s, "submitblock", raws[0]); got != "duplicate-invalid" {
		t.Errorf("one that was ruled out: %s", got)
	}
	call[[]string](s, "generatetoaddress", 4, s.anchor)
	call[any](s, "reconsiderblock", left[0])
	if got := call[string](s, "submitblock", raws[2]); got != "duplicate" {
		t.Errorf("one that was on the best chain: %s", got)
	}
	if got := call[json.RawMessage](s, "getblockstats", left[2]); string(got) != string(stats) {
		t.Errorf("statistics %s, before %s", got, stats)
	}
	if got := call[json.RawMessage](s, "getblockfilter", left[2]); string(got) != string(filter) {
		t.Errorf("filter %s, before %s", got, filter)
	}
	if got := refused(s, "getchaintxstats", 1, left[2]); got != "-8 Block is not in main chain" {
		t.Error(got)
	}

	// Another node, on a longer chain, hears of the blocks and never connects them.
	other := start(t, nil)
	elsewhere := call[struct{ Address string }](other, "decodescript", "52021234").Address // or the blocks might be the same
	call[[]string](other, "generatetoaddress", 4, elsewhere)
	for i, raw := range raws {
		if got := call[string](other, "submitblock", raw); got != "inconclusive" {
			t.Errorf("block %d beside the best chain: %s", i+1, got)
		}
		if got := call[string](other, "submitblock", raw); got != "duplicate" {
			t.Errorf("block %d again: %s", i+1, got)
		}
	}
	if got := refused(other, "getblockstats", left[2]); got != "-1 Undo data not available" {
		t.Error(got)
	}
	if got := refused(other, "getblockfilter", left[2]); got != "-5 Filter not found. Block was not connected to active chain." {
		t.Error(got)
	}
	block := call[struct {
		Confirmations int
		Tx            []struct{ Fee json.RawMessage }
	}](other, "getblock", left[2], 3)
	if block.Confirmations != -1 || len(block.Tx) != 1 || block.Tx[0].Fee != nil {
		t.Errorf("%+v", block)
	}
}

// TestSelectedStats: getblockstats takes a height, a hash, and names of values.
func TestSelectedStats(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 2, s.anchor)
	genesis := call[string](s, "getblockhash", 0)
	if got := call[json.RawMessage](s, "getblockstats", 1, []string{"txs", "height", "txs"}); string(got) != `{"height":1,"txs":1}` {
		t.Errorf("%s", got)
	}
	if got := call[map[string]any](s, "getblockstats", genesis, []string{}); len(got) < 30 || got["height"] != 0.0 {
		t.Errorf("%v", got)
	}
	coins := call[struct{ TxOuts int }](s, "gettxoutsetinfo", "none").TxOuts
	made := 0 // by the genesis block, too
	for height := range 3 {
		made += call[map[string]int](s, "getblockstats", height, []string{"utxo_increase_actual"})["utxo_increase_actual"]
	}
	if made != coins {
		t.Errorf("the blocks make %d coins, there are %d", made, coins)
	}
	for params, want := range map[string]string{
		`"zz"`:                              "-8 hash_or_height must be of length 64 (not 2, for 'zz')",
		`-1`:                                "-8 Target block height -1 is negative",
		`3`:                                 "-8 Target block height 3 after current tip 2",
		`1,["nosuch"]`:                      "-8 Invalid selected statistic 'nosuch'",
		`"` + strings.Repeat("5", 64) + `"`: "-5 Block not found",
	} {
		var list []any
		if err := json.Unmarshal([]byte("["+params+"]"), &list); err != nil {
			t.Fatal(err)
		}
		if got := refused(s, "getblockstats", list...); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
}

// TestWithoutIndexes: a node that keeps none says which one is missing.
func TestWithoutIndexes(t *testing.T) {
	const hint = "-5 No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. Use gettransaction for wallet transactions."
	for _, indexes := range [][]string{nil, {indexed.Filters}} {
		s := start(t, func(c *node.Config) { c.Indexes = indexes })
		block := call[struct{ Tx []string }](s, "getblock", call[[]string](s, "generatetoaddress", 1, s.anchor)[0])
		if got := refused(s, "getrawtransaction", block.Tx[0]); got != hint {
			t.Errorf("%v: %s", indexes, got)
		}
	}
	s := start(t, func(c *node.Config) { c.Indexes = []string{indexed.Txs} })
	if got := refused(s, "getblockfilter", call[string](s, "getbestblockhash")); got != "-1 Index is not enabled for filtertype basic" {
		t.Error(got)
	}
}

// TestAddresses: what an address stands for, by its kind.
func TestAddresses(t *testing.T) {
	s := start(t, nil)
	for script, want := range map[string]string{
		"51024e73":                        `"scriptPubKey":"51024e73","isscript":true,"iswitness":true}`,
		"52021234":                        `"scriptPubKey":"52021234","iswitness":true,"witness_version":2,"witness_program":"1234"}`,
		"51021234":                        `"scriptPubKey":"51021234","iswitness":true,"witness_version":1,"witness_program":"1234"}`,
		"5120" + strings.Repeat("12", 32): `"scriptPubKey":"5120` + strings.Repeat("12", 32) + `","isscript":true,"iswitness":true,"witness_version":1,"witness_program":"` + strings.Repeat("12", 32) + `"}`,
	} {
		address := call[struct{ Address string }](s, "decodescript", script).Address
		if got := call[json.RawMessage](s, "validateaddress", address); !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	if got := call[json.RawMessage](s, "validateaddress", s.anchor); !strings.Contains(string(got), `"isscript":true`) {
		t.Errorf("an anchor: %s", got)
	}
}

// TestKeysInScripts: the first byte of a public key says how long it is, and one
// of the hybrid form has no descriptor.
func TestKeysInScripts(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		first     string
		size      int
		kind, how string
	}{
		{"02", 33, "pubkey", "pk("}, {"03", 33, "pubkey", "pk("}, {"04", 65, "pubkey", "pk("}, {"06", 65, "pubkey", "raw("}, {"07", 65, "pubkey", "raw("},
		{"04", 33, "nonstandard", "raw("}, {"00", 33, "nonstandard", "raw("}, {"02", 65, "nonstandard", "raw("}, {"02", 32, "nonstandard", "raw("},
	} {
		script := fmt.Sprintf("%02x%s%sac", c.size, c.first, strings.Repeat("11", c.size-1))
		got := call[struct{ Type, Desc string }](s, "decodescript", script)
		if got.Type != c.kind || !strings.HasPrefix(got.Desc, c.how) {
			t.Errorf("%s and %d bytes: %+v", c.first, c.size, got)
		}
	}
}

// TestWaitingTransactions: what is told of a transaction and its child, and of
// what they spend.
func TestWaitingTransactions(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 5, s.anchor)
	txid := s.spend(1)
	raw, err := hex.DecodeString(call[string](s, "getrawtransaction", txid))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := types.DecodeTx(raw)
	if err != nil {
		t.Fatal(err)
	}
	child := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: parent.TxID()}}}, Outputs: []types.TxOut{parent.Outputs[0], parent.Outputs[1]}}
	child.Outputs[0].Value -= 10_000_000 // which pays for the parent, too
	if got := refused(s, "sendrawtransaction", hex.EncodeToString(child.AppendTo(nil))); got != "-25 Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)" {
		t.Error(got)
	}
	call[string](s, "sendrawtransaction", hex.EncodeToString(child.AppendTo(nil)), 0)
	type entry struct {
		Weight, ChunkWeight int
		Fees                struct{ Base, Chunk, Descendant json.Number }
	}
	first, second := call[entry](s, "getmempoolentry", txid), call[entry](s, "getmempoolentry", child.TxID())
	if want := first.Weight + second.Weight; first.ChunkWeight != want || second.ChunkWeight != want || first.Fees.Chunk != first.Fees.Descendant || second.Fees.Chunk != first.Fees.Chunk {
		t.Errorf("chunks of %+v and %+v", first, second)
	}

	if got := string(call[json.RawMessage](s, "getmempoolcluster", child.TxID())); got != fmt.Sprintf(`{"clusterweight":%d,"txcount":2,"chunks":[{"chunkfee":%s,"chunkweight":%d,"txs":["%s","%s"]}]}`,
		first.ChunkWeight, first.Fees.Chunk, first.ChunkWeight, txid, child.TxID()) {
		t.Errorf("a cluster: %s", got)
	}
	if got := string(call[json.RawMessage](s, "getmempoolfeeratediagram")); got != fmt.Sprintf(`[{"weight":0,"fee":0.00000000},{"weight":%d,"fee":%s}]`, first.ChunkWeight, first.Fees.Chunk) {
		t.Errorf("the diagram: %s", got)
	}
	if got := refused(s, "getmempoolcluster", strings.Repeat("ab", 32)); got != "-5 Transaction not in mempool" {
		t.Error(got)
	}
	if got := string(call[json.RawMessage](s, "getrawmempool", false, true)); got != fmt.Sprintf(`{"txids":["%s","%s"],"mempool_sequence":3}`, txid, child.TxID()) {
		t.Errorf("the ids with a sequence number: %s", got)
	}
	var names []string
	for at, text := 0, string(call[json.RawMessage](s, "getmempoolentry", txid)); ; {
		m := regexp.MustCompile(`"([a-z_0-9-]+)":`).FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		names, at = append(names, text[at+m[2]:at+m[3]]), at+m[1]
	}
	if got, want := strings.Join(names, " "), "vsize_adjusted vsize vsize_bip141 weight time height descendantcount descendantsize ancestorcount ancestorsize wtxid chunkweight fees base modified ancestor descendant chunk depends spentby unbroadcast bip125-replaceable"; got != want {
		t.Errorf("an entry has %s", got)
	}
	if call[map[string]any](s, "getmempoolentry", txid)["unbroadcast"] != true || call[map[string]any](s, "getmempoolinfo")["unbroadcastcount"] != 2.0 {
		t.Error("no peer has it, and nobody says so")
	}

	// The same payment with another witness is the one that is known.
	other := *parent
	other.Inputs = []types.TxIn{parent.Inputs[0]}
	other.Inputs[0].Witness = [][]byte{{1}}
	if got := call[string](s, "sendrawtransaction", hex.EncodeToString(other.AppendTo(nil))); got != txid {
		t.Errorf("sent again: %s", got)
	}

	outPoint := map[string]any{"txid": txid, "vout": 0}
	spent := call[[]struct{ SpendingTxID, SpendingTx string }](s, "gettxspendingprevout", []any{outPoint}, map[string]any{"mempool_only": true, "return_spending_tx": true})
	if len(spent) != 1 || spent[0].SpendingTxID != child.TxID().String() || spent[0].SpendingTx != hex.EncodeToString(child.AppendTo(nil)) {
		t.Errorf("spent by %+v", spent)
	}
	if named := call[[]struct{ SpendingTxID, SpendingTx string }](s, "gettxspendingprevout", rpc.Named{"args": []any{[]any{outPoint}}, "return_spending_tx": true}); !slices.Equal(named, spent) {
		t.Errorf("asked by name, spent by %+v", named)
	}
	if got := refused(s, "gettxspendingprevout", []any{outPoint}, map[string]any{"mempol_only": true}); got != "-3 Unexpected key mempol_only" {
		t.Error(got)
	}
	for params, want := range map[string]string{
		`[]`:                           "-8 Invalid parameter, outputs are missing",
		`[5]`:                          "-3 JSON value of type number is not of expected type object",
		`[{"vout":3}]`:                 "-3 Missing txid",
		`[{"txid":null,"vout":3}]`:     "-3 Missing txid",
		`[{"txid":42,"vout":3}]`:       "-3 JSON value of type number for field txid is not of expected type string",
		`[{"txid":"TXID"}]`:            "-3 Missing vout",
		`[{"txid":"TXID","vout":"1"}]`: "-3 JSON value of type string for field vout is not of expected type number",
		`[{"txid":"TXID","vout":1,"unknown":42}]`: "-3 Unexpected key unknown",
		`[{"txid":"ab","vout":1}]`:                "-8 txid must be of length 64 (not 2, for 'ab')",
		`[{"txid":"TXID","vout":-1}]`:             "-8 Invalid parameter, vout cannot be negative",
		`[{"txid":"TXID","vout":2147483648}]`:     "-1 JSON integer out of range",
		`[{"txid":"TXID","vout":1.5}]`:            "-1 JSON integer out of range",
	} {
		if got := refused(s, "gettxspendingprevout", json.RawMessage(strings.ReplaceAll(params, "TXID", txid))); got != want {
			t.Errorf("%s: %s, want %s", params, got, want)
		}
	}
	outPoint["vout"] = 1
	if got := refused(s, "gettxspendingprevout", []any{outPoint}, map[string]any{"mempool_only": false}); got != "-1 Mempool lacks a relevant spend, and txospenderindex is unavailable." {
		t.Error(got)
	}
	if got := refused(s, "gettxspendingprevout", []any{outPoint}, map[string]any{"mempool_only": 1}); !strings.HasPrefix(got, "-3 ") {
		t.Error(got)
	}
}

// TestFeesToOutbid: estimatesmartfee always answers, and knows that a child pays for
// its parent: the two take the room of the next block, although the parent alone pays
// less than all others.
func TestFeesToOutbid(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Params.MaxBlockWeight = 40_000 })
	call[[]string](s, "generatetoaddress", 4, s.anchor)
	send := func(from types.OutPoint, value, fee types.Amount, data int) *types.Tx {
		script := append([]byte{0x6a, 0x4d, byte(data), byte(data >> 8)}, make([]byte, data)...)
		tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: from}}, Outputs: []types.TxOut{{Value: value - fee, ScriptPubKey: chaintest.Anchor}, {ScriptPubKey: script}}}
		call[string](s, "sendrawtransaction", hex.EncodeToString(tx.AppendTo(nil)), 0)
		return tx
	}
	coinbase := func(height int) types.OutPoint {
		block := call[struct{ Tx []types.Hash }](s, "getblock", call[string](s, "getblockhash", height))
		return types.OutPoint{TxID: block.Tx[0]}
	}
	expect := func(what string, blocks int, rate types.FeeRate) {
		t.Helper()
		got := call[struct{ FeeRate json.Number }](s, "estimatesmartfee", blocks)
		if want := types.Amount(rate).String(); string(got.FeeRate) != want {
			t.Errorf("%s, in %d blocks: %s, want %s", what, blocks, got.FeeRate, want)
		}
	}
	expect("an empty pool", 1, mempool.DefaultMinRelay)
	parent := send(coinbase(1), 10*types.GrainsPerCoin, 1000, 6000)
	loner := send(coinbase(2), 10*types.GrainsPerCoin, 120_000, 6000)
	expect("the parent alone has no room", 1, types.NewFeeRate(1000, parent.VirtualSize())+mempool.DefaultIncrementalRelay)
	send(types.OutPoint{TxID: parent.TxID()}, parent.Outputs[0].Value, 300_000, 1)
	expect("its child pays for it", 1, types.NewFeeRate(120_000, loner.VirtualSize())+mempool.DefaultIncrementalRelay)
	expect("all have room", 2, mempool.DefaultMinRelay)
}

// TestWholeLists: of a list that is refused as a whole, nothing else is told.
func TestWholeLists(t *testing.T) {
	s := start(t, nil)
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}}, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: append([]byte{0x51, 32}, make([]byte, 32)...)}}}
	raw := hex.EncodeToString(tx.AppendTo(nil))
	got := call[[]map[string]any](s, "testmempoolaccept", []string{raw, raw})
	for _, one := range got {
		if len(one) != 3 || one["package-error"] != "package-contains-duplicates" {
			t.Errorf("%v", one)
		}
	}
	if one := call[[]map[string]any](s, "testmempoolaccept", []string{raw})[0]; len(one) != 4 || one["allowed"] != false || one["reject-reason"] != "missing-inputs" {
		t.Errorf("%v", one)
	}
}

// TestParametersOfCore: parameters that mean nothing here, or have one possible
// value, are taken.
func TestParametersOfCore(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Listen, c.MaxPeers = "127.0.0.1:0", 2 })
	call[any](s, "gettxoutsetinfo", "muhash", nil, false)
	call[any](s, "gettxoutsetinfo", "none", nil, true)
	call[any](s, "addnode", "127.0.0.1:1", "add", true)
	call[any](s, "addnode", "127.0.0.1:1", "remove")
	call[any](s, "getnodeaddresses", 0, "ipv6")
	call[any](s, "estimatesmartfee", 6, "UNSET")
	for _, c := range []struct {
		want   string
		method string
		params []any
	}{
		{"-8 Querying specific block heights requires coinstatsindex", "gettxoutsetinfo", []any{"muhash", 0}},
		{"-8 Network not recognized: tin cans", "getnodeaddresses", []any{1, "tin cans"}},
		{"-8 Address count out of range", "getnodeaddresses", []any{-1}},
		{`-8 Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"`, "estimatesmartfee", []any{6, "cheap"}},
		{"-8 Invalid conf_target, must be between 1 and 1008", "estimatesmartfee", []any{0}},
		{"-8 Invalid nblocks. Must be a positive number or -1.", "getnetworkhashps", []any{-2}},
		{"-8 Block does not exist at specified height", "getnetworkhashps", []any{120, -2}},
		{"-8 Block does not exist at specified height", "getnetworkhashps", []any{120, 1}},
		{"-3 Wrong type passed:", "getnetworkhashps", []any{"many"}},
		{"-3 Wrong type passed:", "estimatesmartfee", []any{"soon"}},
		{"-3 Wrong type passed:", "setmocktime", []any{"noon"}},
		{"-8 Mocktime must be in the range [0, 4294967295], not -1.", "setmocktime", []any{-1}},
	} {
		if got := refused(s, c.method, c.params...); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.method, c.params, got, c.want)
		}
	}
}
