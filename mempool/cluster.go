package mempool

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// MaxClusterCount is the greatest number of transactions of a cluster that a policy may
// allow, which is Bitcoin Core's. It bounds the work that one new transaction causes,
// and a set of a cluster's transactions is a machine word.
const MaxClusterCount = 64

// cluster is a set of transactions that are connected by spending each other. Another
// one replaces it when a transaction comes or goes. It never changes itself, so that a
// block can be chosen from clusters without the pool's lock.
type cluster struct {
	nodes   []*txNode // in the order in which a miner would take them
	lineage []uint64  // for each node the set of places of its ancestors and itself
	chunks  []chunk   // of falling feerate
}

// newCluster makes a cluster of nodes, at most MaxClusterCount. parents holds for each
// the set of places, in nodes, of those that it spends. The result depends on the
// transactions alone, not on the order in which they are given, so that to put one in
// and take it out again leaves the graph as it was.
func newCluster(nodes []*txNode, parents []uint64) *cluster {
	lineage := closure(parents)
	order := linearize(nodes, lineage)
	c := &cluster{nodes: make([]*txNode, len(nodes)), lineage: make([]uint64, len(nodes))}
	var place [MaxClusterCount]int
	for at, i := range order {
		place[i] = at
	}
	for at, i := range order {
		c.nodes[at] = nodes[i]
		for set := lineage[i]; set != 0; set &= set - 1 {
			c.lineage[at] |= 1 << place[bits.TrailingZeros64(set)]
		}
	}
	c.cutChunks()
	return c
}

// closure makes sets of all ancestors, with the node itself, from sets of parents. It
// goes round until nothing changes, since parents may stand behind their children.
func closure(parents []uint64) []uint64 {
	lineage := make([]uint64, len(parents))
	for i, set := range parents {
		lineage[i] = set | 1<<i
	}
	for changed := true; changed; {
		changed = false
		for i := range lineage {
			set := lineage[i]
			for rest := set; rest != 0; rest &= rest - 1 {
				set |= lineage[bits.TrailingZeros64(rest)]
			}
			if set != lineage[i] {
				lineage[i], changed = set, true
			}
		}
	}
	return lineage
}

// linearize puts the nodes into the order in which a miner would take them: again and
// again it takes the node that, together with all its ancestors that are left, has the
// best feerate. Of equals it takes the lighter set, then the lesser id. This is not
// always the best order, which would be hard to find, but a good one.
func linearize(nodes []*txNode, lineage []uint64) []int {
	sets := make([]chunk, len(nodes))
	for i := range nodes {
		for set := lineage[i]; set != 0; set &= set - 1 {
			sets[i].add(nodes[bits.TrailingZeros64(set)])
		}
	}
	order := make([]int, 0, len(nodes))
	left := uint64(1)<<len(nodes) - 1 // of 64 all, since the shift gives 0
	for left != 0 {
		best := bits.TrailingZeros64(left)
		for rest := left & (left - 1); rest != 0; rest &= rest - 1 {
			if i := bits.TrailingZeros64(rest); better(&sets[i], nodes[i], &sets[best], nodes[best]) {
				best = i
			}
		}
		taken := lineage[best] & left
		left &^= taken
		start := len(order)
		for set := taken; set != 0; set &= set - 1 {
			order = append(order, bits.TrailingZeros64(set))
		}
		// Parents first: an ancestor has fewer ancestors than its descendant.
		slices.SortFunc(order[start:], func(a, b int) int {
			if d := bits.OnesCount64(lineage[a]) - bits.OnesCount64(lineage[b]); d != 0 {
				return d
			}
			return bytes.Compare(nodes[a].TxID[:], nodes[b].TxID[:])
		})
		// Those that are left need not pay any longer for ancestors that were taken.
		for rest := left; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros64(rest)
			for gone := lineage[i] & taken; gone != 0; gone &= gone - 1 {
				n := nodes[bits.TrailingZeros64(gone)]
				sets[i].fee -= n.modified()
				sets[i].weight -= n.Weight
			}
		}
	}
	return order
}

func better(a *chunk, nodeA *txNode, b *chunk, nodeB *txNode) bool {
	if d := a.compare(b); d != 0 {
		return d > 0
	}
	if a.weight != b.weight {
		return a.weight < b.weight
	}
	return bytes.Compare(nodeA.TxID[:], nodeB.TxID[:]) < 0
}

// cutChunks makes the chunks: a node that pays better than the chunk before it joins
// that chunk, since it is what makes the chunk worth taking. In the end feerates fall
// from chunk to chunk.
func (c *cluster) cutChunks() {
	for at, n := range c.nodes {
		next := chunk{first: at, end: at + 1}
		next.add(n)
		for len(c.chunks) > 0 {
			last := &c.chunks[len(c.chunks)-1]
			if next.compare(last) <= 0 {
				break
			}
			next.first = last.first
			next.fee += last.fee
			next.weight += last.weight
			c.chunks = c.chunks[:len(c.chunks)-1]
		}
		c.chunks = append(c.chunks, next)
	}
	for i := range c.chunks {
		next := &c.chunks[i]
		next.tie = next.first
		if i == 0 || next.compare(&c.chunks[i-1]) < 0 {
			continue
		}
		if before := c.chunks[i-1].tie; bytes.Compare(c.nodes[before].TxID[:], c.nodes[next.first].TxID[:]) > 0 {
			next.tie = before
		}
	}
}

// tie returns the id by which a chunk is put in order with those of other clusters that
// pay equally well.
func (c *cluster) tie(chunk int) *types.Hash { return &c.nodes[c.chunks[chunk].tie].TxID }
