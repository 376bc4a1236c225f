package chain

import (
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// BlockTx returns one transaction of a block that was connected once, and what its inputs
// spend, without the cost of all others. It is ErrNotFound if that cannot be told so: body or
// undo data are not stored, or the block spends coins that it makes itself, so that one must
// know all of it (BlockUpdate).
func (c *Chain) BlockTx(hash types.Hash, n int) (t types.BlockTx, spent []types.Coin, err error) {
	raw, err := c.store.ReadBlock(hash)
	if err != nil {
		return t, nil, err
	}
	if t, err = types.DecodeBlockTx(raw, n); err != nil {
		return t, nil, fmt.Errorf("%w: %w", consensus.ErrNotFound, err)
	}
	undo, err := c.store.ReadUndo(hash)
	if err != nil {
		return t, nil, err
	}
	if len(undo) != t.Inputs {
		return t, nil, fmt.Errorf("%w: block %s spends what it makes", consensus.ErrNotFound, hash)
	}
	if n == 0 {
		return t, nil, nil
	}
	return t, undo[t.Before : t.Before+len(t.Tx.Inputs)], nil
}
