package index

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Chain is what indexes follow.
type Chain interface {
	Params() *consensus.Params
	Tip() types.Index
	HashAt(height uint32) (types.Hash, bool)
	BlockUpdate(hash types.Hash) (consensus.BlockUpdate, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Options are the choices of Open.
type Options struct {
	Names []string // of the indexes that are kept (indexed.Txs, …)
	// Later reports that the node has more urgent work, such as a sync. The indexes
	// wait until that is done, or until the tip has stood still for a while: a sync
	// may never end, for want of peers. Nil: they never wait.
	Later  func() bool
	Logger *slog.Logger // nil: discard
}

// ErrBehind is indexed.ErrBehind: the caller may ask again later.
var ErrBehind = indexed.ErrBehind

// kind is what one index keeps and where. A new version has it made anew.
type kind struct {
	name    string // Bitcoin Core's
	folder  string
	version byte
	begin   func(w *writer) (content, error) // a step
}

// content is what an index keeps, during one step: first blocks are reverted, from
// the index's position downwards, then others applied, upwards. Whatever it puts or
// deletes is written at the end of the step, and the last word about a key counts.
type content interface {
	revert(u *consensus.BlockUpdate) error
	apply(u *consensus.BlockUpdate) error
	finish() error // puts what was collected meanwhile
}

const folderOfFilters = "filters"

// kinds are all indexes, in the order in which they are listed.
var kinds = []kind{
	{indexed.Txs, "transactions", 1, beginTxs},
	{indexed.CoinStats, "coins", 1, beginCoins},
	{indexed.Spenders, "spenders", 1, beginSpenders},
	{indexed.Filters, folderOfFilters, 1, beginFilters},
	{indexed.Scripts, "scripts", 1, beginScripts},
}

// Set is the indexes that are kept.
type Set struct {
	chain Chain
	o     Options
	all   []*index

	// Of Run's goroutine:
	stood types.Index // the last tip that giveWay gave up waiting for
}

// Open opens the indexes in a folder, or begins them. It does not fail: one that
// cannot be opened stands still, and States tells why.
func Open(dir string, chain Chain, o Options) *Set {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{chain: chain, o: o}
	moved := moveOld(dir)
	for i := range kinds {
		if slices.Contains(o.Names, kinds[i].name) {
			x := &index{kind: &kinds[i], chain: chain, log: o.Logger.With("index", kinds[i].name), dir: filepath.Join(dir, kinds[i].folder)}
			s.all = append(s.all, x)
			if moved != nil {
				x.fail(moved)
				continue
			}
			if err := x.openOrReset(); err != nil {
				x.fail(err)
			}
		}
	}
	return s
}

// Close closes the databases. Run must have ended.
func (s *Set) Close() (err error) {
	for _, x := range s.all {
		if e := x.close(); err == nil {
			err = e
		}
	}
	return err
}

// find returns an index that is kept, nil if it is not.
func (s *Set) find(name string) *index {
	for _, x := range s.all {
		if x.name == name {
			return x
		}
	}
	return nil
}

// States tells how far each index is that is kept.
func (s *Set) States() []indexed.State {
	states := make([]indexed.State, len(s.all))
	for i, x := range s.all {
		states[i] = x.state()
	}
	return states
}

// Wait waits until the block that is the tip now is in the index, if that is a matter
// of moments, and reports whether it is. It does not wait while the index is behind by
// more than a step's blocks, or stands still. It looks again and again, because what it waits for takes
// milliseconds.
func (s *Set) Wait(ctx context.Context, name string) bool {
	const patience = 10 * time.Second
	x := s.find(name)
	if x == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tip := s.chain.Tip(); ; {
		at, follows := x.position()
		if hash, ok := s.chain.HashAt(at.Height); follows && ok && hash == at.Hash && at.Height >= tip.Height {
			return true
		}
		if x.standsStill() || at.Height+batchBlocks < tip.Height {
			return false
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

// Needs returns the height from which on indexes need the bodies of blocks. One that
// stands still needs none: it must not keep a disk from being pruned.
func (s *Set) Needs() uint32 {
	needs := ^uint32(0)
	for _, x := range s.all {
		if at, _ := x.position(); !x.standsStill() {
			needs = min(needs, at.Height-min(at.Height, keptBodies))
		}
	}
	return needs
}
