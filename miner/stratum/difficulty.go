package stratum

import (
	"fmt"
	"math"
	"math/big"

	"github.com/karatcoin/karat/chain/consensus"
)

// hashesPerDifficulty is how many hashes a share of difficulty 1 takes on average.
const hashesPerDifficulty = (1 << 48) / float64(0xffff)

// The bounds of a difficulty that a miner may ask for. Within them nothing overflows.
const (
	minDifficulty = 1e-9 // four hashes
	maxDifficulty = 1e18
)

// difficultyOf returns the difficulty of a target, or that of the share with such a
// hash: how many times less it is than 0xffff * 2^208.
func difficultyOf(target consensus.Uint256) float64 {
	value := 0.0
	for i, limb := range target {
		value += math.Ldexp(float64(limb), 64*i)
	}
	return math.Ldexp(0xffff, 208) / value
}

// targetOf returns the greatest hash that a share of a difficulty may have.
func targetOf(difficulty float64) consensus.Uint256 {
	const precision = 300
	one := new(big.Float).SetPrec(precision).SetMantExp(big.NewFloat(0xffff), 208)
	target, _ := one.Quo(one, new(big.Float).SetPrec(precision).SetFloat64(difficulty)).Int(nil)
	if target.BitLen() > 256 {
		return consensus.Uint256{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64}
	}
	result, _ := consensus.ParseUint256(fmt.Sprintf("%064x", target))
	return result
}

// round returns a difficulty with three digits, not above the given one. Less would be
// lost by fewer digits than people like to read.
func round(difficulty float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(difficulty))-2)
	return math.Floor(difficulty/unit+1e-9) * unit // 1e-7 is not a little less than itself
}

// clamp brings a difficulty that was asked for within the bounds. It reports whether
// there is such a difficulty at all.
func clamp(difficulty float64) (float64, bool) {
	if math.IsNaN(difficulty) || difficulty <= 0 {
		return 0, false
	}
	return min(max(difficulty, minDifficulty), maxDifficulty), true
}
