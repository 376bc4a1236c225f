package forecast

import (
	"fmt"
	"math"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// Finding is a choice of a network that its people may regret.
type Finding struct {
	Field string // of genesis.json
	Text  string // what comes of it, with figures, and what would be better
}

// DefaultHalfLife returns the half-life with which a small network follows its miners: half
// an hour, or fifteen blocks where that is longer. With less, luck alone would move the
// difficulty by a sixth, and one false time of two hours by more than sixteenfold.
func DefaultHalfLife(spacing time.Duration) time.Duration {
	return max(30*time.Minute, 15*spacing)
}

// Advise looks at the choices of a network that miners with so many hashes a second are
// expected to begin.
func Advise(p *consensus.Params, rate float64) (findings []Finding) {
	add := func(field, format string, args ...any) {
		findings = append(findings, Finding{field, fmt.Sprintf(format, args...)})
	}
	spacing := time.Duration(p.TargetSpacing) * time.Second
	first := time.Duration(min(Hashes(p.Genesis.Bits)/rate*float64(time.Second), math.MaxInt64/2))
	off := float64(first) / float64(spacing)
	if spacing < 5*time.Second {
		add("target_spacing", "a block every %s: while one travels around the world others are found, and lost", spacing)
	}
	if p.Difficulty.Algorithm == consensus.DifficultyFixed {
		if off < 1 {
			add("difficulty.algorithm", "fixed, and a block takes %s of work: whoever has miners makes all coins at once; use asert", short(first))
		}
		return findings
	}
	halfLife := time.Duration(p.Difficulty.HalfLife) * time.Second
	if off < 0.5 || off > 2 {
		text := fmt.Sprintf("%08x: the first blocks take %s, not %s; use %08x", p.Genesis.Bits, short(first), short(spacing), BitsFor(rate, spacing))
		if off < 0.5 {
			early := Run(p, Steady(rate, 20*halfLife), 1).TooEarly
			text += fmt.Sprintf(", or %s coins are made too early", early)
		}
		add("genesis.bits", "%s", text)
	}
	limit := Hashes(consensus.CompactBits(p.PowLimit))
	if worst := limit / rate * 100; worst > 10*spacing.Seconds() {
		add("pow_limit", "it lets the difficulty fall by %.3g at most: if all but a hundredth of the miners go, a block takes %s for ever; let it be a thousand times easier than genesis.bits", Hashes(p.Genesis.Bits)/limit, short(time.Duration(worst*float64(time.Second))))
	}
	if halfLife < 10*spacing {
		add("difficulty.half_life", "%s are %.3g blocks: luck alone moves the difficulty by %.0f%%; use %s", short(halfLife), float64(halfLife)/float64(spacing), 100*math.Sqrt(math.Ln2*float64(spacing)/2/float64(halfLife)), short(DefaultHalfLife(spacing)))
	}
	if easier := float64(consensus.MaxFutureSeconds) / halfLife.Seconds(); easier > 4 {
		add("difficulty.half_life", "%s: one block whose time is two hours ahead makes the next %.3g times easier; use %s", short(halfLife), math.Exp2(easier), short(DefaultHalfLife(spacing)))
	}
	if gone := time.Duration(math.Log2(100) * float64(halfLife)); gone > 48*time.Hour {
		add("difficulty.half_life", "%s: if all but a hundredth of the miners go, blocks are slow for %s; use %s while the network is small", short(halfLife), short(gone), short(DefaultHalfLife(spacing)))
	}
	return findings
}
