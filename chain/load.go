package chain

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// load builds the tree from the stored records. On an empty store the tip
// stays nil.
func (c *Chain) load() error {
	var records []header.Record
	err := c.store.Headers(func(r header.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		return err
	}
	if len(records) == 0 {
		if tip := c.store.CoinsTip(); tip != (types.Index{}) {
			return fmt.Errorf("the store has coins of block %s but no headers", tip)
		}
		return nil
	}
	slices.SortFunc(records, func(a, b header.Record) int { return cmp.Compare(a.Height, b.Height) })
	for _, r := range records {
		if err := c.loadRecord(r); err != nil {
			return err
		}
	}
	at := c.store.CoinsTip()
	tip := c.nodes[at.Hash]
	if tip == nil || tip.height != at.Height {
		return fmt.Errorf("the store's coins are of block %s, which its headers lack", at)
	}
	if !tip.status.Has(header.StatusValid) {
		return fmt.Errorf("the store's coins are of block %s, which was never found valid", at)
	}
	c.tip, c.coinsTip = tip, tip
	// The order of arrival is not stored. The chain that the coins are on keeps its
	// place against others of equal work, and of those that go on from there the one
	// that was connected once: the others were never better.
	for _, n := range c.nodes {
		switch n.order = 2; {
		case tip.descendsFrom(n), n.descendsFrom(tip) && n.status.Has(header.StatusValid):
			n.order = 0
		case n.descendsFrom(tip):
			n.order = 1
		}
	}
	c.nextOrder = 3
	c.relink()
	return nil
}

func (c *Chain) loadRecord(r header.Record) error {
	parent := c.nodes[r.Header.PrevBlock]
	switch {
	case r.Height == 0 && r.Hash != c.params.GenesisBlock().Hash:
		return fmt.Errorf("the store's genesis block is %s, the network's is %s", r.Hash, c.params.GenesisBlock().Hash)
	case r.Height > 0 && (parent == nil || parent.height+1 != r.Height):
		return fmt.Errorf("the store lacks the parent of header %d:%s", r.Height, r.Hash)
	}
	n := newNode(parent, r.Header, r.Hash)
	n.status, n.txCount = r.Status, r.TxCount
	if parent != nil && parent.refused() && !n.refused() {
		n.status |= header.StatusInvalidAncestor
	}
	c.nodes[n.hash] = n
	return nil
}

// relink finds anew which blocks are complete: those that the coins reflect,
// whether or not their bodies were pruned, and those that have a body and a
// complete parent. It assumes mu.
func (c *Chain) relink() {
	clear(c.unlinked)
	byHeight := make([]*node, 0, len(c.nodes))
	for _, n := range c.nodes {
		byHeight = append(byHeight, n)
		n.complete = false
	}
	for n := c.coinsTip; n != nil; n = n.parent {
		n.complete = true
	}
	slices.SortFunc(byHeight, func(a, b *node) int { return cmp.Compare(a.height, b.height) })
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

// rebuildCandidates finds every block that could be the tip and the best
// header. It looks at the whole tree, so it is for rare occasions. It assumes
// mu.
func (c *Chain) rebuildCandidates() {
	clear(c.candidates)
	c.bestHeader = nil
	for _, n := range c.nodes {
		if n.refused() {
			continue
		}
		if c.bestHeader == nil || n.better(c.bestHeader) {
			c.bestHeader = n
		}
		if n.complete && (c.tip.refused() || !c.tip.better(n)) {
			c.candidates[n] = struct{}{}
		}
	}
}

// bestCandidate returns the block that should be the tip.
func (c *Chain) bestCandidate() *node {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var best *node
	for n := range c.candidates {
		if !n.refused() && (best == nil || n.better(best)) {
			best = n
		}
	}
	return best
}

// AddHeaders adds headers to the tree, each the child of one that is known or
// stands before it in the list. It returns at the first failure, as an
// ErrInvalid, or an ErrNotYet for an unknown parent or a time in the future.
// Headers that are known already are passed over.
func (c *Chain) AddHeaders(headers []types.Header) error {
	now := c.now().Unix()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range headers {
		if _, err := c.addHeader(&headers[i], headers[i].Hash(), now); err != nil {
			return err
		}
	}
	return nil
}

// errKnownInvalid is for a header that is in the tree and refused.
func errKnownInvalid(n *node) error {
	return &consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonDuplicateInvalid, Detail: n.index().String()}
}

// addHeader assumes mu. For a refused header it returns the node and an error.
func (c *Chain) addHeader(header *types.Header, hash types.Hash, now int64) (*node, error) {
	if n := c.nodes[hash]; n != nil {
		if n.refused() {
			return n, errKnownInvalid(n)
		}
		return n, nil
	}
	if err := consensus.CheckHeader(c.params, header, hash); err != nil {
		return nil, err
	}
	parent := c.nodes[header.PrevBlock]
	if parent == nil {
		return nil, &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonParentUnknown, Detail: header.PrevBlock.String()}
	}
	if parent.refused() {
		return nil, &consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonParentInvalid, Detail: parent.index().String()}
	}
	state := parent.state()
	if err := consensus.ValidateHeader(c.params, &state, header, now); err != nil {
		return nil, err
	}
	n := newNode(parent, *header, hash)
	n.order = headerOrder
	c.nodes[hash] = n
	c.dirty[n] = struct{}{}
	if n.better(c.bestHeader) {
		c.bestHeader = n
	}
	return n, nil
}

// headerOrder is the order of a header without a body, later than any block's.
const headerOrder = math.MaxInt64

// isInvalid reports whether the error is a broken rule that the block's hash
// commits to, so that the hash may be remembered.
func isInvalid(err error) bool {
	return errors.Is(err, consensus.ErrInvalid) && !errors.Is(err, consensus.ErrMutated)
}
