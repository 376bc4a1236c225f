package secp

//go:generate go run ./internal/genifma lift8_amd64.s

// field8 is eight field elements in limbs of 52 bits, the size that the multipliers
// of AVX-512 IFMA take: limb first, then lane. A limb is below 2^52, the top limb
// below 2^49, so that the value is below 2^257.
type field8 [5][8]uint64

// mask52 covers a limb.
const mask52 = 1<<52 - 1

// setLane sets one lane to x.
func (z *field8) setLane(lane int, x *field) {
	z[0][lane] = x[0] & mask52
	z[1][lane] = (x[0]>>52 | x[1]<<12) & mask52
	z[2][lane] = (x[1]>>40 | x[2]<<24) & mask52
	z[3][lane] = (x[2]>>28 | x[3]<<36) & mask52
	z[4][lane] = x[3] >> 16
}

// lane returns one lane. What the top limb has above 2^256 is folded in.
func (z *field8) lane(lane int) (x field) {
	top := z[4][lane]
	x[0] = z[0][lane] | z[1][lane]<<52
	x[1] = z[1][lane]>>12 | z[2][lane]<<40
	x[2] = z[2][lane]>>24 | z[3][lane]<<28
	x[3] = z[3][lane]>>36 | top<<16
	x.add(&x, &field{top >> 48 * fold})
	return x
}

// mul8Generic sets z = x * y in every lane.
func mul8Generic(z, x, y *field8) {
	for l := range 8 {
		a, b := x.lane(l), y.lane(l)
		a.mul(&a, &b)
		z.setLane(l, &a)
	}
}

// sqrN8Generic squares every lane n times, n at least 1.
func sqrN8Generic(z, x *field8, n int) {
	for l := range 8 {
		a := x.lane(l)
		a.sqrN(&a, n)
		z.setLane(l, &a)
	}
}

// sqrt sets every lane of z to that of x to the power (p+1)/4.
func (z *field8) sqrt(x *field8) {
	var r [powerRegisters]field8
	r[r1] = *x
	for _, s := range sqrtChain {
		r[s.dst].sqrN(&r[s.src], s.n)
		if s.by != none {
			r[s.dst].mul(&r[s.dst], &r[s.by])
		}
	}
	*z = r[acc]
}

// liftEight is lift for up to eight points at once, and reports whether all of
// them are on the curve. It pays only where useIFMA is set.
//
// Every root is squared again by the code for one element. So a processor or an
// assembly that is wrong here can turn a point away, and make a batch fail that
// is then checked one by one, but cannot make up a point.
func liftEight(points []affine) bool {
	var rhs [8]field
	var squares, roots field8
	for i := range points {
		rhs[i] = points[i].rightSide()
		squares.setLane(i, &rhs[i])
	}
	roots.sqrt(&squares)
	for i := range points {
		points[i].y = roots.lane(i)
		if !points[i].y.isSqrtOf(&rhs[i]) {
			return false
		}
		points[i].evenY()
	}
	return true
}
