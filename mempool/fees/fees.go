// Package fees estimates what a transaction must pay to be in one of the next blocks.
//
// What decides that is how much waits that pays better, how much more will come before
// the next blocks, and how much those blocks will take. The first is known exactly. The
// other two are learnt from the last blocks: a Tracker is told of each block what waited
// before it and after it, and what it took.
//
// Only what waited in the pool is counted. Whatever else a block holds moves no
// feerate: a miner who fills blocks with payments to itself, which nobody could outbid
// and which cost it nothing, changes no more than the room that it leaves to others.
//
// It is a matter of values in and values out: there is no lock here, and no clock.
package fees

import (
	"math"
	"sort"

	"github.com/karatcoin/karat/chain/types"
)

// Buckets is the number of ranges into which feerates are sorted, each five parts in a
// hundred above the one before. The lowest begins at 0, the next at 0.1 grains a virtual
// byte, the highest at some 10,000.
const Buckets = 238

var bounds = func() (bounds [Buckets]types.FeeRate) {
	for i := 1; i < Buckets; i++ {
		bounds[i] = types.FeeRate(math.Round(100 * math.Pow(1.05, float64(i-1))))
	}
	return bounds
}()

// bucketOf returns the bucket of a feerate.
func bucketOf(rate types.FeeRate) int {
	return max(0, sort.Search(Buckets, func(i int) bool { return bounds[i] > rate })-1)
}

// Histogram is weight units by feerate, an element for each bucket.
type Histogram [Buckets]int64

// Add adds a weight, which may be negative, at a feerate.
func (h *Histogram) Add(rate types.FeeRate, weight int) { h[bucketOf(rate)] += int64(weight) }

// atLeast returns for each bucket the weight of all that pay its feerate at least.
func (h *Histogram) atLeast() *Histogram {
	sums := *h
	for i := Buckets - 2; i >= 0; i-- {
		sums[i] += sums[i+1]
	}
	return &sums
}
