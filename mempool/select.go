package mempool

import (
	"bytes"
	"container/heap"
	"slices"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// maxMisfits is the number of chunks that are found too large, one after another,
// before a block counts as full. What little room is left is not worth a walk through
// the whole pool.
const maxMisfits = 1000

// Select returns transactions for a block, with a weight of at most maxWeight
// together, each after those that it spends. It also returns the block on which they
// are valid next, each by itself and all together. It takes chunks, the best feerates
// first, so that a child pays for its parents. Signature operations need no limit:
// they are counted in scriptSigs, which are empty here.
func (p *Pool) Select(maxWeight int) ([]*pending.Entry, types.Index) {
	clusters, position := p.snapshot()
	queue := make(selection, 0, len(clusters))
	for _, c := range clusters {
		queue = append(queue, offer{cluster: c, chunk: c.chunks[0]})
	}
	heap.Init(&queue)
	var selected []*pending.Entry
	for misfits := 0; len(queue) > 0 && misfits < maxMisfits; {
		best := &queue[0]
		c := best.chunk
		if c.weight > maxWeight {
			heap.Pop(&queue) // with the rest of its cluster, which may depend on it
			misfits++
			continue
		}
		misfits = 0
		maxWeight -= c.weight
		selected = append(selected, entriesOf(best.cluster.nodes[c.first:c.end])...)
		if best.next++; best.next == len(best.cluster.chunks) {
			heap.Pop(&queue)
		} else {
			best.chunk = best.cluster.chunks[best.next]
			heap.Fix(&queue, 0)
		}
	}
	return selected, position
}

// snapshot returns the clusters, which do not change, and the block that they are
// for. A copy of their list is all that the lock is held for, however long it takes to
// choose among them.
func (p *Pool) snapshot() ([]*cluster, types.Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.graph.clusters), p.position
}

// offer is a cluster of which some chunks were taken.
type offer struct {
	cluster *cluster
	next    int   // the index of chunk
	chunk   chunk // the next one, a copy: it saves comparisons the way to the cluster
}

// selection is a heap of clusters, the one with the best next chunk on top.
type selection []offer

func (s selection) Len() int { return len(s) }

func (s selection) Less(i, j int) bool {
	a, b := &s[i].chunk, &s[j].chunk
	if d := a.compare(b); d != 0 {
		return d > 0
	}
	first, second := s[i].cluster.nodes[a.first], s[j].cluster.nodes[b.first]
	return bytes.Compare(first.TxID[:], second.TxID[:]) < 0
}

func (s selection) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

func (s *selection) Push(x any) { *s = append(*s, x.(offer)) }

func (s *selection) Pop() any {
	last := len(*s) - 1
	o := (*s)[last]
	*s = (*s)[:last]
	return o
}
