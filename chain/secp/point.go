package secp

// affine is a point of the curve y^2 = x^3 + 7 other than infinity. Only msm.go
// gives (0, 0), which is not on the curve, a meaning.
type affine struct{ x, y field }

// jacobian is the point (x/z^2, y/z^3), or infinity when z is 0 modulo p. The
// zero value is infinity.
type jacobian struct{ x, y, z field }

// generator is the point G.
var generator = affine{
	x: field{0x59f2815b16f81798, 0x029bfcdb2dce28d9, 0x55a06295ce870b07, 0x79be667ef9dcbbac},
	y: field{0x9c47d08ffb10d4b8, 0xfd17b448a6855419, 0x5da4fbfc0e1108a8, 0x483ada7726a3c465},
}

// setX sets p.x to the big-endian x, and reports whether x is below p.
// The point has still to be lifted.
func (p *affine) setX(x *[32]byte) bool { return p.x.setBytes(x) }

// lift sets p.y to the even y that belongs to p.x, and reports whether there is
// one: lift_x of BIP340.
func (p *affine) lift() bool {
	rhs := p.rightSide()
	return p.y.sqrt(&rhs) && p.evenY()
}

// rightSide returns x^3 + 7.
func (p *affine) rightSide() (r field) {
	r.sqr(&p.x)
	r.mul(&r, &p.x)
	r.add(&r, &curveB)
	return r
}

// evenY replaces an odd y by p - y. It returns true, for chaining: y is never 0,
// as the group has odd order and so no point of order two.
func (p *affine) evenY() bool {
	p.y.normalize()
	p.y.condNeg(&p.y, p.y[0]&1)
	return true
}

// liftGroup is how many points liftFour takes.
const liftGroup = len(field4{})

// liftFour is lift for up to four points at once, and reports whether all of them
// are on the curve.
func liftFour(points []affine) bool {
	var rhs field4
	for i := range points {
		rhs[i] = points[i].rightSide()
	}
	var roots field4
	roots.sqrt(&rhs, len(points))
	var back field4
	back.sqr(&roots)
	for i := range points {
		if !back[i].equal(&rhs[i]) {
			return false
		}
		points[i].y = roots[i]
		points[i].evenY()
	}
	return true
}

// isInfinity reports whether r is the point at infinity.
func (r *jacobian) isInfinity() bool { return r.z.isZero() }

// setAffine sets r = a.
func (r *jacobian) setAffine(a *affine) { *r = jacobian{a.x, a.y, fieldOne} }

// double sets r = 2a, in three products and four squares. Infinity needs no case
// of its own: z stays 0. No other point doubles to infinity.
//
//	L = 3x^2/2, S = y^2, T = -x*S
//	x' = L^2 + 2T, y' = -(L*(x' + T) + S^2), z' = y*z
func (r *jacobian) double(a *jacobian) {
	var l, s, t, x, u field
	l.sqr(&a.x)
	s.sqr(&a.y)
	r.z.mul(&a.y, &a.z)
	t.mul(&a.x, &s)
	u.add(&l, &l)
	l.add(&l, &u)
	l.half(&l)
	x.sqr(&l)
	u.sqr(&s)
	x.sub(&x, &t)
	x.sub(&x, &t)
	t.sub(&t, &x)
	t.mul(&t, &l)
	r.y.sub(&t, &u)
	r.x = x
}

// addAffine sets r = a + b.
func (r *jacobian) addAffine(a *jacobian, b *affine) { r.addAffineRatio(a, b, nil) }

// addAffineRatio sets r = a + b and, when ratio is not nil, ratio = r.z / a.z.
// A ratio may only be asked for when a is not infinity.
//
//	u = b.x*z^2, s = b.y*z^3, h = u - x, d = s - y, v = x*h^2
//	x' = d^2 - h^3 - 2v, y' = d*(v - x') - y*h^3, z' = z*h
func (r *jacobian) addAffineRatio(a *jacobian, b *affine, ratio *field) {
	if a.isInfinity() {
		r.setAffine(b)
		return
	}
	var zz, h, d, hh, hhh, v, y field
	zz.sqr(&a.z)
	h.mul(&b.x, &zz)
	d.mul(&b.y, &a.z)
	d.mul(&d, &zz)
	h.sub(&h, &a.x)
	d.sub(&d, &a.y)
	if h.isZero() {
		r.addSameX(a, &d, ratio)
		return
	}
	if ratio != nil {
		*ratio = h
	}
	hh.sqr(&h)
	zz.sqr(&d)
	r.z.mul(&a.z, &h)
	v.mul(&a.x, &hh)
	hhh.mul(&hh, &h)
	y.mul(&a.y, &hhh)
	zz.sub(&zz, &hhh)
	zz.sub(&zz, &v)
	r.x.sub(&zz, &v)
	v.sub(&v, &r.x)
	v.mul(&v, &d)
	r.y.sub(&v, &y)
}

// addSameX finishes an addition to a of a point with the same x: twice a, or
// infinity if the difference d of the y is not 0.
func (r *jacobian) addSameX(a *jacobian, d, ratio *field) {
	if !d.isZero() {
		*r = jacobian{}
		if ratio != nil {
			*ratio = field{}
		}
		return
	}
	if ratio != nil {
		*ratio = a.y
	}
	r.double(a)
}

// equals reports whether r, which is not infinity, is the point b.
func (r *jacobian) equals(b *affine) bool {
	if r.isInfinity() {
		return false
	}
	var zz, u field
	zz.sqr(&r.z)
	u.mul(&b.x, &zz)
	if !u.equal(&r.x) {
		return false
	}
	u.mul(&b.y, &zz)
	u.mul(&u, &r.z)
	return u.equal(&r.y)
}

// toAffine sets out to the points of in, none of which is infinity, with one
// inversion for all of them (Montgomery's trick). It serves the static tables.
func toAffine(out []affine, in []jacobian) {
	before := make([]field, len(in)) // product of the z before each point
	product := fieldOne
	for i := range in {
		before[i] = product
		product.mul(&product, &in[i].z)
	}
	product.inv(&product)
	for i := len(in) - 1; i >= 0; i-- {
		var inverse, square field
		inverse.mul(&product, &before[i])
		product.mul(&product, &in[i].z)
		square.sqr(&inverse)
		out[i].x.mul(&in[i].x, &square)
		square.mul(&square, &inverse)
		out[i].y.mul(&in[i].y, &square)
		out[i].x.normalize()
		out[i].y.normalize()
	}
}
