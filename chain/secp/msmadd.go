package secp

// lanes is how many additions go in step.
const lanes = len(field4{})

// flush makes the queued additions. With d the denominator of each, the first
// pass multiplies all d of a lane together and notes every product on the way;
// one inversion undoes the last product, and the second pass goes back and
// finds in it each 1/d and the inverse of the product before (Montgomery).
func (m *msm) flush() {
	n := len(m.queue)
	if n == 0 {
		return
	}
	blocks := (n + lanes - 1) / lanes
	m.denoms = resize(m.denoms, blocks)
	m.before = resize(m.before, blocks)
	product := field4One
	for i := range blocks {
		d := &m.denoms[i]
		*d = field4One
		for l, end := 0, min(lanes, n-i*lanes); l < end; l++ {
			m.denominator(&d[l], &m.queue[i*lanes+l])
		}
		m.before[i] = product
		product.mul(&product, d)
	}
	product.invert()
	for i := blocks - 1; i >= 0; i-- {
		var inverses field4
		inverses.mul(&product, &m.before[i])
		product.mul(&product, &m.denoms[i])
		m.finish(m.queue[i*lanes:min(n, i*lanes+lanes)], &inverses)
	}
	m.queue = m.queue[:0]
}

// invert sets every lane to its inverse; none may be 0.
func (z *field4) invert() {
	var left, right, all field
	left.mul(&z[0], &z[1])
	right.mul(&z[2], &z[3])
	all.mul(&left, &right)
	all.inv(&all)
	right.mul(&right, &all) // 1 / left
	left.mul(&left, &all)   // 1 / right
	z[0], z[1] = z[1], z[0]
	z[2], z[3] = z[3], z[2]
	z.mul(z, &field4{right, right, left, left})
}

// denominator sets d to the denominator of the slope of an addition and notes the
// kind: x of b minus x of a, or 2y when the points are equal. Where no
// slope is needed it is 1. All coordinates are below p, so 0 has one form.
func (m *msm) denominator(d *field, q *addition) {
	a, b := &m.points[q.a>>1], &m.points[q.b>>1]
	if m.infinities {
		switch {
		case b.y == field{} && b.x == field{}:
			q.kind, *d = firstOnly, fieldOne
			return
		case a.y == field{} && a.x == field{}:
			q.kind, *d = secondOnly, fieldOne
			return
		}
	}
	d.sub(&b.x, &a.x)
	if d[0]|d[1]|d[2]|d[3] != 0 {
		return
	}
	// The same x: the same point or its negative.
	if (a.y == b.y) == (q.a&1 == q.b&1) {
		q.kind = doubling
		d.add(&a.y, &a.y)
		if q.a&1 == 1 {
			d.neg(d)
		}
		return
	}
	q.kind, *d = cancelling, fieldOne
	m.infinities = true
}

// finish sets the sums of up to four additions, given the inverses of their
// denominators:
//
//	slope = (yb - ya) / (xb - xa), or 3x^2 / 2y
//	x = slope^2 - xa - xb, y = slope * (xa - x) - ya
//
// m.infinities may be set by now for a sum that comes out of this same flush. No
// sum of a flush is an operand of the same flush, so that changes nothing here.
func (m *msm) finish(queue []addition, inverses *field4) {
	var slopes, squares, deltas, ya field4
	var a, b [lanes]*affine
	for l := range queue {
		q := &queue[l]
		a[l], b[l] = &m.points[q.a>>1], &m.points[q.b>>1]
		ya[l].condNeg(&a[l].y, uint64(q.a&1))
		var yb field
		yb.condNeg(&b[l].y, uint64(q.b&1))
		slopes[l].sub(&yb, &ya[l])
		if q.kind == doubling {
			var t field
			t.sqr(&a[l].x)
			slopes[l].add(&t, &t)
			slopes[l].add(&slopes[l], &t)
		}
	}
	slopes.mul(&slopes, inverses)
	squares.sqr(&slopes)
	for l := range queue {
		x := &squares[l]
		x.sub(x, &a[l].x)
		x.sub(x, &b[l].x)
		deltas[l].sub(&a[l].x, x)
	}
	deltas.mul(&deltas, &slopes)
	for l := range queue {
		q := &queue[l]
		out := &m.points[q.out]
		switch q.kind {
		case ordinary, doubling:
			out.x = squares[l]
			out.x.normalize()
			out.y.sub(&deltas[l], &ya[l])
			out.y.normalize()
		case cancelling:
			*out = affine{}
		case firstOnly:
			*out, _ = m.load(q.a)
		case secondOnly:
			*out, _ = m.load(q.b)
		}
	}
}

// resize returns s with length n, keeping what it holds and growing it when needed.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:cap(s)], make([]T, n-cap(s))...)
}

// extend returns s one longer, with the new element as it happens to be.
func extend[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}
