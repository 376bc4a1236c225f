package mempool

import (
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// screen checks the candidates of a group one after another, each against the pool alone,
// and returns what they would replace. It assumes mu.
func (p *Pool) screen(g *group) (conflicts []*txNode, failed int, err error) {
	g.sibling = false
	var all once
	for i, c := range g.candidates {
		c.modified = p.graph.modified(c.Entry)
		own, err := p.screenOne(g, c)
		if err == nil && g.isFamily() && g.isTooDear(c) {
			err = policy(pending.ReasonMaxFeeRate, "")
		}
		if err != nil {
			return nil, i, err
		}
		for _, n := range own {
			all.add(n)
		}
	}
	return all.nodes, 0, nil
}

// screenOne is screen for one candidate.
func (p *Pool) screenOne(g *group, c *candidate) (conflicts []*txNode, err error) {
	if err := p.checkNew(c); err != nil {
		return nil, err
	}
	for _, txid := range c.parents {
		if p.graph.byTxID[txid] == nil && !g.has(txid) {
			return nil, errMoved // a parent is confirmed or has left since its coins were found
		}
	}
	conflicts = p.graph.conflicts(c.Tx)
	if len(conflicts) > 0 && g.list {
		return nil, policy(ReasonNoReplacement, "")
	}
	if err := p.checkDustFee(c.Entry, c.modified); err != nil {
		return nil, err
	}
	if !g.isFamily() {
		if err := p.checkFee(c.modified, c.VSize); err != nil {
			return nil, err
		}
	}
	sibling, err := checkTRUC(c.Entry, p.graph.parents(c.Tx), conflicts)
	if sibling != nil && len(g.candidates) == 1 && !g.list {
		g.sibling = true
		return append(conflicts, sibling), nil
	}
	return conflicts, err
}

// screenTogether checks what several candidates are for each other. What they must pay
// they pay together, unless they are only tried. It assumes mu.
func (p *Pool) screenTogether(g *group) (failed int, err error) {
	entries := g.entries()
	for _, e := range entries {
		if err := checkPackageTRUC(e, entries, p.graph.parents(e.Tx)); err != nil {
			return -1, err
		}
	}
	if g.isFamily() {
		total := g.total()
		return g.last(), p.checkFee(total.Fees, total.VSize)
	}
	return 0, nil
}

// isTooDear reports whether a candidate pays more than its sender wants to.
func (g *group) isTooDear(c *candidate) bool {
	return g.limit > 0 && compareRates(c.modified, c.VSize, types.Amount(g.limit), 1000) > 0
}

// checkFee checks that a fee is enough for a size in virtual bytes. It assumes mu.
func (p *Pool) checkFee(fee types.Amount, vsize int) error {
	if floor := p.rollingMinimum().Fee(vsize); floor > 0 && fee < floor {
		return policy(pending.ReasonMempoolMinFee, "%d < %d", fee, floor)
	}
	if floor := p.options.MinRelay.Fee(vsize); fee < floor {
		return policy(pending.ReasonMinRelayFee, "%d < %d", fee, floor)
	}
	return nil
}
