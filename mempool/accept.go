package mempool

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Accept takes a transaction into the pool, which keeps a copy of it, and returns its
// entry. The transaction may replace others: BIP125, without its signalling. If the
// pool is about to follow the chain, Accept waits for that.
//
// A transaction that pays more than maxFeeRate for its size is refused with
// pending.ReasonMaxFee; 0 is no limit. This guards senders who forgot the change: what
// a transaction pays does not stand in it, and only who knows its coins can tell.
//
// The error is of one of consensus's kinds: ErrInvalid if no block can hold the
// transaction, ErrNotYet if a later one may (inputs missing, locks, immature
// coins), ErrPolicy if this pool does not want it, ErrLocal; or the context's.
// With ReasonInPool the entry that is there is returned too. Entry.Work or a
// *pending.Refusal tells what the answer has cost.
func (p *Pool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	return p.accept(ctx, tx, maxFeeRate, p.now())
}

// errMoved says that the chain or the pool has changed while a transaction was
// examined, so that it has to be examined again.
var errMoved = errors.New("the chain or the pool has moved")

func (p *Pool) accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate, at time.Time) (*pending.Entry, error) {
	c, err := p.newCandidate(tx, at)
	if err != nil {
		return nil, err
	}
	_, err = p.admit(ctx, &group{candidates: []*candidate{c}}, maxFeeRate)
	switch {
	case err == nil:
		return c.Entry, nil
	case errors.Is(err, ReasonInPool):
		return p.GetByWitness(c.WTxID), err // nil, if it has left again meanwhile
	}
	p.log.Debug("a transaction is refused", "txid", c.TxID, "reason", err, "work", c.work)
	return nil, &pending.Refusal{Err: err, Work: c.work}
}

// admit examines a group until it is in or is refused. Then it returns which of its
// candidates is at fault, -1 if none is alone, and why.
func (p *Pool) admit(ctx context.Context, g *group, maxFeeRate types.FeeRate) (failed int, err error) {
	for {
		failed, err = p.examine(ctx, g)
		if err == nil { // last, as in Bitcoin Core: any other fault is told first
			failed, err = g.checkMaxFee(maxFeeRate)
		}
		if err == nil {
			failed, err = p.insert(g)
		}
		if !errors.Is(err, errMoved) {
			return failed, err
		}
	}
}

// checkMaxFee holds each candidate against what its sender wants to pay at most.
func (g *group) checkMaxFee(limit types.FeeRate) (failed int, err error) {
	for i, c := range g.candidates {
		if c.Exceeds(limit) {
			return i, policy(pending.ReasonMaxFee, "%d grains are more than %d", c.Fee, limit.Fee(c.VSize))
		}
	}
	return 0, nil
}

// examine does everything but the insertion. Scripts cost most and come last, so that
// nobody makes this node run them for a transaction that it would refuse anyway.
func (p *Pool) examine(ctx context.Context, g *group) (failed int, err error) {
	if failed, err := p.price(ctx, g.candidates); err != nil {
		return failed, err
	}
	// The lock is given back before the scripts run, so that the pool may change until
	// the insertion. insert notices.
	p.mu.Lock()
	failed, err = p.fit(g)
	p.mu.Unlock()
	if err != nil {
		return failed, err
	}
	return p.verify(g.candidates...)
}

// price finds the coins that candidates spend, and so what they pay. It checks what
// depends on the coins alone.
func (p *Pool) price(ctx context.Context, candidates []*candidate) (failed int, err error) {
	state, failed, err := p.findCoins(ctx, candidates)
	if err != nil {
		return failed, err
	}
	for i, c := range candidates {
		if c.Fee, err = p.checkSpends(c, &state); err != nil {
			return i, err
		}
		c.Height = state.Index.Height
	}
	return 0, nil
}

// checkNew refuses what the pool has. It assumes mu.
func (p *Pool) checkNew(c *candidate) error {
	if p.graph.byWTxID[c.WTxID] != nil {
		return policy(ReasonInPool, "")
	}
	if n := p.graph.byTxID[c.TxID]; n != nil {
		return policy(ReasonSameTxID, "the pool has it with another witness (%s)", n.WTxID)
	}
	return nil
}

// checkSpends checks the rules and the policy that need coins, and returns the fee.
func (p *Pool) checkSpends(c *candidate, state *consensus.State) (types.Amount, error) {
	fee, err := consensus.ConnectTransaction(p.params, state, c.Tx, c.coins, p.chain)
	if errors.Is(err, consensus.ReasonPrematureSpend) {
		// In Bitcoin's rules that is ErrInvalid. But whoever sent it may be a block
		// ahead of this node, and must not pay for that.
		return 0, refuse(consensus.ErrNotYet, consensus.ReasonPrematureSpend, "a coinbase that is spent is too young")
	}
	if err != nil {
		return 0, err
	}
	return fee, checkInputs(c.Tx, c.coins)
}

// fit finds out how a group would fit into the pool: whether it pays enough, what it
// replaces, how large its cluster becomes, and whether there is room for it. It sets
// g.change, and changes nothing else. It assumes mu.
func (p *Pool) fit(g *group) (failed int, err error) {
	g.change = nil
	conflicts, failed, err := p.screen(g)
	if err != nil {
		return failed, err
	}
	if len(g.candidates) > 1 {
		if failed, err := p.screenTogether(g); err != nil {
			return failed, err
		}
	}
	g.candidates[0].work.Relatives += p.graph.relatives(g.txs(), conflicts)
	change, err := p.graph.replacement(g, conflicts, p.options.IncrementalRelay)
	if err != nil {
		return g.whole(), err
	}
	if !g.isFamily() && g.isTooDear(g.candidates[0]) {
		return 0, policy(pending.ReasonMaxFeeRate, "")
	}
	if failed, err := p.checkDustSpent(g); err != nil {
		return failed, err
	}
	// Scripts would be run for nothing otherwise, again and again and for no fee.
	if !change.survives(p.options.MaxBytes + p.spare(g)) {
		return g.whole(), policy(pending.ReasonFull, "")
	}
	g.change = change
	return 0, nil
}

// spare is how many bytes more than usual a part of a package may make the pool take:
// those of the parts that are in already, and which the last one may yet pay for. Together
// a package finds room or does not. It assumes mu.
func (p *Pool) spare(g *group) (bytes int) {
	if g.isFamily() {
		return 0
	}
	for _, txid := range g.early {
		if n := p.graph.byTxID[txid]; n != nil {
			bytes += usageOf(n.Entry)
		}
	}
	return bytes
}

// insert puts a group that was examined into the pool, and evicts what has no more
// room then. Of a package a part does not: makeRoom does when all parts were tried.
func (p *Pool) insert(g *group) (failed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rebuilding || p.position != g.candidates[0].position {
		return 0, errMoved
	}
	if !g.change.isCurrent(p.graph) {
		// Another transaction was faster. Scripts and coins are as they were, since the
		// block is the same.
		if failed, err := p.fit(g); err != nil {
			return failed, err
		}
	}
	for _, c := range g.candidates {
		c.Work = c.work
	}
	p.graph.apply(g.change)
	for _, n := range g.change.remove {
		p.journal.add(n.Entry, pending.LeftReplaced)
		g.replaced = append(g.replaced, n.TxID)
		delete(p.local, n.TxID)
	}
	p.changes += uint64(len(g.change.add) + len(g.change.remove))
	if len(g.change.remove) > 0 {
		p.log.Debug("transactions were replaced", "txid", g.candidates[0].TxID, "replaced", len(g.replaced))
	}
	for _, n := range g.change.add {
		p.journal.add(n.Entry, "")
	}
	g.change = nil // the entries live on, and what the change refers to need not
	p.expire()
	if !g.part {
		p.trim()
	}
	p.changed.Ring()
	for _, c := range g.candidates {
		if p.graph.byTxID[c.TxID] != nil {
			p.accepted.add(c.WTxID)
		} else {
			failed, err = g.whole(), policy(pending.ReasonFull, "")
		}
	}
	return failed, err
}

// makeRoom evicts what has no room.
func (p *Pool) makeRoom() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trim()
	p.changed.Ring()
}

// remove takes nodes out of the graph, and not their descendants. It assumes mu.
func (p *Pool) remove(nodes []*txNode, why pending.Departure) {
	p.changes += uint64(len(nodes))
	for _, n := range nodes {
		p.journal.add(n.Entry, why)
		delete(p.local, n.TxID)
	}
	p.graph.remove(nodes)
}

// trim evicts what pays worst until the rest fits into memory. From then on a
// transaction must pay more than what was evicted, or it would come back at once and
// be relayed again and again for nothing. It assumes mu.
func (p *Pool) trim() {
	evicted := 0
	for p.graph.usage > p.options.MaxBytes {
		nodes, worst := p.graph.worst()
		p.rolling.raise(worst.feeRate(), p.options.IncrementalRelay)
		p.remove(nodes, pending.LeftEvicted)
		evicted += len(nodes)
	}
	if evicted > 0 {
		p.log.Debug("evicted transactions", "count", evicted, "minimum", p.minFeeRate())
	}
}
