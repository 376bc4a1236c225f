package index

import (
	"fmt"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// The index of filters. Those of blocks that left the best chain stay: they are found by
// their hashes, and wallets may still ask for them. Its state is the filter header of the
// last block.
//
//	key               value
//	'f' block hash 32 filter header 32 | filter
const keyFilter = 'f'

type filters struct{ w *writer }

func beginFilters(w *writer) (content, error) {
	if len(w.state) != types.HashSize {
		w.state = make([]byte, types.HashSize) // what the genesis block's is made from
	}
	return filters{w}, nil
}

// revert takes up the chain of filter headers at the parent.
func (f filters) revert(u *consensus.BlockUpdate) error {
	parent := u.Update.Parent
	stored, err := f.w.get(append([]byte{keyFilter}, parent.Hash[:]...))
	if err == nil && len(stored) < types.HashSize {
		err = errAnew
	}
	if err != nil {
		return fmt.Errorf("filter of block %s: %w", parent, err)
	}
	copy(f.w.state, stored)
	return nil
}

func (f filters) apply(u *consensus.BlockUpdate) error {
	bytes, err := filter.Build(u)
	if err != nil {
		return err
	}
	header := filter.Header(bytes, types.Hash(f.w.state))
	copy(f.w.state, header[:])
	f.w.put(append([]byte{keyFilter}, u.Block.Hash[:]...), append(header[:], bytes...))
	return nil
}

func (f filters) finish() error { return nil }

// Filter returns the basic filter of a block and its filter header, or ErrBehind.
func (s *Set) Filter(block types.Hash) (bytes []byte, header types.Hash, err error) {
	err = s.find(indexed.Filters).read(func(v *view) error {
		value, err := v.get(append([]byte{keyFilter}, block[:]...))
		if err != nil {
			return err
		}
		if len(value) < types.HashSize {
			return fmt.Errorf("%w: filter of %s", errAnew, block)
		}
		header, bytes = types.Hash(value[:types.HashSize]), value[types.HashSize:]
		return nil
	})
	return bytes, header, err
}
