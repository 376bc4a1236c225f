package consensus

import "math/big"

// NextBits returns the compact target that the child of the parent must have. It
// depends on nothing of the chain but the parent's height and time, so no further
// header is needed.
func NextBits(p *Params, parent *State) uint32 {
	if p.Difficulty.Algorithm == DifficultyFixed {
		return p.Genesis.Bits
	}
	anchor, _, _ := ExpandBits(p.Genesis.Bits)
	return CompactBits(asert{
		anchor:   anchor,
		limit:    p.PowLimit,
		halfLife: int64(p.Difficulty.HalfLife),
		spacing:  int64(p.TargetSpacing),
	}.target(int64(parent.Header.Timestamp)-int64(p.Genesis.Timestamp), uint64(parent.Index.Height)))
}

// asert is the difficulty algorithm aserti3-2d, by Mark Lundeberg and others, which
// Bitcoin Cash deployed in 2020. The target is that of an anchor block times
// 2^((time - spacing * blocks) / halfLife). So a chain that is a half-life behind its
// schedule has half the difficulty, and one that is on schedule has the anchor's,
// however it got there. Karat's anchor is the genesis block, whose time begins the
// schedule.
type asert struct {
	anchor   Uint256 // target of the anchor block
	limit    Uint256 // the easiest target
	halfLife int64   // seconds
	spacing  int64   // seconds
}

// target returns the target, from 1 to the limit, of the block after one that comes
// the given seconds and blocks after the anchor. The exponent has 16 binary places,
// rounded towards zero, and the power of two of its fraction is the specification's
// cubic polynomial. All nodes must agree on the last bit, so there is no floating
// point, and big integers leave no question of overflow.
func (a asert) target(seconds int64, blocks uint64) Uint256 {
	behind := new(big.Int).SetUint64(blocks)
	behind.Mul(behind, big.NewInt(a.spacing))
	behind.Sub(big.NewInt(seconds), behind)
	exponent := behind.Lsh(behind, 16)
	exponent.Quo(exponent, big.NewInt(a.halfLife))

	// The shift rounds down, so the fraction is positive even if the exponent is not.
	shifts := new(big.Int).Rsh(exponent, 16)
	fraction := new(big.Int).Sub(exponent, new(big.Int).Lsh(shifts, 16)).Uint64()
	factor := 65536 + (195_766_423_245_049*fraction+
		971_821_376*fraction*fraction+
		5_127*fraction*fraction*fraction+(1<<47))>>48

	target := new(big.Int).Mul(a.anchor.Big(), new(big.Int).SetUint64(factor))
	switch {
	case shifts.Cmp(big.NewInt(512)) > 0:
		return a.limit
	case shifts.Cmp(big.NewInt(-512)) < 0:
		return Uint256{1}
	}
	if n := shifts.Int64() - 16; n >= 0 {
		target.Lsh(target, uint(n))
	} else {
		target.Rsh(target, uint(-n))
	}
	switch {
	case target.Sign() == 0:
		return Uint256{1}
	case target.Cmp(a.limit.Big()) > 0:
		return a.limit
	}
	return Uint256FromBig(target)
}
