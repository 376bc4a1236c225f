package dev

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// Chain is the chain that is worked on.
type Chain interface {
	Tip() types.Index
	TipState() consensus.State
	HashAt(height uint32) (types.Hash, bool) // on the best chain
	Info(hash types.Hash) (header.Info, bool)
	Invalidate(ctx context.Context, hash types.Hash) error
	Reconsider(ctx context.Context, hash types.Hash) error
}

// Miner makes blocks on the tip.
type Miner interface {
	// Generate mines with what waits, GenerateOf with transactions that are given.
	Generate(ctx context.Context, n int, scriptPubKey []byte, maxTries uint64) ([]types.Hash, error)
	GenerateOf(ctx context.Context, entries []*pending.Entry, scriptPubKey []byte, maxTries uint64) (types.Hash, error)
}

// Pool is what waits for a block.
type Pool interface {
	CatchUp(ctx context.Context) error
	Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error)
	Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64)
	Snapshot() (entries []*pending.Entry, position uint64) // each after those that it spends
	SpentBy(outPoint types.OutPoint) *pending.Entry
	// Withdraw takes transactions out, as if they had never come. What spends of them must
	// be among them.
	Withdraw(ctx context.Context, txids []types.Hash) error
	poke.Source // pokes after the pool has changed
}

// Index tells which coins an address has. It may be behind.
type Index interface {
	Wait(ctx context.Context, name string) bool
	ScriptBalances(scripts []indexed.ScriptHash) (indexed.Balances, error)
	ScriptCoins(scripts []indexed.ScriptHash, page indexed.Page) (indexed.Coins, error)
}

// Clock is the time that the chain's rules go by.
type Clock interface {
	Now() time.Time
	Ahead() time.Duration // of the real time
	// Move lets the clock go on from a time; one that is stopped stays stopped there.
	Move(to time.Time)
}

// Options are what a bench is made of. All are needed.
type Options struct {
	Params *consensus.Params
	Keys   *Keys
	PayTo  []byte // scriptPubKey that is paid for blocks
	Mining devinfo.Mining
	Chain  Chain
	Miner  Miner
	Pool   Pool
	Index  Index // of scripts
	Clock  Clock
	Logger *slog.Logger
}

// Bench works on a developer's chain. Its methods may be called concurrently: each waits
// for its turn, so that no block is mined while the chain is taken back.
type Bench struct {
	o    Options
	turn baton.Baton

	// Guarded by turn:
	mining devinfo.Mining
	seen   uint64 // of all transactions that were accepted, those that a block was mined for
	shots  []snapshot
	lastID int // of a snapshot

	changed poke.Bell // rings when the mode has changed
}

// New returns a bench, which Run runs.
func New(o Options) *Bench {
	b := &Bench{o: o, turn: baton.New(), mining: o.Mining}
	b.forgetNew()
	return b
}

// Run mines as the mode says until the context ends, which is no error. Another error is an
// ErrLocal of the chain.
func (b *Bench) Run(ctx context.Context) error {
	came, cancel := b.o.Pool.Subscribe()
	defer cancel()
	changed, cancelChanged := b.changed.Subscribe()
	defer cancelChanged()
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	every := time.Duration(0)
	for {
		if now := b.interval(ctx); now != every {
			if every = now; every > 0 {
				ticker.Reset(every)
			}
		}
		err := b.Settle(ctx)
		select {
		case <-came:
		case <-changed:
		case <-ticker.C:
			if err == nil {
				err = b.mineDue(ctx)
			}
		case <-ctx.Done():
			return nil
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, consensus.ErrLocal):
			return err
		case err != nil:
			b.o.Logger.Warn("no block was mined", "err", err)
		}
	}
}

// interval returns how often a block is mined; 0: not at intervals.
func (b *Bench) interval(ctx context.Context) time.Duration {
	if b.turn.Take(ctx) != nil {
		return 0
	}
	defer b.turn.Give()
	if b.mining.Mode != devinfo.ByInterval {
		return 0
	}
	return b.mining.Every
}

// mineDue mines a block that is due at its interval.
func (b *Bench) mineDue(ctx context.Context) error {
	if err := b.turn.Take(ctx); err != nil {
		return err
	}
	defer b.turn.Give()
	if b.mining.Mode != devinfo.ByInterval {
		return nil
	}
	_, err := b.generate(ctx, 1, b.o.PayTo, 0, maxTries)
	return err
}

// Settle mines what has come, if a block is mined for each transaction. Whoever hands the
// pool a transaction calls it before he answers, so that who sent it finds it in a block.
func (b *Bench) Settle(ctx context.Context) error {
	if err := b.turn.Take(ctx); err != nil {
		return err
	}
	defer b.turn.Give()
	if b.mining.Mode != devinfo.ByTransaction {
		return nil
	}
	return b.mineNew(ctx)
}

// mineNew mines a block if a transaction has come since the last time. It assumes the turn.
func (b *Bench) mineNew(ctx context.Context) error {
	came, next := b.o.Pool.Accepted(b.seen, math.MaxInt32)
	if b.seen = next; len(came) == 0 {
		return nil
	}
	_, err := b.generate(ctx, 1, b.o.PayTo, 0, maxTries)
	return err
}

// maxTries is how many hashes are tried for a block. On the dev network it takes two.
const maxTries = 100_000_000

// generate mines blocks with what waits, each at a time that is so much later than the one
// before. It assumes the turn.
func (b *Bench) generate(ctx context.Context, n int, script []byte, apart time.Duration, tries uint64) ([]types.Hash, error) {
	hashes := make([]types.Hash, 0, n)
	for range n {
		if apart > 0 {
			if err := b.moveTo(b.o.Clock.Now().Add(apart)); err != nil {
				return hashes, err
			}
		}
		b.keepUp()
		made, err := b.o.Miner.Generate(ctx, 1, script, tries)
		hashes = append(hashes, made...)
		if err != nil || len(made) == 0 {
			return hashes, err
		}
	}
	return hashes, nil
}

// generateOf mines one block of these transactions. It assumes the turn.
func (b *Bench) generateOf(ctx context.Context, entries []*pending.Entry, script []byte) (types.Hash, error) {
	b.keepUp()
	return b.o.Miner.GenerateOf(ctx, entries, script, maxTries)
}

// Generate mines blocks for a client, between all else that is done here.
func (b *Bench) Generate(ctx context.Context, n int, script []byte, tries uint64) ([]types.Hash, error) {
	if err := b.turn.Take(ctx); err != nil {
		return nil, err
	}
	defer b.turn.Give()
	hashes, err := b.generate(ctx, n, script, 0, tries)
	b.forgetNew()
	return hashes, err
}

// Mine mines blocks at once, each at a time that is so much later than the one before: the
// clock goes along.
func (b *Bench) Mine(ctx context.Context, n int, apart time.Duration) ([]types.Hash, error) {
	if err := b.turn.Take(ctx); err != nil {
		return nil, err
	}
	defer b.turn.Give()
	hashes, err := b.generate(ctx, n, b.o.PayTo, apart, maxTries)
	if err == nil && len(hashes) < n {
		err = errTooHard
	}
	b.forgetNew()
	return hashes, err
}

var errTooHard = errors.New("the difficulty of this network is too high to mine at once")

// forgetNew notes that no block need be mined for what has come. It assumes the turn.
func (b *Bench) forgetNew() { _, b.seen = b.o.Pool.Accepted(math.MaxUint64, 0) }

// keepUp moves the clock to where the next block's time must be, if it is behind that.
// Blocks that come faster than time passes would else be too far in the future, soon.
func (b *Bench) keepUp() {
	state := b.o.Chain.TipState()
	if least := time.Unix(int64(state.MedianTimePast())+1, 0); b.o.Clock.Now().Before(least) {
		b.o.Clock.Move(least)
	}
}

// SetMining sets when blocks are mined, from now on.
func (b *Bench) SetMining(ctx context.Context, m devinfo.Mining) error {
	if err := b.turn.Take(ctx); err != nil {
		return err
	}
	defer b.turn.Give()
	if m.Mode != b.mining.Mode { // what waits is not new: it waits for the next block
		b.forgetNew()
	}
	b.mining = m
	b.changed.Ring()
	return nil
}
