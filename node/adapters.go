package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/karatcoin/karat/chain"
	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/logswitch"
	"github.com/karatcoin/karat/mempool"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/p2p"
)

// currentPool is the pool for those who need an answer of the chain's tip: it follows
// the chain before it is asked. A client that has just seen a block must not be told
// that what it confirms still waits.
type currentPool struct{ *mempool.Pool }

// current brings the pool to the tip. If that takes long, or fails, the answer is of an
// earlier tip, which is better than none.
func (p currentPool) current() *mempool.Pool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = p.CatchUp(ctx)
	return p.Pool
}

// Select implements miner.Pool.
func (p currentPool) Select(want pending.Selection) ([]*pending.Entry, types.Index) {
	return p.current().Select(want)
}

// Accept implements rpc.Pool. What comes by it is a client's: no peer has it yet.
func (p currentPool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	entry, err := p.Pool.Accept(ctx, tx, maxFeeRate)
	if err == nil {
		p.MarkUnbroadcast(entry.TxID)
	}
	return entry, err
}

// AcceptPackage implements rpc.Pool, as Accept does.
func (p currentPool) AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error) {
	result, err := p.Pool.AcceptPackage(ctx, txs, maxFeeRate)
	for _, v := range result.Verdicts {
		if v.Entry != nil && !v.Present {
			p.MarkUnbroadcast(v.Entry.TxID)
		}
	}
	return result, err
}

// Listing implements rpc.Pool.
func (p currentPool) Listing() ([]*pending.Entry, uint64) { return p.current().Listing() }

// Cluster implements rpc.Pool.
func (p currentPool) Cluster(txid types.Hash) []pending.Chunk { return p.current().Cluster(txid) }

// Diagram implements rpc.Pool.
func (p currentPool) Diagram() []pending.Corner { return p.current().Diagram() }

// Get implements rpc.Pool.
func (p currentPool) Get(txid types.Hash) *pending.Entry { return p.current().Get(txid) }

// SpentBy implements rpc.Pool.
func (p currentPool) SpentBy(o types.OutPoint) *pending.Entry { return p.current().SpentBy(o) }

// Details implements rpc.Pool.
func (p currentPool) Details(txid types.Hash) (pending.Details, bool) {
	return p.current().Details(txid)
}

// AllDetails implements rpc.Pool.
func (p currentPool) AllDetails(txids []types.Hash) []pending.Details {
	return p.current().AllDetails(txids)
}

// Entries implements rpc.Pool.
func (p currentPool) Entries() []*pending.Entry { return p.current().Entries() }

// Info implements rpc.Pool.
func (p currentPool) Info() pending.Info { return p.current().Info() }

// Prioritise implements rpc.Pool.
func (p currentPool) Prioritise(txid types.Hash, delta types.Amount) bool {
	return p.current().Prioritise(txid, delta)
}

// Prioritised implements rpc.Pool.
func (p currentPool) Prioritised() []pending.Delta { return p.current().Prioritised() }

// Estimate implements rpc.Pool.
func (p currentPool) Estimate(blocks int, conservative bool) pending.FeeEstimate {
	return p.current().Estimate(blocks, conservative)
}

// operator is the chain as RPC clients with the right to change it see it.
type operator struct {
	*chain.Chain
	n *Node
}

// Verify implements rpc.Operator. As in Bitcoin Core, blocks that are not there are not in
// order.
func (o operator) Verify(ctx context.Context, depth uint32, level int) error {
	tip := o.Tip().Height
	blocks, err := o.Chain.Verify(ctx, depth, level, func(int, int) {})
	if depth == 0 || depth > tip {
		depth = tip
	}
	if err == nil && uint32(blocks) < depth {
		return fmt.Errorf("of %d blocks only the last %d are there: the others were pruned", depth, blocks)
	}
	return err
}

// CoinsOnDisk implements rpc.Operator.
func (o operator) CoinsOnDisk() int64 { return o.n.store.CoinsOnDisk() }

// CacheBytes implements rpc.Operator.
func (o operator) CacheBytes() (database, coins int64) { return o.n.store.CacheBytes() }

// CoinSet implements rpc.Operator.
func (o operator) CoinSet(ctx context.Context, muhash, serialized bool) (types.Index, coinstats.Stats, error) {
	set, err := o.n.coins(ctx, muhash, serialized, func(uint64) {})
	return set.At, set.Stats, err
}

// SizeOnDisk implements rpc.Operator.
func (o operator) SizeOnDisk() int64 { return o.n.store.SizeOnDisk() }

// rpcMiner is the miner as RPC clients see it.
type rpcMiner struct{ *miner.Miner }

// Generate implements rpc.Miner. As in Bitcoin Core, fewer blocks than asked for are
// no error if the tries were not enough.
func (m rpcMiner) Generate(ctx context.Context, n int, script []byte, maxTries uint64) ([]types.Hash, error) {
	hashes, err := m.Miner.Generate(ctx, n, script, maxTries)
	if errors.Is(err, miner.ErrNotFound) {
		err = nil
	}
	return hashes, err
}

// control is the node as RPC clients see it.
type control struct {
	node  *Node
	peers *p2p.Manager
	since time.Time
}

// Now implements rpc.Control.
func (c *control) Now() time.Time { return c.node.clock.now() }

// SetTime implements rpc.Control.
func (c *control) SetTime(seconds int64) { c.node.clock.set(seconds) }

// Stop implements rpc.Control.
func (c *control) Stop() { c.node.stop() }

// Uptime implements rpc.Control.
func (c *control) Uptime() time.Duration { return c.node.clock.real().Sub(c.since) }

// MempoolFile implements rpc.Control.
func (c *control) MempoolFile() string {
	path := c.node.mempoolFile()
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// Syncing implements rpc.Control.
func (c *control) Syncing() bool { return c.peers.Syncing() }

// Pruned implements rpc.Control.
func (c *control) Pruned() (pruned bool, height uint32, target int64) {
	if !c.node.config.prunes() {
		return false, 0, 0
	}
	return true, c.node.chain.PruneHeight(), c.node.config.PruneBytes
}

// logs implements rpc.Logs.
type logs struct {
	*logswitch.Switches
	path string
}

func (l logs) Path() string { return l.path }
