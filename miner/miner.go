// Package miner makes blocks: it fills templates with the transactions that pay
// best and searches for a nonce.
//
// The rules are consensus's and the choice of transactions the pool's.
package miner

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// Chain is what the miner builds on.
type Chain interface {
	TipState() consensus.State
	AddBlock(ctx context.Context, raw []byte) error
	poke.Source // pokes after the tip has changed
}

// Pool is where transactions come from.
type Pool interface {
	// Select returns transactions of at most the given weight in an order in
	// which a block can have them, and the tip that they are valid on.
	Select(maxWeight int) ([]*pending.Entry, types.Index)
	poke.Source // pokes after the pool has taken a transaction
}

// Options are the choices of New.
type Options struct {
	Params       *consensus.Params
	Chain        Chain
	Pool         Pool             // nil: blocks have no transactions but the coinbase
	ScriptPubKey []byte           // what Run pays to
	Threads      int              // of the search; 0: one a processor
	Interval     time.Duration    // between blocks on a fixed-difficulty network; 0: the network's spacing
	Tag          string           // in the coinbase
	Now          func() time.Time // nil: time.Now
	Logger       *slog.Logger     // nil: discard
}

// maxTag keeps the coinbase's script within its 100 bytes.
const maxTag = 60

// A template is mined on for refreshAfter at least before one with more fees
// replaces it, and for renewAfter at most: then its time is too old.
const (
	refreshAfter = 5 * time.Second
	renewAfter   = 30 * time.Second
)

// Miner makes blocks.
type Miner struct {
	o      Options
	extra  atomic.Uint64 // the last extra nonce: no two coinbases are equal
	hashes atomic.Uint64 // that were tried
	rate   atomic.Uint64 // bits of the float64 hashes a second, of Run

	refreshAfter, renewAfter time.Duration

	// The last block that Run made, and when: its own time is in whole seconds and
	// may be ahead of the clock.
	last   types.Hash
	lastAt time.Time
}

// New returns a miner that does nothing yet.
func New(o Options) *Miner {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Interval <= 0 {
		o.Interval = time.Duration(o.Params.TargetSpacing) * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Tag) > maxTag {
		o.Tag = o.Tag[:maxTag]
	}
	return &Miner{o: o, refreshAfter: refreshAfter, renewAfter: renewAfter}
}

// HashRate returns the hashes a second that Run tried lately, zero while it does
// not run.
func (m *Miner) HashRate() float64 { return math.Float64frombits(m.rate.Load()) }

// Run mines until the context ends, which is no error. On a network of fixed
// difficulty it makes one block an interval; elsewhere as many as it can. An
// error is an ErrLocal of the chain.
func (m *Miner) Run(ctx context.Context) error {
	tip, cancelTip := m.o.Chain.Subscribe()
	defer cancelTip()
	var fees <-chan struct{}
	if m.o.Pool != nil {
		var cancelFees func()
		fees, cancelFees = m.o.Pool.Subscribe()
		defer cancelFees()
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // an error ends measure too
	wg.Go(func() { m.measure(ctx) })
	for ctx.Err() == nil {
		if err := m.round(ctx, tip, fees); err != nil {
			return err
		}
	}
	return nil
}

// measure keeps the hash rate.
func (m *Miner) measure(ctx context.Context) {
	const every = 5 * time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for last := m.hashes.Load(); ; {
		select {
		case <-ctx.Done():
			m.rate.Store(0)
			return
		case <-ticker.C:
			now := m.hashes.Load()
			m.rate.Store(math.Float64bits(float64(now-last) / every.Seconds()))
			last = now
		}
	}
}

// round mines on one template, until a block is found, the tip moves, or there
// are more fees to be had.
func (m *Miner) round(ctx context.Context, tip, fees <-chan struct{}) error {
	select {
	case <-tip: // what follows sees the new one
	default:
	}
	if !m.pause(ctx, tip) {
		return nil
	}
	template := m.Template(m.o.ScriptPubKey)
	search, stop := context.WithCancel(ctx)
	found := make(chan *types.Block, 1)
	go func() {
		defer close(found)
		block, _ := m.search(search, template, math.MaxUint64)
		found <- block
	}()
	defer func() { // after which nothing of the search is left
		stop()
		for range found {
		}
	}()
	refresh, renew := time.NewTimer(m.refreshAfter), time.NewTimer(m.renewAfter)
	defer refresh.Stop()
	defer renew.Stop()
	var better <-chan struct{}
	if template.behind {
		better = fees // it need not be better to be better than nothing
	}
	for {
		select {
		case block := <-found:
			return m.submit(ctx, block, template, tip)
		case <-refresh.C:
			better = fees
			continue
		case <-better:
		case <-renew.C:
		case <-tip:
			return nil
		case <-ctx.Done():
			return nil
		}
		stop()
		return m.submit(ctx, <-found, template, tip) // it may have been found just now
	}
}

// pause waits until the next block of a fixed-difficulty network is due, and
// reports whether it is time to mine.
func (m *Miner) pause(ctx context.Context, tip <-chan struct{}) bool {
	if m.o.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return true
	}
	state := m.o.Chain.TipState()
	began := time.Unix(int64(state.Header.Timestamp), 0)
	if state.Index.Hash == m.last {
		began = m.lastAt
	}
	wait := min(began.Add(m.o.Interval).Sub(m.o.Now()), m.o.Interval)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-tip:
	case <-ctx.Done():
	}
	return false
}

// submit gives the chain a block, if there is one. Another may have come first,
// which is no error. After a refusal it waits, so that what is wrong is not
// tried, and logged, many times a second.
func (m *Miner) submit(ctx context.Context, block *types.Block, t *Template, tip <-chan struct{}) error {
	if block == nil {
		return nil
	}
	hash := block.Hash()
	err := m.o.Chain.AddBlock(ctx, block.AppendTo(nil))
	switch {
	case err == nil:
		m.last, m.lastAt = hash, m.o.Now()
		m.o.Logger.Info("mined a block", "height", t.Height, "hash", hash, "txs", len(block.Txs), "fees", t.Fees.String())
		return nil
	case errors.Is(err, consensus.ErrLocal):
		return err
	case ctx.Err() != nil:
		return nil
	}
	m.o.Logger.Warn("a mined block was refused", "height", t.Height, "hash", hash, "err", err)
	timer := time.NewTimer(m.refreshAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tip:
	case <-ctx.Done():
	}
	return nil
}

// ErrNotFound is returned by Generate if the tries are used up.
var ErrNotFound = errors.New("no block was found within the tries")

// Generate mines n blocks at once and returns their hashes. maxTries bounds the
// hashes of each.
func (m *Miner) Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error) {
	hashes := make([]types.Hash, 0, n)
	for range n {
		block, err := m.search(ctx, m.Template(scriptPubKey), maxTries)
		if err != nil {
			return hashes, err
		}
		if block == nil {
			return hashes, ErrNotFound
		}
		if err := m.o.Chain.AddBlock(ctx, block.AppendTo(nil)); err != nil {
			return hashes, err
		}
		hashes = append(hashes, block.Hash())
	}
	return hashes, nil
}
