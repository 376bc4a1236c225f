package mempool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// AcceptPackage takes a child into the pool together with parents of it that may be too
// cheap to come in by themselves: all of them, or none. The child comes last, each parent
// after those that it spends, and what the pool has already is passed over. Parents that
// pay too little are judged with the child that pays for them, by what all of these pay
// for all their size. The idea is Bitcoin Core's, and so are the bounds; but where Core
// lets only version 3 pay less than the relay minimum, here any may, because what nobody
// pays for any longer leaves at once.
//
// A package may replace others if it is one parent and one child, both new, which spend
// nothing else that waits (Core's rule), and if they pay for that together.
//
// A transaction that pays more than maxFeeRate for its own size is refused, as by Accept.
// The error is of the same kinds. It is a *pending.Refusal, which tells which transaction
// is at fault, unless it is the context's or an ErrLocal.
func (p *Pool) AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pending.Package, error) {
	return p.acceptPackage(ctx, txs, maxFeeRate, p.now())
}

func (p *Pool) acceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate, at time.Time) (pending.Package, error) {
	err := checkPackage(txs)
	if err == nil {
		err = checkFamily(txs)
	}
	if err != nil {
		return pending.Package{}, &pending.Refusal{Err: err, Failed: -1}
	}
	candidates := make([]*candidate, len(txs))
	for i, tx := range txs {
		if candidates[i], err = p.newCandidate(tx, at); err != nil {
			return pending.Package{}, &pending.Refusal{Err: err, Failed: i}
		}
	}
	for {
		g := &group{candidates: p.absent(candidates)}
		failed := 0
		if len(g.candidates) > 0 {
			failed, err = p.admit(ctx, g, maxFeeRate)
		}
		switch {
		case err == nil:
			if result, ok := p.packageOf(candidates, g); ok {
				return result, nil
			}
			continue // one that was there has left
		case errors.Is(err, ReasonInPool), errors.Is(err, ReasonSameTxID):
			err = nil
			continue // somebody else brought one meanwhile
		case errors.Is(err, consensus.ErrLocal) || ctx.Err() != nil:
			return pending.Package{}, err
		}
		refusal := &pending.Refusal{Err: err, Failed: -1}
		if failed >= 0 {
			refusal.Failed = slices.Index(candidates, g.candidates[failed])
		}
		for _, c := range candidates {
			refusal.Work.Add(c.work)
		}
		return pending.Package{}, refusal
	}
}

// checkFamily checks that the last transaction spends all others.
func checkFamily(txs []*types.Tx) error {
	if len(txs) == 0 {
		return policy(ReasonPackageTopology, "it is empty")
	}
	child := txs[len(txs)-1]
	spends := map[types.Hash]bool{}
	for i := range child.Inputs {
		spends[child.Inputs[i].PreviousOutPoint.TxID] = true
	}
	for i, tx := range txs[:len(txs)-1] {
		if !spends[tx.TxID()] {
			return policy(ReasonPackageTopology, "the last one spends nothing of number %d", i)
		}
	}
	return nil
}

// absent returns the candidates that the pool has not, with any witness: their children
// can spend one as well as the other.
func (p *Pool) absent(candidates []*candidate) []*candidate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(candidates), func(c *candidate) bool { return p.graph.byTxID[c.TxID] != nil })
}

// packageOf returns what became of candidates that are in. It reports false if one has
// left again.
func (p *Pool) packageOf(candidates []*candidate, g *group) (pending.Package, bool) {
	result := pending.Package{Joint: g.joint, Replaced: g.replaced}
	for _, c := range candidates {
		e := c.Entry
		if !slices.Contains(g.candidates, c) {
			if e = p.Get(c.TxID); e == nil {
				return pending.Package{}, false
			}
		}
		result.Entries = append(result.Entries, e)
	}
	return result, true
}

// checkReplacing checks whether a group may replace others at all. A larger family, or
// one with relatives in the pool, could make it hard to tell what is better.
func (g *group) checkReplacing(conflicts []*txNode) error {
	if len(conflicts) == 0 || len(g.candidates) == 1 {
		return nil
	}
	parent, child := g.candidates[0], g.candidates[len(g.candidates)-1]
	switch {
	case len(g.candidates) > 2:
		return policy(ReasonPackageReplaces, "package must be 1-parent-1-child")
	case len(parent.parents) > 0 || slices.ContainsFunc(child.parents, func(txid types.Hash) bool { return txid != parent.TxID }):
		return policy(ReasonPackageReplaces, "new transaction cannot have mempool ancestors")
	case compareRates(child.modified, child.VSize, parent.modified, parent.VSize) <= 0:
		return policy(ReasonPackageReplaces, "package feerate is less than or equal to parent feerate")
	}
	return nil
}

// unpaid returns the nodes of clusters for which a child paid, and nobody does any
// longer.
func unpaid(clusters []*cluster, least types.FeeRate) []*txNode {
	var nodes []*txNode
	for _, cluster := range clusters {
		for i := range cluster.chunks {
			c := &cluster.chunks[i]
			if c.feeRate() >= least {
				continue
			}
			for _, n := range cluster.nodes[c.first:c.end] {
				if n.sponsored {
					nodes = append(nodes, n)
				}
			}
		}
	}
	return nodes
}
