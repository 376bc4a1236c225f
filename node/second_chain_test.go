package node

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/vectors"
)

// toldBlock is a block with what Bitcoin Core told of it.
type toldBlock struct {
	Hash, Block, ChainWork string
	Height, Weight, Size   int
	MedianTime             int
	StrippedSize           int `json:"stripped_size"`
	TxIDs, WTxIDs          []string
	Prevouts               [][]string
	Fees                   types.Amount `json:"fees_sat"`
	Filter                 string       `json:"basic_filter"`
	FilterHeader           string       `json:"basic_filter_header"`
	UTXO                   toldCoins
}

type toldCoins struct {
	TxOuts, BogoSize int
	MuHash           string
	Hash             string `json:"hash_serialized_3"`
}

// TestCoreSecondChain submits the blocks of another chain that Core made one by one,
// and compares what RPC tells of each.
func TestCoreSecondChain(t *testing.T) {
	var chain struct {
		Hash   string `json:"tip_hash_serialized_3"`
		Blocks []toldBlock
	}
	vectors.ReadJSON(t, "chain/core-regtest-taproot-only.json", &chain)
	r := run(t, openNode(t, t.TempDir(), regtest, 0))
	compared := 0
	same := func(what string, got, want any) {
		t.Helper()
		if compared++; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	for i := range chain.Blocks {
		b := &chain.Blocks[i]
		if verdict := ask[*string](t, r, "submitblock", b.Block); verdict != nil {
			t.Fatalf("block %d: %s", b.Height, *verdict)
		}
		b.compare(t, r, same)
		same("coins", ask[toldCoins](t, r, "gettxoutsetinfo", "muhash"), b.UTXO)
	}
	same("all coins", ask[toldCoins](t, r, "gettxoutsetinfo").Hash, chain.Hash)
	vectors.Ran(t, compared, "facts of blocks and their transactions")
}

// ask calls a method that must succeed.
func ask[T any](t *testing.T, r *running, method string, params ...any) (result T) {
	t.Helper()
	if err := r.client.Call(context.Background(), method, &result, params...); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return result
}

// compare compares what getblock and getblockfilter tell.
func (b *toldBlock) compare(t *testing.T, r *running, same func(what string, got, want any)) {
	t.Helper()
	block := ask[struct {
		Height, Weight, Size, StrippedSize, MedianTime int
		ChainWork                                      string
		Tx                                             []struct {
			TxID, Hash string
			Fee        json.Number
			Vin        []struct {
				Prevout struct{ ScriptPubKey struct{ Hex string } }
			}
		}
	}](t, r, "getblock", b.Hash, 3)
	same("block", []any{block.Height, block.Weight, block.Size, block.StrippedSize, block.MedianTime, block.ChainWork},
		[]any{b.Height, b.Weight, b.Size, b.StrippedSize, b.MedianTime, b.ChainWork})
	fees := types.Amount(0)
	for i, tx := range block.Tx {
		same("ids", []string{tx.TxID, tx.Hash}, []string{b.TxIDs[i], b.WTxIDs[i]})
		if i == 0 {
			continue
		}
		fee, err := types.ParseAmount(tx.Fee.String())
		if err != nil {
			t.Error(err)
		}
		fees += fee
		for j := range tx.Vin {
			same("what is spent", tx.Vin[j].Prevout.ScriptPubKey.Hex, b.Prevouts[i-1][j][18:]) // behind amount and length
		}
	}
	same("fees", fees, b.Fees)
	filter := ask[struct{ Filter, Header string }](t, r, "getblockfilter", b.Hash)
	same("filter", []string{filter.Filter, filter.Header}, []string{b.Filter, b.FilterHeader})
}
