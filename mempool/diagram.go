package mempool

import (
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Cluster returns the chunks of the cluster that a transaction is in, in the order in which
// a miner would take them; none if it is not in the pool.
func (p *Pool) Cluster(txid types.Hash) []pending.Chunk {
	p.mu.Lock()
	n := p.graph.byTxID[txid]
	if n == nil {
		p.mu.Unlock()
		return nil
	}
	c := n.cluster // which does not change
	p.mu.Unlock()
	chunks := make([]pending.Chunk, len(c.chunks))
	for i := range c.chunks {
		part := &c.chunks[i]
		chunks[i] = pending.Chunk{Fees: part.fee, Weight: part.weight}
		for _, n := range c.nodes[part.first:part.end] {
			chunks[i].TxIDs = append(chunks[i].TxIDs, n.TxID)
		}
	}
	return chunks
}

// Diagram returns the corners of the pool's feerate diagram, from its origin on: what all
// chunks pay up to a weight, the best first.
func (p *Pool) Diagram() []pending.Corner {
	ranking, _ := p.snapshot()
	corners := []pending.Corner{{}}
	var sum pending.Corner
	for r := range ranking.bestFirst() {
		sum.Weight += int64(r.weight)
		sum.Fees = saturatingAdd(sum.Fees, r.fee)
		corners = append(corners, sum)
	}
	return corners
}
