package rpc_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/karatcoin/karat/node"
)

// pruning is what getblockchaininfo tells of pruning.
type pruning struct {
	Pruned      bool
	PruneHeight *int  `json:"pruneheight"`
	Automatic   *bool `json:"automatic_pruning"`
	Target      *int  `json:"prune_target_size"`
}

// TestPruneBlockchain: blocks go by hand up to a height or a time, whole files at a time,
// and never the last 288.
func TestPruneBlockchain(t *testing.T) {
	s := start(t, func(c *node.Config) { c.Prune, c.FileBytes = true, 8<<10 })
	if got := call[pruning](s, "getblockchaininfo"); !got.Pruned || *got.PruneHeight != 0 || *got.Automatic || got.Target != nil {
		t.Errorf("before: %+v", got)
	}
	if got := refused(s, "pruneblockchain", 1); got != "-1 Blockchain is too short for pruning." {
		t.Error(got)
	}
	hashes := call[[]string](s, "generatetoaddress", 400, s.anchor)
	call[any](s, "getblockfilter", hashes[399]) // waits until it is indexed
	for params, want := range map[string]string{
		"-1": "-8 Negative block height.", "401": "-8 Blockchain is shorter than the attempted prune height.",
		"2147483647": "-8 Could not find block with at least the specified timestamp.",
		"9999999999": "-1 JSON integer out of range",
	} {
		if got := refused(s, "pruneblockchain", json.Number(params)); got != want {
			t.Errorf("%s: %s", params, got)
		}
	}
	if got := call[int](s, "pruneblockchain", 0); got != -1 {
		t.Errorf("up to the genesis block: %d", got)
	}
	pruned := call[int](s, "pruneblockchain", 100)
	if pruned < 50 || pruned > 100 {
		t.Fatalf("up to 100: %d", pruned)
	}
	at := func(height int) string { return fmt.Sprint(refused(s, "getblock", hashes[height-1])) }
	if got := at(pruned); got != "-1 Block not available (pruned data)" {
		t.Error(got)
	}
	call[any](s, "getblock", hashes[pruned]) // the next
	if got := call[pruning](s, "getblockchaininfo"); *got.PruneHeight != pruned+1 {
		t.Errorf("pruneheight is %d, want %d", *got.PruneHeight, pruned+1)
	}
	if call[bool](s, "verifychain", 4, 0) {
		t.Error("all blocks were verified, of which some are not there")
	}
	if !call[bool](s, "verifychain", 9, 100) || !call[bool](s, "verifychain", -1, 6) {
		t.Error("a level is clamped")
	}
	// The time of a block and two hours: as if by its height. The 288 last stay.
	header := call[struct{ Time int }](s, "getblockheader", hashes[399])
	more := call[int](s, "pruneblockchain", header.Time+2*60*60)
	if more < pruned || more > 400-288 {
		t.Errorf("up to the tip: %d, before %d", more, pruned)
	}
	call[any](s, "getblock", hashes[400-288]) // the lowest that always stays
	call[[]string](s, "generatetoaddress", 1, s.anchor)
	call[any](s, "getblockfilter", hashes[0]) // filters stay

	other := start(t, nil)
	if got := refused(other, "pruneblockchain", 1); got != "-1 Cannot prune blocks because node is not in prune mode." {
		t.Error(got)
	}
	if got := call[pruning](other, "getblockchaininfo"); got.Pruned || got.PruneHeight != nil || got.Automatic != nil {
		t.Errorf("a node that keeps all: %+v", got)
	}
}

// TestChainStates: there is one, that of getblockchaininfo.
func TestChainStates(t *testing.T) {
	s := start(t, nil)
	call[[]string](s, "generatetoaddress", 2, s.anchor)
	info := call[map[string]any](s, "getblockchaininfo")
	got := call[struct {
		Headers     float64
		ChainStates []map[string]any
	}](s, "getchainstates")
	if got.Headers != 2 || len(got.ChainStates) != 1 {
		t.Fatalf("%+v", got)
	}
	state := got.ChainStates[0]
	for _, name := range []string{"blocks", "bestblockhash", "bits", "target", "difficulty", "verificationprogress"} {
		if state[name] == nil || state[name] != info[name] {
			t.Errorf("%s is %v, in getblockchaininfo %v", name, state[name], info[name])
		}
	}
	if len(state) != 9 || state["validated"] != true || state["coins_tip_cache_bytes"].(float64) <= 0 || state["coins_db_cache_bytes"].(float64) <= 0 {
		t.Errorf("%v", state)
	}
	var size struct {
		DiskSize *int64 `json:"disk_size"`
	}
	if err := s.client.Call(t.Context(), "gettxoutsetinfo", &size, "none"); err != nil || size.DiskSize == nil || *size.DiskSize < 0 {
		t.Errorf("disk_size %v: %v", size.DiskSize, err)
	}
}
