package mempool

import (
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
)

// checkDustFee refuses a transaction with dust that pays anything, or counts for anything
// by the operator's will: a miner would take it alone, and leave the dust in the coin set
// for ever. The rule is Bitcoin Core's.
func (p *Pool) checkDustFee(e *pending.Entry, modified types.Amount) error {
	if (e.Fee != 0 || modified != 0) && len(standard.Dust(e.Tx, p.options.DustRelay)) > 0 {
		return policy(ReasonDust, "tx with dust output must be 0-fee")
	}
	return nil
}

// checkDustSpent refuses a candidate that spends a waiting transaction with dust, and
// leaves that. It returns which of the group that is. It assumes mu, and that the
// candidates' clusters are within their bounds, which bound the work.
func (p *Pool) checkDustSpent(g *group) (failed int, err error) {
	for i, c := range g.candidates {
		if p.leavesDust(g, c) {
			return i, policy(ReasonEphemeralDust, "tx %s (wtxid=%s) did not spend parent's ephemeral dust", c.TxID, c.WTxID)
		}
	}
	return 0, nil
}

func (p *Pool) leavesDust(g *group, c *candidate) bool {
	dust := map[types.OutPoint]bool{}
	seen := map[types.Hash]bool{}
	for _, txid := range c.parents {
		if seen[txid] {
			continue
		}
		seen[txid] = true
		for _, index := range standard.Dust(p.waiting(g, txid).Tx, p.options.DustRelay) {
			dust[types.OutPoint{TxID: txid, Index: index}] = true
		}
	}
	if len(dust) == 0 {
		return false
	}
	for i := range c.Tx.Inputs {
		delete(dust, c.Tx.Inputs[i].PreviousOutPoint)
	}
	return len(dust) > 0
}

// waiting returns a transaction that a candidate spends: fit has seen that it is in the
// group or in the pool. It assumes mu.
func (p *Pool) waiting(g *group, txid types.Hash) *pending.Entry {
	for _, c := range g.candidates {
		if c.TxID == txid {
			return c.Entry
		}
	}
	return p.graph.byTxID[txid].Entry
}
