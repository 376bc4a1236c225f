package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// ErrUnknownBlock is returned for a hash that is not in the header tree.
var ErrUnknownBlock = errors.New("unknown block")

// ErrGenesis is returned by Invalidate for the genesis block.
var ErrGenesis = errors.New("the genesis block cannot be invalidated")

// ErrPruned is wrapped by errors about blocks that cannot be undone, because their
// bodies were pruned.
var ErrPruned = errors.New("old blocks were pruned")

// Invalidate rules out a block and all its descendants, as if it broke a rule,
// and moves to the best chain without it. Reconsider takes that back. The error is
// an ErrPruned if the block cannot be undone any more; nothing has changed then.
func (c *Chain) Invalidate(ctx context.Context, hash types.Hash) error {
	return c.operate(ctx, hash, func(n *blockNode) error {
		if n.parent == nil {
			return ErrGenesis
		}
		if !c.coinsTip.descendsFrom(n) {
			c.refuse(n)
			return nil
		}
		if err := c.canUndoTo(n.parent); err != nil {
			return err
		}
		c.refuse(n)
		return c.disconnectTo(n.parent)
	})
}

// Reconsider forgets that a block, its ancestors and its descendants were found or
// declared invalid, and moves to the best chain. A branch that leaves this line stays
// refused, as in Bitcoin Core. A rule that is broken is found to be so again when the
// block is connected.
func (c *Chain) Reconsider(ctx context.Context, hash types.Hash) error {
	return c.operate(ctx, hash, func(n *blockNode) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, other := range c.tree {
			if other.refused() && (other.descendsFrom(n) || n.descendsFrom(other)) {
				other.status &^= statusRefused
				c.dirty[other] = struct{}{}
			}
		}
		c.rebuildCandidates()
		return nil
	})
}

// PruneTo removes the bodies and undo data of blocks up to a height, except the last
// PruneKeep and those that somebody needs (Options.Keep). The store removes whole files,
// so that more may stay; PruneHeight tells.
func (c *Chain) PruneTo(ctx context.Context, height uint32) error {
	if err := c.turn.Take(ctx); err != nil {
		return err
	}
	defer c.turn.Give()
	if c.fault != nil {
		return c.fault
	}
	// First the coins must be above all that goes, or a restart could not catch up.
	if err := c.flush(); err != nil {
		return c.fail(consensus.Local(err))
	}
	if c.coinsTip.height <= PruneKeep {
		return nil
	}
	return c.fail(consensus.Local(c.pruneBodies(min(height, c.coinsTip.height-PruneKeep)+1, true)))
}

// Precious treats a block as if it had been the first of those with its work,
// so that it wins a tie. A later call overrides an earlier one. The preference is
// not stored.
func (c *Chain) Precious(ctx context.Context, hash types.Hash) error {
	return c.operate(ctx, hash, func(n *blockNode) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if n.work.Cmp(c.tip.work) < 0 {
			return nil
		}
		c.precious--
		n.order = c.precious
		if n.complete && !n.refused() {
			c.candidates[n] = struct{}{}
		}
		return nil
	})
}

// operate runs a change of the operator's on a known block, moves to the best chain
// and makes the change durable.
func (c *Chain) operate(ctx context.Context, hash types.Hash, change func(*blockNode) error) error {
	if err := c.turn.Take(ctx); err != nil {
		return err
	}
	defer c.turn.Give()
	if c.fault != nil {
		return c.fault
	}
	c.mu.RLock()
	n := c.tree[hash]
	c.mu.RUnlock()
	if n == nil {
		return fmt.Errorf("%w: %s", ErrUnknownBlock, hash)
	}
	if err := change(n); err != nil {
		return c.fail(err)
	}
	if err := c.activate(ctx, nil); err != nil {
		return c.fail(err)
	}
	return c.fail(consensus.Local(c.save()))
}
