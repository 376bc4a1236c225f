package chain

import (
	"cmp"
	"fmt"
	"slices"

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
	tip := c.tree[at.Hash]
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

func (c *Chain) loadRecord(r header.Record) error {
	parent := c.tree[r.Header.PrevBlock]
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
	c.tree[n.hash] = n
	return nil
}
