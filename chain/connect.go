package chain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// AddBlock adds one block and waits for its verdict. It returns what header.Result's
// Err would be, the context's error, or an ErrLocal, after which the chain does nothing
// more.
func (c *Chain) AddBlock(ctx context.Context, raw []byte) error {
	var verdict error
	err := c.AddBlocks(ctx, func(yield func([]byte) bool) { yield(raw) }, func(r header.Result) { verdict = r.Err })
	if err != nil {
		return err
	}
	return verdict
}

// AddBlocks adds encoded blocks. They may come in any order in which each block's
// header, or its parent's, is known by then. It stores them and follows the best
// chain. Scripts are checked meanwhile on all cores, in batches that span blocks,
// so the verdict on a block may come after later blocks were taken.
//
// report is called from this goroutine, once for each block. It is called again,
// with an error, for a block that was accepted beside the best chain and broke a
// rule when it was connected. A broken rule does not end the work. The error that
// is returned is the context's, or an ErrLocal.
func (c *Chain) AddBlocks(ctx context.Context, raws iter.Seq[[]byte], report func(header.Result)) error {
	if err := c.turn.Take(ctx); err != nil {
		return err
	}
	defer c.turn.Give()
	if c.fault != nil {
		return c.fault
	}
	for p := range prepare(ctx, c.params, raws, c.workers, &c.effort) {
		if err := c.addPrepared(ctx, p, report); err != nil {
			// The workers end unheard. After an ErrLocal this coin set is used no
			// further, and at the end of the context nothing is under way.
			c.pipe.drain()
			return c.fail(err)
		}
	}
	if err := c.activate(ctx, report); err != nil {
		return c.fail(err)
	}
	if err := c.save(); err != nil {
		return c.fail(consensus.Local(err))
	}
	return ctx.Err()
}

// addPrepared takes the quick way for a block that follows on what the coins
// reflect, which nearly all do. Any other is stored, reported, and left to the walk.
func (c *Chain) addPrepared(ctx context.Context, p *prepared, report func(header.Result)) error {
	if p.block == nil {
		r := header.Result{Err: p.err}
		if len(p.raw) >= types.HeaderSize { // who gave it can tell which it was
			r.Block.Hash = types.DoubleSHA256(p.raw[:types.HeaderSize])
		}
		report(r)
		return nil
	}
	n, added, err := c.accept(p)
	if errors.Is(err, consensus.ErrLocal) {
		return err
	}
	if added && c.isNext(n) {
		if err := c.connect(n, p.block, true, report); err != nil {
			return err
		}
		return c.pace(report)
	}
	result := header.Result{Block: types.Index{Hash: p.block.Hash}, Txs: len(p.block.Block.Txs), Err: err}
	if n != nil {
		result.Block.Height = n.height
	}
	report(result)
	if !added {
		return nil
	}
	if best := c.bestCandidate(); best == nil || best == c.coinsTip {
		return nil
	}
	return c.activate(ctx, report)
}

// accept stores the body of a block, and its header if that is new, and reports
// whether the body is new. The blockNode is nil if the header was not accepted. A pruned
// body that is wanted again is stored and not new: the block was connected once.
func (c *Chain) accept(p *prepared) (n *blockNode, added bool, err error) {
	c.mu.Lock()
	n, err = c.addHeader(&p.block.Block.Header, p.block.Hash, c.now().Unix())
	again := err == nil && c.wanted[p.block.Hash] && n.status.Has(header.StatusValid) && !n.status.Has(header.StatusBody)
	known := err == nil && (n.status.Has(header.StatusBody) || n.status.Has(header.StatusValid))
	c.mu.Unlock()
	if err != nil || known && !again {
		return n, false, err
	}
	if err = p.err; err == nil {
		state := n.parent.state()
		err = consensus.ValidateBlock(c.params, &state, p.block)
	}
	if err != nil {
		if isInvalid(err) { // else another body may have this hash, or the same one be good later
			c.refuse(n)
		}
		return n, false, err
	}
	if err := c.store.WriteBlock(n.index(), p.raw); err != nil {
		return n, false, consensus.Local(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.status |= header.StatusBody
	delete(c.wanted, p.block.Hash)
	if again {
		c.dirty[n] = struct{}{}
		return n, false, nil
	}
	n.txCount = uint32(len(p.block.Block.Txs))
	c.dirty[n] = struct{}{}
	c.link(n)
	return n, true, nil
}

// isInvalid reports whether the error is a broken rule that the block's hash
// commits to, so that the hash may be remembered.
func isInvalid(err error) bool {
	return errors.Is(err, consensus.ErrInvalid) && !errors.Is(err, consensus.ErrMutated)
}

// activate walks: it moves the coins to the best candidate until there is no better
// one, waits for every verdict, and publishes the tip. A block that breaks a rule
// half-way is no candidate any more, and neither is what stands on it; so the next
// best chain is tried, and the walk ends on the best valid chain that is stored.
func (c *Chain) activate(ctx context.Context, report func(header.Result)) error {
	if report == nil {
		report = func(header.Result) {}
	}
	for {
		best := c.bestCandidate()
		if best == nil {
			return consensus.Local(errors.New("no block is left that could be the tip"))
		}
		if best == c.coinsTip {
			if err := c.settleAll(report); err != nil {
				return err
			}
			if c.bestCandidate() == c.coinsTip {
				c.setTip(c.coinsTip)
				return nil
			}
			continue
		}
		if err := c.moveTowards(ctx, best, report); err != nil {
			if !errors.Is(err, consensus.ErrLocal) {
				c.setTip(c.coinsTip) // it ended early, perhaps below the old tip, where the coins now are
			}
			return err
		}
	}
}

// moveTowards disconnects to the fork with best, then connects blocks until
// best is reached or a block is refused.
func (c *Chain) moveTowards(ctx context.Context, best *blockNode, report func(header.Result)) error {
	base := fork(c.coinsTip, best)
	if base != c.coinsTip {
		// With its verdict a block is recorded as one that can be undone, and a bad
		// verdict moves coinsTip.
		if err := c.settleAll(report); err != nil {
			return err
		}
		base = fork(c.coinsTip, best)
		if c.coinsTip != base {
			c.log.Info("reorganising", "from", c.coinsTip.index(), "fork", base.index(), "to", best.index())
		}
		if err := c.canUndoTo(base); err != nil {
			// To stay would be to follow a chain that others have left.
			return consensus.Local(fmt.Errorf("the best chain, to block %s, cannot be followed: %w; remove the data directory and sync again",
				best.index(), err))
		}
		if err := c.disconnectTo(base); err != nil {
			return err
		}
	}
	for _, n := range best.pathFrom(base) {
		if n.parent != c.coinsTip || c.isRefused(n) {
			return nil // a block on the way fell: activate looks for the best again
		}
		if err := ctx.Err(); err != nil {
			return errors.Join(err, c.settleAll(report))
		}
		block, err := c.readBlock(n)
		if err != nil {
			return err
		}
		if err := c.connect(n, block, false, report); err != nil {
			return err
		}
		if err := c.pace(report); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) isRefused(n *blockNode) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return n.refused()
}

// readBlock reads a body back. What is stored was checked before it was
// written, so a body that cannot be read is the disk's fault.
func (c *Chain) readBlock(n *blockNode) (*consensus.HashedBlock, error) {
	raw, err := c.store.ReadBlock(n.hash)
	if err != nil {
		return nil, consensus.Local(err) // it names the block
	}
	block, err := consensus.DecodeBlock(raw)
	if err != nil || block.Hash != n.hash {
		return nil, consensus.Local(fmt.Errorf("block %s: the stored body is not the block's: %v", n.index(), err))
	}
	return block, nil
}

// connect applies the block on top of what the coins reflect and sends its
// scripts to be checked. A block that breaks a rule is refused and reported, and
// the error is nil. announce says whether success is reported as well: for a block
// that was accepted earlier it is not.
func (c *Chain) connect(n *blockNode, block *consensus.HashedBlock, announce bool, report func(header.Result)) error {
	needed := consensus.CoinsNeeded(c.params, n.height, block)
	coins := make([]consensus.FetchedCoin, len(needed))
	began := time.Now()
	if err := c.store.FetchCoins(needed, coins); err != nil {
		return consensus.Local(err)
	}
	since(&c.effort.coins, began)
	state := n.parent.state()
	connection, err := consensus.ConnectBlock(c.params, &state, block, coins, ancestry{n.parent})
	if err != nil {
		// Blocks below may still be waiting for their verdicts; if one of them
		// falls, this one falls with it and has no fault of its own.
		if settleErr := c.settleAll(report); settleErr != nil {
			return settleErr
		}
		if c.isRefused(n) {
			report(fallen(n))
			return nil
		}
		return c.broken(n, err, report)
	}
	if err := c.store.ApplyUpdate(&connection.Update); err != nil {
		return consensus.Local(err)
	}
	if !n.status.Has(header.StatusUndo) {
		if err := c.store.WriteUndo(n.index(), connection.Update.SpentCoins()); err != nil {
			return consensus.Local(err)
		}
	}
	c.coinsTip = n
	c.pipe.start(c.workers)
	c.pipe.push(&connecting{
		node: n, block: block, prevouts: connection.Prevouts, update: connection.Update, announce: announce,
	}, !n.status.Has(header.StatusValid) && !c.assumedValid(n))
	return nil
}

// broken refuses a block for the error that a rule gave, and reports it. An error
// of another kind is no verdict: it is passed on as a local fault.
func (c *Chain) broken(n *blockNode, err error, report func(header.Result)) error {
	if !errors.Is(err, consensus.ErrInvalid) {
		return consensus.Local(err)
	}
	c.effort.refused.Add(1)
	c.log.Warn("refused a block", "block", n.index(), "err", err)
	c.refuse(n)
	report(header.Result{Block: n.index(), Txs: int(n.txCount), Err: err})
	return nil
}

// assumedValid reports whether the block is an ancestor of the one that the
// network's file says to be valid, so that its scripts need no check. It counts
// only on the best header chain and behind enough work, so that nobody can feed a
// new node a short chain on which that block stands and nothing was checked.
func (c *Chain) assumedValid(n *blockNode) bool {
	if c.params.AssumeValid.IsZero() {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	anchor := c.tree[c.params.AssumeValid]
	return anchor != nil && anchor.descendsFrom(n) && c.bestHeader.descendsFrom(anchor) &&
		c.bestHeader.work.Cmp(c.params.MinimumChainWork) >= 0
}

// pace settles what is ready, and bounds what is only in memory: changed coins,
// blocks without a verdict, and records that a power cut would take.
func (c *Chain) pace(report func(header.Result)) error {
	if err := c.settle(report); err != nil {
		return err
	}
	now := c.now()
	switch {
	case c.store.NeedsFlush() || now.Sub(c.lastFlush) >= flushInterval:
		if err := c.settleAll(report); err != nil {
			return err
		}
		return consensus.Local(c.flush())
	case c.pipe.full():
		return c.settleAll(report)
	case now.Sub(c.lastSave) >= saveInterval:
		return consensus.Local(c.save())
	}
	return nil
}

// settleAll waits for all verdicts and acts on them.
func (c *Chain) settleAll(report func(header.Result)) error {
	c.pipe.drain()
	return c.settle(report)
}

// settle acts on the verdicts that are there, in the order of the chain: a valid
// block becomes the tip, and a bad one takes all above it along.
func (c *Chain) settle(report func(header.Result)) error {
	for {
		done := c.pipe.settled()
		if done == nil {
			return nil
		}
		if done.doubtful.Load() {
			if err := done.recheck(); err != nil {
				return c.rollBack(done, err, report)
			}
		}
		c.mu.Lock()
		done.node.status |= header.StatusValid | header.StatusUndo
		c.dirty[done.node] = struct{}{}
		better := done.node.better(c.tip)
		update := done.update // a copy: what else was needed to connect it need not stay in memory
		c.latest = latest{done.node.hash, consensus.BlockUpdate{Block: done.block, Update: &update}}
		c.mu.Unlock()
		c.effort.settled(done.block, len(done.prevouts))
		if better {
			c.setTip(done.node)
		}
		if done.announce {
			report(header.Result{Block: done.node.index(), Txs: int(done.node.txCount)})
		}
	}
}

// rollBack takes a block whose scripts failed, and all blocks that were
// connected on it meanwhile, out of the coin cache again. Their updates are still in
// memory, so no undo data is read; and no flush has written them.
func (c *Chain) rollBack(bad *connecting, verdict error, report func(header.Result)) error {
	c.pipe.drain()
	lost := append([]*connecting{bad}, c.pipe.unsettled...)
	c.pipe.unsettled, c.pipe.bytes = nil, 0
	for i := len(lost) - 1; i >= 0; i-- {
		if err := c.store.RevertUpdate(&lost[i].update); err != nil {
			return consensus.Local(err)
		}
		c.coinsTip = lost[i].node.parent
	}
	if err := c.broken(bad.node, verdict, report); err != nil {
		return err
	}
	for _, above := range lost[1:] {
		report(fallen(above.node))
	}
	return nil
}

// fallen is the result for a block that hangs on one that was refused.
func fallen(n *blockNode) header.Result {
	return header.Result{Block: n.index(), Txs: int(n.txCount), Err: &consensus.RuleError{
		Kind: consensus.ErrInvalid, Reason: consensus.ReasonParentInvalid, Detail: "a block below it broke a rule",
	}}
}

// canUndoTo reports, before anything is undone, whether the blocks above base can
// all be taken out of the coin cache. Half-way down there would be no way back.
func (c *Chain) canUndoTo(base *blockNode) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for n := c.coinsTip; n != base; n = n.parent {
		if !n.status.Has(header.StatusBody | header.StatusUndo) {
			return fmt.Errorf("undoing blocks down to %s: %w, %s among them", base.index(), ErrPruned, n.index())
		}
	}
	return nil
}

// disconnectTo takes the blocks above base out of the coin cache.
func (c *Chain) disconnectTo(base *blockNode) error {
	for c.coinsTip != base {
		if err := c.disconnect(); err != nil {
			return err
		}
		if c.store.NeedsFlush() {
			if err := c.flush(); err != nil {
				return consensus.Local(err)
			}
		}
	}
	return nil
}

// disconnect takes the last connected block out of the coin cache. No scripts
// may be under way.
func (c *Chain) disconnect() error {
	n := c.coinsTip
	u, err := c.blockUpdate(n)
	if err != nil {
		return consensus.Local(err)
	}
	if err := c.store.RevertUpdate(u.Update); err != nil {
		return consensus.Local(err)
	}
	c.effort.disconnected.Add(1)
	c.coinsTip = n.parent
	return nil
}

// refuse marks a block as invalid and all above it as its descendants. It looks at
// the whole tree: a refused block is rare, for each has cost its work.
func (c *Chain) refuse(n *blockNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.status |= header.StatusInvalid
	c.dirty[n] = struct{}{}
	c.noteRefused(n)
	for _, above := range c.tree {
		if above != n && !above.status.Has(header.StatusInvalidAncestor) && above.descendsFrom(n) {
			above.status |= header.StatusInvalidAncestor
			c.dirty[above] = struct{}{}
			c.noteRefused(above)
		}
	}
	c.rebuildCandidates()
	c.moved.Ring() // the tip has not changed, but RefusedAhead may
}
