package mempool

import (
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/mempool/fees"
)

const (
	// freshFor is how late a transaction may come, at most, and yet be missing in a block
	// only because its miner did not have it in time.
	freshFor = 30 * time.Second
	// maxFresh is how many of the last ones are looked at. More do not come in that time,
	// but in a flood.
	maxFresh = 5000
	// seenWithin is the age of a block at which it is no news. What the pool held when such
	// a block was made is not known: this node was away.
	seenWithin = 24 * time.Hour
)

// estimator has a lock of its own, under which it computes.
type estimator struct {
	mu      sync.Mutex
	tracker fees.Tracker
}

// Estimate returns a feerate with which a transaction that came now would be in one of
// the next blocks, as many as given. It is never below MinFeeRate, and always an answer.
// With Known it rests on how much recent blocks took, and on how much came between them.
// Otherwise too few were seen, and it only outbids those who wait now.
func (p *Pool) Estimate(blocks int, conservative bool) pending.FeeEstimate {
	p.mu.Lock()
	ranking, waiting, floor := p.graph.ranking.snapshot(), p.graph.waiting, p.minFeeRate()
	p.mu.Unlock()
	p.estimator.mu.Lock()
	defer p.estimator.mu.Unlock()
	t := &p.estimator.tracker
	if !t.Known() {
		return pending.FeeEstimate{FeeRate: max(floor, p.outbid(ranking, blocks))}
	}
	ignorePassedOver(t, ranking, &waiting)
	rate := t.Estimate(fees.Question{Waiting: &waiting, Blocks: blocks, MaxWeight: p.params.MaxBlockWeight, Conservative: conservative})
	return pending.FeeEstimate{FeeRate: max(floor, rate), Known: true}
}

// outbid returns the feerate of the best chunk that has no room in so many blocks, and a
// little more; 0 if all have room.
func (p *Pool) outbid(ranking rankingSnapshot, blocks int) types.FeeRate {
	room := int64(max(blocks, 1)) * int64(p.params.MaxBlockWeight)
	for r := range ranking.bestFirst() {
		if room -= int64(r.weight); room < 0 {
			return r.feeRate() + p.options.IncrementalRelay
		}
	}
	return 0
}

// ignorePassedOver takes those out of what waits that have been here while blocks took
// others which pay less. Whatever the reason is, they compete with nobody; and whoever
// sends what no miner wants should not be able to make others pay more.
func ignorePassedOver(t *fees.Tracker, ranking rankingSnapshot, waiting *fees.Histogram) {
	above, height, ok := t.PassedOver()
	if !ok {
		return
	}
	for r := range ranking.bestFirst() {
		rate := r.feeRate()
		if rate < above {
			return
		}
		newest := uint32(0)
		for _, n := range r.nodes() {
			newest = max(newest, n.Height)
		}
		if newest <= height {
			waiting.Add(rate, -int(r.weight))
		}
	}
}

// observe begins the observation of a block that is about to change the graph. It
// assumes mu.
func (p *Pool) observe(u *consensus.BlockUpdate, confirmed []*txNode) *fees.Block {
	b := &fees.Block{Index: u.Update.Block, Parent: u.Update.Parent.Hash, Weight: u.Block.Weight, Before: p.graph.waiting}
	for _, n := range confirmed {
		b.Taken.Add(n.chunk().feeRate(), n.Weight)
	}
	return b
}

// observed ends it after the graph has changed. It assumes mu.
func (p *Pool) observed(b *fees.Block) {
	b.After = p.graph.waiting
	patience := min(freshFor, time.Duration(p.params.TargetSpacing)*time.Second/4)
	limit := p.now().Add(-patience)
	list := p.accepted.list
	for i := len(list) - 1; i >= max(0, len(list)-maxFresh); i-- {
		n := p.graph.byWTxID[list[i]]
		if n == nil {
			continue
		}
		if n.Time.Before(limit) {
			return
		}
		b.Fresh.Add(n.chunk().feeRate(), n.Weight)
	}
}

// learn tells the estimator of a block. It assumes the baton.
func (e *estimator) learn(b *fees.Block) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tracker.Connect(b)
}

// passed tells the estimator that the pool has gone on to a block with nothing in it. If
// that is the next one and is new, it had room for all. It assumes the baton.
func (p *Pool) passed(from, to types.Index) {
	info, ok := p.chain.Info(to.Hash)
	if ok && info.Header.PrevBlock == from.Hash && p.now().Sub(time.Unix(int64(info.Header.Timestamp), 0)) < seenWithin {
		p.estimator.learn(&fees.Block{Index: to, Parent: from.Hash})
		return
	}
	p.estimator.restart(to, &fees.Histogram{})
}

// restart tells the estimator what waits at a block that was reached in another way than
// by the next one of the chain.
func (e *estimator) restart(at types.Index, waiting *fees.Histogram) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tracker.Restart(at, waiting)
}

// undone tells the estimator that a block was undone.
func (e *estimator) undone(at types.Index) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tracker.Disconnect(at.Height)
}
