package secp

import (
	"encoding/binary"
	"math/bits"
)

// field is an integer modulo p = 2^256 - 2^32 - 977 in four 64-bit limbs, the
// least significant first.
//
// Any value below 2^256 is allowed, so the numbers below 2^256 - p have a second
// representation. Only normalize chooses between them; isZero and equal see
// through it. Reducing no further than 2^256 after each step keeps the steps short.
type field [4]uint64

// fold is 2^256 modulo p: what a carry out of the top limb is worth.
const fold = 1<<32 + 977

// The limbs of p; the two in the middle are like the top one.
const (
	p0 = 1<<64 - fold
	p3 = 1<<64 - 1
)

var (
	fieldOne = field{1}
	// curveB is the constant of the curve y^2 = x^3 + 7.
	curveB = field{7}
	// beta is a cube root of one: (beta*x, y) is lambda*(x, y), see halfScalar.
	beta = field{0xc1396c28719501ee, 0x9cf0497512f58995, 0x6e64479eac3434e9, 0x7ae96a2b657c0710}
)

// setBytes sets z to the big-endian b and reports whether b is below p.
func (z *field) setBytes(b *[32]byte) bool {
	z[3] = binary.BigEndian.Uint64(b[0:])
	z[2] = binary.BigEndian.Uint64(b[8:])
	z[1] = binary.BigEndian.Uint64(b[16:])
	z[0] = binary.BigEndian.Uint64(b[24:])
	return !z.overflows()
}

// overflows reports whether z is held as a number of p or more.
func (z *field) overflows() bool {
	return z[3] == p3 && z[2] == p3 && z[1] == p3 && z[0] >= p0
}

// normalize brings z below p.
func (z *field) normalize() {
	if z.overflows() {
		*z = field{z[0] - p0}
	}
}

// isZero reports whether z is 0 modulo p.
func (z *field) isZero() bool {
	return z[0]|z[1]|z[2]|z[3] == 0 || z[3] == p3 && z[2] == p3 && z[1] == p3 && z[0] == p0
}

// equal reports whether z and x are the same modulo p.
func (z *field) equal(x *field) bool {
	var d field
	d.sub(z, x)
	return d.isZero()
}

// add sets z = x + y. A carry is folded back in; that can carry once more, but
// then leaves so small a number that the second fold cannot.
func (z *field) add(x, y *field) {
	s0, c := bits.Add64(x[0], y[0], 0)
	s1, c := bits.Add64(x[1], y[1], c)
	s2, c := bits.Add64(x[2], y[2], c)
	s3, c := bits.Add64(x[3], y[3], c)
	s0, c = bits.Add64(s0, -c&fold, 0)
	s1, c = bits.Add64(s1, 0, c)
	s2, c = bits.Add64(s2, 0, c)
	s3, c = bits.Add64(s3, 0, c)
	s0 += -c & fold
	z[0], z[1], z[2], z[3] = s0, s1, s2, s3
}

// sub sets z = x - y, by the argument of add.
func (z *field) sub(x, y *field) {
	s0, c := bits.Sub64(x[0], y[0], 0)
	s1, c := bits.Sub64(x[1], y[1], c)
	s2, c := bits.Sub64(x[2], y[2], c)
	s3, c := bits.Sub64(x[3], y[3], c)
	s0, c = bits.Sub64(s0, -c&fold, 0)
	s1, c = bits.Sub64(s1, 0, c)
	s2, c = bits.Sub64(s2, 0, c)
	s3, c = bits.Sub64(s3, 0, c)
	s0 -= -c & fold
	z[0], z[1], z[2], z[3] = s0, s1, s2, s3
}

// neg sets z = -x.
func (z *field) neg(x *field) {
	var zero field
	z.sub(&zero, x)
}

// condNeg sets z = -x when sign is 1 and z = x when it is 0, without a branch:
// the sign of a digit in a batch is a coin toss, which a branch predictor loses.
// x has to be below p and not 0. (-x is p - x = ^x + p + 1 - 2^256 = ^x - (fold - 1).)
func (z *field) condNeg(x *field, sign uint64) {
	m := -sign
	s0, c := bits.Sub64(x[0]^m, m&(fold-1), 0)
	s1, c := bits.Sub64(x[1]^m, 0, c)
	s2, c := bits.Sub64(x[2]^m, 0, c)
	s3, _ := bits.Sub64(x[3]^m, 0, c)
	z[0], z[1], z[2], z[3] = s0, s1, s2, s3
}

// half sets z = x/2: an odd x becomes even by adding p.
func (z *field) half(x *field) {
	m := -(x[0] & 1)
	s0, c := bits.Add64(x[0], m&p0, 0)
	s1, c := bits.Add64(x[1], m, c)
	s2, c := bits.Add64(x[2], m, c)
	s3, c := bits.Add64(x[3], m, c)
	z[0] = s0>>1 | s1<<63
	z[1] = s1>>1 | s2<<63
	z[2] = s2>>1 | s3<<63
	z[3] = s3>>1 | c<<63
}

// mulGeneric sets z = x * y: rows of the school method, one for each limb of y, give
// 512 bits. Modulo p, the upper half times fold is added to the lower half, which
// leaves 34 bits above 2^256 to fold again. That carries past the second limb with
// a chance of 2^-60, so the rest is behind a branch; what is left after a carry out
// of the top is below 2^67 and so the last addition cannot carry again.
//
// It is long because it is unrolled, and the end is written out here and in
// sqrGeneric: as a function of its own it would cost an eighth of the time.
func mulGeneric(z, x, y *field) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	var h0, h1, h2, h3, l0, l1, l2, l3, c uint64

	w := y[0]
	h0, t0 := bits.Mul64(x0, w)
	h1, l1 = bits.Mul64(x1, w)
	h2, l2 = bits.Mul64(x2, w)
	h3, l3 = bits.Mul64(x3, w)
	t1, c := bits.Add64(l1, h0, 0)
	t2, c := bits.Add64(l2, h1, c)
	t3, c := bits.Add64(l3, h2, c)
	t4 := h3 + c

	w = y[1]
	h0, l0 = bits.Mul64(x0, w)
	h1, l1 = bits.Mul64(x1, w)
	t1, c = bits.Add64(t1, l0, 0)
	t2, c = bits.Add64(t2, l1, c)
	h2, l2 = bits.Mul64(x2, w)
	h3, l3 = bits.Mul64(x3, w)
	t3, c = bits.Add64(t3, l2, c)
	t4, c = bits.Add64(t4, l3, c)
	t5 := h3 + c
	t2, c = bits.Add64(t2, h0, 0)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, h2, c)
	t5 += c

	w = y[2]
	h0, l0 = bits.Mul64(x0, w)
	h1, l1 = bits.Mul64(x1, w)
	t2, c = bits.Add64(t2, l0, 0)
	t3, c = bits.Add64(t3, l1, c)
	h2, l2 = bits.Mul64(x2, w)
	h3, l3 = bits.Mul64(x3, w)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, l3, c)
	t6 := h3 + c
	t3, c = bits.Add64(t3, h0, 0)
	t4, c = bits.Add64(t4, h1, c)
	t5, c = bits.Add64(t5, h2, c)
	t6 += c

	w = y[3]
	h0, l0 = bits.Mul64(x0, w)
	h1, l1 = bits.Mul64(x1, w)
	t3, c = bits.Add64(t3, l0, 0)
	t4, c = bits.Add64(t4, l1, c)
	h2, l2 = bits.Mul64(x2, w)
	h3, l3 = bits.Mul64(x3, w)
	t5, c = bits.Add64(t5, l2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 := h3 + c
	t4, c = bits.Add64(t4, h0, 0)
	t5, c = bits.Add64(t5, h1, c)
	t6, c = bits.Add64(t6, h2, c)
	t7 += c

	// Modulo p.
	h0, l0 = bits.Mul64(t4, fold)
	h1, l1 = bits.Mul64(t5, fold)
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	h2, l2 = bits.Mul64(t6, fold)
	h3, l3 = bits.Mul64(t7, fold)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4 = h3 + c
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 += c
	h0, l0 = bits.Mul64(t4, fold)
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, h0, c)
	if c != 0 {
		t2, c = bits.Add64(t2, 1, 0)
		t3, c = bits.Add64(t3, 0, c)
		t0, c = bits.Add64(t0, -c&fold, 0)
		t1 += c
	}
	z[0], z[1], z[2], z[3] = t0, t1, t2, t3
}

// sqrGeneric sets z = x * x: the products of two different limbs are made once
// and doubled.
func sqrGeneric(z, x *field) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]

	h01, t1 := bits.Mul64(x0, x1)
	h02, l02 := bits.Mul64(x0, x2)
	h03, l03 := bits.Mul64(x0, x3)
	h12, l12 := bits.Mul64(x1, x2)
	h13, l13 := bits.Mul64(x1, x3)
	h23, l23 := bits.Mul64(x2, x3)
	t2, c := bits.Add64(l02, h01, 0)
	t3, c := bits.Add64(l03, h02, c)
	t4, c := bits.Add64(l13, h03, c)
	t5, c := bits.Add64(l23, h13, c)
	t6 := h23 + c
	t3, c = bits.Add64(t3, l12, 0)
	t4, c = bits.Add64(t4, h12, c)
	t5, c = bits.Add64(t5, 0, c)
	t6 += c

	t1, c = bits.Add64(t1, t1, 0)
	t2, c = bits.Add64(t2, t2, c)
	t3, c = bits.Add64(t3, t3, c)
	t4, c = bits.Add64(t4, t4, c)
	t5, c = bits.Add64(t5, t5, c)
	t6, t7 := bits.Add64(t6, t6, c)

	h, t0 := bits.Mul64(x0, x0)
	t1, c = bits.Add64(t1, h, 0)
	h, l := bits.Mul64(x1, x1)
	t2, c = bits.Add64(t2, l, c)
	t3, c = bits.Add64(t3, h, c)
	h, l = bits.Mul64(x2, x2)
	t4, c = bits.Add64(t4, l, c)
	t5, c = bits.Add64(t5, h, c)
	h, l = bits.Mul64(x3, x3)
	t6, c = bits.Add64(t6, l, c)
	t7 += h + c

	// Modulo p.
	h0, l0 := bits.Mul64(t4, fold)
	h1, l1 := bits.Mul64(t5, fold)
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, l1, c)
	h2, l2 := bits.Mul64(t6, fold)
	h3, l3 := bits.Mul64(t7, fold)
	t2, c = bits.Add64(t2, l2, c)
	t3, c = bits.Add64(t3, l3, c)
	t4 = h3 + c
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 += c
	h0, l0 = bits.Mul64(t4, fold)
	t0, c = bits.Add64(t0, l0, 0)
	t1, c = bits.Add64(t1, h0, c)
	if c != 0 {
		t2, c = bits.Add64(t2, 1, 0)
		t3, c = bits.Add64(t3, 0, c)
		t0, c = bits.Add64(t0, -c&fold, 0)
		t1 += c
	}
	z[0], z[1], z[2], z[3] = t0, t1, t2, t3
}
