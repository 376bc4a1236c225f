package fees

import (
	"math"

	"github.com/karatcoin/karat/chain/types"
)

// lookingBack is the estimator that Bitcoin Core had until 2026, as far as it matters
// here: it counts, for each bucket of feerates, how long transactions have waited in the
// past. Written from its description, to have something to compare with.
type lookingBack struct {
	height int
	stats  [3]coreStats // short, medium, long
	txs    map[int]coreTx
}

type coreTx struct{ height, bucket int }

type coreStats struct {
	decay          float64
	scale, periods int
	count, rates   [Buckets]float64
	confirmed      [][Buckets]float64 // by periods
	failed         [][Buckets]float64
	unconfirmed    map[int]*[Buckets]float64 // by the height at which they came
}

func newLookingBack() *lookingBack {
	c := &lookingBack{txs: map[int]coreTx{}}
	for i, s := range []struct {
		decay          float64
		scale, periods int
	}{{.962, 1, 12}, {.9952, 2, 24}, {.99931, 24, 42}} {
		c.stats[i] = coreStats{
			decay: s.decay, scale: s.scale, periods: s.periods,
			confirmed: make([][Buckets]float64, s.periods), failed: make([][Buckets]float64, s.periods), unconfirmed: map[int]*[Buckets]float64{},
		}
	}
	return c
}

func (c *lookingBack) came(id int, rate types.FeeRate) {
	tx := coreTx{c.height, bucketOf(rate)}
	c.txs[id] = tx
	for i := range c.stats {
		at := c.stats[i].unconfirmed[tx.height]
		if at == nil {
			at = &[Buckets]float64{}
			c.stats[i].unconfirmed[tx.height] = at
		}
		at[tx.bucket]++
	}
}

func (c *lookingBack) block(ids []int, rateOf func(id int) types.FeeRate) {
	c.height++
	for i := range c.stats {
		s := &c.stats[i]
		for b := range Buckets {
			s.count[b] *= s.decay
			s.rates[b] *= s.decay
			for p := range s.confirmed {
				s.confirmed[p][b] *= s.decay
				s.failed[p][b] *= s.decay
			}
		}
	}
	for _, id := range ids {
		tx := c.txs[id]
		delete(c.txs, id)
		waited := c.height - tx.height
		for i := range c.stats {
			s := &c.stats[i]
			s.unconfirmed[tx.height][tx.bucket]--
			for p := (waited + s.scale - 1) / s.scale; p <= s.periods; p++ {
				s.confirmed[p-1][tx.bucket]++
			}
			s.count[tx.bucket]++
			s.rates[tx.bucket] += float64(rateOf(id))
			if *s.unconfirmed[tx.height] == ([Buckets]float64{}) && tx.height < c.height {
				delete(s.unconfirmed, tx.height)
			}
		}
	}
}

func (s *coreStats) estimate(target int, sufficient, success float64, height int) float64 {
	var confirmed, total, extra, failed float64
	period := (target + s.scale - 1) / s.scale
	best, from := -1, Buckets-1
	bestFrom := -1
	var waiting [Buckets]float64 // for longer than the target
	for at, counts := range s.unconfirmed {
		for b := range counts {
			if height-at >= target {
				waiting[b] += counts[b]
			}
		}
	}
	for b := Buckets - 1; b >= 0; b-- {
		confirmed += s.confirmed[period-1][b]
		total += s.count[b]
		failed += s.failed[period-1][b]
		extra += waiting[b]
		if total < sufficient/(1-s.decay) {
			continue
		}
		if confirmed/(total+failed+extra) < success {
			break
		}
		best, bestFrom = b, from
		confirmed, total, extra, failed, from = 0, 0, 0, 0, b-1
	}
	if best < 0 {
		return -1
	}
	var txs float64
	for b := best; b <= bestFrom; b++ {
		txs += s.count[b]
	}
	txs /= 2
	for b := best; b <= bestFrom; b++ {
		if s.count[b] >= txs && s.count[b] > 0 {
			return s.rates[b] / s.count[b]
		}
		txs -= s.count[b]
	}
	return -1
}

func (c *lookingBack) combined(target int, success float64, check bool) float64 {
	estimate := -1.0
	if target < 1 || target > 1008 {
		return estimate
	}
	switch {
	case target <= 12:
		estimate = c.stats[0].estimate(target, .5, success, c.height)
	case target <= 48:
		estimate = c.stats[1].estimate(target, .1, success, c.height)
	default:
		estimate = c.stats[2].estimate(target, .1, success, c.height)
	}
	if check {
		if target > 48 {
			if e := c.stats[1].estimate(48, .1, success, c.height); e > 0 && (estimate < 0 || e < estimate) {
				estimate = e
			}
		}
		if target > 12 {
			if e := c.stats[0].estimate(12, .5, success, c.height); e > 0 && (estimate < 0 || e < estimate) {
				estimate = e
			}
		}
	}
	return estimate
}

func (c *lookingBack) estimate(target int, conservative bool) types.FeeRate {
	target = max(2, min(target, c.height/2))
	best := max(c.combined(target/2, .6, true), c.combined(target, .85, true), c.combined(2*target, .95, !conservative))
	if conservative || best < 0 {
		if 2*target <= 48 {
			best = max(best, c.stats[1].estimate(2*target, .1, .95, c.height))
		}
		best = max(best, c.stats[2].estimate(2*target, .1, .95, c.height))
	}
	return types.FeeRate(math.Round(best))
}
