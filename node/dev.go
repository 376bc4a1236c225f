package node

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node/dev"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// Dev makes a node a developer's workbench.
type Dev struct {
	Keys   *dev.Keys
	Mining devinfo.Mining
}

// newBench makes the workbench, if the node is to be one.
func (n *Node) newBench(s *services) {
	if n.config.Dev == nil {
		return
	}
	s.bench = dev.New(dev.Options{
		Params: n.config.Params, Keys: n.config.Dev.Keys, PayTo: n.config.MineTo, Mining: n.config.Dev.Mining,
		Chain: n.chain, Miner: rpcMiner{s.miner}, Pool: s.pool, Clock: devClock{n.clock}, Logger: n.log,
	})
}

// devClock is the node's clock as the workbench sees it.
type devClock struct{ *clock }

// Now implements dev.Clock.
func (c devClock) Now() time.Time { return c.now() }

// Move implements dev.Clock.
func (c devClock) Move(to time.Time) { c.move(to) }

// clientPool is the pool as clients of a workbench see it: what they send is in a block when
// they have the answer, if a block is mined for each transaction.
type clientPool struct {
	currentPool
	bench *dev.Bench // nil: there is none
}

// Accept implements rpc.Pool.
func (p clientPool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	entry, err := p.currentPool.Accept(ctx, tx, maxFeeRate)
	if err == nil && p.bench != nil {
		err = p.bench.Settle(ctx)
	}
	return entry, err
}

// AcceptPackage implements rpc.Pool.
func (p clientPool) AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error) {
	result, err := p.currentPool.AcceptPackage(ctx, txs, maxFeeRate)
	if err == nil && p.bench != nil {
		err = p.bench.Settle(ctx)
	}
	return result, err
}
