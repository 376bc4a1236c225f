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
// after those that they spend, pay for themselves, and may replace nothing. At the first
// one that is refused the work ends; of those before it only scripts that were run by then
// are good. The error is an ErrLocal or the context's.
func (p *Pool) Try(ctx context.Context, txs []*types.Tx) ([]pending.Verdict, error) {
	results := make([]pending.Verdict, len(txs))
	if len(txs) == 0 {
		return results, nil
	}
	if err := checkPackage(txs); err != nil {
		return refuseAll(results, err), nil
	}
	g := &group{list: len(txs) > 1}
	for i, tx := range txs {
		c, err := p.newCandidate(tx, p.now())
		if err != nil {
			return p.refuseTrial(ctx, g, results, i, err)
		}
		g.candidates = append(g.candidates, c)
	}
	for {
		failed, err := p.examine(ctx, g)
		switch {
		case err == nil:
			copy(results, g.verdicts())
			return results, nil
		case errors.Is(err, errMoved):
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return nil, err
		case failed < 0:
			return refuseAll(results, err), nil
		default:
			return p.refuseTrial(ctx, g, results, failed, err)
		}
	}
}

// refuseAll notes that a list is refused as a whole.
func refuseAll(results []pending.Verdict, err error) []pending.Verdict {
	for i := range results {
		results[i].PackageErr = err
	}
	return results
}

// refuseTrial notes that one of a list is refused. Those before it were not looked at in
// the same order: each step is taken with all before the next one. So what is wrong with
// them is told first, and if nothing is and only scripts were left, they are good.
func (p *Pool) refuseTrial(ctx context.Context, g *group, results []pending.Verdict, failed int, fault error) ([]pending.Verdict, error) {
	earlier := &group{candidates: g.candidates[:failed], list: true}
	for failed > 0 {
		at, err := p.price(ctx, earlier.candidates)
		if err == nil {
			p.mu.Lock()
			_, at, err = p.screen(earlier)
			p.mu.Unlock()
		}
		if err == nil && g.change != nil { // it failed by its scripts
			at, err = p.verify(earlier.candidates...)
		}
		switch {
		case err == nil:
			if g.change != nil {
				copy(results, earlier.verdicts())
			}
			results[failed].Err = fault
			return results, nil
		case errors.Is(err, errMoved):
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return nil, err
		default:
			failed, fault = at, err
			earlier.candidates = earlier.candidates[:at]
		}
	}
	results[failed].Err = fault
	return results, nil
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
