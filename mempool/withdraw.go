package mempool

import (
	"context"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Withdraw takes transactions out, as if they had never come. What spends of them must be
// among them, or it would wait for coins that nobody has. Others may come again.
func (p *Pool) Withdraw(ctx context.Context, txids []types.Hash) error {
	if err := p.following.Take(ctx); err != nil {
		return err
	}
	defer p.following.Give()
	p.mu.Lock()
	defer p.mu.Unlock()
	var nodes []*txNode
	for _, txid := range txids {
		if n := p.graph.byTxID[txid]; n != nil {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) > 0 {
		p.remove(nodes, pending.LeftReorg)
		p.changed.Ring()
	}
	return nil
}
