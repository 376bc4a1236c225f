package secp

import (
	"encoding/binary"
	"math/bits"
)

// scalar is an integer modulo the group order n in four 64-bit limbs, the least
// significant first. It is always below n.
type scalar [4]uint64

// The limbs of n.
const (
	n0 = 0xbfd25e8cd0364141
	n1 = 0xbaaedce6af48a03b
	n2 = 0xfffffffffffffffe
	n3 = 0xffffffffffffffff
)

// The lower limbs of 2^256 - n, which is what a carry out of the top is worth;
// its third limb is 1 and its fourth 0.
const (
	c0 = 0x402da1732fc9bebf
	c1 = 0x4551231950b75fc4
)

// setBytes sets k to the big-endian b modulo n and reports whether b was below n.
func (k *scalar) setBytes(b *[32]byte) bool {
	k[3] = binary.BigEndian.Uint64(b[0:])
	k[2] = binary.BigEndian.Uint64(b[8:])
	k[1] = binary.BigEndian.Uint64(b[16:])
	k[0] = binary.BigEndian.Uint64(b[24:])
	return k.subtractOrder(0) == 0
}

// subtractOrder subtracts n once if carry:k, a number below 2n, is n or more, and
// returns 1 if it did.
func (k *scalar) subtractOrder(carry uint64) uint64 {
	s0, b := bits.Sub64(k[0], n0, 0)
	s1, b := bits.Sub64(k[1], n1, b)
	s2, b := bits.Sub64(k[2], n2, b)
	s3, b := bits.Sub64(k[3], n3, b)
	if carry == 0 && b == 1 {
		return 0
	}
	*k = scalar{s0, s1, s2, s3}
	return 1
}

// isZero reports whether k is 0.
func (k *scalar) isZero() bool { return k[0]|k[1]|k[2]|k[3] == 0 }

// add sets k = x + y.
func (k *scalar) add(x, y *scalar) {
	var c uint64
	k[0], c = bits.Add64(x[0], y[0], 0)
	k[1], c = bits.Add64(x[1], y[1], c)
	k[2], c = bits.Add64(x[2], y[2], c)
	k[3], c = bits.Add64(x[3], y[3], c)
	k.subtractOrder(c)
}

// neg sets k = -x.
func (k *scalar) neg(x *scalar) {
	if x.isZero() {
		*k = scalar{}
		return
	}
	var b uint64
	k[0], b = bits.Sub64(n0, x[0], 0)
	k[1], b = bits.Sub64(n1, x[1], b)
	k[2], b = bits.Sub64(n2, x[2], b)
	k[3], _ = bits.Sub64(n3, x[3], b)
}

// mul sets k = x * y. The part above 2^256 is replaced by itself times 2^256 - n,
// which has 129 bits, until nothing is left there: 512 bits become 386, then 261,
// then one carry.
func (k *scalar) mul(x, y *scalar) {
	t := product((*[4]uint64)(x), (*[4]uint64)(y))
	foldOrder(&t, 4)
	foldOrder(&t, 3)
	foldOrder(&t, 1)
	*k = scalar(t[:4])
	k.subtractOrder(t[4])
}

// foldOrder replaces the n limbs of t from 2^256 on, above which there must be
// none, by themselves times 2^256 - n = 2^128 + c1*2^64 + c0.
func foldOrder(t *[8]uint64, n int) {
	high := [4]uint64(t[4:])
	clear(t[4:])
	for i, w := range high[:n] {
		// The row w * (2^128 + c1*2^64 + c0) in four limbs ...
		h0, r0 := bits.Mul64(w, c0)
		h1, r1 := bits.Mul64(w, c1)
		r1, c := bits.Add64(r1, h0, 0)
		r2, r3 := bits.Add64(h1+c, w, 0) // h1 is at most c1, far below 2^64
		// ... is added in its place.
		t[i], c = bits.Add64(t[i], r0, 0)
		t[i+1], c = bits.Add64(t[i+1], r1, c)
		t[i+2], c = bits.Add64(t[i+2], r2, c)
		t[i+3], c = bits.Add64(t[i+3], r3, c)
		t[i+4] += c
	}
}

// product returns x * y in full.
func product(x, y *[4]uint64) (t [8]uint64) {
	for i, w := range y {
		var carry uint64
		for j, v := range x {
			h, l := bits.Mul64(v, w)
			l, c := bits.Add64(l, t[i+j], 0)
			h += c
			l, c = bits.Add64(l, carry, 0)
			carry = h + c
			t[i+j] = l
		}
		t[i+4] = carry
	}
	return t
}

// halfScalar is a signed integer of at most 128 bits.
//
// Multiplying a point by lambda, a cube root of one modulo n, costs one field
// product: lambda*(x, y) = (beta*x, y). So k*P with a k of 256 bits is
// k1*P + k2*lambda*P, two products of half the length, for any k1 and k2 with
// k = k1 + k2*lambda mod n (GLV; Gallant, Lambert, Vanstone 2001).
type halfScalar struct {
	lo, hi   uint64
	negative bool
}

// The numbers of the split. (a1, b1) and (a2, b2) span the pairs with
// a + b*lambda = 0 mod n; a1 = b2, and b1 is negative. g1 and g2 are b2/n and
// -b1/n times 2^384, rounded. They are the numbers of libsecp256k1, which also
// proves that both halves stay below 2^128.
var (
	splitG1 = [4]uint64{0xe893209a45dbb031, 0x3daa8a1471e8ca7f, 0xe86c90e49284eb15, 0x3086d221a7d46bcd}
	splitG2 = [4]uint64{0x1571b4ae8ac47f71, 0x221208ac9df506c6, 0x6f547fa90abfe4c4, 0xe4437ed6010e8828}

	splitA1 = uint192{0xe86c90e49284eb15, 0x3086d221a7d46bcd}
	splitA2 = uint192{0x57c1108d9d44cfd8, 0x14ca50f7a8e2f3f6, 1}
	minusB1 = uint192{0x6f547fa90abfe4c3, 0xe4437ed6010e8828}
)

// split returns k1 and k2, short, with k = k1 + k2*lambda mod n: it subtracts
// from (k, 0) the nearest combination of (a1, b1) and (a2, b2). What remains is
// so short that all of this can be computed modulo 2^192, where the top bit is
// the sign.
func (k *scalar) split() (k1, k2 halfScalar) {
	q1 := mulShift384((*[4]uint64)(k), &splitG1)
	q2 := mulShift384((*[4]uint64)(k), &splitG2)
	var r1, r2 uint192
	r1 = uint192{k[0], k[1], k[2]}
	r1.sub(q1.mul(&splitA1))
	r1.sub(q2.mul(&splitA2))
	r2 = q1.mul(&minusB1)
	r2.sub(q2.mul(&splitA1))
	return r1.half(), r2.half()
}

// short returns k or k - n as a halfScalar when one of them has at most 128 bits.
func (k *scalar) short() (h halfScalar, ok bool) {
	if k[2]|k[3] == 0 {
		return halfScalar{k[0], k[1], false}, true
	}
	if k[3] != n3 {
		return halfScalar{}, false
	}
	var m scalar
	m.neg(k)
	return halfScalar{m[0], m[1], true}, m[2]|m[3] == 0
}

// mulShift384 returns x * y / 2^384, rounded.
func mulShift384(x, y *[4]uint64) uint192 {
	t := product(x, y)
	lo, c := bits.Add64(t[6], t[5]>>63, 0)
	hi, c := bits.Add64(t[7], 0, c)
	return uint192{lo, hi, c}
}

// uint192 is an integer modulo 2^192.
type uint192 [3]uint64

// mul returns x * y.
func (x *uint192) mul(y *uint192) uint192 {
	h00, l00 := bits.Mul64(x[0], y[0])
	h01, l01 := bits.Mul64(x[0], y[1])
	h10, l10 := bits.Mul64(x[1], y[0])
	t1, c := bits.Add64(h00, l01, 0)
	t2 := h01 + c
	t1, c = bits.Add64(t1, l10, 0)
	t2 += h10 + c + x[1]*y[1] + x[0]*y[2] + x[2]*y[0]
	return uint192{l00, t1, t2}
}

// sub sets x = x - y.
func (x *uint192) sub(y uint192) {
	var b uint64
	x[0], b = bits.Sub64(x[0], y[0], 0)
	x[1], b = bits.Sub64(x[1], y[1], b)
	x[2], _ = bits.Sub64(x[2], y[2], b)
}

// half returns x, taken as a signed number, with its sign apart.
func (x *uint192) half() halfScalar {
	if x[2]>>63 == 0 {
		return halfScalar{x[0], x[1], false}
	}
	var m uint192
	m.sub(*x)
	return halfScalar{m[0], m[1], true}
}
