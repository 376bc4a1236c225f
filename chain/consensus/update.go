package consensus

import "github.com/karatcoin/karat/chain/types"

// CoinEntry is a coin under its name.
type CoinEntry struct {
	OutPoint types.OutPoint
	Coin     types.Coin
}

// Update is the net effect of one block on the coin set. Coins that the block
// both makes and spends appear in neither list. Applying an update removes
// Spent and adds Created; reverting it does the opposite, in both cases in
// any order, since the two lists never share an outpoint.
type Update struct {
	Block   types.Index
	Parent  types.Index
	Spent   []CoinEntry // in the order of the inputs that spend them
	Created []CoinEntry // in the order of the outputs that make them
}

// SpentCoins returns the coins of Spent alone: the undo data of the block,
// from which and the block itself RevertUpdate makes the update again.
func (u *Update) SpentCoins() []types.Coin {
	coins := make([]types.Coin, len(u.Spent))
	for i := range u.Spent {
		coins[i] = u.Spent[i].Coin
	}
	return coins
}

// BlockUpdate is a block that was connected or disconnected, and what it did to
// the coins.
type BlockUpdate struct {
	Block  *HashedBlock
	Update *Update
}

// SpentCoins returns, for each transaction of the block and each of its inputs,
// the coin that it spends, those that the block made itself included. The
// coinbase's list is empty. A nil result says that block and update do not
// belong together.
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

// BlockInfo is what the header tree tells of a block.
type BlockInfo struct {
	HeaderRecord
	Work        Uint256    // of the chain up to and with the block
	MedianTime  uint32     // median time past of the block, seconds since 1970
	OnBestChain bool       // it is the tip or an ancestor of it
	Next        types.Hash // the block above on the best chain; zero: none
	ChainTxs    uint64     // transactions of the chain up to and with the block; 0: not known
}

// ChainTip is a block without descendants.
type ChainTip struct {
	Index        types.Index
	BranchLength uint32 // blocks above the best chain
	// Status is a word of Bitcoin Core's getchaintips: active, invalid,
	// headers-only, valid-fork or valid-headers.
	Status string
}

// Status is what is known of a block, a set of flags that is stored on disk:
// the values never change.
type Status uint8

const (
	// StatusBody says that the block's body is stored.
	StatusBody Status = 1
	// StatusUndo says that the block's undo data is stored.
	StatusUndo Status = 2
	// StatusValid says that the block was connected once: body, inputs and
	// scripts obey the rules.
	StatusValid Status = 4
	// StatusInvalid says that the block itself breaks a rule, or that the
	// operator has ruled it out.
	StatusInvalid Status = 8
	// StatusInvalidAncestor says that a block below is StatusInvalid.
	StatusInvalidAncestor Status = 16
)

// Has reports whether all given flags are set.
func (s Status) Has(flags Status) bool { return s&flags == flags }

// HeaderRecord is what is stored of every block of the header tree.
type HeaderRecord struct {
	Header  types.Header
	Hash    types.Hash
	Height  uint32
	TxCount uint32 // 0 until the body was seen
	Status  Status
}
