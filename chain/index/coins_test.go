package index

import (
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// expectCoins counts the coins after the tip and after a block below it, and compares.
func (w *world) expectCoins(x *Set, path []*chaintest.Block) {
	w.t.Helper()
	for _, b := range []*chaintest.Block{path[len(path)-1], path[w.random.IntN(len(path))]} {
		var want coinstats.Stats
		var muhash coinstats.MuHash
		for outPoint, coin := range b.Coins {
			want.TxOuts++
			want.BogoSize += coinstats.BogoSize(&coin)
			want.TotalAmount += coin.Value
			muhash.Insert(coinstats.AppendCoin(nil, outPoint, &coin))
		}
		want.MuHash = muhash.Digest()
		minted := types.Amount(0) // is in a coin, or cannot be spent
		for _, out := range w.Genesis.Txs[0].Outputs {
			minted += out.Value
		}
		for height := range b.Height {
			minted += consensus.Subsidy(w.params, height+1)
		}
		record, err := x.CoinsAt(b.Hash)
		got := coinstats.Stats{TxOuts: record.TxOuts, BogoSize: record.BogoSize, TotalAmount: record.TotalAmount, MuHash: record.MuHash}
		if err != nil || got != want {
			w.t.Fatalf("coins after block %d: %+v, want %+v: %v", b.Height, got, want, err)
		}
		if record.Unspendable != minted-got.TotalAmount {
			w.t.Fatalf("after block %d %d grains cannot be spent, want %d", b.Height, record.Unspendable, minted-got.TotalAmount)
		}
	}
}
