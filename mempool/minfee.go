package mempool

import (
	"math"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// MinFeeRate returns the least feerate that a transaction must pay now: the
// relay minimum, or more while the pool is full or was so not long ago.
func (p *Pool) MinFeeRate() types.FeeRate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.minFeeRate()
}

// minFeeRate is MinFeeRate. It assumes mu.
func (p *Pool) minFeeRate() types.FeeRate { return max(p.options.MinRelay, p.rollingMinimum()) }

// rollingMinimum is what a full pool asks for, 0 for nothing. It assumes mu.
func (p *Pool) rollingMinimum() types.FeeRate {
	return p.rolling.at(p.now(), p.graph.usage, p.options.MaxBytes, p.options.IncrementalRelay)
}

const (
	// rollingHalfLife is the time in which the rolling minimum halves. While the pool
	// has much room it falls twice or four times as fast.
	rollingHalfLife = 12 * time.Hour
	// rollingPause is the time between two computations at least: a fall of less than
	// that is nothing, and rounding would eat it.
	rollingPause = 10 * time.Second
)

// rollingFee is the feerate that a transaction must pay after others had to leave for
// want of memory, as Bitcoin Core has it. It rises above what was evicted, so that this
// does not come back at once. It falls with time, but not before there was a block:
// until then the pool is as full as it was.
type rollingFee struct {
	rate       float64 // grains per 1000 virtual bytes
	updated    time.Time
	blockSince bool // a block came after the last rise
}

// raise notes that transactions of a feerate were evicted.
func (r *rollingFee) raise(evicted, increment types.FeeRate) {
	if rate := float64(evicted + increment); rate > r.rate {
		r.rate = rate
		r.blockSince = false
	}
}

// block notes that a block was connected. The fall begins with the first one after a
// rise. Those that follow leave its clock alone: if they came faster than rollingPause,
// there would be no fall.
func (r *rollingFee) block(now time.Time) {
	if !r.blockSince {
		r.updated = now
		r.blockSince = true
	}
}

// at returns the minimum now, 0 if there is none.
func (r *rollingFee) at(now time.Time, usage, maxBytes int, increment types.FeeRate) types.FeeRate {
	if !r.blockSince || r.rate == 0 {
		return types.FeeRate(math.Round(r.rate))
	}
	if now.Before(r.updated) { // the clock was set back
		r.updated = now
	}
	if elapsed := now.Sub(r.updated); elapsed > rollingPause {
		halfLife := rollingHalfLife
		switch {
		case usage < maxBytes/4:
			halfLife /= 4
		case usage < maxBytes/2:
			halfLife /= 2
		}
		r.rate /= math.Exp2(float64(elapsed) / float64(halfLife))
		r.updated = now
		if r.rate < float64(increment)/2 { // or it would fall for ever
			r.rate = 0
			return 0
		}
	}
	return max(types.FeeRate(math.Round(r.rate)), increment)
}
