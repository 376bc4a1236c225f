package mempool

import (
	"bytes"
	"maps"
	"math"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

const (
	// MaxDeltas is the number of transactions that may have a fee delta. Only the operator
	// gives them, and a program of the operator's that never stops must not fill the memory.
	MaxDeltas = 100_000
	// maxModifiedFee is what a fee with its delta counts for at most, in grains, and its
	// negative at least: ten million coins. Then no sum over the clusters that a transaction
	// may touch overflows.
	maxModifiedFee types.Amount = 1e15
)

// saturatingAdd adds two amounts. What does not fit is the greatest or the least amount.
func saturatingAdd(a, b types.Amount) types.Amount {
	switch sum := a + b; {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}

// newNode makes a node of an entry, which counts for its fee and the operator's delta.
func (g *graph) newNode(e *pending.Entry) *txNode {
	n := &txNode{Entry: e}
	if delta := g.deltas[e.TxID]; delta != 0 {
		n.delta = max(min(saturatingAdd(e.Fee, delta), max(maxModifiedFee, e.Fee)), -maxModifiedFee) - e.Fee
	}
	return n
}

// modified returns what the transaction counts for as a fee.
func (n *txNode) modified() types.Amount { return n.Fee + n.delta }

// modified returns what a transaction that is not in the graph would count for.
func (g *graph) modified(e *pending.Entry) types.Amount { return g.newNode(e).modified() }

// addTo counts the node in a total, by its modified fee.
func (n *txNode) addTo(t *pending.Total) {
	t.Add(n.Entry)
	t.Fees += n.delta
}

// reprice puts a node in the place of another one of the same transaction whose delta has
// changed. Nodes and clusters stay as they are, for those who still read them.
func (g *graph) reprice(old *txNode) {
	fresh := g.newNode(old.Entry)
	if fresh.delta == old.delta {
		return
	}
	nodes := slices.Clone(old.cluster.nodes)
	nodes[old.at] = fresh
	after, _ := g.clustersOf(nodes, 0)
	g.apply(&change{graph: g, version: g.version, remove: []*txNode{old}, add: []*txNode{fresh}, before: []*cluster{old.cluster}, after: after})
}

// Prioritise adds a delta, in grains, to what a transaction counts for as a fee: nobody
// pays it, but everything that weighs fees goes by it. The transaction need not be in the
// pool. The delta is kept until a block has the transaction or something that it conflicts
// with. It reports false, and does nothing, if there are MaxDeltas already. The idea is
// Bitcoin Core's, whose deltas add up in the same way.
func (p *Pool) Prioritise(txid types.Hash, delta types.Amount) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.graph.deltas[txid]
	if !known && len(p.graph.deltas) >= MaxDeltas {
		return false
	}
	after := saturatingAdd(before, delta)
	if after == 0 {
		delete(p.graph.deltas, txid)
	} else {
		p.graph.deltas[txid] = after
	}
	p.log.Info("a fee counts for more or less than is paid", "txid", txid, "delta", delta, "all", after)
	p.marks++
	p.graph.version++ // what is examined just now goes by the old delta
	if n := p.graph.byTxID[txid]; n != nil {
		p.graph.reprice(n)
		p.changes++
		p.changed.Ring()
	}
	return true
}

// Prioritised returns all fee deltas, in the order of ids as they are written.
func (p *Pool) Prioritised() []pending.Delta {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]pending.Delta, 0, len(p.graph.deltas))
	for txid, delta := range p.graph.deltas {
		d := pending.Delta{TxID: txid, Delta: delta}
		if n := p.graph.byTxID[txid]; n != nil {
			d.InPool, d.Modified = true, n.modified()
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b pending.Delta) int { return compareIDs(a.TxID, b.TxID) })
	return list
}

// compareIDs compares hashes in the order in which they are stored.
func compareIDs(a, b types.Hash) int { return bytes.Compare(a[:], b[:]) }

// snapshotDeltas returns a copy of all deltas, for a graph that is made anew.
func (p *Pool) snapshotDeltas() map[types.Hash]types.Amount {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.graph.deltas)
}

// takeDeltas gives a graph that was made without the lock the deltas of now. It assumes
// mu.
func (p *Pool) takeDeltas(fresh *graph) {
	then := fresh.deltas
	fresh.deltas = p.graph.deltas
	for _, deltas := range []map[types.Hash]types.Amount{then, fresh.deltas} {
		for txid := range deltas {
			if n := fresh.byTxID[txid]; n != nil && then[txid] != fresh.deltas[txid] {
				fresh.reprice(n)
			}
		}
	}
}

// forgetDeltas removes the deltas of what a block confirms. It assumes mu.
func (p *Pool) forgetDeltas(u *consensus.BlockUpdate) {
	if len(p.graph.deltas) == 0 {
		return
	}
	p.marks++
	for _, txid := range u.Block.TxIDs[1:] {
		delete(p.graph.deltas, txid)
	}
}
