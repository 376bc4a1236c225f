package mempool

import "slices"

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
	// evict takes a chunk, and reports whether it would have to take what comes.
	evict := func(r *ranked) bool {
		for _, n := range r.nodes() {
			if added[n] {
				return true
			}
			excess -= usageOf(n.Entry)
		}
		return false
	}
	changed := make(map[*cluster]bool, len(c.before))
	for _, cluster := range c.before {
		changed[cluster] = true
	}
	var fresh []ranked // what will stand in their place
	for _, cluster := range c.after {
		fresh = slices.AppendSeq(fresh, rankedOf(cluster))
	}
	slices.SortFunc(fresh, func(a, b ranked) int { return b.compare(&a) })
	for r := range c.graph.ranking.worstFirst() {
		if changed[r.cluster] {
			continue
		}
		for excess > 0 && len(fresh) > 0 && fresh[0].compare(r) > 0 {
			if evict(&fresh[0]) {
				return false
			}
			fresh = fresh[1:]
		}
		if excess <= 0 {
			return true
		}
		evict(r)
	}
	for excess > 0 && len(fresh) > 0 {
		if evict(&fresh[0]) {
			return false
		}
		fresh = fresh[1:]
	}
	return true
}
