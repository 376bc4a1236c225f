package rpc_test

import (
	"encoding/json"
	"testing"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/node"
)

// TestCoinStatsIndex: the index and a walk over all coins give the same of the tip, and the
// index goes on telling it of a block when that is no longer the tip, or on no best chain.
func TestCoinStatsIndex(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Indexes = append(c.Indexes, indexed.CoinStats) })
	plain := start(t, func(c *node.Config) { c.Indexes = nil })
	hashes := call[[]string](s, "generatetoaddress", 4, s.anchor)
	fields := func(params ...any) map[string]any { return call[map[string]any](s, "gettxoutsetinfo", params...) }
	tip := fields("muhash")
	walk := fields("muhash", nil, false)
	for _, name := range []string{"height", "bestblock", "txouts", "bogosize", "muhash", "total_amount"} {
		if tip[name] == nil || tip[name] != walk[name] {
			t.Errorf("%s: %v by the index, %v by a walk", name, tip[name], walk[name])
		}
	}
	if walk["transactions"] == nil || walk["disk_size"] == nil || walk["block_info"] != nil || tip["transactions"] != nil || tip["disk_size"] != nil {
		t.Errorf("by the index %v, by a walk %v", tip, walk)
	}
	if none := fields("none"); none["muhash"] != nil || none["block_info"] == nil || none["txouts"] != tip["txouts"] {
		t.Errorf("without a hash: %v", none)
	}
	genesis := string(call[json.RawMessage](s, "gettxoutsetinfo", "none", 0))
	second := string(call[json.RawMessage](s, "gettxoutsetinfo", "muhash", 2))
	call[any](s, "invalidateblock", hashes[1])
	call[[]string](s, "generatetoaddress", 1, call[struct{ Address string }](s, "decodescript", "52021234").Address)
	if got := string(call[json.RawMessage](s, "gettxoutsetinfo", "muhash", hashes[1])); got != second {
		t.Errorf("of a block that has left the best chain: %s, before %s", got, second)
	}
	if got := string(call[json.RawMessage](s, "gettxoutsetinfo", "muhash", 2)); got == second {
		t.Error("of another block the same")
	}
	if got := string(call[json.RawMessage](s, "gettxoutsetinfo", "none", 0)); got != genesis {
		t.Errorf("of the genesis block: %s, before %s", got, genesis)
	}
	for want, params := range map[string][]any{
		"-8 hash_serialized_3 hash type cannot be queried for a specific block": {"hash_serialized_3", 1},
		"-8 Cannot set use_index to false when querying for a specific block":   {"none", 1, false},
		"-8 Target block height 9 after current tip 2":                          {"none", 9},
		"-8 'foo' is not a valid hash_type":                                     {"foo"},
		"-5 Block not found":                                                    {"none", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
		"-8 hash_or_height must be of length 64 (not 1, for '1')":               {"none", "1"},
	} {
		if got := refused(s, "gettxoutsetinfo", params...); got != want {
			t.Errorf("%v: %s, want %s", params, got, want)
		}
	}
	if got := refused(plain, "gettxoutsetinfo", "none", 0); got != "-8 Querying specific block heights requires coinstatsindex" {
		t.Error(got)
	}
	if got := call[map[string]any](plain, "gettxoutsetinfo"); got["hash_serialized_3"] == nil || got["muhash"] != nil {
		t.Errorf("%v", got)
	}
}
