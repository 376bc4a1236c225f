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
// With ReasonInPool the entry that is there is returned too. pending.WorkOf tells what
// the answer has cost.
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
	for {
		err := p.examine(ctx, c)
		switch {
		case err != nil:
		case c.Exceeds(maxFeeRate): // last, as in Bitcoin Core: any other fault is told first
			err = policy(pending.ReasonMaxFee, "%d grains are more than %d", c.Fee, maxFeeRate.Fee(c.VSize))
		default:
			err = p.insert(c)
		}
		switch {
		case err == nil:
			return c.Entry, nil
		case errors.Is(err, ReasonInPool):
			return p.GetByWitness(c.WTxID), err // nil, if it has left again meanwhile
		case !errors.Is(err, errMoved):
			return nil, &pending.Refusal{Err: err, Work: c.work}
		}
	}
}

// examine does everything but the insertion. Scripts cost most and come last, so that
// nobody makes this node run them for a transaction that it would refuse anyway.
func (p *Pool) examine(ctx context.Context, c *candidate) error {
	state, _, err := p.findCoins(ctx, []*candidate{c})
	if err != nil {
		return err
	}
	if c.Fee, err = p.checkSpends(c, &state); err != nil {
		return err
	}
	c.Height = state.Index.Height
	// The lock is given back before the scripts run, so that the pool may change until
	// the insertion. insert notices.
	p.mu.Lock()
	err = p.fit(c, true)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.verify(c)
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

// fit finds out how the candidate would fit into the pool: whether it pays enough,
// what it replaces, and how large its cluster becomes. It sets c.change, and changes
// nothing else. It assumes mu.
func (p *Pool) fit(c *candidate, replace bool) error {
	c.change = nil
	if err := p.checkNew(c); err != nil {
		return err
	}
	for _, txid := range c.parents {
		if p.graph.byTxID[txid] == nil {
			return errMoved // a parent is confirmed or has left since its coins were found
		}
	}
	if floor := p.rollingMinimum().Fee(c.VSize); c.Fee < floor {
		return policy(ReasonMempoolMinFee, "%d grains are less than %d", c.Fee, floor)
	}
	if floor := p.options.MinRelay.Fee(c.VSize); c.Fee < floor {
		return policy(ReasonMinRelayFee, "%d grains are less than %d", c.Fee, floor)
	}
	conflicts := p.graph.conflicts(c.Tx)
	if len(conflicts) > 0 && !replace {
		return policy(ReasonNoReplacement, "it spends what %s spends", conflicts[0].TxID)
	}
	var err error
	c.change, err = p.graph.replacement(c.Entry, conflicts, p.options.IncrementalRelay)
	return err
}

// insert puts a candidate that was examined into the pool, and evicts what has no more
// room then, which may be the candidate itself.
func (p *Pool) insert(c *candidate) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rebuilding || p.position != c.position {
		return errMoved
	}
	if !c.change.isCurrent(p.graph) {
		// Another transaction was faster. Scripts and coins are as they were, since the
		// block is the same.
		if err := p.fit(c, true); err != nil {
			return err
		}
	}
	replaced := c.change.remove
	c.Work = c.work
	p.graph.apply(c.change)
	c.change = nil // the entry lives on, and what the change refers to need not
	p.changes += uint64(1 + len(replaced))
	p.trim()
	p.changed.Ring()
	if p.graph.byTxID[c.TxID] == nil {
		return policy(ReasonFull, "the pool is full of transactions that pay more")
	}
	p.accepted.add(c.WTxID)
	if len(replaced) > 0 {
		p.log.Debug("transaction replaced others", "txid", c.TxID, "replaced", len(replaced))
	}
	return nil
}

// trim evicts what pays worst until the rest fits into memory. From then on a
// transaction must pay more than what was evicted, or it would come back at once and
// be relayed again and again for nothing. It assumes mu.
func (p *Pool) trim() {
	evicted := 0
	for p.graph.usage > p.options.MaxBytes {
		nodes, worst := p.graph.evict()
		p.rolling.raise(worst.feeRate(), p.options.IncrementalRelay)
		evicted += len(nodes)
	}
	p.changes += uint64(evicted)
	if evicted > 0 {
		p.log.Debug("evicted transactions", "count", evicted, "minimum", p.minFeeRate())
	}
}
