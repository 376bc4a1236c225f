package index

import (
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/coinhistory"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The index of coin statistics. Those of blocks that left the best chain stay: they are
// found by their hashes, as in Bitcoin Core. Its state is the coin set after the last
// block, as a coinhistory.State.
//
//	key               value
//	'm' block hash 32 a coinhistory.Record
const keyCoins = 'm'

type coins struct {
	w     *writer
	state coinhistory.State
}

func beginCoins(w *writer) (content, error) {
	c := &coins{w: w}
	if w.state == nil {
		return c, nil // below the genesis block
	}
	var err error
	if c.state, err = coinhistory.DecodeState(w.state); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnew, err)
	}
	return c, nil
}

func (c *coins) revert(u *consensus.BlockUpdate) error { return c.state.Revert(c.w.params, u) }

func (c *coins) apply(u *consensus.BlockUpdate) error {
	record, err := c.state.Apply(c.w.params, u)
	if err != nil {
		return err
	}
	c.w.put(append([]byte{keyCoins}, u.Block.Hash[:]...), record.AppendTo(nil))
	return nil
}

func (c *coins) finish() error {
	c.w.state = c.state.AppendTo(nil)
	return nil
}

// CoinsAt returns the statistics of the coin set after a block that was on the best
// chain once, or ErrBehind.
func (s *Set) CoinsAt(block types.Hash) (record coinhistory.Record, err error) {
	err = s.find(indexed.CoinStats).read(func(v *view) error {
		value, err := v.get(append([]byte{keyCoins}, block[:]...))
		if err != nil {
			return err
		}
		if record, err = coinhistory.DecodeRecord(value); err != nil {
			return errors.Join(errAnew, err)
		}
		return nil
	})
	return record, err
}
