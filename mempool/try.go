package mempool

import (
	"context"
	"errors"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Try tells whether transactions would be accepted, and changes nothing, as Bitcoin
// Core's testmempoolaccept. A single one may replace others. Several must each come
// after those that they spend, and may replace nothing; at the first one that is
// refused the work ends. The error is an ErrLocal or the context's.
func (p *Pool) Try(ctx context.Context, txs []*types.Tx) ([]pending.Verdict, error) {
	results := make([]pending.Verdict, len(txs))
	if err := checkPackage(txs); err != nil {
		for i := range results {
			results[i].PackageErr = err
		}
		return results, nil
	}
	candidates := make([]*candidate, len(txs))
	for i, tx := range txs {
		var err error
		if candidates[i], err = p.newCandidate(tx, p.now()); err != nil {
			results[i].Err = err
			return results, nil
		}
	}
	if len(txs) == 0 {
		return results, nil
	}
	for {
		failed, err := p.tryAll(ctx, candidates)
		switch {
		case err == nil:
			for i, c := range candidates {
				results[i].Entry = c.Entry
			}
			return results, nil
		case errors.Is(err, errMoved):
			continue
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return nil, err
		}
		results[failed].Err = err
		return results, nil
	}
}

// checkPackage checks a list of several transactions as a whole, before any of them is
// looked at. The bounds keep the work small that a list can cause.
func checkPackage(txs []*types.Tx) error {
	if len(txs) < 2 {
		return nil
	}
	if len(txs) > MaxPackageCount {
		return policy(ReasonPackageCount, "%d transactions are more than %d", len(txs), MaxPackageCount)
	}
	weight := 0
	index := map[types.Hash]int{}
	for i, tx := range txs {
		weight += tx.Weight()
		txid := tx.TxID()
		if _, twice := index[txid]; twice {
			return policy(ReasonPackageRepeats, "")
		}
		index[txid] = i
	}
	if weight > MaxPackageWeight {
		return policy(ReasonPackageWeight, "a weight of %d is more than %d", weight, MaxPackageWeight)
	}
	spent := map[types.OutPoint]bool{}
	for i, tx := range txs {
		for j := range tx.Inputs {
			if parent, ok := index[tx.Inputs[j].PreviousOutPoint.TxID]; ok && parent >= i {
				return policy(ReasonPackageOrder, "")
			}
		}
		for j := range tx.Inputs {
			if spent[tx.Inputs[j].PreviousOutPoint] {
				return policy(ReasonPackageConflicts, "")
			}
		}
		// Only now: one that spends a coin twice breaks a rule of its own, of which the
		// others know nothing.
		for j := range tx.Inputs {
			spent[tx.Inputs[j].PreviousOutPoint] = true
		}
	}
	return nil
}

// tryAll examines candidates, and returns the first that is refused and why. It takes
// each step with all of them before the next, the dearest last.
func (p *Pool) tryAll(ctx context.Context, candidates []*candidate) (failed int, err error) {
	if len(candidates) == 1 {
		return p.examine(ctx, &group{candidates: candidates})
	}
	if failed, err := p.price(ctx, candidates); err != nil {
		return failed, err
	}
	if failed, err := p.fitAll(candidates); err != nil {
		return failed, err
	}
	return p.verify(candidates...)
}

// fitAll puts all candidates into the graph and takes them out again, under one lock,
// so that nobody sees them there. Clusters depend on nothing but the transactions in
// them, and so the graph is as before.
func (p *Pool) fitAll(candidates []*candidate) (failed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rebuilding || p.position != candidates[0].position {
		return 0, errMoved
	}
	var added []*txNode
	for i, c := range candidates {
		g := &group{candidates: []*candidate{c}}
		if _, err = p.fit(g, false); err != nil {
			failed = i
			break
		}
		added = append(added, g.change.add...)
		p.graph.apply(g.change)
	}
	p.graph.remove(added)
	return failed, err
}
