package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/indexed"
)

// TestDescriptorsFindCoins: what is paid to the addresses of a descriptor is found again by
// the descriptor: in the coins, by the filters, and in the blocks.
func TestDescriptorsFindCoins(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), Config{DataDir: t.TempDir(), Params: params, Indexes: []string{indexed.Filters}, BlockMinFeeRate: DefaultBlockMinFeeRate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	r := run(t, n)
	call := func(into any, method string, params ...any) {
		t.Helper()
		if err := r.client.Call(t.Context(), method, into, params...); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	const account = "tr([0c5f9a1e/86h]tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B/<0;1>/*)"
	var about struct {
		Descriptor          string
		Multipath_expansion []string
		Checksum            string
	}
	call(&about, "getdescriptorinfo", account)
	var addresses [][]string
	call(&addresses, "deriveaddresses", account+"#"+about.Checksum, []int{3, 5})
	if len(addresses) != 2 || len(addresses[0]) != 3 || about.Descriptor != about.Multipath_expansion[0] {
		t.Fatalf("%+v, addresses %v", about, addresses)
	}
	const other = "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"
	var blocks []string
	for _, address := range []string{addresses[0][0], other, addresses[1][2], addresses[0][0]} {
		var mined []string
		call(&mined, "generatetoaddress", 1, address)
		blocks = append(blocks, mined...)
	}
	objects := []any{map[string]any{"desc": account, "range": 5}}

	var coins struct {
		Success   bool
		Txouts    int
		Height    int
		BestBlock string
		Unspents  []struct {
			TxID, Desc, BlockHash string
			Height, Confirmations int
			Coinbase              bool
		}
		Total_amount float64
	}
	call(&coins, "scantxoutset", "start", objects)
	if !coins.Success || coins.Height != 4 || coins.BestBlock != blocks[3] || len(coins.Unspents) != 3 || coins.Total_amount != 30 {
		t.Fatalf("%+v", coins)
	}
	slices.SortFunc(coins.Unspents, func(a, b struct {
		TxID, Desc, BlockHash string
		Height, Confirmations int
		Coinbase              bool
	}) int {
		return a.Height - b.Height
	})
	for i, at := range []int{0, 2, 3} {
		u := coins.Unspents[i]
		path := []string{"0/3", "1/5", "0/3"}[i]
		if u.BlockHash != blocks[at] || u.Height != at+1 || u.Confirmations != 4-at || !u.Coinbase || !strings.HasPrefix(u.Desc, "tr([0c5f9a1e/86h/"+path+"]") {
			t.Errorf("unspent %+v", u)
		}
		var own []string
		if call(&own, "deriveaddresses", u.Desc); !slices.Contains(slices.Concat(addresses...), own[0]) {
			t.Errorf("%s has the address %v", u.Desc, own)
		}
	}

	for _, exact := range []bool{false, true} {
		var found struct {
			From_height, To_height int
			Relevant_blocks        []string
			Completed              bool
		}
		call(&found, "scanblocks", "start", objects, 1, 3, "basic", map[string]any{"filter_false_positives": exact})
		if want := []string{blocks[0], blocks[2]}; !slices.Equal(found.Relevant_blocks, want) || !found.Completed || found.From_height != 1 || found.To_height != 3 {
			t.Errorf("%+v, want %v", found, want)
		}
	}

	var activity struct {
		Activity []struct {
			Type, BlockHash string
			Output_spk      struct{ Address string }
		}
	}
	call(&activity, "getdescriptoractivity", []string{blocks[2], blocks[1], blocks[0], blocks[0]}, objects)
	got := fmt.Sprint(activity.Activity)
	if want := fmt.Sprintf("[{receive %s {%s}} {receive %s {%s}}]", blocks[0], addresses[0][0], blocks[2], addresses[1][2]); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// The proof is found by the coin alone: there is no index of transactions.
	var proof string
	var shown []string
	call(&proof, "gettxoutproof", []string{coins.Unspents[1].TxID})
	if call(&shown, "verifytxoutproof", proof); len(shown) != 1 || shown[0] != coins.Unspents[1].TxID {
		t.Errorf("the proof shows %v", shown)
	}
}
