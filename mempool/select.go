package mempool

import (
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// maxMisfits is the number of chunks that are found too large, one after another,
// before a block counts as full. What little room is left is not worth a walk through
// the whole pool.
const maxMisfits = 1000

// Select returns transactions for a block, each after those that it spends. It also
// returns the block on which they are valid next, each by itself and all together. It
// takes chunks, the best feerates first, so that a child pays for its parents; none that
// the operator's deltas have made worth less than nothing.
// Signature operations need no limit: they are counted in scriptSigs, which are empty
// here.
func (p *Pool) Select(want pending.Selection) ([]*pending.Entry, types.Index) {
	ranking, position := p.snapshot()
	var selected []*pending.Entry
	var left map[*cluster]bool // those whose next chunk is too large: the rest may depend on it
	room, misfits := want.MaxWeight, 0
	for r := range ranking.bestFirst() {
		if r.fee < 0 || r.feeRate() < want.MinFeeRate {
			break // nothing that is left pays more
		}
		if left[r.cluster] {
			continue
		}
		if int(r.weight) > room {
			if misfits++; misfits == maxMisfits {
				break
			}
			if int(r.index) < len(r.cluster.chunks)-1 {
				if left == nil {
					left = map[*cluster]bool{}
				}
				left[r.cluster] = true
			}
			continue
		}
		misfits = 0
		room -= int(r.weight)
		for _, n := range r.nodes() {
			selected = append(selected, n.Entry)
		}
	}
	return selected, position
}

// snapshot returns the ranking, and the block that it is for. However long it takes to
// choose from it, the lock is held for a moment.
func (p *Pool) snapshot() (rankingSnapshot, types.Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.graph.ranking.snapshot(), p.position
}
