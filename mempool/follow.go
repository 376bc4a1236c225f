package mempool

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool/fees"
)

const (
	// updatesAtOnce is the number of blocks that are asked for at once. Each may have
	// 4 MB and is in memory as a whole.
	updatesAtOnce = 8
	// updatesWorth is the number of new blocks above which it is cheaper to check every
	// transaction of the pool anew than to read the blocks.
	updatesWorth = 32
	// updatesForDeltas is the same while there are fee deltas, which only the blocks tell
	// when to forget.
	updatesForDeltas = 2000
	// expiryInterval is how often old transactions are looked for.
	expiryInterval = 10 * time.Minute
)

// Run makes the pool follow the chain, and forget what is too old, until the context
// ends, and then returns nil. Any other error is a local fault.
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
			p.mu.Lock()
			p.expire()
			p.mu.Unlock()
		}
	}
}

// followed is how far the pool has followed the chain. It is all that there is to know,
// so that whoever takes the baton next goes on where another was interrupted.
type followed struct {
	at types.Index // the block up to which updates were taken
	// stale says that blocks were undone, or passed over, since the graph was right: it
	// has to be made anew.
	stale       bool
	undone      []undoneBlock           // the newest first
	undoneUsage int                     // of all of them
	confirmed   map[types.Hash]struct{} // transactions of the pool that blocks have since
}

// CatchUp brings the pool to the tip of the chain, for those who need an answer of that
// tip and cannot wait until Run gets to it. An error is the context's or an ErrLocal.
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

// advance takes the next updates, or passes them over if the pool can be brought to the
// tip without them. It assumes the baton.
func (p *Pool) advance(tip types.Index) error {
	f := &p.followed
	if info, ok := p.chain.Info(f.at.Hash); ok && info.OnBestChain && !f.stale { // only forward from here
		if p.jump(tip) {
			return nil
		}
		if tip.Height > f.at.Height+p.worth() {
			p.markStale()
			f.at = tip
			return nil
		}
	}
	reverted, applied, err := p.chain.UpdatesSince(f.at, updatesAtOnce)
	if errors.Is(err, consensus.ErrNotFound) {
		// They are pruned: what was in blocks that were undone does not come back.
		p.markStale()
		f.at = tip
		return nil
	}
	if err != nil {
		return err
	}
	for i := range reverted {
		p.markStale()
		p.estimator.undone(reverted[i].Update.Block)
		p.keepUndone(&reverted[i])
		f.at = reverted[i].Update.Parent
	}
	for i := range applied {
		if f.stale {
			p.noteConfirmed(&applied[i])
			p.mu.Lock()
			p.forgetDeltas(&applied[i])
			p.mu.Unlock()
		} else {
			p.confirm(&applied[i])
		}
		f.at = applied[i].Update.Block
	}
	return nil
}

// worth is updatesWorth or updatesForDeltas.
func (p *Pool) worth() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.graph.deltas) > 0 {
		return updatesForDeltas
	}
	return updatesWorth
}

// jump goes to the tip if there is nothing in the pool that blocks could change, as
// during the first sync. It assumes the baton, and reports whether it did.
func (p *Pool) jump(tip types.Index) bool {
	from := p.followed.at
	if !p.jumpTo(tip) {
		return false
	}
	p.passed(from, tip)
	return true
}

func (p *Pool) jumpTo(tip types.Index) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.graph.byTxID) > 0 || len(p.graph.deltas) > 0 && tip.Height <= p.followed.at.Height+updatesForDeltas {
		return false
	}
	p.position, p.followed.at = tip, tip
	p.rolling.block(p.now())
	p.changed.Ring()
	return true
}

// confirm removes what a block confirms, and what conflicts with it. Descendants of the
// former stay: their parents are coins of the chain now. Those of the latter go.
func (p *Pool) confirm(u *consensus.BlockUpdate) {
	p.mu.Lock()
	seen := p.drop(u)
	p.mu.Unlock()
	p.estimator.learn(seen)
}

// drop is what confirm does to the graph. It returns what the estimator shall learn of
// the block. It assumes mu.
func (p *Pool) drop(u *consensus.BlockUpdate) *fees.Block {
	confirmed := make([]*txNode, 0, len(u.Block.TxIDs))
	var conflicts []*txNode
	for i, txid := range u.Block.TxIDs[1:] { // a coinbase was in no pool
		if n := p.graph.byTxID[txid]; n != nil {
			confirmed = append(confirmed, n) // nothing else in the pool spends what it spends
		} else {
			conflicts = append(conflicts, p.graph.conflicts(&u.Block.Block.Txs[i+1])...)
		}
	}
	seen := p.observe(u, confirmed)
	for _, n := range conflicts {
		delete(p.graph.deltas, n.TxID)
	}
	p.forgetDeltas(u)
	p.remove(withDescendants(conflicts), pending.LeftConflict)
	p.journal.addBlock(u.Update.Block)
	p.remove(confirmed, pending.LeftBlock)
	p.observed(seen)
	p.position = u.Update.Block
	p.rolling.block(p.now())
	p.changed.Ring()
	return seen
}

// expire removes transactions that have been here for too long, with their
// descendants. When the oldest of them came is remembered, so that it looks at all of
// them only when one is too old. It assumes mu.
func (p *Pool) expire() {
	limit := p.now().Truncate(time.Second).Add(-p.options.Expiry)
	if !p.graph.oldest.Before(limit) || len(p.graph.byTxID) == 0 {
		return
	}
	var old []*txNode
	p.graph.oldest = time.Time{}
	for _, n := range p.graph.byTxID {
		switch {
		case n.Time.Before(limit):
			old = append(old, n)
		case p.graph.oldest.IsZero() || n.Time.Before(p.graph.oldest):
			p.graph.oldest = n.Time
		}
	}
	if len(old) == 0 {
		return
	}
	gone := withDescendants(old)
	p.remove(gone, pending.LeftExpired)
	p.log.Info("transactions expired", "count", len(gone))
	p.changed.Ring()
}
