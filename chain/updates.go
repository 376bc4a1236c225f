package chain

import (
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// UpdatesSince returns how to get from the block at since to the tip: first the
// blocks to revert, from since downwards, then those to apply, upwards; together
// at most limit. Both are empty at the tip.
//
// A caller that follows the chain calls it until both are empty. Each time it gives
// the block where the last answer led: Update.Parent of the last that was reverted,
// or Update.Block of the last that was applied. The tip may move between two calls,
// even to another branch; the way from where the caller is stays right. Several callers
// may get the same update, and none may change it.
//
// The error is ErrUnknownBlock for a position that is not in the header tree. It is
// ErrNotFound if a body on the way was pruned; that is an ErrLocal as well, so ask
// for it first. Any other is an ErrLocal.
func (c *Chain) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	c.mu.RLock()
	from, tip := c.tree[since.Hash], c.tip
	c.mu.RUnlock() // the tree above the two does not matter, and below them it never changes
	if from == nil || from.height != since.Height {
		return nil, nil, fmt.Errorf("%w: %s", ErrUnknownBlock, since)
	}
	base := fork(from, tip)
	for ; from != base && len(reverted) < limit; from = from.parent {
		u, err := c.blockUpdate(from)
		if err != nil {
			return nil, nil, err
		}
		reverted = append(reverted, u)
	}
	for len(reverted)+len(applied) < limit && from != tip {
		from = tip.ancestor(from.height + 1)
		u, err := c.blockUpdate(from)
		if err != nil {
			return nil, nil, err
		}
		applied = append(applied, u)
	}
	return reverted, applied, nil
}

// BlockUpdate returns a block that was connected once, with what it does to the
// coins. It is ErrNotFound if the body or its undo data are not stored,
// ErrUnknownBlock if the block is not in the header tree.
func (c *Chain) BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error) {
	c.mu.RLock()
	n := c.tree[hash]
	c.mu.RUnlock()
	if n == nil {
		return consensus.BlockUpdate{}, fmt.Errorf("%w: %s", ErrUnknownBlock, hash)
	}
	return c.blockUpdate(n)
}

// latest is the block that was connected last. All who follow the chain ask for it at
// once, and need not read, decode and hash again what was just in memory.
type latest struct {
	hash   types.Hash
	update consensus.BlockUpdate
}

// blockUpdate reads a connected block and its undo data back. What the block did to
// the coins is not stored: it follows from the two.
func (c *Chain) blockUpdate(n *blockNode) (consensus.BlockUpdate, error) {
	c.mu.RLock()
	latest := c.latest
	c.mu.RUnlock()
	if latest.hash == n.hash && latest.update.Block != nil {
		return latest.update, nil
	}
	if n.parent == nil {
		return consensus.BlockUpdate{
			Block:  c.params.GenesisBlock(),
			Update: &consensus.Update{Block: n.index(), Created: c.params.GenesisCoins()},
		}, nil
	}
	block, err := c.readBlock(n)
	if err != nil {
		return consensus.BlockUpdate{}, err
	}
	undo, err := c.store.ReadUndo(n.hash)
	if err != nil {
		return consensus.BlockUpdate{}, err // it names the block
	}
	update, err := consensus.RevertUpdate(block, n.parent.index(), n.height, undo)
	if err != nil {
		return consensus.BlockUpdate{}, consensus.Local(fmt.Errorf("undo data of block %s: %w", n.index(), err))
	}
	return consensus.BlockUpdate{Block: block, Update: update}, nil
}
