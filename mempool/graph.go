package mempool

import (
	"bytes"
	"container/heap"
	"math/bits"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// node is a transaction's place in a graph.
type node struct {
	*pending.Entry
	cluster *cluster
	at      int // in the cluster's nodes
}

// graph is the transactions of a pool and what they spend. It has no lock.
type graph struct {
	byTxID   map[types.Hash]*node
	byWTxID  map[types.Hash]*node
	spends   map[types.OutPoint]*node // who spends an output
	clusters clusterHeap

	version uint64 // grows with each change
	usage   int    // bytes of memory
	vsize   int
	fees    types.Amount
}

func newGraph() *graph {
	return &graph{
		byTxID: map[types.Hash]*node{}, byWTxID: map[types.Hash]*node{},
		spends: map[types.OutPoint]*node{},
	}
}

// The bytes that parts of a transaction take in memory, its share of maps
// included. TestUsage holds them against the heap.
const (
	usageEntry   = 620
	usageInput   = 220
	usageWitness = 26
	usageOutput  = 36
)

// usageOf returns about how many bytes an entry takes in a pool.
func usageOf(e *pending.Entry) int {
	size := usageEntry + len(e.Raw) + len(e.Tx.Inputs)*usageInput + len(e.Tx.Outputs)*usageOutput
	for i := range e.Tx.Inputs {
		size += len(e.Tx.Inputs[i].Witness) * usageWitness
	}
	return size
}

// entries returns all entries, each after those that it spends.
func (g *graph) entries() []*pending.Entry {
	all := make([]*pending.Entry, 0, len(g.byTxID))
	for _, c := range g.clusters {
		for _, n := range c.nodes {
			all = append(all, n.Entry)
		}
	}
	return all
}

// parents returns the nodes whose outputs a transaction spends, each once.
func (g *graph) parents(tx *types.Tx) []*node {
	var parents []*node
	for i := range tx.Inputs {
		if n := g.byTxID[tx.Inputs[i].PreviousOutPoint.TxID]; n != nil && !slices.Contains(parents, n) {
			parents = append(parents, n)
		}
	}
	return parents
}

// conflicts returns the nodes that spend what a transaction spends, each once.
func (g *graph) conflicts(tx *types.Tx) []*node {
	var conflicts []*node
	for i := range tx.Inputs {
		if n := g.spends[tx.Inputs[i].PreviousOutPoint]; n != nil && !slices.Contains(conflicts, n) {
			conflicts = append(conflicts, n)
		}
	}
	return conflicts
}

func (n *node) pick(set uint64) []*node {
	nodes := make([]*node, 0, bits.OnesCount64(set))
	for ; set != 0; set &= set - 1 {
		nodes = append(nodes, n.cluster.nodes[bits.TrailingZeros64(set)])
	}
	return nodes
}

// ancestors returns those of the node, parents first, itself left out.
func (n *node) ancestors() []*node { return n.pick(n.cluster.above[n.at] &^ (1 << n.at)) }

// descendants returns those of the node, parents first, itself left out.
func (n *node) descendants() []*node {
	set := uint64(0)
	for i := n.at + 1; i < len(n.cluster.nodes); i++ {
		if n.cluster.above[i]>>n.at&1 != 0 {
			set |= 1 << i
		}
	}
	return n.pick(set)
}

// withDescendants returns the nodes and all their descendants, each once.
func withDescendants(nodes []*node) []*node {
	seen := map[*node]bool{}
	var all []*node
	for _, n := range nodes {
		if seen[n] {
			continue
		}
		for _, d := range append([]*node{n}, n.descendants()...) {
			if !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	return all
}

func (n *node) details() pending.Details {
	d := pending.Details{Entry: n.Entry}
	for _, a := range n.ancestors() {
		d.Ancestors.Add(a.Entry)
		d.Ancestors.TxIDs = append(d.Ancestors.TxIDs, a.TxID)
		if n.spendsFrom(a) {
			d.Depends = append(d.Depends, a.TxID)
		}
	}
	for _, e := range n.descendants() {
		d.Descendants.Add(e.Entry)
		d.Descendants.TxIDs = append(d.Descendants.TxIDs, e.TxID)
		if e.spendsFrom(n) {
			d.SpentBy = append(d.SpentBy, e.TxID)
		}
	}
	d.Ancestors.Add(n.Entry)
	d.Descendants.Add(n.Entry)
	for _, c := range n.cluster.chunks {
		if n.at < c.end {
			for _, e := range n.cluster.nodes[c.first:c.end] {
				d.Chunk.Add(e.Entry)
			}
			break
		}
	}
	return d
}

func (n *node) spendsFrom(parent *node) bool {
	return slices.ContainsFunc(n.Tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint.TxID == parent.TxID })
}

// change is a step of a graph that was not taken yet: the nodes that leave, the
// node that comes, if any, and the clusters that others take the place of.
type change struct {
	graph   *graph
	version uint64 // of the graph that it was made for
	remove  []*node
	add     *node
	before  []*cluster
	after   []*cluster
}

// current reports whether the graph is as it was when the change was made.
func (c *change) current(g *graph) bool { return c != nil && c.graph == g && c.version == g.version }

// prepare makes a change. It reports false if a cluster would be too large. The
// new node has no descendants in the graph, nor parents among those that leave;
// those that leave need not take their descendants with them.
func (g *graph) prepare(remove []*node, add *node) (*change, bool) {
	c := &change{graph: g, version: g.version, remove: remove, add: add}
	leaving := make(map[*node]bool, len(remove))
	touched := map[*cluster]bool{}
	touch := func(nodes []*node) {
		for _, n := range nodes {
			if !touched[n.cluster] {
				touched[n.cluster] = true
				c.before = append(c.before, n.cluster)
			}
		}
	}
	for _, n := range remove {
		leaving[n] = true
	}
	touch(remove)
	if add != nil {
		parents := g.parents(add.Tx)
		if len(parents) >= MaxClusterCount {
			return nil, false // before all their clusters are looked at
		}
		touch(parents)
	}
	var rest []*node
	for _, cluster := range c.before {
		for _, n := range cluster.nodes {
			if !leaving[n] {
				rest = append(rest, n)
			}
		}
	}
	if add != nil {
		rest = append(rest, add)
	}
	var ok bool
	c.after, ok = connected(rest, add)
	return c, ok
}

// connected sorts nodes into clusters. It reports false if the one of the added
// node, which comes last, is too large; others only ever shrink.
func connected(nodes []*node, add *node) ([]*cluster, bool) {
	index := make(map[types.Hash]int, len(nodes))
	group := make([]int, len(nodes)) // a forest: the root stands for the cluster
	for i, n := range nodes {
		index[n.TxID] = i
		group[i] = i
	}
	root := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	each := func(n *node, visit func(parent int)) {
		for j := range n.Tx.Inputs {
			if parent, ok := index[n.Tx.Inputs[j].PreviousOutPoint.TxID]; ok {
				visit(parent)
			}
		}
	}
	for i, n := range nodes {
		each(n, func(parent int) { group[root(i)] = root(parent) })
	}
	members := map[int][]int{}
	var roots []int
	for i := range nodes {
		r := root(i)
		if members[r] == nil {
			roots = append(roots, r)
		}
		members[r] = append(members[r], i)
	}
	place := make([]int, len(nodes)) // in its cluster
	clusters := make([]*cluster, 0, len(roots))
	for _, r := range roots {
		part := make([]*node, len(members[r]))
		vsize := 0
		for at, i := range members[r] {
			part[at], place[i] = nodes[i], at
			vsize += nodes[i].VSize
		}
		if add != nil && part[len(part)-1] == add && (len(part) > MaxClusterCount || vsize > MaxClusterVSize) {
			return nil, false
		}
		parents := make([]uint64, len(part))
		for at, n := range part {
			each(n, func(parent int) { parents[at] |= 1 << place[parent] })
		}
		clusters = append(clusters, newCluster(part, parents))
	}
	return clusters, true
}

// apply takes the step. The change is current.
func (g *graph) apply(c *change) {
	g.version++
	for _, n := range c.remove {
		g.count(n, -1)
		delete(g.byTxID, n.TxID)
		delete(g.byWTxID, n.WTxID)
		for i := range n.Tx.Inputs {
			delete(g.spends, n.Tx.Inputs[i].PreviousOutPoint)
		}
	}
	for _, old := range c.before {
		heap.Remove(&g.clusters, old.heapAt)
	}
	for _, cluster := range c.after {
		for at, n := range cluster.nodes {
			n.cluster, n.at = cluster, at
		}
		heap.Push(&g.clusters, cluster)
	}
	if n := c.add; n != nil {
		g.count(n, 1)
		g.byTxID[n.TxID] = n
		g.byWTxID[n.WTxID] = n
		for i := range n.Tx.Inputs {
			g.spends[n.Tx.Inputs[i].PreviousOutPoint] = n
		}
	}
}

func (g *graph) count(n *node, sign int) {
	g.usage += sign * usageOf(n.Entry)
	g.vsize += sign * n.VSize
	g.fees += types.Amount(sign) * n.Fee
}

// remove takes nodes out, and not their descendants.
func (g *graph) remove(nodes []*node) {
	if len(nodes) == 0 {
		return
	}
	c, _ := g.prepare(nodes, nil) // clusters only shrink
	g.apply(c)
}

// evict removes the chunk that pays worst, which nothing depends on, and returns
// it.
func (g *graph) evict() ([]*node, chunk) {
	c := g.clusters[0]
	worst := *c.worst()
	nodes := slices.Clone(c.nodes[worst.first:worst.end])
	g.remove(nodes)
	return nodes, worst
}

// clusterHeap is a heap of clusters, the one with the worst chunk on top.
type clusterHeap []*cluster

func (h clusterHeap) Len() int { return len(h) }
func (h clusterHeap) Less(i, j int) bool {
	if d := h[i].worst().compare(h[j].worst()); d != 0 {
		return d < 0
	}
	a, b := h[i].nodes[len(h[i].nodes)-1], h[j].nodes[len(h[j].nodes)-1]
	return bytes.Compare(a.TxID[:], b.TxID[:]) < 0
}
func (h clusterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}
func (h *clusterHeap) Push(x any) {
	c := x.(*cluster)
	c.heapAt = len(*h)
	*h = append(*h, c)
}
func (h *clusterHeap) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return c
}
