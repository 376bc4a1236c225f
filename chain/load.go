package chain

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// load builds the tree from the stored records. On an empty store the tip stays nil.
//
// It trusts the records, since the store has checked them against their hashes, and
// asks only whether they fit together. The tip of the coins is the tip of the
// chain: what was connected after the last flush is not in the coins, and activate
// will connect it again.
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
	// The store has them in the order of hashes; parents must come first.
	slices.SortFunc(records, func(a, b header.Record) int { return cmp.Compare(a.Height, b.Height) })
	for _, r := range records {
		if err := c.loadRecord(r); err != nil {
			return err
		}
	}
	at := c.store.CoinsTip()
	tip := c.tree[at.Hash]
	if tip == nil || tip.height != at.Height {
		return fmt.Errorf("the store's coins are of block %s, which its headers lack", at)
	}
	if !tip.status.Has(header.StatusValid) {
		return fmt.Errorf("the store's coins are of block %s, which was never found valid", at)
	}
	c.tip, c.coinsTip = tip, tip
	// The order of arrival is not stored, but a restart must not move the tip to a
	// rival of equal work. The chain that the coins are on comes first. Of the chains
	// that go on from there, one that was connected once comes before the others,
	// which were never better.
	for _, n := range c.tree {
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

// loadRecord adds one record to the tree, below which its parent must be.
func (c *Chain) loadRecord(r header.Record) error {
	parent := c.tree[r.Header.PrevBlock]
	switch {
	case r.Height == 0 && r.Hash != c.params.GenesisBlock().Hash:
		return fmt.Errorf("the store's genesis block is %s, the network's is %s", r.Hash, c.params.GenesisBlock().Hash)
	case r.Height > 0 && (parent == nil || parent.height+1 != r.Height):
		return fmt.Errorf("the store lacks the parent of header %d:%s", r.Height, r.Hash)
	}
	n := newBlockNode(parent, r.Header, r.Hash)
	n.status, n.txCount = r.Status, r.TxCount
	// The mark of an ancestor need not have been saved yet for each descendant.
	if parent != nil && parent.refused() && !n.refused() {
		n.status |= header.StatusInvalidAncestor
	}
	c.tree[n.hash] = n
	c.noteRefused(n)
	return nil
}
