package node

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/index"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/logswitch"
	"github.com/karatcoin/karat/internal/ratelog"
	"github.com/karatcoin/karat/internal/warnings"
	"github.com/karatcoin/karat/rpc"
)

// Node is an open data directory and the chain in it. While Run runs it is a whole node.
type Node struct {
	config Config
	clock  *clock
	store  *store.Store
	chain  *chain.Chain
	index  *index.Set   // nil: none is kept
	log    *slog.Logger // of what strangers can bring about: it leaves lines out
	ownLog *slog.Logger // of what the node does by itself: it has every line
	logs   logs

	warnings *warnings.Board
	tipSeen  atomic.Pointer[tipSeen]

	running atomic.Pointer[services] // of Run; nil before
	stop    context.CancelFunc       // of Run
}

// Open opens the data directory and brings its chain up to date. The directory is locked
// until Close: two processes that write to one would destroy it.
func Open(ctx context.Context, config Config) (*Node, error) {
	ownLog := config.Logger
	if ownLog == nil {
		ownLog = slog.New(slog.DiscardHandler)
	}
	logs := logs{logswitch.New(ownLog, rpc.LogCategories...), config.LogPath}
	ownLog = logs.Logger()
	log := ratelog.New(ownLog)
	s, err := store.Open(config.DataDir, store.Options{
		Network:     config.Params.Identity(),
		NetworkName: config.Params.Name,
		CacheBytes:  config.CacheBytes,
		PruneBytes:  config.PruneBytes,
		SegmentSize: config.FileBytes,
		Logger:      log,
	})
	if err != nil {
		return nil, err
	}
	n := &Node{config: config, clock: newClock(config.Now), store: s, log: log, ownLog: ownLog, logs: logs, warnings: warnings.New(ownLog)}
	n.chain, err = chain.New(ctx, config.Params, s, chain.Options{
		Logger: log, Now: n.clock.now, Prune: config.PruneBytes > 0, Keep: n.needed, Verified: n.verified,
	})
	if err == nil {
		// Bodies that were written after the last flush before a crash. They are checked
		// like those of a peer; one that is refused is as if it had not been there.
		err = n.chain.AddBlocks(ctx, slices.Values(s.TakeUnsaved()), func(header.Result) {})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	n.lookForWarnings()
	if len(config.Indexes) > 0 {
		dir := filepath.Join(config.DataDir, indexesDir)
		n.index = index.Open(dir, n.chain, index.Options{Names: config.Indexes, Later: n.later, Logger: log})
	}
	return n, nil
}

// needed is the height from which on the indexes need blocks. The store must not prune
// them, or the index could never be completed.
func (n *Node) needed() uint32 {
	if n.index == nil {
		return math.MaxUint32
	}
	return n.index.Needs()
}

// verified reports whether the pool has run a transaction's scripts. The chain is made
// before there is a pool.
func (n *Node) verified(wtxid types.Hash) bool {
	s := n.running.Load()
	return s != nil && s.pool.Verified(wtxid)
}

// later lets the index wait while blocks are synced, so that the two do not share the
// disk. With pruning it may not wait: then pruning waits for it, and the disk fills up.
func (n *Node) later() bool {
	return n.config.PruneBytes == 0 && n.syncing()
}

// syncing reports whether a node that runs follows peers that are far ahead.
func (n *Node) syncing() bool {
	s := n.running.Load()
	return s != nil && s.peers.Syncing()
}

// Close flushes and closes. After a local fault nothing more is written.
func (n *Node) Close() error {
	var err error
	if n.index != nil {
		err = n.index.Close()
	}
	err = errors.Join(err, n.chain.Flush(), n.store.Close())
	if n.running.Load() != nil && err == nil {
		tip := n.chain.Tip()
		n.ownLog.Info("stopped", "height", tip.Height, "hash", tip.Hash)
	}
	return err
}

// Chain returns the node's chain.
func (n *Node) Chain() *chain.Chain { return n.chain }
