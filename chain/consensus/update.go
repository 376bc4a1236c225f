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
