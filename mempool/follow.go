package mempool

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

const (
	// updatesAtOnce is the number of blocks that are asked for at once.
	updatesAtOnce = 8
	// updatesWorth is the number of new blocks above which looking at every
	// transaction of the pool is cheaper than reading the blocks.
	updatesWorth = 32
	// expiryInterval is how often old transactions are looked for.
	expiryInterval = 10 * time.Minute
)

// Run makes the pool follow the chain until the context ends, and then returns
// nil. Any other error is a local fault.
func (p *Pool) Run(ctx context.Context) error {
	poke, cancel := p.chain.Subscribe()
	defer cancel()
	ticker := time.NewTicker(expiryInterval)
	defer ticker.Stop()
	for {
		if err := p.CatchUp(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-poke:
		case <-ticker.C:
			p.expire()
		}
	}
}

// followed is how far the pool has followed the chain. Whoever holds the baton
// may go on with what another had to leave.
type followed struct {
	at types.Index // the block up to which updates were taken
	// stale says that blocks were undone, or passed over, since the graph was
	// right: it has to be made anew.
	stale         bool
	returned      [][]types.Tx // of undone blocks, the newest block first
	returnedBytes int
}

// CatchUp brings the pool to the tip of the chain, for who needs an answer of that
// tip. An error is the context's or an ErrLocal.
func (p *Pool) CatchUp(ctx context.Context) error {
	if err := p.following.Take(ctx); err != nil {
		return err
	}
	defer p.following.Give()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		tip := p.chain.Tip()
		if tip == p.followed.at {
			if !p.followed.stale {
				return nil
			}
			if err := p.rebuild(ctx); err != nil {
				return err
			}
			continue
		}
		if err := p.advance(tip); err != nil {
			return err
		}
	}
}

// advance takes the next updates, or passes them over. It assumes the baton.
func (p *Pool) advance(tip types.Index) error {
	f := &p.followed
	if info, ok := p.chain.Info(f.at.Hash); ok && info.OnBestChain && !f.stale {
		if p.jump(tip) {
			return nil
		}
		if tip.Height > f.at.Height+updatesWorth {
			p.invalidate()
			f.at = tip
			return nil
		}
	}
	reverted, applied, err := p.chain.UpdatesSince(f.at, updatesAtOnce)
	if errors.Is(err, consensus.ErrNotFound) {
		// Pruned: what was in those blocks does not come back.
		p.invalidate()
		f.at = tip
		return nil
	}
	if err != nil {
		return err
	}
	for i := range reverted {
		p.invalidate()
		p.giveBack(&reverted[i])
		f.at = reverted[i].Update.Parent
	}
	for i := range applied {
		if !f.stale {
			p.confirm(&applied[i])
		}
		f.at = applied[i].Update.Block
	}
	return nil
}

// jump goes to the tip if there is nothing in the pool that blocks could change.
func (p *Pool) jump(tip types.Index) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.graph.byTxID) > 0 {
		return false
	}
	p.position, p.followed.at = tip, tip
	p.rolling.block(p.now())
	p.changed.Ring()
	return true
}

// invalidate notes that the graph has to be made anew. From then on nothing is
// put into it.
func (p *Pool) invalidate() {
	p.followed.stale = true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rebuilding = true
}

// giveBack keeps the transactions of an undone block for the pool. If there are
// too many, those of the lowest blocks are left out.
func (p *Pool) giveBack(u *consensus.BlockUpdate) {
	f := &p.followed
	if f.returnedBytes += len(u.Block.Raw); f.returnedBytes > p.options.MaxBytes {
		return
	}
	f.returned = append(f.returned, u.Block.Block.Txs[1:])
}

// confirm removes what a block confirms, and what conflicts with it together
// with its descendants.
func (p *Pool) confirm(u *consensus.BlockUpdate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var confirmed, conflicts []*node
	isConfirmed := map[*node]bool{}
	for _, txid := range u.Block.TxIDs[1:] {
		if n := p.graph.byTxID[txid]; n != nil {
			confirmed = append(confirmed, n)
			isConfirmed[n] = true
		}
	}
	for i := 1; i < len(u.Block.Block.Txs); i++ {
		for _, n := range p.graph.conflicts(&u.Block.Block.Txs[i]) {
			if !isConfirmed[n] {
				conflicts = append(conflicts, n)
			}
		}
	}
	gone := append(confirmed, withDescendants(conflicts)...)
	p.graph.remove(gone)
	p.changes += uint64(len(gone))
	p.position = u.Update.Block
	p.rolling.block(p.now())
	p.changed.Ring()
}

// rebuild makes a new graph at the tip, of the transactions that undone blocks
// gave back and those that are in the pool: after a reorganisation any of them may
// spend what is not there, or be too early. It assumes the baton. If the chain
// moved meanwhile, the graph is still stale afterwards.
func (p *Pool) rebuild(ctx context.Context) error {
	f := &p.followed
	candidates := p.survivors()
	coins, state, err := p.allCoins(ctx, candidates)
	if err != nil || state.Index != f.at {
		return err
	}
	fresh := newGraph()
	for _, c := range candidates {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.takeBack(fresh, c, coins, &state); err != nil {
			if errors.Is(err, consensus.ErrLocal) {
				return err
			}
			p.log.Debug("transaction leaves after a reorganisation", "txid", c.TxID, "reason", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Info("pool was checked anew", "before", len(p.graph.byTxID), "after", len(fresh.byTxID), "tip", f.at)
	p.graph, p.position, p.rebuilding = fresh, f.at, false
	p.changes++
	p.followed = followed{at: f.at}
	p.rolling.block(p.now())
	p.trim()
	p.changed.Ring()
	return nil
}

// survivors returns the transactions of the undone blocks, the lowest first, then
// those of the pool, parents first. None of the former spends one of the latter.
func (p *Pool) survivors() []*candidate {
	var candidates []*candidate
	for i := len(p.followed.returned) - 1; i >= 0; i-- {
		for j := range p.followed.returned[i] {
			c, err := p.newCandidate(&p.followed.returned[i][j], p.now())
			if err == nil {
				candidates = append(candidates, c)
			}
		}
	}
	for _, c := range candidates {
		c.Height = p.followed.at.Height
	}
	for _, e := range p.Entries() {
		candidates = append(candidates, &candidate{Entry: e})
	}
	return candidates
}

// allCoins looks up whatever candidates spend in the chain, coins that are not
// there included.
func (p *Pool) allCoins(ctx context.Context, candidates []*candidate) (map[types.OutPoint]types.Coin, consensus.State, error) {
	var outPoints []types.OutPoint
	for _, c := range candidates {
		for i := range c.Tx.Inputs {
			outPoints = append(outPoints, c.Tx.Inputs[i].PreviousOutPoint)
		}
	}
	fetched, state, err := p.chain.Coins(ctx, outPoints)
	if err != nil {
		return nil, state, err
	}
	coins := make(map[types.OutPoint]types.Coin, len(fetched))
	for i := range fetched {
		if fetched[i].Found {
			coins[outPoints[i]] = fetched[i].Coin
		}
	}
	return coins, state, nil
}

// takeBack puts a candidate into a graph. It asks for no fee: the transaction was
// in the pool or in a block before.
func (p *Pool) takeBack(g *graph, c *candidate, coins map[types.OutPoint]types.Coin, state *consensus.State) error {
	if g.byTxID[c.TxID] != nil || len(g.conflicts(c.Tx)) > 0 {
		return policy(ReasonSameTxID, "another took its place")
	}
	c.coins = make([]types.Coin, len(c.Tx.Inputs))
	for i := range c.Tx.Inputs {
		outPoint := c.Tx.Inputs[i].PreviousOutPoint
		coin, ok := coins[outPoint]
		if parent := g.byTxID[outPoint.TxID]; parent != nil {
			coin, ok = coinOf(parent.Entry, outPoint.Index, state.Index.Height+1)
		}
		if !ok {
			return missingInputs(outPoint)
		}
		c.coins[i] = coin
	}
	fee, err := p.connect(c, state)
	if err != nil {
		return err
	}
	if fee != c.Fee { // of one that comes back, whose fee was not known
		entry := *c.Entry
		entry.Fee = fee
		c.Entry = &entry
	}
	if err := p.verify(c); err != nil {
		return err
	}
	change, err := g.replacement(c.Entry, nil, 0)
	if err != nil {
		return err
	}
	g.apply(change)
	return nil
}

// expire removes transactions that have been here for too long, with their
// descendants.
func (p *Pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := p.now().Add(-p.options.Expiry)
	var old []*node
	for _, n := range p.graph.byTxID {
		if n.Time.Before(limit) {
			old = append(old, n)
		}
	}
	if len(old) == 0 {
		return
	}
	gone := withDescendants(old)
	p.graph.remove(gone)
	p.changes += uint64(len(gone))
	p.log.Info("transactions expired", "count", len(gone))
	p.changed.Ring()
}
