package secp

import (
	"math/bits"
	"sync"
)

const (
	// windowG is the window of the static tables of G: two tables of 64 KiB. With one
	// more they would be twice as large, and save one in fourteen of G's additions.
	windowG = 12
	// windowP is the window of the table that is made for each key.
	windowP = 5
	// oddP is the number of odd multiples in that table.
	oddP = 1 << (windowP - 2)
)

// baseTables holds the odd multiples of G and of 2^128*G, so that a full scalar
// is two halves of 128 bits, like those of a split scalar.
type baseTables struct{ low, high [1 << (windowG - 2)]affine }

// base builds the tables when they are first asked for, in about two milliseconds.
var base = sync.OnceValue(func() *baseTables {
	t := new(baseTables)
	fillOddMultiples(t.low[:], &generator)
	var high jacobian
	high.setAffine(&generator)
	for range 128 {
		high.double(&high)
	}
	var a [1]affine
	toAffine(a[:], []jacobian{high})
	fillOddMultiples(t.high[:], &a[0])
	return t
})

// fillOddMultiples sets table to p, 3p, 5p, ...
func fillOddMultiples(table []affine, p *affine) {
	odd := make([]jacobian, len(table))
	odd[0].setAffine(p)
	var twice jacobian
	twice.double(&odd[0])
	var step [1]affine
	toAffine(step[:], []jacobian{twice})
	for i := 1; i < len(odd); i++ {
		odd[i].addAffine(&odd[i-1], &step[0])
	}
	toAffine(table, odd)
}

// nafDigits is the most digits that a non-adjacent form of 128 bits can have.
const nafDigits = 129

// naf is a number of at most 128 bits in signed digits: the sum of d[i] * 2^i,
// where a digit is 0 or odd, and n is one more than the place of the highest digit.
type naf struct {
	d [nafDigits]int16
	n int
}

// set fills f, which has to be new, with digits below 2^(window-1) in size, of
// which no two in any window are both not 0.
func (f *naf) set(k halfScalar, window int) {
	lo, hi, top := k.lo, k.hi, uint64(0)
	mask, half := uint64(1)<<window-1, uint64(1)<<(window-1)
	for place := 0; lo|hi|top != 0; {
		// The guard bit keeps the shift below 64 when lo is 0.
		if skip := bits.TrailingZeros64(lo | 1<<63); skip > 0 {
			lo = lo>>skip | hi<<(64-skip)
			hi = hi>>skip | top<<(64-skip)
			top >>= skip
			place += skip
			continue
		}
		digit := int64(lo & mask)
		if uint64(digit) >= half {
			digit -= int64(mask) + 1
			var c uint64
			lo, c = bits.Add64(lo, uint64(-digit), 0)
			hi, c = bits.Add64(hi, 0, c)
			top += c
		} else {
			lo -= uint64(digit)
		}
		if k.negative {
			digit = -digit
		}
		f.d[place] = int16(digit)
		f.n = place + 1
	}
}

// pick sets a to digit times the point whose odd multiples are in table.
func pick(a *affine, table []affine, digit int16) {
	if digit > 0 {
		*a = table[digit>>1]
		return
	}
	p := &table[-digit>>1]
	a.x = p.x
	a.y.neg(&p.y)
}

// keyTable holds odd multiples of a point p and of lambda*p as affine points of a
// curve isomorphic to ours, on which they need no inversion: there (x, y) stands
// for the point (x/scale^2, y/scale^3) of ours.
type keyTable struct {
	odd, lambda [oddP]affine
	scale       field
}

// set fills t for p. It starts on the curve on which 2p is affine, adds that to p
// again and again, and then brings every sum to the z of the last one; the trick
// is libsecp256k1's ("effective affine").
func (t *keyTable) set(p *affine) {
	var sum, twice jacobian
	sum.setAffine(p)
	twice.double(&sum)
	step := affine{twice.x, twice.y}
	var zz field
	zz.sqr(&twice.z)
	sum.x.mul(&p.x, &zz)
	zz.mul(&zz, &twice.z)
	sum.y.mul(&p.y, &zz)

	var ratios [oddP]field
	t.odd[0] = affine{sum.x, sum.y}
	for i := 1; i < oddP; i++ {
		sum.addAffineRatio(&sum, &step, &ratios[i])
		t.odd[i] = affine{sum.x, sum.y}
	}
	t.scale.mul(&sum.z, &twice.z)
	ratio := fieldOne
	for i := oddP - 2; i >= 0; i-- {
		ratio.mul(&ratio, &ratios[i+1])
		zz.sqr(&ratio)
		t.odd[i].x.mul(&t.odd[i].x, &zz)
		zz.mul(&zz, &ratio)
		t.odd[i].y.mul(&t.odd[i].y, &zz)
	}
	for i := range t.odd {
		t.lambda[i].x.mul(&t.odd[i].x, &beta)
		t.lambda[i].y = t.odd[i].y
	}
}

// baseMultiple sets r = s*G.
func (r *jacobian) baseMultiple(s *scalar) {
	tables := base()
	var low, high naf
	low.set(halfScalar{lo: s[0], hi: s[1]}, windowG)
	high.set(halfScalar{lo: s[2], hi: s[3]}, windowG)
	*r = jacobian{}
	var a affine
	for i := max(low.n, high.n) - 1; i >= 0; i-- {
		r.double(r)
		if d := low.d[i]; d != 0 {
			pick(&a, tables.low[:], d)
			r.addAffine(r, &a)
		}
		if d := high.d[i]; d != 0 {
			pick(&a, tables.high[:], d)
			r.addAffine(r, &a)
		}
	}
}

// doubleMultiple sets r = s*G + k*p.
func (r *jacobian) doubleMultiple(s, k *scalar, p *affine) {
	tables := base()
	var key keyTable
	key.set(p)
	var scale2, scale3 field
	scale2.sqr(&key.scale)
	scale3.mul(&scale2, &key.scale)

	k1, k2 := k.split()
	var one, two, low, high naf
	one.set(k1, windowP)
	two.set(k2, windowP)
	low.set(halfScalar{lo: s[0], hi: s[1]}, windowG)
	high.set(halfScalar{lo: s[2], hi: s[3]}, windowG)

	*r = jacobian{}
	var a affine
	for i := max(one.n, two.n, low.n, high.n) - 1; i >= 0; i-- {
		r.double(r)
		if d := one.d[i]; d != 0 {
			pick(&a, key.odd[:], d)
			r.addAffine(r, &a)
		}
		if d := two.d[i]; d != 0 {
			pick(&a, key.lambda[:], d)
			r.addAffine(r, &a)
		}
		if d := low.d[i]; d != 0 {
			pick(&a, tables.low[:], d)
			a.x.mul(&a.x, &scale2)
			a.y.mul(&a.y, &scale3)
			r.addAffine(r, &a)
		}
		if d := high.d[i]; d != 0 {
			pick(&a, tables.high[:], d)
			a.x.mul(&a.x, &scale2)
			a.y.mul(&a.y, &scale3)
			r.addAffine(r, &a)
		}
	}
	// Back to our own curve.
	r.z.mul(&r.z, &key.scale)
}
