package mempool

import (
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// Estimate returns a feerate with which a transaction that came now would be in
// one of the next blocks, as many as given, if they are full and nothing that pays
// more comes meanwhile: just above what has no room in them. While all has room it
// is MinFeeRate. There is always an answer.
func (p *Pool) Estimate(blocks int) types.FeeRate {
	clusters, _ := p.snapshot()
	chunks := chunksOf(clusters)
	slices.SortFunc(chunks, func(a, b chunk) int { return b.compare(&a) })
	room := int64(max(blocks, 1)) * int64(p.params.MaxBlockWeight)
	floor := p.MinFeeRate()
	for i := range chunks {
		if room -= int64(chunks[i].weight); room < 0 {
			return max(floor, chunks[i].feeRate()+p.options.IncrementalRelay)
		}
	}
	return floor
}
