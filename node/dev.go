package node

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner"
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
		Chain: n.chain, Miner: s.miner, Pool: currentPool{s.pool}, Index: n.index, Clock: devClock{n.clock}, Logger: n.ownLog,
	})
	// A chain that is kept may have been ahead of the time.
	if state := n.chain.TipState(); n.clock.now().Unix() < int64(state.Header.Timestamp) {
		n.clock.move(time.Unix(int64(state.Header.Timestamp), 0))
	}
}

// devClock is the node's clock as the workbench sees it.
type devClock struct{ *clock }

// Now implements dev.Clock.
func (c devClock) Now() time.Time { return c.now() }

// Move implements dev.Clock.
func (c devClock) Move(to time.Time) { c.move(to) }

// Ahead implements dev.Clock.
func (c devClock) Ahead() time.Duration { return c.lead() }

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

// benchMiner is the miner as clients of a workbench see it.
type benchMiner struct {
	rpcMiner
	bench *dev.Bench
}

// Generate implements rpc.Miner.
func (m benchMiner) Generate(ctx context.Context, n int, script []byte, maxTries uint64) ([]types.Hash, error) {
	hashes, err := m.bench.Generate(ctx, n, script, maxTries)
	if errors.Is(err, miner.ErrNotFound) {
		err = nil
	}
	return hashes, err
}

// refusedAhead reports whether a longer chain was refused by the rules. On a workbench it was
// its user who ruled it out.
func (n *Node) refusedAhead() bool { return n.config.Dev == nil && n.chain.RefusedAhead() }
