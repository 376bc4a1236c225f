package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// TestIndexSwitchedOnLater: a node that has its blocks already starts at once, builds the
// index beside its work, and then tells of each script exactly what the coin set has. It is
// killed on the way, by an end that does not wait for the index.
func TestIndexSwitchedOnLater(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir, regtest, 0)
	importFiles(t, n, vectors.Copy(t, "core-regtest/chain.dat"))
	closeNode(t, n)

	n = openNode(t, dir, regtest, 0, indexed.Scripts, indexed.Spenders)
	ctx, cancel := context.WithCancel(t.Context())
	if err := n.Run(ctx, func(Started) { cancel() }); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	r := run(t, openNode(t, dir, regtest, 0, indexed.Scripts, indexed.Spenders))
	for began := time.Now(); !r.synced(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("the indexes do not come to the tip: %+v", r.index.States())
		}
	}

	type script struct {
		coins map[types.OutPoint]types.Amount
		sum   types.Amount
	}
	scripts := map[string]*script{}
	_, err := r.chain.ForEachCoin(t.Context(), func(o types.OutPoint, coin *types.Coin) error {
		key := hex.EncodeToString(coin.ScriptPubKey())
		if scripts[key] == nil {
			scripts[key] = &script{coins: map[types.OutPoint]types.Amount{}}
		}
		scripts[key].coins[o] = coin.Value
		scripts[key].sum += coin.Value
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for key, want := range scripts {
		if asked++; asked > 30 {
			break
		}
		var balance struct{ Balance json.Number }
		if err := r.client.Call(t.Context(), "getaddressbalance", &balance, key); err != nil {
			t.Fatal(err)
		}
		if balance.Balance.String() != want.sum.String() {
			t.Errorf("script %s has %s, want %s", key, balance.Balance, want.sum)
		}
		var page struct {
			UTXOs []struct {
				TxID   types.Hash
				Vout   uint32
				Amount json.Number
			}
		}
		if err := r.client.Call(t.Context(), "getaddressutxos", &page, key, map[string]any{"limit": 1000}); err != nil {
			t.Fatal(err)
		}
		if len(page.UTXOs) != min(1000, len(want.coins)) {
			t.Errorf("script %s has %d outputs, want %d", key, len(page.UTXOs), len(want.coins))
		}
		for _, coin := range page.UTXOs {
			o := types.OutPoint{TxID: coin.TxID, Index: coin.Vout}
			if value, ok := want.coins[o]; !ok || value.String() != coin.Amount.String() {
				t.Errorf("script %s has %s with %s, want %s", key, o, coin.Amount, value)
			}
			if _, err := r.index.FindSpender(o); err == nil {
				t.Errorf("%s is a coin, and has a spender", o)
			}
		}
	}
	if asked < 2 {
		t.Errorf("%d scripts were asked for", asked)
	}
}
