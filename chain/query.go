package chain

import (
	"cmp"
	"context"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// Info returns what the header tree tells of a block, if it is known.
func (c *Chain) Info(hash types.Hash) (header.Info, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.tree[hash]
	if n == nil {
		return header.Info{}, false
	}
	state := n.state()
	info := header.Info{
		Record: n.record(), Work: n.work, MedianTime: state.MedianTimePast(),
		OnBestChain: c.tip.descendsFrom(n), ChainTxs: n.chainTxs,
	}
	if info.OnBestChain && n != c.tip {
		info.Next = c.tip.ancestor(n.height + 1).hash
	}
	return info, true
}

// MedianTimePast returns the median time past of the block of the best chain at the
// height, in seconds since 1970. Above the tip it is the tip's. So a Chain is a
// consensus.Ancestry for what is built on its tip.
func (c *Chain) MedianTimePast(height uint32) uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return ancestry{c.tip}.MedianTimePast(min(height, c.tip.height))
}

// FirstSince returns the lowest block of the best chain whose time is the given one, in
// seconds since 1970, or later, if there is one.
func (c *Chain) FirstSince(seconds uint32) (first types.Index, ok bool) {
	c.mu.RLock()
	n := c.tip
	c.mu.RUnlock() // what is below it never changes
	for ; n != nil; n = n.parent {
		if n.header.Timestamp >= seconds {
			first, ok = n.index(), true
		}
	}
	return first, ok
}

// PruneHeight returns the height from which on all bodies and undo data of the best
// chain are stored, 0 if nothing was pruned. It looks from the tip down, since the
// store prunes by files: lower blocks may be left that are no use by themselves.
func (c *Chain) PruneHeight() uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.tip
	for n.parent != nil && n.status.Has(header.StatusBody|header.StatusUndo) {
		n = n.parent
	}
	if n.parent == nil {
		return 0
	}
	return n.height + 1
}

// Tips returns all blocks without descendants, the highest first.
func (c *Chain) Tips() []header.Tip {
	c.mu.RLock()
	defer c.mu.RUnlock()
	hasChild := make(map[*blockNode]bool, len(c.tree))
	for _, n := range c.tree {
		hasChild[n.parent] = true
	}
	var tips []header.Tip
	for _, n := range c.tree {
		if !hasChild[n] || n == c.tip { // the tip counts even if headers go on from it
			tips = append(tips, header.Tip{
				Index: n.index(), BranchLength: n.height - fork(n, c.tip).height, Status: c.tipStatus(n),
			})
		}
	}
	slices.SortFunc(tips, func(a, b header.Tip) int {
		return cmp.Or(cmp.Compare(b.Index.Height, a.Index.Height), slices.Compare(a.Index.Hash[:], b.Index.Hash[:]))
	})
	return tips
}

// noteRefused remembers a block if it is refused and has more work than others that were.
// It assumes mu.
func (c *Chain) noteRefused(n *blockNode) {
	if best := c.refusedBest; n.refused() && (best == nil || !best.refused() || n.work.Cmp(best.work) > 0) {
		c.refusedBest = n
	}
}

// RefusedAhead reports whether a chain with a refused block has the work of more than six
// blocks more than the tip: either this node is wrong about the rules, or the others are.
func (c *Chain) RefusedAhead() bool {
	const blocks = 6
	c.mu.RLock()
	best, tip := c.refusedBest, c.tip
	refused := best != nil && best.refused()
	c.mu.RUnlock()
	if !refused {
		return false
	}
	most, work := tip.work, consensus.BlockWork(tip.header.Bits)
	for range blocks {
		most = most.Add(work)
	}
	return best.work.Cmp(most) > 0
}

// tipStatus returns Bitcoin Core's word for the branch that ends at n. It assumes mu.
func (c *Chain) tipStatus(n *blockNode) string {
	switch {
	case n == c.tip:
		return "active"
	case n.refused():
		return "invalid"
	case !n.complete:
		return "headers-only"
	case n.status.Has(header.StatusValid):
		return "valid-fork"
	}
	return "valid-headers"
}

// Locator returns hashes of the best header chain by which another node finds
// the last block that both know: the newest ten, then ones ever further apart, and
// the genesis block at last. So it is short however long the chain is.
func (c *Chain) Locator() []types.Hash {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var hashes []types.Hash
	gap := uint32(1)
	for n := c.bestHeader; ; n = n.ancestor(n.height - min(gap, n.height)) {
		hashes = append(hashes, n.hash)
		if n.height == 0 {
			return hashes
		}
		if len(hashes) >= 10 {
			gap *= 2
		}
	}
}

// HeadersAfter returns the headers of the best chain above the first block of
// the locator that is on it (the genesis block if none is): at most limit, and
// none above the block named stop if that comes first.
func (c *Chain) HeadersAfter(locator []types.Hash, stop types.Hash, limit int) []types.Header {
	c.mu.RLock()
	defer c.mu.RUnlock()
	from := c.tip.ancestor(0)
	for _, hash := range locator {
		if n := c.tree[hash]; n != nil && c.tip.descendsFrom(n) {
			from = n
			break
		}
	}
	end := c.tip.ancestor(min(c.tip.height, from.height+uint32(max(limit, 0))))
	headers := make([]types.Header, 0, end.height-from.height)
	for _, n := range end.pathFrom(from) {
		headers = append(headers, n.header)
		if n.hash == stop {
			break
		}
	}
	return headers
}

// MissingTowards returns the blocks on the way to another, with it, whose bodies are
// not stored: the lowest first, at most limit. Blocks that were found valid once are
// not missing, even if their bodies were pruned. It returns nothing for a block that
// is unknown, refused, or has less work than the tip.
func (c *Chain) MissingTowards(hash types.Hash, limit int) []types.Index {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.tree[hash]
	if n == nil || n.refused() || n.work.Cmp(c.tip.work) < 0 {
		return nil
	}
	return missing(fork(c.tip, n), n, limit)
}

// Want has the body of a block taken once more that was pruned, when it comes. It comes
// without undo data, and may be pruned again. It is for what the operator asks for: else
// whoever sends old blocks would fill the disk.
func (c *Chain) Want(hash types.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.tree[hash]; n != nil && n.status.Has(header.StatusValid) && !n.status.Has(header.StatusBody) {
		c.wanted[hash] = true
	}
}

// missing assumes mu. It looks for each block from above, which the skip pointers make
// cheap, because from below nothing says which child leads to the other end.
func missing(base, to *blockNode, limit int) []types.Index {
	var list []types.Index
	for height := base.height + 1; height <= to.height && len(list) < limit; height++ {
		n := to.ancestor(height)
		if !n.complete && !n.status.Has(header.StatusBody) && !n.status.Has(header.StatusValid) {
			list = append(list, n.index())
		}
	}
	return list
}

// Coins looks coins up in the set after the tip, and returns the state of that
// tip. It waits for a change of the chain that is under way, because until the end
// of that the coins may be ahead of the tip.
func (c *Chain) Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	if err := c.turn.Take(ctx); err != nil {
		return nil, consensus.State{}, err
	}
	defer c.turn.Give()
	if c.fault != nil {
		return nil, consensus.State{}, c.fault
	}
	coins := make([]consensus.FetchedCoin, len(outPoints))
	if err := c.store.FetchCoins(outPoints, coins); err != nil {
		return nil, consensus.State{}, c.fail(consensus.Local(err))
	}
	return coins, c.TipState(), nil
}

// ForEachCoin visits all coins in the order of their outpoints, and returns the
// block that they are of. It flushes first, and visits a snapshot of what is on
// disk, so that blocks can be added meanwhile. The visitor's error is returned as
// it is.
func (c *Chain) ForEachCoin(ctx context.Context, each func(types.OutPoint, *types.Coin) error) (types.Index, error) {
	if err := c.turn.Take(ctx); err != nil {
		return types.Index{}, err
	}
	at, visit, err := c.snapshot()
	c.turn.Give()
	if err != nil {
		return types.Index{}, err
	}
	return at, visit(each)
}

// snapshot returns a function that visits the coins of now. It assumes turn.
func (c *Chain) snapshot() (types.Index, func(func(types.OutPoint, *types.Coin) error) error, error) {
	if c.fault != nil {
		return types.Index{}, nil, c.fault
	}
	if err := c.flush(); err != nil {
		return types.Index{}, nil, c.fail(consensus.Local(err))
	}
	visit, err := c.store.CoinSnapshot()
	if err != nil {
		return types.Index{}, nil, c.fail(consensus.Local(err))
	}
	return c.coinsTip.index(), visit, nil
}
