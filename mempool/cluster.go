package mempool

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// The bounds of a cluster, which are Bitcoin Core's. 64 makes a set of its
// transactions a machine word.
const (
	MaxClusterCount = 64
	MaxClusterVSize = 101_000 // virtual bytes
)

// cluster is a set of transactions that are connected by spending each other.
// It is never changed, but for its place in a heap: another takes its place.
type cluster struct {
	nodes  []*node  // in the order in which a miner would take them
	above  []uint64 // for each node the set of places of its ancestors and itself
	chunks []chunk  // of falling feerate
	heapAt int      // its place in the graph's heap
}

// chunk is a run of nodes that a miner would take together.
type chunk struct {
	first, end int // places in the cluster
	fee        types.Amount
	weight     int
}

// compareRates compares fee a / weight a with fee b / weight b, without rounding.
// Fees are not negative.
func compareRates(feeA types.Amount, weightA int, feeB types.Amount, weightB int) int {
	return compareProducts(uint64(feeA), uint64(weightB), uint64(feeB), uint64(weightA))
}

// compareProducts compares a*b with c*d.
func compareProducts(a, b, c, d uint64) int {
	hi1, lo1 := bits.Mul64(a, b)
	hi2, lo2 := bits.Mul64(c, d)
	switch {
	case hi1 != hi2 && hi1 < hi2, hi1 == hi2 && lo1 < lo2:
		return -1
	case hi1 == hi2 && lo1 == lo2:
		return 0
	}
	return 1
}

// newCluster sorts transactions, at most MaxClusterCount. parents holds for each
// the set of places, in nodes, of those that it spends. The result depends on the
// set alone, not on the order in which it is given.
func newCluster(nodes []*node, parents []uint64) *cluster {
	above := closure(parents)
	order := linearize(nodes, above)
	c := &cluster{nodes: make([]*node, len(nodes)), above: make([]uint64, len(nodes))}
	var place [MaxClusterCount]int
	for at, i := range order {
		place[i] = at
	}
	for at, i := range order {
		c.nodes[at] = nodes[i]
		for set := above[i]; set != 0; set &= set - 1 {
			c.above[at] |= 1 << place[bits.TrailingZeros64(set)]
		}
	}
	c.cut()
	return c
}

// closure makes sets of ancestors, with the node itself, from sets of parents.
func closure(parents []uint64) []uint64 {
	above := make([]uint64, len(parents))
	for i, set := range parents {
		above[i] = set | 1<<i
	}
	for changed := true; changed; {
		changed = false
		for i := range above {
			set := above[i]
			for rest := set; rest != 0; rest &= rest - 1 {
				set |= above[bits.TrailingZeros64(rest)]
			}
			if set != above[i] {
				above[i], changed = set, true
			}
		}
	}
	return above
}

// linearize puts the nodes into an order: again and again it takes the node
// that, together with all its ancestors that are left, has the best feerate. Of
// equals it takes the lighter set, then the lesser id.
func linearize(nodes []*node, above []uint64) []int {
	sets := make([]chunk, len(nodes))
	for i := range nodes {
		for set := above[i]; set != 0; set &= set - 1 {
			sets[i].add(nodes[bits.TrailingZeros64(set)].Entry)
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
		taken := above[best] & left
		left &^= taken
		start := len(order)
		for set := taken; set != 0; set &= set - 1 {
			order = append(order, bits.TrailingZeros64(set))
		}
		// An ancestor has fewer ancestors than its descendant.
		slices.SortFunc(order[start:], func(a, b int) int {
			if d := bits.OnesCount64(above[a]) - bits.OnesCount64(above[b]); d != 0 {
				return d
			}
			return bytes.Compare(nodes[a].TxID[:], nodes[b].TxID[:])
		})
		for rest := left; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros64(rest)
			for gone := above[i] & taken; gone != 0; gone &= gone - 1 {
				e := nodes[bits.TrailingZeros64(gone)].Entry
				sets[i].fee -= e.Fee
				sets[i].weight -= e.Weight
			}
		}
	}
	return order
}

func (c *chunk) add(e *pending.Entry) {
	c.fee += e.Fee
	c.weight += e.Weight
}

// compare compares the feerates of two chunks.
func (c *chunk) compare(d *chunk) int { return compareRates(c.fee, c.weight, d.fee, d.weight) }

func better(a *chunk, nodeA *node, b *chunk, nodeB *node) bool {
	if d := a.compare(b); d != 0 {
		return d > 0
	}
	if a.weight != b.weight {
		return a.weight < b.weight
	}
	return bytes.Compare(nodeA.TxID[:], nodeB.TxID[:]) < 0
}

// cut makes the chunks: a node that pays better than the chunk before it is
// taken together with it, since it is what makes that one worth taking.
func (c *cluster) cut() {
	for at, n := range c.nodes {
		next := chunk{first: at, end: at + 1}
		next.add(n.Entry)
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
}

// worst returns the chunk that a miner would take last.
func (c *cluster) worst() *chunk { return &c.chunks[len(c.chunks)-1] }

// improves reports whether the chunks after are better than those before
// whatever the room for them is, and strictly so for some: the feerate diagram,
// fees over weight with the best chunks first, lies nowhere below and somewhere
// above the other.
func improves(before, after []chunk) bool {
	oldCurve, newCurve := diagram(before), diagram(after)
	below, above := sides(oldCurve, newCurve)
	if below {
		return false
	}
	oldBelow, oldAbove := sides(newCurve, oldCurve)
	return !oldAbove && (above || oldBelow)
}

// diagram returns the corners of the curve but for the origin: chunks sorted and
// summed up.
func diagram(chunks []chunk) []chunk {
	curve := slices.Clone(chunks)
	slices.SortFunc(curve, func(a, b chunk) int { return b.compare(&a) })
	for i := 1; i < len(curve); i++ {
		curve[i].fee += curve[i-1].fee
		curve[i].weight += curve[i-1].weight
	}
	return curve
}

// sides tells whether any of the points lies below a curve, and whether any lies
// above it. The points are corners of a curve themselves, and so in the order of
// their weights: each is looked for where the one before it was, since there may be
// thousands and the pool is locked meanwhile.
func sides(curve, points []chunk) (below, above bool) {
	from := 0
	for _, p := range points {
		for from < len(curve) && curve[from].weight < p.weight {
			from++
		}
		switch d := side(curve, from, p); {
		case d < 0:
			below = true
		case d > 0:
			above = true
		}
	}
	return below, above
}

// side tells whether the point lies below (-1), on (0) or above (1) the curve,
// which goes on flat behind its end. at is the first corner that is not left of the
// point.
func side(curve []chunk, at int, p chunk) int {
	var from chunk
	if at > 0 {
		from = curve[at-1]
	}
	switch {
	case p.fee < from.fee:
		return -1
	case at < len(curve):
		to := curve[at]
		return compareProducts(
			uint64(p.fee-from.fee), uint64(to.weight-from.weight),
			uint64(to.fee-from.fee), uint64(p.weight-from.weight))
	case p.fee > from.fee:
		return 1
	}
	return 0
}
