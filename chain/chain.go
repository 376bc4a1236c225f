package chain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
)

// Bodies stores block bodies and their undo data. Reads may overlap with writes.
type Bodies interface {
	WriteBlock(at types.Index, raw []byte) error
	ReadBlock(hash types.Hash) ([]byte, error)
	ReadBlockPart(hash types.Hash, offset, size uint32) ([]byte, error)
	WriteUndo(at types.Index, coins []types.Coin) error
	ReadUndo(hash types.Hash) ([]types.Coin, error)
	// Prune removes bodies and undo data below the height until the rest fits the
	// store's budget, or all that it can remove. It returns the blocks that lost theirs.
	Prune(below uint32, all bool) ([]types.Hash, error)
}

// Coins is the coin set behind a write-back cache. The chain makes one call at a
// time, under its turn.
type Coins interface {
	// FetchCoins looks the outpoints up. into has the same length. A coin that
	// does not exist is not an error.
	FetchCoins(outPoints []types.OutPoint, into []consensus.FetchedCoin) error
	// ApplyUpdate and RevertUpdate change the cache only, until Flush.
	ApplyUpdate(u *consensus.Update) error
	RevertUpdate(u *consensus.Update) error
	// CoinsTip is the block that the coins on disk reflect, the zero Index if
	// there are none yet.
	CoinsTip() types.Index
	// NeedsFlush reports that the changed coins have used the cache's budget.
	NeedsFlush() bool
	// CoinSnapshot returns a function that visits the coins that are on disk now,
	// in the order of their outpoints. It may be called once, and may run while the
	// set changes.
	CoinSnapshot() (visit func(each func(types.OutPoint, *types.Coin) error) error, err error)
}

// Records stores what is known of every header. Flush does so in one step with
// the coins, so that after a crash the two agree.
type Records interface {
	Headers(each func(header.Record) error) error
	// SaveHeaders makes the bodies written so far durable, then the records: a
	// record never promises a body that a power cut has taken.
	SaveHeaders(records []header.Record) error
	// Flush does the same and, in the same atomic step, writes all changed coins
	// and the block that they reflect.
	Flush(records []header.Record, tip types.Index) error
}

// Store is all that Chain keeps on disk.
type Store interface {
	Bodies
	Coins
	Records
}

// Options are the choices of New. The zero value is usable.
type Options struct {
	Logger  *slog.Logger     // nil: discard
	Now     func() time.Time // nil: time.Now
	Workers int              // goroutines that check scripts; 0: one a processor
	Prune   bool             // let the store remove old bodies when they exceed its budget
	// Keep returns the height from which on somebody else, an index for one, still
	// needs bodies. Pruning stops below it. Nil: nobody needs any.
	Keep func() uint32
	// Verified reports that the scripts of the transaction with the witness id
	// are known to hold, because the pool has run them. That is enough: the id
	// commits to all that scripts depend on, by the outpoints to the coins as well.
	// It is called by several goroutines at once. Nil: nothing is known.
	Verified func(wtxid types.Hash) bool
}

// PruneKeep is the number of blocks below the tip whose bodies and undo data
// are always kept, so that a reorganisation of that depth needs no download. It
// is Bitcoin Core's number, which peers of a pruned node count on.
const PruneKeep = 288

// flushInterval bounds the work that a restart repeats after a crash: blocks that
// were connected since the last flush are connected again.
const flushInterval = 10 * time.Minute

// saveInterval bounds the blocks that a power cut takes. It is short, because a
// save writes no coins and costs little.
const saveInterval = time.Second

// Chain is the block chain. All methods may be called concurrently.
//
// It has two locks, which are always taken in this order. turn serialises whole
// operations that change the chain, disk and script checks included. mu guards
// the tree and the tip; it is held for moments, and never across anything that
// waits. So a question about headers or the tip is answered at once, even while a
// block is being connected.
type Chain struct {
	params  *consensus.Params
	store   Store
	log     *slog.Logger
	now     func() time.Time
	workers int
	prune   bool
	keep    func() uint32
	failed  chan struct{}           // closed with the first local fault
	moved   poke.Bell               // rings after the tip has changed
	signals atomic.Pointer[signals] // how version bits stood when they were asked for; nil: they were not

	turn baton.Baton
	// Guarded by turn:
	// coinsTip is the block that the coin cache reflects. It is the tip, or ahead of
	// the tip by the blocks whose scripts are still being checked.
	coinsTip  *blockNode
	pipe      pipeline
	effort    effort
	fault     error // the first local fault: nothing works after it
	lastFlush time.Time
	lastSave  time.Time
	nextOrder int64 // of the next block that becomes complete
	precious  int64 // the lowest order that Precious has given; negative, so that it wins

	mu sync.RWMutex
	// Guarded by mu (written only under turn or by AddHeaders):
	tree        map[types.Hash]*blockNode   // all headers, those of refused blocks included
	tip         *blockNode                  // of the best chain known to be valid
	latest      latest                      // the block that was connected last, as followers want it
	bestHeader  *blockNode                  // of the chain of headers with the most work that is not refused
	candidates  map[*blockNode]struct{}     // complete blocks that are not worse than the tip
	refusedBest *blockNode                  // of the most work that was refused; it may have been reconsidered since
	unlinked    map[*blockNode][]*blockNode // blocks with a body, by the parent that is not complete
	dirty       map[*blockNode]struct{}     // blocks whose records changed since they were stored
	wanted      map[types.Hash]bool         // whose bodies were pruned and are taken again
}

// New opens the chain that the store holds, or begins one with the network's
// genesis block. It connects again what the coins on disk lack. The context
// ends that work early.
func New(ctx context.Context, params *consensus.Params, store Store, o Options) (*Chain, error) {
	c := &Chain{
		params: params, store: store, log: o.Logger, now: o.Now, workers: o.Workers, prune: o.Prune, keep: o.Keep,
		turn:       baton.New(),
		failed:     make(chan struct{}),
		pipe:       pipeline{verified: o.Verified},
		tree:       map[types.Hash]*blockNode{},
		candidates: map[*blockNode]struct{}{},
		unlinked:   map[*blockNode][]*blockNode{},
		dirty:      map[*blockNode]struct{}{}, wanted: map[types.Hash]bool{},
	}
	c.pipe.effort = &c.effort
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.workers == 0 {
		c.workers = runtime.GOMAXPROCS(0)
	}
	c.lastFlush, c.lastSave = c.now(), c.now()
	if err := c.load(); err != nil {
		return nil, consensus.Local(err)
	}
	if c.tip == nil {
		if err := c.begin(); err != nil {
			return nil, consensus.Local(err)
		}
	}
	if best := c.bestCandidate(); best != c.coinsTip {
		c.log.Info("connecting stored blocks", "from", c.coinsTip.height, "to", best.height)
	}
	if err := c.activate(ctx, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// begin stores the genesis block and its coins. They are given by the network's
// file, so no rule is asked.
func (c *Chain) begin() error {
	genesis := c.params.GenesisBlock()
	n := newBlockNode(nil, genesis.Block.Header, genesis.Hash)
	n.status = header.StatusBody | header.StatusUndo | header.StatusValid
	n.txCount = uint32(len(genesis.Block.Txs))
	n.chainTxs = uint64(n.txCount)
	n.complete = true
	c.tree[n.hash] = n
	c.dirty[n] = struct{}{}
	c.tip, c.coinsTip, c.bestHeader = n, n, n
	c.candidates[n] = struct{}{}
	if err := c.store.WriteBlock(n.index(), genesis.Raw); err != nil {
		return err
	}
	if err := c.store.WriteUndo(n.index(), nil); err != nil { // it spends nothing, but its record says that it has some
		return err
	}
	update := &consensus.Update{Block: n.index(), Created: c.params.GenesisCoins()}
	if err := c.store.ApplyUpdate(update); err != nil {
		return err
	}
	return c.flush()
}

// Params returns the parameters of the network.
func (c *Chain) Params() *consensus.Params { return c.params }

// Tip returns the best block whose whole chain is known to be valid.
func (c *Chain) Tip() types.Index {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tip.index()
}

// TipState returns the state that the next block builds on.
func (c *Chain) TipState() consensus.State {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tip.state()
}

// BestHeader returns the last header of the header chain with the most work
// that is not known to be invalid; its blocks may not have arrived.
func (c *Chain) BestHeader() types.Index {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.bestHeader.index()
}

// Header returns what is known of a block, if it is known.
func (c *Chain) Header(hash types.Hash) (header.Record, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, ok := c.tree[hash]
	if !ok {
		return header.Record{}, false
	}
	return n.record(), true
}

// HashAt returns the hash of the block of the best chain at a height, if the
// chain is that long.
func (c *Chain) HashAt(height uint32) (types.Hash, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.tip.ancestor(height)
	if n == nil {
		return types.Hash{}, false
	}
	return n.hash, true
}

// Block returns the encoding of a stored block.
func (c *Chain) Block(hash types.Hash) ([]byte, error) { return c.store.ReadBlock(hash) }

// BlockPart returns bytes of the encoding of a stored block, and reads nothing else. They
// are not checked: a reader must be able to tell that they are what it looks for.
func (c *Chain) BlockPart(hash types.Hash, offset, size uint32) ([]byte, error) {
	return c.store.ReadBlockPart(hash, offset, size)
}

// Subscribe returns a channel that receives a poke after the tip has changed,
// and a function that ends that.
func (c *Chain) Subscribe() (poke <-chan struct{}, cancel func()) { return c.moved.Subscribe() }

// setTip publishes a new tip and takes those out of the candidates that it beats.
// It is called without mu.
func (c *Chain) setTip(n *blockNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == c.tip {
		return
	}
	c.tip = n
	for candidate := range c.candidates {
		if n.better(candidate) {
			delete(c.candidates, candidate)
		}
	}
	c.moved.Ring()
}

// Failed returns a channel that is closed when the chain meets a local fault, a
// broken disk for one. The chain does nothing after that; Flush returns the fault.
func (c *Chain) Failed() <-chan struct{} { return c.failed }

// Flush writes everything that is only in memory to disk. Its error is an ErrLocal.
func (c *Chain) Flush() error {
	_ = c.turn.Take(context.Background()) // which never ends
	defer c.turn.Give()
	if c.fault != nil {
		return c.fault
	}
	return c.fail(consensus.Local(c.flush()))
}

// flush assumes turn, and that no scripts are under way: coins of a block that may
// still be refused must not reach the disk. Bodies are pruned last. If the coins
// on disk were below the lowest body that is left, a restart could not catch up.
func (c *Chain) flush() error {
	began := time.Now()
	if err := c.store.Flush(c.takeDirty(), c.coinsTip.index()); err != nil {
		return err
	}
	since(&c.effort.flushing, began)
	c.effort.flushes.Add(1)
	c.lastFlush = c.now()
	c.lastSave = c.lastFlush
	if c.prune && c.coinsTip.height > PruneKeep {
		return c.pruneBodies(c.coinsTip.height-PruneKeep, false)
	}
	return nil
}

// save makes bodies and header records durable, but not coins. It assumes turn.
func (c *Chain) save() error {
	c.lastSave = c.now()
	records := c.takeDirty()
	if len(records) == 0 {
		return nil
	}
	return c.store.SaveHeaders(records)
}

// pruneBodies lets the store drop bodies that nobody needs. The store changes its own header records
// in the same step, so the blocks do not become dirty here.
func (c *Chain) pruneBodies(below uint32, all bool) error {
	if c.keep != nil {
		below = min(below, c.keep())
	}
	pruned, err := c.store.Prune(below, all)
	if err != nil || len(pruned) == 0 {
		return err
	}
	c.log.Info("pruned old blocks", "blocks", len(pruned), "below", below)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, hash := range pruned {
		if n := c.tree[hash]; n != nil {
			n.status &^= header.StatusBody | header.StatusUndo
		}
	}
	c.relink()
	return nil
}

// takeDirty returns the records to be stored. If storing them fails, that is a
// local fault, so they need not be kept for another attempt.
func (c *Chain) takeDirty() []header.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	records := make([]header.Record, 0, len(c.dirty))
	for n := range c.dirty {
		records = append(records, n.record())
	}
	clear(c.dirty)
	return records
}

// fail remembers the first local fault, and returns the error as it is. Nothing may
// be built on a state that may be wrong, so every later operation returns that
// fault.
func (c *Chain) fail(err error) error {
	if errors.Is(err, consensus.ErrLocal) && c.fault == nil {
		c.fault = fmt.Errorf("the chain stopped: %w", err)
		close(c.failed)
	}
	return err
}
