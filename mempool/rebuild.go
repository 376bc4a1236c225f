package mempool

import (
	"context"
	"errors"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// markStale notes that the graph has to be made anew. Until that is done nothing is put
// into it, since it would be lost. Readers still see the old one.
func (p *Pool) markStale() {
	p.followed.stale = true
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rebuilding = true
}

// undoneBlock is what a block had that was undone.
type undoneBlock struct {
	txs   []types.Tx
	usage int // that they would have in a pool
}

// maxUndone is how many times the pool's memory the transactions of undone blocks may
// take until there is a new graph. Much of it will not come back, since the other branch
// has it too.
const maxUndone = 2

// keepUndone keeps the transactions of an undone block for the new graph. If there are
// too many, those of the highest blocks are left out: what they spend is in the lower ones.
func (p *Pool) keepUndone(u *consensus.BlockUpdate) {
	f := &p.followed
	block := undoneBlock{txs: u.Block.Block.Txs[1:], usage: len(u.Block.Raw)}
	for i := range block.txs {
		block.usage += usageWithout(&block.txs[i])
	}
	f.undone = append(f.undone, block)
	f.undoneUsage += block.usage
	for f.undoneUsage > maxUndone*p.options.MaxBytes && len(f.undone) > 1 {
		f.undoneUsage -= f.undone[0].usage
		f.undone[0].txs = nil
		f.undone = f.undone[1:]
	}
}

// rebuild makes a new graph at the tip, of the transactions of undone blocks and of
// those in the pool. All are checked: after a reorganisation any of them may spend what
// is not there, or be too early. Only their scripts need not run again. It assumes the
// baton, and holds no lock while it works. If the chain moves meanwhile, the graph is
// still stale afterwards, and the caller tries again.
func (p *Pool) rebuild(ctx context.Context) error {
	f := &p.followed
	candidates := p.survivors()
	coins, state, err := p.chainCoins(ctx, candidates)
	if err != nil || state.Index != f.at {
		return err // if nil, the chain has moved, and CatchUp sees that
	}
	fresh := p.newGraph()
	fresh.deltas = p.snapshotDeltas()
	for i, c := range candidates {
		if err := ctx.Err(); err != nil {
			return err
		}
		candidates[i] = nil // with what was found out about it
		if err := p.readmit(fresh, c, coins, &state); err != nil {
			if errors.Is(err, consensus.ErrLocal) {
				return err
			}
			p.log.Debug("transaction leaves after a reorganisation", "txid", c.TxID, "reason", err)
		}
		// What is left out here pays less than all that the pool will have room for.
		for fresh.usage > 2*p.options.MaxBytes {
			nodes, _ := fresh.worst()
			fresh.remove(nodes)
		}
	}
	p.replace(fresh)
	return nil
}

// replace puts a graph at the block up to which the pool has followed in the place of the
// one that was. It assumes the baton.
func (p *Pool) replace(fresh *graph) {
	f := &p.followed
	p.mu.Lock()
	p.log.Info("checked all waiting transactions anew", "before", len(p.graph.byTxID), "after", len(fresh.byTxID), "tip", f.at)
	p.takeDeltas(fresh)
	p.keepLocal(fresh)
	p.noteReplaced(fresh, f.at, f.confirmed)
	p.graph, p.position, p.rebuilding = fresh, f.at, false
	p.changes++
	p.followed = followed{at: f.at}
	p.rolling.block(p.now())
	p.expire()
	p.trim()
	p.changed.Ring()
	waiting := p.graph.waiting
	p.mu.Unlock()
	p.estimator.restart(f.at, &waiting)
}

// survivors returns the transactions of the undone blocks, the lowest first, then those
// of the pool. That is an order with parents first, since what was in a block spends
// nothing that was only in the pool.
func (p *Pool) survivors() []*candidate {
	var candidates []*candidate
	for _, block := range slices.Backward(p.followed.undone) {
		for i := range block.txs {
			c, err := p.newCandidate(&block.txs[i], p.now())
			if err == nil { // a block may hold what policy does not want
				c.Height = p.followed.at.Height
				// Of a block that is assumed to be valid nobody has checked them.
				c.settled = p.params.AssumeValid.IsZero()
				candidates = append(candidates, c)
			}
		}
	}
	for _, e := range p.Entries() {
		candidates = append(candidates, &candidate{Entry: e})
	}
	return candidates
}

// coinsAtOnce is how many coins are looked up while the chain waits.
const coinsAtOnce = 20_000

// chainCoins looks up whatever candidates spend in the chain. What they spend of each
// other is not in the result, unless the new branch has that too. If the state is not of the block up to which the pool
// has followed, the chain has moved meanwhile.
func (p *Pool) chainCoins(ctx context.Context, candidates []*candidate) (map[types.OutPoint]types.Coin, consensus.State, error) {
	var outPoints []types.OutPoint
	for _, c := range candidates {
		for i := range c.Tx.Inputs {
			outPoints = append(outPoints, c.Tx.Inputs[i].PreviousOutPoint)
		}
	}
	coins := make(map[types.OutPoint]types.Coin, len(outPoints))
	for {
		part := outPoints[:min(len(outPoints), coinsAtOnce)]
		fetched, state, err := p.chain.Coins(ctx, part)
		if err != nil || state.Index != p.followed.at || len(part) == 0 {
			return coins, state, err
		}
		for i := range fetched {
			if fetched[i].Found {
				coins[part[i]] = fetched[i].Coin
			}
		}
		if outPoints = outPoints[len(part):]; len(outPoints) == 0 {
			return coins, state, nil
		}
	}
}

// readmit puts a candidate into the new graph. It asks for no fee, and not that dust is
// spent: the transaction was in the pool or in a block before, and to lose it now would
// help nobody.
func (p *Pool) readmit(g *graph, c *candidate, coins map[types.OutPoint]types.Coin, state *consensus.State) error {
	if g.byTxID[c.TxID] != nil || len(g.conflicts(c.Tx)) > 0 {
		return policy(ReasonSameTxID, "another one spends the same")
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
	fee, err := p.checkSpends(c, state)
	if err != nil {
		return err
	}
	if fee != c.Fee { // that of a block's transaction was not known; entries never change
		entry := *c.Entry
		entry.Fee = fee
		c.Entry = &entry
	}
	if err := p.checkDustFee(c.Entry, g.modified(c.Entry)); err != nil {
		return err
	}
	if _, err := p.verify(c); err != nil {
		return err
	}
	change, err := g.replacement(&group{candidates: []*candidate{c}}, nil, 0)
	if err != nil {
		return err
	}
	g.apply(change)
	return nil
}
