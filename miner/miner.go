package miner

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
)

// Chain is what the miner builds on. AddBlock's error is of one of consensus's kinds.
type Chain interface {
	TipState() consensus.State
	AddBlock(ctx context.Context, raw []byte) error
	poke.Source // pokes after the tip has changed
}

// Pool is where transactions come from.
type Pool interface {
	// Select returns transactions in an order in which a block can have them, and the tip
	// that they are valid on.
	Select(want pending.Selection) ([]*pending.Entry, types.Index)
	Info() pending.Info
	poke.Source // pokes after the pool has changed
}

// Options are the choices of New. Params and Chain are needed, and ScriptPubKey for
// Run.
type Options struct {
	Params       *consensus.Params
	Chain        Chain
	Pool         Pool          // nil: blocks have no transactions but the coinbase
	ScriptPubKey []byte        // what Run pays to
	Threads      int           // of the search; 0: one a processor
	MaxRate      float64       // hashes a second of all threads at most; 0: as many as they can
	Interval     time.Duration // between blocks on a fixed-difficulty network; 0: the network's spacing
	Tag          string        // in the coinbase, cut to 60 bytes
	// MaxWeight is the most that a block may have, in weight units; 0: what the rules
	// allow. ReservedWeight of it is kept for the header and the coinbase; 0:
	// DefaultReservedWeight.
	MaxWeight, ReservedWeight int
	MinFeeRate                types.FeeRate // of a chunk that comes into a block
	// ExtraNonce is what the extra nonces begin with. Nodes that pay one script should
	// begin with others, at random: else they search through the same headers.
	ExtraNonce uint64
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: discard
}

// maxTag keeps the coinbase's script within its 100 bytes.
const maxTag = 60

const (
	// refreshAfter is how long a template is mined on before one with higher fees may
	// replace it. Transactions come all the time, and to make a template for each of
	// them would leave no time to search.
	refreshAfter = 5 * time.Second
	// renewAfter is how long a template is mined on at most: then its time is too old.
	renewAfter = 30 * time.Second
)

// Miner makes blocks. Run and Generate may be called at the same time.
type Miner struct {
	o          Options
	extraNonce atomic.Uint64 // the last one: no two coinbases are equal
	hashes     atomic.Uint64 // that were tried

	refreshAfter, renewAfter time.Duration

	budget *rate.Limiter // of hashes; nil: there is none

	making baton.Baton                       // one template is made at a time
	recent recent                            // guarded by making
	newest atomic.Pointer[template.Template] // nil: none was made yet

	// The last block that Run made, and when. The block's own time is in whole seconds
	// and may be ahead of the clock, so that it cannot tell when the next one is due.
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
	if o.MaxWeight <= 0 || o.MaxWeight > o.Params.MaxBlockWeight {
		o.MaxWeight = o.Params.MaxBlockWeight
	}
	if o.ReservedWeight <= 0 {
		o.ReservedWeight = DefaultReservedWeight
	}
	m := &Miner{o: o, refreshAfter: refreshAfter, renewAfter: renewAfter, making: baton.New()}
	m.extraNonce.Store(o.ExtraNonce)
	if o.MaxRate > 0 { // what a busy machine did not let it do in a second it does later
		m.budget = rate.NewLimiter(rate.Limit(o.MaxRate), max(int(slice(o.MaxRate)), int(o.MaxRate)))
		m.budget.AllowN(time.Now(), m.budget.Burst()) // of which there was nothing to do before
	}
	return m
}

// Run mines until the context ends, which is no error. On a network of fixed
// difficulty it makes one block an interval; elsewhere as many as it can. An
// error is an ErrLocal of the chain.
func (m *Miner) Run(ctx context.Context) error {
	tip, cancelTip := m.o.Chain.Subscribe()
	defer cancelTip()
	var fees <-chan struct{} // nil, and so never ready, without a pool
	if m.o.Pool != nil {
		var cancelFees func()
		fees, cancelFees = m.o.Pool.Subscribe()
		defer cancelFees()
	}
	for ctx.Err() == nil {
		if err := m.mineTemplate(ctx, tip, fees); err != nil {
			return err
		}
	}
	return nil
}

// mineTemplate mines on one template, until a block is found, the tip moves, or
// there are higher fees to be had.
func (m *Miner) mineTemplate(ctx context.Context, tip, fees <-chan struct{}) error {
	select {
	case <-tip: // the template will be made on that tip anyway
	default:
	}
	if !m.waitForInterval(ctx, tip) {
		return nil
	}
	t := m.templateFor(m.o.ScriptPubKey)
	search, stop := context.WithCancel(ctx)
	found := make(chan *types.Block, 1)
	go func() {
		defer close(found)
		block, _ := m.search(search, t, m.o.ScriptPubKey, math.MaxUint64)
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
	var better <-chan struct{} // fees, once they may end the search
	if t.PoolBehind {
		better = fees // anything is better than an empty block
	}
	for {
		select {
		case block := <-found:
			return m.submit(ctx, block, t, tip)
		case <-refresh.C:
			better = fees
			continue
		case <-better:
		case <-renew.C:
		case <-tip:
			return nil // a block on the old tip is worth nothing
		case <-ctx.Done():
			return nil
		}
		stop()
		return m.submit(ctx, <-found, t, tip) // one may have been found just now
	}
}

// waitForInterval waits until the next block of a fixed-difficulty network is due,
// whose blocks cost no work that would space them. It reports whether it is time to
// mine.
func (m *Miner) waitForInterval(ctx context.Context, tip <-chan struct{}) bool {
	if m.o.Params.Difficulty.Algorithm != consensus.DifficultyFixed {
		return true
	}
	state := m.o.Chain.TipState()
	began := time.Unix(int64(state.Header.Timestamp), 0)
	if state.Index.Hash == m.last {
		began = m.lastAt
	}
	// A tip whose time is ahead of the clock must not stop the miner for longer.
	wait := min(began.Add(m.o.Interval).Sub(m.o.Now()), m.o.Interval)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-tip: // the interval begins again
	case <-ctx.Done():
	}
	return false
}

// submit gives the chain a block, if there is one. That another came first is no
// error. After a refusal it waits, so that what is wrong is not tried, and logged,
// many times a second.
func (m *Miner) submit(ctx context.Context, block *types.Block, t *template.Template, tip <-chan struct{}) error {
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

// ErrNotFound is returned by Generate if the tries did not make a block.
var ErrNotFound = errors.New("no block was found within the tries")

// GenerateOf mines a block of transactions that are given, which need not wait in the pool
// but must be valid on the tip in this order. Errors are those of Generate.
func (m *Miner) GenerateOf(ctx context.Context, entries []*pending.Entry, scriptPubKey []byte, maxTries uint64) (types.Hash, error) {
	state := m.o.Chain.TipState()
	block, err := m.search(ctx, template.New(m.o.Params, &state, entries, m.o.ReservedWeight, m.o.Now()), scriptPubKey, maxTries)
	if err != nil {
		return types.Hash{}, err
	}
	if block == nil {
		return types.Hash{}, ErrNotFound
	}
	return block.Hash(), m.o.Chain.AddBlock(ctx, block.AppendTo(nil))
}

// Generate mines n blocks at once and returns their hashes, whatever the interval.
// maxTries bounds the hashes that are tried for each. With an error it returns those
// that were made before it: ErrNotFound, the context's, or the chain's.
func (m *Miner) Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error) {
	hashes := make([]types.Hash, 0, n)
	for range n {
		block, err := m.search(ctx, m.templateFor(scriptPubKey), scriptPubKey, maxTries)
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
