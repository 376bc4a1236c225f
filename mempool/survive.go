package mempool

import (
	"bytes"
	"container/heap"
	"slices"
)

// survives reports whether what a change adds would stay if the graph then had to fit
// into maxBytes of memory: what pays worst leaves first, chunk by chunk, and what comes
// must not be among that.
func (c *change) survives(maxBytes int) bool {
	excess := c.graph.usage - maxBytes
	for _, n := range c.remove {
		excess -= usageOf(n.Entry)
	}
	added := make(map[*txNode]bool, len(c.add))
	for _, n := range c.add {
		excess += usageOf(n.Entry)
		added[n] = true
	}
	if excess <= 0 {
		return true
	}
	queue := c.evictions()
	for excess > 0 && len(*queue) > 0 {
		e := heap.Pop(queue).(eviction)
		worst := e.chunk()
		for _, n := range e.cluster.nodes[worst.first:worst.end] {
			if added[n] {
				return false
			}
			excess -= usageOf(n.Entry)
		}
		if e.chunks--; e.chunks > 0 {
			heap.Push(queue, eviction{e.cluster, e.chunks, -1})
		}
		if e.heapAt >= 0 {
			c.pushBelow(queue, e.heapAt)
		}
	}
	return true
}

// eviction is a cluster of which some chunks are left.
type eviction struct {
	cluster *cluster
	chunks  int // that are left
	heapAt  int // in the graph's heap, where none below it is worse; -1: nowhere
}

func (e *eviction) chunk() *chunk { return &e.cluster.chunks[e.chunks-1] }

// evictionQueue is a heap, the worst chunk on top, in the order of clusterHeap.
type evictionQueue []eviction

// evictions returns a queue of what would be evicted, once the change is made.
func (c *change) evictions() *evictionQueue {
	queue := &evictionQueue{}
	for _, cluster := range c.after {
		heap.Push(queue, eviction{cluster, len(cluster.chunks), -1})
	}
	c.pushFrom(queue, 0)
	return queue
}

// pushFrom adds the cluster at a place of the graph's heap, or those below it if it will
// have changed.
func (c *change) pushFrom(queue *evictionQueue, at int) {
	if at >= len(c.graph.clusters) {
		return
	}
	cluster := c.graph.clusters[at]
	if slices.Contains(c.before, cluster) {
		c.pushBelow(queue, at)
		return
	}
	heap.Push(queue, eviction{cluster, len(cluster.chunks), at})
}

func (c *change) pushBelow(queue *evictionQueue, at int) {
	c.pushFrom(queue, 2*at+1)
	c.pushFrom(queue, 2*at+2)
}

// Len implements heap.Interface.
func (q evictionQueue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q evictionQueue) Less(i, j int) bool {
	a, b := q[i].chunk(), q[j].chunk()
	if d := a.compare(b); d != 0 {
		return d < 0
	}
	first, second := q[i].cluster.nodes[a.end-1], q[j].cluster.nodes[b.end-1]
	return bytes.Compare(first.TxID[:], second.TxID[:]) < 0
}

// Swap implements heap.Interface.
func (q evictionQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *evictionQueue) Push(x any) { *q = append(*q, x.(eviction)) }

// Pop implements heap.Interface.
func (q *evictionQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}
