package rpc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// branches is a header tree with a best chain of ten blocks and branches.
type branches struct {
	Headers
	Blocks
	Control
	infos map[types.Hash]header.Info
	best  []types.Hash
	fault map[types.Hash]error // of blocks that cannot be read
}

func (b *branches) add(hash, parent types.Hash, height uint32, best bool) {
	info := header.Info{OnBestChain: best}
	info.Hash, info.Height, info.Header.PrevBlock = hash, height, parent
	b.infos[hash] = info
	if best {
		b.best = append(b.best, hash)
	}
}

// Info implements Headers.
func (b *branches) Info(hash types.Hash) (header.Info, bool) {
	info, ok := b.infos[hash]
	return info, ok
}

// HashAt implements Headers.
func (b *branches) HashAt(height uint32) (types.Hash, bool) {
	if int(height) >= len(b.best) {
		return types.Hash{}, false
	}
	return b.best[height], true
}

// Tip implements Headers.
func (b *branches) Tip() types.Index {
	return types.Index{Height: uint32(len(b.best) - 1), Hash: b.best[len(b.best)-1]}
}

// BlockUpdate implements Blocks.
func (b *branches) BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error) {
	return consensus.BlockUpdate{}, b.fault[hash]
}

// Pruned implements Control.
func (b *branches) Pruned() (bool, uint32, int64) { return true, 4, 0 }

// TestCursors: of the cursors that a client knows the first counts from which there is a
// way to the tip. If there is none, the error is about the newest, and precise.
func TestCursors(t *testing.T) {
	hash := func(branch, height byte) types.Hash { return types.Hash{branch, height} }
	b := &branches{infos: map[types.Hash]header.Info{}, fault: map[types.Hash]error{}}
	for height := range byte(11) {
		b.add(hash('a', height), hash('a', height-1), uint32(height), true)
	}
	for _, branch := range []struct{ name, fork, length byte }{{'b', 6, 3}, {'c', 8, 1}, {'d', 2, 2}} {
		parent := hash('a', branch.fork)
		for i := range branch.length {
			here := hash(branch.name, branch.fork+1+i)
			b.add(here, parent, uint32(branch.fork+1+i), false)
			parent = here
		}
	}
	notStored := fmt.Errorf("%w: pruned", consensus.ErrNotFound)
	for height := range byte(4) {
		b.fault[hash('a', height)] = notStored
	}
	b.fault[hash('c', 9)] = notStored
	s := newFake().server(t)
	s.Headers, s.Blocks, s.Control = b, b, b
	at := func(branch, height byte) event.Cursor {
		return event.Cursor{Sequence: uint64(height), Block: types.Index{Height: uint32(height), Hash: hash(branch, height)}}
	}
	higher := at('a', 5)
	higher.Block.Height++
	for name, c := range map[string]struct {
		known []event.Cursor
		want  any
	}{
		"none":                   {nil, event.Cursor{Block: b.Tip()}},
		"the tip":                {[]event.Cursor{at('a', 10)}, at('a', 10)},
		"an old block":           {[]event.Cursor{at('a', 3)}, at('a', 3)},
		"of a branch":            {[]event.Cursor{at('b', 9)}, at('b', 9)},
		"one that is not known":  {[]event.Cursor{at('x', 9)}, "is not known here; the tip is " + b.Tip().Hash.String() + " at height 10"},
		"of another height":      {[]event.Cursor{higher}, "is not known here"},
		"without a body":         {[]event.Cursor{at('c', 9)}, "is of another branch, and is not stored here"},
		"what follows is pruned": {[]event.Cursor{at('a', 2)}, "the blocks above height 2 are pruned; the first that is there is at height 4"},
		"a branch that leaves where it is pruned": {[]event.Cursor{at('d', 4)}, "the blocks above height 2 are pruned"},
		"the second is known":                     {[]event.Cursor{at('x', 9), at('b', 8), at('a', 7)}, at('b', 8)},
		"the third":                               {[]event.Cursor{at('x', 9), at('c', 9), at('a', 8)}, at('a', 8)},
		"none of three":                           {[]event.Cursor{at('x', 9), at('c', 9), at('a', 0)}, "at height 9 is not known here"},
	} {
		got, err := s.findCursor(t.Context(), c.known)
		if want, ok := c.want.(event.Cursor); ok && (err != nil || got != want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if want, ok := c.want.(string); ok && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, want)
		}
	}
	broken := consensus.Local(errors.New("the disk is gone"))
	b.fault[hash('a', 10)] = broken
	if _, err := s.findCursor(t.Context(), []event.Cursor{at('a', 9), at('a', 8)}); !errors.Is(err, broken) {
		t.Errorf("a disk that is gone: %v", err)
	}
}
