package forecast

import (
	"math"
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

func compact(target *big.Int) uint32 {
	if target.Cmp(easiest) > 0 {
		target = easiest
	}
	var u consensus.Uint256
	limb := new(big.Int).SetUint64(math.MaxUint64)
	for i := range u {
		u[i] = new(big.Int).And(new(big.Int).Rsh(target, uint(64*i)), limb).Uint64()
	}
	return consensus.CompactBits(u)
}

func expand(bits uint32) *big.Int {
	target, _, _ := consensus.ExpandBits(bits)
	n := new(big.Int)
	for i := len(target) - 1; i >= 0; i-- {
		n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(target[i]))
	}
	return n
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
		target := expand(bits)
		target.Div(target.Mul(target, big.NewInt(took)), big.NewInt(due))
		if limit := expand(consensus.CompactBits(p.PowLimit)); target.Cmp(limit) > 0 {
			target = limit
		}
		began, bits = parent.Header.Timestamp, compact(target)
		return bits
	}
}
