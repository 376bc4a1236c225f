// Package node puts a karat node together: configuration, construction, and
// the jobs that karatd runs on it. It knows every package and has no protocol
// logic of its own.
package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/bootstrap"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/index"
	"github.com/karatcoin/karat/chain/store"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/ratelog"
)

// Node is an open data directory and the chain in it.
type Node struct {
	config Config
	clock  *clock
	store  *store.Store
	chain  *chain.Chain
	index  *index.Index // nil: none is kept, or it cannot be opened
	log    *slog.Logger

	running atomic.Pointer[services] // of Run; nil before
	stop    context.CancelFunc       // of Run
}

// Open opens the data directory and brings its chain up to date.
func Open(ctx context.Context, config Config) (*Node, error) {
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log = ratelog.New(log) // what strangers bring about is told of all day
	s, err := store.Open(config.DataDir, store.Options{
		Network:     config.Params.Identity(),
		NetworkName: config.Params.Name,
		CacheBytes:  config.CacheBytes,
		PruneBytes:  config.PruneBytes,
		Logger:      log,
	})
	if err != nil {
		return nil, err
	}
	n := &Node{config: config, clock: newClock(config.Now), store: s, log: log}
	n.chain, err = chain.New(ctx, config.Params, s, chain.Options{
		Logger: log, Now: n.clock.now, Prune: config.PruneBytes > 0, Keep: n.needed, Verified: n.verified,
	})
	if err == nil {
		err = n.chain.AddBlocks(ctx, slices.Values(s.TakeUnsaved()), func(header.Result) {})
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if config.Filters || config.TxIndex {
		dir := filepath.Join(config.DataDir, indexesDir)
		n.index, err = index.Open(dir, n.chain, index.Options{Filters: config.Filters, Txs: config.TxIndex, Later: n.later, Logger: log})
		if err != nil { // the node is of use without
			log.Error("the indexes cannot be opened", "err", err)
		}
	}
	return n, nil
}

// needed is the height from which on the index needs blocks.
func (n *Node) needed() uint32 {
	if n.index == nil {
		return math.MaxUint32
	}
	return n.index.Needs()
}

// verified asks the pool, once there is one.
func (n *Node) verified(wtxid types.Hash) bool {
	s := n.running.Load()
	return s != nil && s.pool.Verified(wtxid)
}

// later lets the index wait while blocks are synced, unless pruning waits for it.
func (n *Node) later() bool {
	s := n.running.Load()
	return s != nil && n.config.PruneBytes == 0 && s.peers.Syncing()
}

// Close flushes and closes. After a local fault nothing more is written.
func (n *Node) Close() error {
	var err error
	if n.index != nil {
		err = n.index.Close()
	}
	return errors.Join(err, n.chain.Flush(), n.store.Close())
}

// Chain returns the node's chain.
func (n *Node) Chain() *chain.Chain { return n.chain }

// ImportSummary is what an import did.
type ImportSummary struct {
	Read     int // blocks that were found in the inputs
	Accepted int // blocks that were new
	Txs      int // transactions in them
	Known    int // blocks that were stored before
	Waiting  int // blocks whose parent is in none of the inputs
	Refused  []Refusal
	Notes    []string
}

// Refusal is a block that was refused.
type Refusal struct {
	Block types.Index // the height is 0 where it is not known
	Err   error
}

// maxRefusals bounds the refusals that are kept to be shown.
const maxRefusals = 1000

// ImportProgress is where an import stands.
type ImportProgress struct {
	Bytes  int64 // of the inputs
	Height uint32
	Blocks int
	Txs    int
}

// Import adds the blocks of the files, in which "-" is standard input, and
// calls progress now and then.
func (n *Node) Import(ctx context.Context, files []string, progress func(ImportProgress)) (ImportSummary, error) {
	var summary ImportSummary
	refuse := func(at types.Index, err error) {
		n.log.Warn("refused a block", "block", at, "err", err)
		if len(summary.Refused) < maxRefusals {
			summary.Refused = append(summary.Refused, Refusal{at, err})
		}
	}
	var early []Refusal // of the importer's goroutine, until it has ended
	importer := bootstrap.NewImporter(n.chain, n.config.Params, func(hash types.Hash, err error) {
		if len(early) < maxRefusals {
			early = append(early, Refusal{types.Index{Hash: hash}, err})
		}
	})
	stopIndex := n.indexMeanwhile(ctx)
	defer stopIndex()
	err := n.chain.AddBlocks(ctx, importer.Blocks(ctx, n.sources(ctx, files)), func(r header.Result) {
		if r.Err != nil {
			refuse(r.Block, r.Err)
			return
		}
		summary.Accepted++
		summary.Txs += r.Txs
		progress(ImportProgress{Bytes: importer.Bytes(), Height: r.Block.Height, Blocks: summary.Accepted, Txs: summary.Txs})
	})
	for _, r := range early {
		refuse(r.Block, r.Err)
	}
	summary.Read = int(importer.Read())
	summary.Known = int(importer.Known())
	summary.Waiting = int(importer.Waiting())
	summary.Notes = importer.Notes()
	return summary, errors.Join(err, importer.Err())
}

// indexMeanwhile lets the index follow while blocks are imported, since pruning
// waits for it. The function that it returns ends that.
func (n *Node) indexMeanwhile(ctx context.Context) (stop func()) {
	if n.index == nil || n.config.PruneBytes == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.index.Run(ctx) // which has no error of its own
	}()
	return func() { cancel(); <-done }
}

// sources opens the inputs one after the other.
func (n *Node) sources(ctx context.Context, files []string) iter.Seq2[bootstrap.Source, error] {
	return func(yield func(bootstrap.Source, error) bool) {
		var opened []*os.File
		defer func() {
			for _, f := range opened {
				f.Close()
			}
		}()
		for _, name := range files {
			source, file, err := n.source(ctx, name)
			if file != nil {
				opened = append(opened, file) // blocks may have to be read again until the end
			}
			if !yield(source, err) {
				return
			}
		}
	}
}

func (n *Node) source(ctx context.Context, name string) (bootstrap.Source, *os.File, error) {
	if name == "-" {
		return n.stream(ctx, "standard input", os.Stdin)
	}
	info, err := os.Stat(name)
	if err != nil {
		return bootstrap.Source{}, nil, err
	}
	if !info.Mode().IsRegular() {
		return n.stream(ctx, name, &waitingFile{name: name})
	}
	f, err := os.Open(name)
	return bootstrap.Source{Name: name, Reader: f, At: f}, f, err
}

// stream prepares an input that cannot be read twice: blocks that must wait go
// to a file without a name in the data directory.
func (n *Node) stream(ctx context.Context, name string, r io.Reader) (bootstrap.Source, *os.File, error) {
	spool, err := os.CreateTemp(n.config.DataDir, "import-*.tmp")
	if err != nil {
		return bootstrap.Source{}, nil, err
	}
	if err := os.Remove(spool.Name()); err != nil {
		return bootstrap.Source{}, spool, err
	}
	return bootstrap.Source{Name: name, Reader: newInterruptible(ctx, r), Spool: spool}, spool, nil
}

// Export writes the blocks of the best chain, the genesis block first, in
// bootstrap framing, and calls progress after each.
func (n *Node) Export(ctx context.Context, w io.Writer, progress func(done, total int)) (types.Index, error) {
	tip := n.chain.Tip()
	out := bufio.NewWriterSize(w, 1<<20)
	for height := range tip.Height + 1 {
		if err := ctx.Err(); err != nil {
			return types.Index{}, err
		}
		hash, ok := n.chain.HashAt(height)
		if !ok {
			return types.Index{}, errors.New("the chain changed while it was exported; export again")
		}
		raw, err := n.chain.Block(hash)
		if errors.Is(err, consensus.ErrNotFound) {
			return types.Index{}, fmt.Errorf("block %d was pruned: export needs a node that keeps all blocks", height)
		}
		if err != nil {
			return types.Index{}, err
		}
		if err := bootstrap.Write(out, n.config.Params.Magic, raw); err != nil {
			return types.Index{}, err
		}
		progress(int(height)+1, int(tip.Height)+1)
	}
	return tip, out.Flush()
}

// CoinSet is the coin set at a block.
type CoinSet struct {
	At    types.Index
	Stats coinstats.Stats
}

// Coins walks over all coins and computes what Bitcoin Core's gettxoutsetinfo
// does.
func (n *Node) Coins(ctx context.Context, progress func(coins uint64)) (CoinSet, error) {
	collector := coinstats.New(true, true)
	count := uint64(0)
	at, err := n.chain.ForEachCoin(ctx, func(outPoint types.OutPoint, coin *types.Coin) error {
		collector.Add(outPoint, coin)
		if count++; count%10000 == 0 {
			progress(count)
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return CoinSet{}, err
	}
	return CoinSet{At: at, Stats: collector.Result()}, nil
}
