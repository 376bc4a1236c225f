package consensus

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/karatcoin/karat/chain/types"
)

// Uint256 is an unsigned number of 256 bits, in four limbs of 64 bits with the least
// significant one first. Targets and work are such numbers. The node keeps one for
// every header and compares them often, so it is an array and no big.Int.
type Uint256 [4]uint64

// Uint256FromHash reads a hash as the number that proof of work compares with the
// target: little-endian, so that zeros at the start of its text are high digits.
func Uint256FromHash(h types.Hash) (u Uint256) {
	for i := range u {
		u[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	return u
}

// ParseUint256 reads 64 hexadecimal digits, most significant first.
func ParseUint256(s string) (u Uint256, err error) {
	var b [32]byte
	if len(s) != 64 {
		return u, fmt.Errorf("want 64 hexadecimal digits, got %d characters", len(s))
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return u, err
	}
	for i := range u {
		u[3-i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return u, nil
}

// String returns 64 hexadecimal digits, most significant first.
func (u Uint256) String() string {
	var b [32]byte
	for i := range u {
		binary.BigEndian.PutUint64(b[8*i:], u[3-i])
	}
	return hex.EncodeToString(b[:])
}

// MarshalText implements encoding.TextMarshaler as String.
func (u Uint256) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Float64 returns the number as well as a float holds it: for people and pictures, never for
// a rule.
func (u Uint256) Float64() (f float64) {
	for i := len(u) - 1; i >= 0; i-- {
		f = f*(1<<64) + float64(u[i])
	}
	return f
}

// IsZero reports whether the number is zero.
func (u Uint256) IsZero() bool { return u == Uint256{} }

// Cmp returns -1, 0 or 1 as u is less than, equal to or greater than v.
func (u Uint256) Cmp(v Uint256) int {
	for i := 3; i >= 0; i-- {
		switch {
		case u[i] < v[i]:
			return -1
		case u[i] > v[i]:
			return 1
		}
	}
	return 0
}

// Add returns u + v modulo 2^256.
func (u Uint256) Add(v Uint256) (sum Uint256) {
	var carry uint64
	for i := range u {
		sum[i], carry = bits.Add64(u[i], v[i], carry)
	}
	return sum
}

// Sub returns u - v modulo 2^256.
func (u Uint256) Sub(v Uint256) (difference Uint256) {
	var borrow uint64
	for i := range u {
		difference[i], borrow = bits.Sub64(u[i], v[i], borrow)
	}
	return difference
}

// Big returns u as a number of math/big.
func (u Uint256) Big() *big.Int {
	var b [32]byte
	for i := range u {
		binary.BigEndian.PutUint64(b[8*i:], u[3-i])
	}
	return new(big.Int).SetBytes(b[:])
}

// Uint256FromBig converts a number that is not negative and below 2^256. It panics on others.
func Uint256FromBig(n *big.Int) (u Uint256) {
	var b [32]byte
	n.FillBytes(b[:])
	for i := range u {
		u[3-i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return u
}

// shift returns u << n, or u >> -n.
func (u Uint256) shift(n int) Uint256 {
	if n < 0 {
		return Uint256FromBig(new(big.Int).Rsh(u.Big(), uint(-n)))
	}
	shifted := new(big.Int).Lsh(u.Big(), uint(n))
	return Uint256FromBig(shifted.And(shifted, maxUint256))
}

var maxUint256 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))

// bitLen returns the number of bits that u needs.
func (u Uint256) bitLen() int {
	for i := 3; i >= 0; i-- {
		if u[i] != 0 {
			return 64*i + bits.Len64(u[i])
		}
	}
	return 0
}

// ExpandBits reads the compact form of a target: a byte of exponent to the base 256, a
// sign bit, 23 bits of mantissa. It reports whether the value is negative, and whether
// it does not fit in 256 bits; in both cases it is of no use. Bitcoin Core's
// arith_uint256::SetCompact does the same.
func ExpandBits(compact uint32) (target Uint256, negative, overflow bool) {
	size := int(compact >> 24)
	word := compact & 0x007fffff
	if size <= 3 {
		word >>= 8 * (3 - size)
		target = Uint256{uint64(word)}
	} else {
		target = Uint256{uint64(word)}.shift(8 * (size - 3))
	}
	negative = word != 0 && compact&0x00800000 != 0
	overflow = word != 0 && (size > 34 || word > 0xff && size > 33 || word > 0xffff && size > 32)
	return target, negative, overflow
}

// CompactBits returns the compact form of a target, rounded down to the 23 bits of
// mantissa. A target in a header is always such a rounded one.
func CompactBits(target Uint256) uint32 {
	size := (target.bitLen() + 7) / 8
	var compact uint32
	if size <= 3 {
		compact = uint32(target[0] << (8 * (3 - size)))
	} else {
		compact = uint32(target.shift(-8 * (size - 3))[0])
	}
	// The mantissa's highest bit would be read as a sign, so give up a byte of it.
	if compact&0x00800000 != 0 {
		compact >>= 8
		size++
	}
	return compact | uint32(size)<<24
}

// BlockWork returns how many hashes it takes on average to find a block of the given
// compact target: 2^256 / (target + 1), rounded down. It is zero for a target that no
// block can have.
func BlockWork(compact uint32) Uint256 {
	target, negative, overflow := ExpandBits(compact)
	if negative || overflow || target.IsZero() {
		return Uint256{}
	}
	// 2^256 does not fit; (2^256 - target - 1) / (target + 1) + 1 is the same.
	divisor := new(big.Int).Add(target.Big(), big.NewInt(1))
	dividend := new(big.Int).Sub(maxUint256, target.Big())
	work := dividend.Div(dividend, divisor)
	return Uint256FromBig(work.Add(work, big.NewInt(1)))
}
