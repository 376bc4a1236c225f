package mempool

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// change is a difference to a graph that was worked out and is not made yet. A
// replacement is judged by its change, and a change that is refused has cost nothing
// but the work.
type change struct {
	graph   *graph
	version uint64    // of the graph that it was worked out for
	remove  []*txNode // those that leave
	add     []*txNode // those that come, each after those that it spends
	before  []*cluster
	after   []*cluster // what the clusters before become
}

// isCurrent reports whether the graph is as it was when the change was worked out.
func (c *change) isCurrent(g *graph) bool { return c != nil && c.graph == g && c.version == g.version }

// prepare works a change out. It reports false if a cluster would become too large.
// The new nodes have no descendants in the graph, nor parents among those that leave.
// Those that leave need not take their descendants with them: a block confirms
// parents without their children.
func (g *graph) prepare(remove, add []*txNode) (*change, bool) {
	c := &change{graph: g, version: g.version, remove: remove, add: add}
	leaving := make(map[*txNode]bool, len(remove))
	touched := make(map[*cluster]bool, len(remove))
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
	shrinking := len(c.before)
	for _, n := range add {
		parents := g.parents(n.Tx)
		if joined(parents, c.before[:shrinking])+1 > g.maxCount {
			return nil, false // without the work of looking at all their clusters
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
	var ok bool
	c.after, ok = g.clustersOf(append(rest, add...), len(add))
	return c, ok
}

// joined counts the nodes that a child of parents would be connected with at least: those
// of their clusters, but for those that are about to lose some.
func joined(parents []*txNode, shrinking []*cluster) (count int) {
	seen := map[*cluster]bool{}
	for _, n := range parents {
		switch {
		case seen[n.cluster]:
		case slices.Contains(shrinking, n.cluster):
			count++
		default:
			count += len(n.cluster.nodes)
		}
		seen[n.cluster] = true
	}
	return count
}

// clustersOf sorts nodes into clusters: whoever spends another is of the same one. It
// reports false if one with an added node is too large. The others are parts of what
// was a cluster, and need no check. The added nodes are the last ones.
func (g *graph) clustersOf(nodes []*txNode, added int) ([]*cluster, bool) {
	index := make(map[types.Hash]int, len(nodes))
	// A forest with a tree for each cluster, whose root stands for it: union-find.
	group := make([]int, len(nodes))
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
	eachParent := func(n *txNode, visit func(parent int)) {
		for j := range n.Tx.Inputs {
			if parent, ok := index[n.Tx.Inputs[j].PreviousOutPoint.TxID]; ok {
				visit(parent)
			}
		}
	}
	for i, n := range nodes {
		eachParent(n, func(parent int) { group[root(i)] = root(parent) })
	}
	members := map[int][]int{}
	var roots []int // in the order of the nodes: the order of a map is another each time
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
		weight := 0
		for at, i := range members[r] {
			part[at], place[i] = nodes[i], at
			weight += nodes[i].Weight
		}
		isNew := members[r][len(part)-1] >= len(nodes)-added
		if isNew && (len(part) > g.maxCount || weight > g.maxVSize*types.WitnessScale) {
			return nil, false
		}
		parents := make([]uint64, len(part))
		for at, n := range part {
			eachParent(n, func(parent int) { parents[at] |= 1 << place[parent] })
		}
		clusters = append(clusters, newCluster(part, parents))
	}
	return clusters, true
}

// apply makes a change, which is current.
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
		for r := range rankedOf(old) {
			g.ranking.remove(r)
			g.waiting.Add(r.feeRate(), -int(r.weight))
		}
	}
	for _, cluster := range c.after {
		for at, n := range cluster.nodes {
			n.cluster, n.at = cluster, at
		}
		for r := range rankedOf(cluster) {
			g.ranking.insert(r)
			g.waiting.Add(r.feeRate(), int(r.weight))
		}
	}
	for _, n := range c.add {
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

// worst returns the chunk that pays worst, and its nodes, on which nothing depends.
func (g *graph) worst() ([]*txNode, *chunk) {
	r := g.ranking.worst()
	return r.nodes(), &r.cluster.chunks[r.index]
}
