package forecast

import (
	"math/big"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// Hashes returns how many hashes a block of a compact target takes on average.
func Hashes(bits uint32) float64 { return consensus.BlockWork(bits).Float64() }

// BitsFor returns the compact target at which miners of so many hashes a second find a block
// in the spacing, on average.
func BitsFor(rate float64, spacing time.Duration) uint32 {
	all := new(big.Float).SetMantExp(big.NewFloat(1), 256)
	target, _ := all.Quo(all, big.NewFloat(max(rate*spacing.Seconds(), 2))).Int(nil)
	return compact(target)
}

// easiest is the highest target that has a compact form which is not negative.
var easiest = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1))

// compact returns the compact form of a target, or of the easiest one that has such a form.
func compact(target *big.Int) uint32 {
	if target.Cmp(easiest) > 0 {
		target = easiest
	}
	return consensus.CompactBits(consensus.Uint256FromBig(target))
}

// Bitcoins2016 returns Bitcoin's rule, for comparison: every 2016 blocks the target is
// multiplied by how long they took over how long they should have, but by no more than four
// and no less than a quarter.
func Bitcoins2016() Rule {
	const blocks = 2016
	began, bits := uint32(0), uint32(0) // of the period
	return func(p *consensus.Params, parent *consensus.State) uint32 {
		if bits == 0 {
			began, bits = p.Genesis.Timestamp, p.Genesis.Bits
		}
		if (parent.Index.Height+1)%blocks != 0 {
			return bits
		}
		due := int64(p.TargetSpacing) * blocks
		took := min(max(int64(parent.Header.Timestamp)-int64(began), due/4), due*4)
		expanded, _, _ := consensus.ExpandBits(bits)
		target := expanded.Big()
		target.Div(target.Mul(target, big.NewInt(took)), big.NewInt(due))
		if limit := p.PowLimit.Big(); target.Cmp(limit) > 0 {
			target = limit
		}
		began, bits = parent.Header.Timestamp, compact(target)
		return bits
	}
}
