package web

import (
	"math"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// difficulty is how many times the work of Bitcoin's easiest block a target asks for.
func difficulty(compact uint32) float64 {
	target, _, _ := consensus.ExpandBits(compact)
	easiest, _, _ := consensus.ExpandBits(0x1d00ffff)
	if target.IsZero() {
		return 0
	}
	return easiest.Float64() / target.Float64()
}

// at returns a block of the best chain.
func (s *Server) at(height uint32) (header.Info, bool) {
	hash, ok := s.Headers.HashAt(height)
	if !ok {
		return header.Info{}, false
	}
	return s.Headers.Info(hash)
}

// hashRate is the work of the blocks above one up to another, over the time that they
// took; 0 if that cannot be said.
func hashRate(from, to header.Info) float64 {
	took := int64(to.Header.Timestamp) - int64(from.Header.Timestamp)
	if took <= 0 || to.Height <= from.Height {
		return 0
	}
	return to.Work.Sub(from.Work).Float64() / float64(took)
}

// rateBlocks is how many blocks an estimate of the hash rate is made of, as Bitcoin Core's.
const rateBlocks = 120

// hashRateAt estimates the hash rate up to a block of the best chain.
func (s *Server) hashRateAt(to header.Info) float64 {
	from, ok := s.at(windowStart(to.Height, rateBlocks))
	if !ok {
		return 0
	}
	return hashRate(from, to)
}

// windowStart is the block below the last n up to a height. It is not the genesis block, which
// is made long before anybody mines on it.
func windowStart(height, n uint32) uint32 {
	return max(height-min(height, n), min(height, 1))
}

// spacing is the average time in seconds between the last blocks; 0 if there are none.
func (s *Server) spacing(to header.Info) float64 {
	from, ok := s.at(windowStart(to.Height, rateBlocks))
	if !ok || to.Height-from.Height < 2 {
		return 0
	}
	return float64(int64(to.Header.Timestamp)-int64(from.Header.Timestamp)) / float64(to.Height-from.Height)
}

// Supply is the money of a network at a height, as its genesis file has it.
type Supply struct {
	Allocated types.Amount // by the genesis block
	Mined     types.Amount // that miners could take up to now
	Total     types.Amount // that there will ever be
	Subsidy   types.Amount // of the next block
	Halving   uint32       // the height of the next halving; 0: the subsidy has ended
	Era       uint32       // halvings that have been
	Share     float64      // of Total that is issued
	Left      float64      // of the era, as a share of it
}

// Issued is what there is now.
func (s Supply) Issued() types.Amount { return s.Allocated + s.Mined }

// supplyAt adds up what the rules give.
func supplyAt(p *consensus.Params, height uint32) Supply {
	var s Supply
	for _, coin := range p.GenesisCoins() {
		s.Allocated += coin.Coin.Value
	}
	s.Mined = minedUpTo(p, height)
	s.Total = min(s.Allocated+minedUpTo(p, math.MaxUint32), p.MaxMoney)
	s.Subsidy = consensus.Subsidy(p, height+1)
	s.Era = (height + 1) / p.HalvingInterval
	if next := (uint64(s.Era) + 1) * uint64(p.HalvingInterval); s.Subsidy > 0 && next <= math.MaxUint32 {
		s.Halving = uint32(next)
		s.Left = float64(s.Halving-height-1) / float64(p.HalvingInterval)
	}
	if s.Total > 0 {
		s.Share = float64(s.Issued()) / float64(s.Total)
	}
	return s
}

// minedUpTo is the sum of the subsidies of the blocks 1 to height.
func minedUpTo(p *consensus.Params, height uint32) (sum types.Amount) {
	for first := uint64(1); first <= uint64(height); {
		era := first / uint64(p.HalvingInterval)
		subsidy := consensus.Subsidy(p, uint32(first))
		if subsidy == 0 {
			return sum
		}
		last := min((era+1)*uint64(p.HalvingInterval)-1, uint64(height))
		n := types.Amount(last - first + 1)
		if subsidy > (math.MaxInt64-sum)/n {
			return p.MaxMoney // no rule lets more be
		}
		sum += n * subsidy
		first = last + 1
	}
	return sum
}

// until is in about how many seconds a height comes.
func (s *Server) until(tip types.Index, height uint32) float64 {
	return float64(height-tip.Height) * float64(s.Params.TargetSpacing)
}

// reversal is the chance that a payment with so many blocks on it is taken back by an
// attacker who has a share of the hash rate (Nakamoto 2008, section 11).
func reversal(share float64, confirmations int) float64 {
	if share >= 0.5 {
		return 1
	}
	if confirmations <= 0 {
		return 1
	}
	ratio := share / (1 - share)
	lambda := float64(confirmations) * ratio
	sum, poisson := 1.0, math.Exp(-lambda)
	for k := 0; k <= confirmations; k++ {
		if k > 0 {
			poisson *= lambda / float64(k)
		}
		sum -= poisson * (1 - math.Pow(ratio, float64(confirmations-k)))
	}
	return max(sum, 0)
}
