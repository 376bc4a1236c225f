package mempool

import (
	"container/heap"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// change is a step of a graph that was not taken yet: the nodes that leave, the
// node that comes, if any, and the clusters that others take the place of.
type change struct {
	graph   *graph
	version uint64 // of the graph that it was made for
	remove  []*txNode
	add     *txNode
	before  []*cluster
	after   []*cluster
}

// current reports whether the graph is as it was when the change was made.
func (c *change) current(g *graph) bool { return c != nil && c.graph == g && c.version == g.version }

// prepare makes a change. It reports false if a cluster would be too large. The
// new node has no descendants in the graph, nor parents among those that leave;
// those that leave need not take their descendants with them.
func (g *graph) prepare(remove []*txNode, add *txNode) (*change, bool) {
	c := &change{graph: g, version: g.version, remove: remove, add: add}
	leaving := make(map[*txNode]bool, len(remove))
	touched := map[*cluster]bool{}
	touch := func(nodes []*txNode) {
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
	var rest []*txNode
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
	c.after, ok = clustersOf(rest, add)
	return c, ok
}

// clustersOf sorts nodes into clusters. It reports false if the one of the added
// node, which comes last, is too large; others only ever shrink.
func clustersOf(nodes []*txNode, add *txNode) ([]*cluster, bool) {
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
	each := func(n *txNode, visit func(parent int)) {
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
		part := make([]*txNode, len(members[r]))
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

// remove takes nodes out, and not their descendants.
func (g *graph) remove(nodes []*txNode) {
	if len(nodes) == 0 {
		return
	}
	c, _ := g.prepare(nodes, nil) // clusters only shrink
	g.apply(c)
}

// evict removes the chunk that pays worst, which nothing depends on, and returns
// it.
func (g *graph) evict() ([]*txNode, chunk) {
	c := g.clusters[0]
	worst := *c.worst()
	nodes := slices.Clone(c.nodes[worst.first:worst.end])
	g.remove(nodes)
	return nodes, worst
}
