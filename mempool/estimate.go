package mempool

import "github.com/karatcoin/karat/chain/types"

// Estimate returns a feerate with which a transaction that came now would be in one of
// the next blocks, as many as given. While all that waits has room in them, that is
// MinFeeRate, below which nothing is taken. Otherwise it is the feerate of the best
// chunk that has no room, and a little more, which outbids it. So there is always an
// answer. It outbids those who wait now; whoever comes later and pays more goes first.
func (p *Pool) Estimate(blocks int) types.FeeRate {
	ranking, _ := p.snapshot()
	room := int64(max(blocks, 1)) * int64(p.params.MaxBlockWeight)
	floor := p.MinFeeRate()
	for r := range ranking.bestFirst() {
		if room -= int64(r.weight); room < 0 {
			return max(floor, r.cluster.chunks[r.index].feeRate()+p.options.IncrementalRelay)
		}
	}
	return floor
}
