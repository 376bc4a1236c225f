package store

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// entryBytes is what a coin in the cache costs: 104 bytes of key and value, and
// what a Go map of such entries takes beyond that on average (measured by
// TestEntryBytes).
const entryBytes = 150

// entry is a coin in the cache.
type entry struct {
	coin types.Coin
	// dirty says that the database does not know: that the coin exists, or, if
	// it is spent, that it does not.
	dirty bool
	// fresh says that the database has nothing under this name, so that a coin
	// that is spent before the next flush leaves no trace.
	fresh bool
	spent bool
}

// cache is the coins that differ from the database, and others that were read
// from it, without pointers, so that the garbage collector passes it over.
type cache struct {
	entries map[types.OutPoint]entry
	dirty   int
}

func newCache() cache { return cache{entries: map[types.OutPoint]entry{}} }

func (c *cache) bytes() int64 { return int64(len(c.entries)) * entryBytes }

// spend removes a coin, which must be in the cache and be the one that is
// expected.
func (c *cache) spend(want *consensus.CoinEntry) error {
	e, ok := c.entries[want.OutPoint]
	if !ok || e.spent || e.coin != want.Coin {
		return fmt.Errorf("coin %s is to be spent and is not in the set, or is another", want.OutPoint)
	}
	if e.fresh {
		delete(c.entries, want.OutPoint)
		c.dirty--
		return nil
	}
	if !e.dirty {
		c.dirty++
	}
	c.entries[want.OutPoint] = entry{dirty: true, spent: true}
	return nil
}

// create adds a coin, which must not be in the set. A name that is not in the
// cache is not in the database either: no block makes a coin that exists
// (BIP30), and what the database is still to forget is in the cache as spent.
func (c *cache) create(made *consensus.CoinEntry) error {
	e, ok := c.entries[made.OutPoint]
	if ok && !e.spent {
		return fmt.Errorf("coin %s is to be made and is in the set already", made.OutPoint)
	}
	if !ok {
		c.dirty++
	}
	c.entries[made.OutPoint] = entry{coin: made.Coin, dirty: true, fresh: !ok}
	return nil
}

// changed returns the outpoints of all dirty entries in the order of the
// database's keys: sorted, a batch is written in half the time.
func (c *cache) changed() []types.OutPoint {
	outPoints := make([]types.OutPoint, 0, c.dirty)
	for outPoint, e := range c.entries {
		if e.dirty {
			outPoints = append(outPoints, outPoint)
		}
	}
	slices.SortFunc(outPoints, compareOutPoints)
	return outPoints
}

func compareOutPoints(a, b types.OutPoint) int {
	if order := bytes.Compare(a.TxID[:], b.TxID[:]); order != 0 {
		return order
	}
	switch {
	case a.Index < b.Index:
		return -1
	case a.Index > b.Index:
		return 1
	}
	return 0
}

// clean notes that the changed entries are in the database now, forgets spent
// ones, and then, if there are more than the limit, any others down to half of
// it.
func (c *cache) clean(changed []types.OutPoint, limit int64) {
	for _, outPoint := range changed {
		e := c.entries[outPoint]
		if e.spent {
			delete(c.entries, outPoint)
			continue
		}
		e.dirty, e.fresh = false, false
		c.entries[outPoint] = e
	}
	c.dirty = 0
	if c.bytes() <= limit/2 {
		return
	}
	// A new map: a Go map never shrinks. Which coins stay is left to the map's
	// random order, which no attacker can predict.
	kept := make(map[types.OutPoint]entry, limit/2/entryBytes)
	for outPoint, e := range c.entries {
		if int64(len(kept)+1)*entryBytes > limit/2 {
			break
		}
		kept[outPoint] = e
	}
	c.entries = kept
}
