package mempool

import (
	"math/bits"

	"github.com/karatcoin/karat/chain/types"
)

// chunk is a run of a cluster's nodes that a miner would take together, because the
// later ones pay for the earlier.
type chunk struct {
	first, end int          // places in the cluster
	fee        types.Amount // modified, and so it may be negative
	weight     int
	// tie is the place of the node whose id decides between equal feerates: of the first
	// nodes of this chunk and of those before it that pay as much, the one with the
	// greatest id. So chunks of one cluster are never put before each other.
	tie int
}

func (c *chunk) add(n *txNode) {
	c.fee += n.modified()
	c.weight += n.Weight
}

// compare compares the feerates of two chunks.
func (c *chunk) compare(d *chunk) int { return compareRates(c.fee, c.weight, d.fee, d.weight) }

// feeRate returns the feerate of a chunk, rounded down. Feerates are per virtual byte,
// although a chunk is compared by its weight.
func (c *chunk) feeRate() types.FeeRate {
	return types.NewFeeRate(c.fee, vsizeOf(c.weight))
}

func vsizeOf(weight int) int { return (weight + types.WitnessScale - 1) / types.WitnessScale }

// chunksOf returns the chunks of clusters. Those of one cluster keep their order; those
// of different ones do not depend on each other.
func chunksOf(clusters []*cluster) []chunk {
	var chunks []chunk
	for _, c := range clusters {
		chunks = append(chunks, c.chunks...)
	}
	return chunks
}

// compareRates compares fee a / weight a with fee b / weight b, without rounding: two
// feerates that differ in the last digit must not look equal in one comparison and
// different in another, or there would be no order. Weights are positive. Fees may be
// negative, since an operator's delta can take more from a fee than it is.
func compareRates(feeA types.Amount, weightA int, feeB types.Amount, weightB int) int {
	switch {
	case feeA >= 0 && feeB >= 0:
		return compareProducts(uint64(feeA), uint64(weightB), uint64(feeB), uint64(weightA))
	case feeA >= 0:
		return 1
	case feeB >= 0:
		return -1
	}
	return compareProducts(uint64(-feeB), uint64(weightA), uint64(-feeA), uint64(weightB))
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
