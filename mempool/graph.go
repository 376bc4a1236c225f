package mempool

import (
	"math/bits"
	"slices"
	"sort"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool/fees"
)

// txNode is a transaction's place in a graph. It moves to another cluster when one of
// its relatives comes or goes.
type txNode struct {
	*pending.Entry
	cluster *cluster
	at      int          // in the cluster's nodes
	delta   types.Amount // what the operator adds to the fee; it never changes
}

// graph is the transactions of a pool and what they spend. It has no lock of its own,
// and knows no policy: what may be put into it is decided before.
type graph struct {
	byTxID  map[types.Hash]*txNode
	byWTxID map[types.Hash]*txNode
	spends  map[types.OutPoint]*txNode // who spends an output
	ranking ranking
	waiting fees.Histogram              // the ranking by feerate
	deltas  map[types.Hash]types.Amount // that the operator gave; of some that are not in the graph

	maxCount int // transactions of a cluster, at most MaxClusterCount
	maxVSize int // virtual bytes of those together

	version uint64 // grows with each change
	usage   int    // bytes of memory
	vsize   int
	fees    types.Amount
	oldest  time.Time // no transaction came before it
}

func newGraph() *graph {
	return &graph{
		maxCount: MaxClusterCount, maxVSize: DefaultClusterVSize,
		byTxID: map[types.Hash]*txNode{}, byWTxID: map[types.Hash]*txNode{},
		spends: map[types.OutPoint]*txNode{}, deltas: map[types.Hash]types.Amount{},
	}
}

// newGraph returns an empty graph in which clusters are bounded as the pool's policy says.
func (p *Pool) newGraph() *graph {
	g := newGraph()
	g.maxCount, g.maxVSize = p.options.MaxClusterCount, p.options.MaxClusterVSize
	return g
}

// entries returns all entries, those first that a block would take first, and so each
// after those that it spends.
func (g *graph) entries() []*pending.Entry {
	all := make([]*pending.Entry, 0, len(g.byTxID))
	for _, p := range g.ranking.pages {
		for i := range p.chunks {
			for _, n := range p.chunks[i].nodes() {
				all = append(all, n.Entry)
			}
		}
	}
	return all
}

// once is a list of nodes that has each of them once.
type once struct {
	nodes []*txNode
	seen  map[*txNode]bool // once there are many: a transaction may have thousands of inputs
}

func (o *once) add(n *txNode) {
	const few = 16
	switch {
	case n == nil:
		return
	case o.seen == nil && slices.Contains(o.nodes, n), o.seen[n]:
		return
	}
	o.nodes = append(o.nodes, n)
	if o.seen == nil && len(o.nodes) > few {
		o.seen = map[*txNode]bool{}
		for _, other := range o.nodes {
			o.seen[other] = true
		}
	} else if o.seen != nil {
		o.seen[n] = true
	}
}

// parents returns the nodes whose outputs a transaction spends, each once.
func (g *graph) parents(tx *types.Tx) []*txNode {
	var parents once
	for i := range tx.Inputs {
		parents.add(g.byTxID[tx.Inputs[i].PreviousOutPoint.TxID])
	}
	return parents.nodes
}

// conflicts returns the nodes that spend what transactions spend, each once.
func (g *graph) conflicts(txs ...*types.Tx) []*txNode {
	var conflicts once
	for _, tx := range txs {
		for i := range tx.Inputs {
			conflicts.add(g.spends[tx.Inputs[i].PreviousOutPoint])
		}
	}
	return conflicts.nodes
}

// relatives counts the nodes whose clusters change if transactions come in and their
// conflicts leave.
func (g *graph) relatives(txs []*types.Tx, conflicts []*txNode) int {
	clusters, count := map[*cluster]bool{}, 0
	for _, tx := range txs {
		conflicts = append(conflicts, g.parents(tx)...)
	}
	for _, n := range conflicts {
		if !clusters[n.cluster] {
			clusters[n.cluster] = true
			count += len(n.cluster.nodes)
		}
	}
	return count
}

// count keeps the sums up to date when a node comes (1) or leaves (-1).
func (g *graph) count(n *txNode, sign int) {
	if sign > 0 && (g.oldest.IsZero() || n.Time.Before(g.oldest)) {
		g.oldest = n.Time
	}
	g.usage += sign * usageOf(n.Entry)
	g.vsize += sign * n.VSize
	g.fees += types.Amount(sign) * n.Fee
}

// The bytes that parts of a transaction take in memory, its share of maps included,
// measured. TestUsage holds them against the heap, so that a new field is noticed.
const (
	usageEntry   = 620
	usageInput   = 220
	usageWitness = 26
	usageOutput  = 36
)

// usageOf returns about how many bytes an entry takes in a pool. The encoding alone
// would not do: small transactions take ten times as much.
func usageOf(e *pending.Entry) int { return len(e.Raw) + usageWithout(e.Tx) }

// usageWithout is usageOf without the encoding.
func usageWithout(tx *types.Tx) int {
	size := usageEntry + len(tx.Inputs)*usageInput + len(tx.Outputs)*usageOutput
	for i := range tx.Inputs {
		size += len(tx.Inputs[i].Witness) * usageWitness
	}
	return size
}

// members returns the nodes of a set of places in n's cluster.
func (n *txNode) members(set uint64) []*txNode {
	nodes := make([]*txNode, 0, bits.OnesCount64(set))
	for ; set != 0; set &= set - 1 {
		nodes = append(nodes, n.cluster.nodes[bits.TrailingZeros64(set)])
	}
	return nodes
}

// ancestors returns those of the node, parents first, itself left out.
func (n *txNode) ancestors() []*txNode { return n.members(n.cluster.lineage[n.at] &^ (1 << n.at)) }

// descendants returns those of the node, parents first, itself left out.
func (n *txNode) descendants() []*txNode {
	set := uint64(0)
	// Only ancestors are stored: a node's descendants are those in whose lineage it is.
	for i := n.at + 1; i < len(n.cluster.nodes); i++ {
		if n.cluster.lineage[i]>>n.at&1 != 0 {
			set |= 1 << i
		}
	}
	return n.members(set)
}

// withDescendants returns the nodes and all their descendants, each once.
func withDescendants(nodes []*txNode) []*txNode {
	seen := map[*txNode]bool{}
	var all []*txNode
	for _, n := range nodes {
		if seen[n] {
			continue
		}
		for _, d := range append([]*txNode{n}, n.descendants()...) {
			if !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	return all
}

// chunk returns the chunk that the node is in.
func (n *txNode) chunk() *chunk {
	chunks := n.cluster.chunks
	return &chunks[sort.Search(len(chunks), func(i int) bool { return chunks[i].end > n.at })]
}

// details describes the node among its relatives. Whatever it tells is of one cluster,
// so that this costs no more than a cluster is large.
func (n *txNode) details() pending.Details {
	d := pending.Details{Entry: n.Entry, Modified: n.modified()}
	for _, a := range n.ancestors() {
		a.addTo(&d.Ancestors.Total)
		d.Ancestors.TxIDs = append(d.Ancestors.TxIDs, a.TxID)
		if n.spendsFrom(a) {
			d.Depends = append(d.Depends, a.TxID)
		}
	}
	for _, e := range n.descendants() {
		e.addTo(&d.Descendants.Total)
		d.Descendants.TxIDs = append(d.Descendants.TxIDs, e.TxID)
		if e.spendsFrom(n) {
			d.SpentBy = append(d.SpentBy, e.TxID)
		}
	}
	n.addTo(&d.Ancestors.Total)
	n.addTo(&d.Descendants.Total)
	c := n.chunk()
	for _, e := range n.cluster.nodes[c.first:c.end] {
		e.addTo(&d.Chunk)
	}
	return d
}

// spendsFrom reports whether the node is a child of the parent, not a later descendant.
func (n *txNode) spendsFrom(parent *txNode) bool {
	return slices.ContainsFunc(n.Tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint.TxID == parent.TxID })
}
