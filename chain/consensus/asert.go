package consensus

import "math/big"

// NextBits returns the compact target that the child of the parent must have.
func (p *Params) NextBits(parent *State) uint32 {
	if p.Difficulty.Algorithm == DifficultyFixed {
		return p.Genesis.Bits
	}
	return asert{
		anchorBits: p.Genesis.Bits,
		limit:      p.PowLimit,
		halfLife:   int64(p.Difficulty.HalfLife),
		spacing:    int64(p.TargetSpacing),
	}.bits(int64(parent.Header.Timestamp)-int64(p.Genesis.Timestamp), uint64(parent.Index.Height))
}

// asert is the difficulty algorithm aserti3-2d (by Mark Lundeberg and others,
// deployed by Bitcoin Cash in 2020): the target is that of an anchor block times
// 2^((time - spacing * blocks) / halfLife), so that a chain that is a half-life
// behind its schedule has half the difficulty. Karat's anchor is the genesis
// block, whose time begins the schedule.
type asert struct {
	anchorBits uint32
	limit      Uint256
	halfLife   int64 // seconds
	spacing    int64 // seconds
}

// bits returns the compact target of the block after one that lies the given
// seconds and blocks behind the anchor. All arithmetic is exact: the exponent
// has 16 binary places, rounded towards zero, and the fraction's power of two
// is the specification's cubic polynomial.
func (a asert) bits(seconds int64, blocks uint64) uint32 {
	anchor, _, _ := ExpandBits(a.anchorBits)
	behind := new(big.Int).SetUint64(blocks)
	behind.Mul(behind, big.NewInt(a.spacing))
	behind.Sub(big.NewInt(seconds), behind)
	exponent := behind.Lsh(behind, 16)
	exponent.Quo(exponent, big.NewInt(a.halfLife))

	// Floor division splits the exponent into whole halvings and a fraction.
	shifts := new(big.Int).Rsh(exponent, 16)
	fraction := new(big.Int).Sub(exponent, new(big.Int).Lsh(shifts, 16)).Uint64()
	factor := 65536 + (195_766_423_245_049*fraction+
		971_821_376*fraction*fraction+
		5_127*fraction*fraction*fraction+(1<<47))>>48

	target := new(big.Int).Mul(anchor.big(), new(big.Int).SetUint64(factor))
	switch {
	case shifts.Cmp(big.NewInt(512)) > 0:
		return CompactBits(a.limit)
	case shifts.Cmp(big.NewInt(-512)) < 0:
		return CompactBits(Uint256{1})
	}
	if n := shifts.Int64() - 16; n >= 0 {
		target.Lsh(target, uint(n))
	} else {
		target.Rsh(target, uint(-n))
	}
	switch {
	case target.Sign() == 0:
		return CompactBits(Uint256{1})
	case target.Cmp(a.limit.big()) > 0:
		return CompactBits(a.limit)
	}
	return CompactBits(uint256FromBig(target))
}
