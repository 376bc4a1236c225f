package mempool

import (
	"context"
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Accept takes a transaction into the pool, which keeps a copy of it, and
// returns its entry. It may take the place of others (BIP125 without signalling).
// It waits for a change of the chain that is under way.
//
// A transaction that pays more than maxFeeRate for its size is refused with
// pending.ReasonMaxFee; 0 is no limit. Only the pool knows what a transaction pays,
// so its sender cannot see the slip of paying the change as a fee in time.
//
// The error is of one of consensus's kinds: ErrInvalid if no block can hold the
// transaction, ErrNotYet if a later one may (inputs missing, locks, immature
// coins), ErrPolicy if this pool does not want it, ErrLocal; or the context's.
// With ReasonInPool the entry that is there is returned too.
func (p *Pool) Accept(ctx context.Context, tx *types.Tx, maxFeeRate types.FeeRate) (*pending.Entry, error) {
	return p.accept(ctx, tx, maxFeeRate, p.now())
}

// errMoved says that the chain or the pool changed while a transaction was
// looked at, so that it has to be looked at again.
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
		case c.Exceeds(maxFeeRate): // last, as in Bitcoin Core: what is wrong otherwise is told first
			err = policy(pending.ReasonMaxFee, "%d grains are more than %d", c.Fee, maxFeeRate.Fee(c.VSize))
		default:
			err = p.insert(c)
		}
		switch {
		case err == nil:
			return c.Entry, nil
		case errors.Is(err, ReasonInPool):
			return p.GetByWitness(c.WTxID), err
		case !errors.Is(err, errMoved):
			return nil, err
		}
	}
}

// examine does everything but the insertion: rules, policy, and at last the
// scripts, which cost most.
func (p *Pool) examine(ctx context.Context, c *candidate) error {
	state, _, err := p.findCoins(ctx, []*candidate{c})
	if err != nil {
		return err
	}
	if c.Fee, err = p.checkSpends(c, &state); err != nil {
		return err
	}
	c.Height = state.Index.Height
	p.mu.Lock()
	err = p.fit(c, true)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.verify(c)
}

// duplicate refuses what the pool has. It assumes mu.
func (p *Pool) duplicate(c *candidate) error {
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
		// Who sent it may be a block ahead of this node.
		return 0, refuse(consensus.ErrNotYet, consensus.ReasonPrematureSpend, "a coinbase that is spent is too young")
	}
	if err != nil {
		return 0, err
	}
	return fee, checkInputs(c.Tx, c.coins)
}

// fit finds out how the candidate fits into the pool: its fee, what it replaces
// and how large its cluster becomes. It assumes mu, and sets c.change.
func (p *Pool) fit(c *candidate, replace bool) error {
	c.change = nil
	if err := p.duplicate(c); err != nil {
		return err
	}
	for _, txid := range c.parents {
		if p.graph.byTxID[txid] == nil {
			return errMoved
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

// insert puts a candidate that was examined into the pool.
func (p *Pool) insert(c *candidate) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rebuilding || p.position != c.position {
		return errMoved
	}
	if !c.change.current(p.graph) {
		if err := p.fit(c, true); err != nil {
			return err
		}
	}
	replaced := c.change.remove
	p.graph.apply(c.change)
	c.change = nil
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

// trim evicts what pays worst until the rest fits into memory. It assumes mu.
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
