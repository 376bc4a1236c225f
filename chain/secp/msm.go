package secp

import "math/bits"

// This file sums many multiples k[i]*P[i] at once, with k of at most 128 bits
// (Pippenger's buckets, affine additions with a shared inversion).
//
// Each k is written in signed digits of c bits, from -2^(c-1) to 2^(c-1)-1. For
// each place of the digits (a window), the points that have the same digit there,
// up to its sign, go to the same bucket and are summed. What is then wanted is the
// sum of b * bucket[b] * 2^(c*window). Taking the bits of b apart, that is a sum
// of 2^place * bitSum[place] over all c*windows binary places, which one Horner
// pass of doublings and additions ends.
//
// Nearly all of the work is additions of affine points, 46 for each signature in a
// batch of 1024. Such an addition needs an inversion, two products and a square;
// and inversions that are made together cost three products each (Montgomery's
// trick). That is about half of an addition in Jacobian coordinates.

// ref names a point of an msm: its index in points times two, plus one for the
// negated point. The zero ref is the absence of a point, that is infinity.
type ref uint32

// nowhere is the ref of no point.
const nowhere ref = 0

// segment is the part of refs whose points are to be summed.
type segment struct{ start, n int32 }

// msm is the scratch of one multi-scalar multiplication, kept between uses.
type msm struct {
	// points holds the summands, from index 1 on, then every sum that was made.
	points  []affine
	digits  []biased // one for each summand
	queue   []addition
	denoms  []field4 // the queue's denominators
	before  []field4 // the products of the denominators before each
	refs    []ref
	buckets []segment
	bitSums []segment
	tree    []ref
	// infinities says that some sum came out as infinity, held as (0, 0).
	infinities bool
}

// biased is a scalar plus 2^(c-1) in every window, so that the windows of the sum
// are the digits plus 2^(c-1): a recoding without carries between the digits.
type biased struct {
	v    [3]uint64
	sign ref
}

// addition is one waiting addition of points: out = a + b.
type addition struct {
	a, b ref
	out  uint32
	kind additionKind
}

// additionKind says by which formula an addition goes.
type additionKind uint32

const (
	ordinary   additionKind = iota
	doubling                // a = b
	cancelling              // a = -b
	firstOnly               // b is infinity
	secondOnly              // a is infinity
)

// blockAdditions is how many additions share an inversion: enough that its cost
// is lost among them, few enough that their operands stay in the second-level cache.
const blockAdditions = 2048

// groupPoints is how many summands, counted in every window, fill buckets at a time.
const groupPoints = 6144

// reset forgets all summands.
func (m *msm) reset() {
	m.points = append(m.points[:0], affine{})
	m.digits = m.digits[:0]
	m.infinities = false
}

// push adds the summand k*p. p has to be on the curve with coordinates below p.
func (m *msm) push(k halfScalar, p *affine) {
	if k.lo|k.hi == 0 {
		return
	}
	m.points = append(m.points, *p)
	d := biased{v: [3]uint64{k.lo, k.hi}}
	if k.negative {
		d.sign = 1
	}
	m.digits = append(m.digits, d)
}

// pushSplit adds the summand k*p for a full scalar.
func (m *msm) pushSplit(k *scalar, p *affine) {
	if h, ok := k.short(); ok {
		m.push(h, p)
		return
	}
	k1, k2 := k.split()
	m.push(k1, p)
	var q affine
	q.x.mul(&p.x, &beta)
	q.x.normalize()
	q.y = p.y
	m.push(k2, &q)
}

// sum sets r to the sum of all that was pushed. The next use begins with reset.
func (m *msm) sum(r *jacobian) {
	c := windowFor(len(m.digits))
	// Room for 129 bits, which for all c of windowFor is room for 130: enough for a
	// scalar of 128 and the bias together.
	windows := (128 + c) / c
	half := 1 << (c - 1)
	m.bias(c, windows)
	m.fillBuckets(c, windows)
	// A few windows at a time, so that their sums stay in the second-level cache.
	together := max(1, groupPoints/max(1, len(m.digits))) * (half + 1)
	for rest := m.buckets; len(rest) > 0; rest = rest[min(together, len(rest)):] {
		m.sumSegments(rest[:min(together, len(rest))], true)
	}
	m.sumBits(windows, half, c)

	*r = jacobian{}
	for place := c*windows - 1; place >= 0; place-- {
		r.double(r)
		if s := m.bitSums[place]; s.n == 1 {
			if p, ok := m.load(m.refs[s.start]); ok {
				r.addAffine(r, &p)
			}
		}
	}
}

// windowFor returns the window that costs the fewest additions for n summands. In
// each window, n additions fill the buckets, less one for each bucket that is used
// as its first point comes free, and two for each bucket sum them up.
func windowFor(n int) int {
	best, bestCost := 0, 0
	for c := 4; c <= 13; c++ {
		buckets := 1 << (c - 1)
		cost := (128 + c) / c * (n - min(n, buckets) + 2*buckets)
		if best == 0 || cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best
}

// bias adds 2^(c-1) in every window to every scalar.
func (m *msm) bias(c, windows int) {
	var all [3]uint64
	for w := range windows {
		place := w*c + c - 1
		all[place>>6] |= 1 << (place & 63)
	}
	for i := range m.digits {
		v := &m.digits[i].v
		var carry uint64
		v[0], carry = bits.Add64(v[0], all[0], 0)
		v[1], carry = bits.Add64(v[1], all[1], carry)
		v[2] += all[2] + carry
	}
}

// digit returns the digit of d in the window that starts at bit place, as its size
// and its sign joined with that of the scalar.
func (d *biased) digit(place uint, c uint) (size uint64, sign ref) {
	word, shift := place>>6, place&63
	x := d.v[word] >> shift
	if shift+c > 64 && word < 2 {
		x |= d.v[word+1] << (64 - shift)
	}
	x &= 1<<c - 1
	// x is the digit plus 2^(c-1). Negative digits are negated without a branch.
	v := int64(x) - 1<<(c-1)
	m := v >> 63
	return uint64((v ^ m) - m), ref(m&1) ^ d.sign
}

// fillBuckets lists in refs, bucket after bucket, the summands whose digits are of
// that size. Bucket b of window w is buckets[w*(2^(c-1)+1) + b]; bucket 0 stays empty.
func (m *msm) fillBuckets(c, windows int) {
	perWindow := 1<<(c-1) + 1
	m.buckets = resize(m.buckets, windows*perWindow)
	clear(m.buckets)
	m.refs = resize(m.refs, windows*len(m.digits))
	start := int32(0)
	for w := range windows {
		buckets := m.buckets[w*perWindow:][:perWindow]
		for i := range m.digits {
			size, _ := m.digits[i].digit(uint(w*c), uint(c))
			buckets[size].n++
		}
		buckets[0].n = 0
		for b := range buckets {
			buckets[b].start = start
			start += buckets[b].n
			buckets[b].n = 0
		}
		for i := range m.digits {
			size, sign := m.digits[i].digit(uint(w*c), uint(c))
			if size == 0 {
				continue
			}
			b := &buckets[size]
			m.refs[b.start+b.n] = ref(i+1)<<1 | sign
			b.n++
		}
	}
}

// sumSegments sums the points of each segment, in rounds that halve them all,
// until none has more than one. With reuse, a sum takes the place of an earlier
// sum that went into it, which needs to be in no other segment: the memory of the
// buckets is what the processor would wait for most.
func (m *msm) sumSegments(segments []segment, reuse bool) {
	for again := true; again; {
		again = false
		for i := range segments {
			s := &segments[i]
			if s.n < 2 {
				continue
			}
			list := m.refs[s.start:][:s.n]
			for j := 0; j+1 < len(list); j += 2 {
				a, b := list[j], list[j+1]
				if reuse && int(a>>1) > len(m.digits) {
					list[j/2] = m.addTo(a>>1, a, b)
				} else {
					list[j/2] = m.add(a, b)
				}
			}
			if s.n&1 == 1 {
				list[s.n/2] = list[s.n-1]
			}
			s.n = (s.n + 1) / 2
			again = again || s.n > 1
		}
		m.flush()
	}
}

// sumBits sets bitSums[place] to a segment with the sum of all buckets whose weight
// has that binary place. The buckets of even and odd weight are taken apart: the
// odd ones belong to the lowest place; and 2k, 2k+1 joined are bucket k of the
// same task without that place. So two additions for each bucket do it all.
func (m *msm) sumBits(windows, half, c int) {
	m.bitSums = resize(m.bitSums, windows*c)
	oldRefs := len(m.refs)
	m.refs = resize(m.refs, oldRefs+windows*(half+1))
	odds := m.refs[oldRefs:oldRefs]

	// tree[w*half + b] is bucket b of window w. The highest bucket alone has the
	// highest place, and is taken out at once.
	m.tree = resize(m.tree, windows*half)
	for w := range windows {
		buckets := m.buckets[w*(half+1):][:half+1]
		for b := range buckets[:half] {
			m.tree[w*half+b] = m.only(buckets[b])
		}
		top := segment{start: int32(oldRefs + len(odds))}
		if r := m.only(buckets[half]); r != nowhere {
			odds = append(odds, r)
			top.n = 1
		}
		m.bitSums[w*c+c-1] = top
	}
	width := half
	for place := range c - 1 {
		for w := range windows {
			nodes := m.tree[w*half:][:width]
			s := segment{start: int32(oldRefs + len(odds))}
			for k := 1; k < width; k += 2 {
				if nodes[k] != nowhere {
					odds = append(odds, nodes[k])
					s.n++
				}
			}
			m.bitSums[w*c+place] = s
			for k := range width / 2 {
				nodes[k] = m.addMaybe(nodes[2*k], nodes[2*k+1])
			}
		}
		m.flush()
		width /= 2
	}
	m.sumSegments(m.bitSums, false)
}

// only returns the one ref of a summed segment, or nowhere.
func (m *msm) only(s segment) ref {
	if s.n == 0 {
		return nowhere
	}
	return m.refs[s.start]
}

// addMaybe is add where a or b can be nowhere.
func (m *msm) addMaybe(a, b ref) ref {
	switch {
	case a == nowhere:
		return b
	case b == nowhere:
		return a
	}
	return m.add(a, b)
}

// add queues the addition of two points and returns the ref of the sum, which is
// there after the next flush.
func (m *msm) add(a, b ref) ref {
	out := len(m.points)
	m.points = extend(m.points)
	return m.addTo(ref(out), a, b)
}

// addTo is add with the place for the sum. That may be where a or b is.
func (m *msm) addTo(out, a, b ref) ref {
	if len(m.queue) == blockAdditions {
		m.flush()
	}
	m.queue = append(m.queue, addition{a: a, b: b, out: uint32(out)})
	return out << 1
}

// load returns the point that r names, and whether it is not infinity.
func (m *msm) load(r ref) (affine, bool) {
	p := m.points[r>>1]
	if p.x == (field{}) && p.y == (field{}) {
		return p, false
	}
	p.y.condNeg(&p.y, uint64(r&1))
	return p, true
}
