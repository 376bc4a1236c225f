package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/types"
)

// CoinEntry is a coin under its name.
type CoinEntry struct {
	OutPoint types.OutPoint
	Coin     types.Coin
}

// Update is the net effect of one block on the coin set. Applying it removes Spent
// and adds Created; reverting it does the opposite. A coin that the block both makes
// and spends is in neither list, so the lists never share an outpoint and the order
// of the steps does not matter.
type Update struct {
	Block   types.Index
	Parent  types.Index
	Spent   []CoinEntry // in the order of the inputs that spend them
	Created []CoinEntry // in the order of the outputs that make them
}

// SpentCoins returns the coins of Spent without their names: the undo data of the
// block. All else that an update holds is in the block itself.
func (u *Update) SpentCoins() []types.Coin {
	coins := make([]types.Coin, len(u.Spent))
	for i := range u.Spent {
		coins[i] = u.Spent[i].Coin
	}
	return coins
}

// RevertUpdate makes the update of a connected block again, from its body and its
// undo data (Update.SpentCoins). An error, which is ErrLocal, says that the two do
// not belong together.
func RevertUpdate(b *HashedBlock, parent types.Index, height uint32, undo []types.Coin) (*Update, error) {
	if len(undo) != len(b.External) {
		return nil, Local(fmt.Errorf("block %s spends %d coins, its undo data has %d", b.Hash, len(b.External), len(undo)))
	}
	u := &Update{
		Block: types.Index{Height: height, Hash: b.Hash}, Parent: parent,
		Spent:   make([]CoinEntry, len(undo)),
		Created: b.created(height),
	}
	for i := range undo {
		u.Spent[i] = CoinEntry{OutPoint: b.External[i], Coin: undo[i]}
	}
	return u, nil
}

// BlockUpdate is a block that was connected or disconnected, and what it did to
// the coins.
type BlockUpdate struct {
	Block  *HashedBlock
	Update *Update
}

// SpentCoins returns the coin that each input of each transaction spends. Coins that
// the block made itself are among them, unlike in the update. The coinbase's list is
// empty. A nil result says that block and update do not belong together.
func (u *BlockUpdate) SpentCoins() [][]types.Coin {
	txs := u.Block.Block.Txs
	if len(u.Update.Spent) != len(u.Block.External) {
		return nil
	}
	spent := make([][]types.Coin, len(txs))
	all := make([]types.Coin, 0, len(u.Block.source))
	external := 0
	for i := 1; i < len(txs); i++ {
		first := len(all)
		for j := range txs[i].Inputs {
			source := u.Block.source[len(all)]
			if source < 0 {
				all = append(all, u.Update.Spent[external].Coin)
				external++
				continue
			}
			index := txs[i].Inputs[j].PreviousOutPoint.Index
			if uint64(index) >= uint64(len(txs[source].Outputs)) {
				return nil
			}
			coin, ok := types.NewCoin(&txs[source].Outputs[index], u.Update.Block.Height, source == 0)
			if !ok {
				return nil
			}
			all = append(all, coin)
		}
		spent[i] = all[first:len(all):len(all)]
	}
	return spent
}

// created lists the coins that the block leaves in the set: all outputs that can be
// spent, except those that a later transaction of the block spends.
func (b *HashedBlock) created(height uint32) []CoinEntry {
	outputs := 0
	for i := range b.Block.Txs {
		outputs += len(b.Block.Txs[i].Outputs)
	}
	created := make([]CoinEntry, 0, outputs)
	output := -1 // counted through the block
	for i := range b.Block.Txs {
		for j := range b.Block.Txs[i].Outputs {
			output++
			out := &b.Block.Txs[i].Outputs[j]
			if b.inside != nil && b.inside[output] || !IsSpendable(out.ScriptPubKey) {
				continue
			}
			coin, _ := types.NewCoin(out, height, i == 0)
			created = append(created, CoinEntry{OutPoint: types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)}, Coin: coin})
		}
	}
	return created
}
