package chain

import (
	"cmp"
	"slices"

	"github.com/karatcoin/karat/chain/header"
)

// link takes note of a body that was stored. If the parent is complete, n is, and
// so is every block with a body that waited for it, from below upwards. Otherwise n
// waits: bodies come in any order during a sync. It assumes mu.
func (c *Chain) link(n *blockNode) {
	if !n.parent.complete {
		c.unlinked[n.parent] = append(c.unlinked[n.parent], n)
		return
	}
	queue := []*blockNode{n}
	for len(queue) > 0 {
		n, queue = queue[0], queue[1:]
		n.complete = true
		n.chainTxs = n.parent.chainTxs + uint64(n.txCount)
		n.order = c.nextOrder
		c.nextOrder++
		if !n.refused() && !c.tip.better(n) {
			c.candidates[n] = struct{}{}
		}
		queue = append(queue, c.unlinked[n]...)
		delete(c.unlinked, n)
	}
}

// relink finds anew which blocks are complete. These are the blocks that the coins
// reflect, whether or not their bodies were pruned, and those that have a body and
// a complete parent. It is for the start and for pruning, and looks at the whole
// tree. It assumes mu.
func (c *Chain) relink() {
	clear(c.unlinked)
	byHeight := make([]*blockNode, 0, len(c.tree))
	for _, n := range c.tree {
		byHeight = append(byHeight, n)
		n.complete = false
	}
	for n := c.coinsTip; n != nil; n = n.parent {
		n.complete = true
	}
	// Parents come first, so that one pass is enough.
	slices.SortFunc(byHeight, func(a, b *blockNode) int { return cmp.Compare(a.height, b.height) })
	for _, n := range byHeight {
		if !n.complete && n.status.Has(header.StatusBody) {
			if n.complete = n.parent.complete; !n.complete {
				c.unlinked[n.parent] = append(c.unlinked[n.parent], n)
			}
		}
		if n.complete {
			n.chainTxs = uint64(n.txCount)
			if n.parent != nil {
				n.chainTxs += n.parent.chainTxs
			}
		}
	}
	c.rebuildCandidates()
}

// rebuildCandidates finds every block that could be the tip, and the best header,
// after blocks were refused or reconsidered. It looks at the whole tree, so it is
// for rare occasions. It assumes mu.
func (c *Chain) rebuildCandidates() {
	clear(c.candidates)
	c.bestHeader = nil
	for _, n := range c.tree {
		if n.refused() {
			continue
		}
		if c.bestHeader == nil || n.better(c.bestHeader) {
			c.bestHeader = n
		}
		// A tip that is refused itself says nothing about who may follow it.
		if n.complete && (c.tip.refused() || !c.tip.better(n)) {
			c.candidates[n] = struct{}{}
		}
	}
}

// bestCandidate returns the block that should be the tip. Candidates are few: setTip
// drops those that the new tip beats.
func (c *Chain) bestCandidate() *blockNode {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var best *blockNode
	for n := range c.candidates {
		if !n.refused() && (best == nil || n.better(best)) {
			best = n
		}
	}
	return best
}

// isNext reports whether the block is the best and builds on what the coins
// reflect. That is the usual case, in which its body need not be read back.
func (c *Chain) isNext(n *blockNode) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, candidate := c.candidates[n]
	return candidate && n.parent == c.coinsTip && n.better(c.tip)
}
