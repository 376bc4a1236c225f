package secp

import (
	crand "crypto/rand"
	"math/rand/v2"
)

const (
	// minTogether is the number of claims from which one sum is cheaper than single
	// verification.
	minTogether = 5
	// partClaims is how many claims are summed up at once in the search for a false
	// one. With more, a claim costs little less, but what follows the false one is
	// summed up in vain.
	partClaims = 1024
)

// Batch collects claims and checks them together by one multi-scalar
// multiplication, which for large batches takes a third of the time or less. The
// zero value is an empty batch. A Batch must not be used by two goroutines at
// once. It keeps its memory between uses.
//
// Each claim says that a sum of points is infinity: s*G - R - e*P for a signature,
// Q - P - t*G for a tweak. If all are true, the sum of all of them, each times a
// coefficient, is infinity as well. If one is false, the sum is infinity for only one
// choice in 2^128 of its coefficient. So whoever makes the claims must not be able to
// foresee the coefficients.
type Batch struct {
	claims []claim
	// offender is the answer of Offender if checked is set.
	offender int
	checked  bool
	// together and alone are what Work returns.
	together, alone int

	// The points of the sum, their coefficients, and where each key is among them.
	points []affine
	coeffs []scalar
	keys   map[[32]byte]int
	tweaks map[claim]struct{} // tweaks that are in the sum already
	base   scalar             // the coefficient of G
	random rand.ChaCha8
	msm    msm
}

// claim is a copy of what was added: a signature, or a tweak.
type claim struct {
	isTweak bool
	parity  byte
	key     [32]byte // public key; internal key
	data    [32]byte // message; tweak
	sig     [64]byte // signature; output key in the first half
}

// AddSignature adds the claim that sig is a BIP340 signature of msg by pubKey.
func (b *Batch) AddSignature(pubKey, msg *[32]byte, sig *[64]byte) {
	b.claims = append(b.claims, claim{key: *pubKey, data: *msg, sig: *sig})
	b.checked = false
}

// AddTweak adds the claim that output, with a Y of the given parity, is
// lift_x(internal) + tweak*G (BIP341).
func (b *Batch) AddTweak(output *[32]byte, parity byte, internal, tweak *[32]byte) {
	c := claim{isTweak: true, parity: parity, key: *internal, data: *tweak}
	copy(c.sig[:], output[:])
	b.claims = append(b.claims, c)
	b.checked = false
}

// IsTweak reports whether the claim with an index is a tweak, and not a signature.
func (b *Batch) IsTweak(index int) bool { return b.claims[index].isTweak }

// Len returns the number of claims.
func (b *Batch) Len() int { return len(b.claims) }

// Work returns how many claims were checked since the last Reset: in sums, and by
// themselves. A claim counts as often as it was checked.
func (b *Batch) Work() (together, alone int) { return b.together, b.alone }

// Reset forgets all claims and keeps the memory.
func (b *Batch) Reset() {
	b.claims = b.claims[:0]
	b.checked = false
	b.together, b.alone = 0, 0
}

// Verify reports whether all claims hold. A false claim goes unseen with a chance
// of 2^-128. A batch without claims holds.
//
// Only a yes is taken from the sum. At a no the false claim is looked for, and what
// says in the end that it is false is its own check. So even a fault in what only
// batches use (the roots eight at a time, the buckets) could cost time but never
// refuse what is valid.
func (b *Batch) Verify() bool {
	if b.checked {
		return b.offender < 0
	}
	if len(b.claims) >= minTogether && b.sumsUp(b.claims) {
		b.offender, b.checked = -1, true
		return true
	}
	return b.Offender() < 0
}

// Offender returns the index of the first claim that is false, in the order of adding,
// and -1 if there is none. It takes one part of the claims after the other, so that who
// expects a false one asks for it at once. Wherever the false claim stands, the search
// costs little more than to check all claims up to it together.
func (b *Batch) Offender() int {
	if b.checked {
		return b.offender
	}
	b.offender, b.checked = -1, true
	for from := 0; from < len(b.claims) && b.offender < 0; from += partClaims {
		b.offender = b.search(from, min(from+partClaims, len(b.claims)), b.sumsUp)
	}
	return b.offender
}

// search returns the first false claim of those from one index up to another, and -1 if
// there is none. holds is sumsUp: what it denies, search finds true or false by itself.
func (b *Batch) search(from, end int, holds func([]claim) bool) int {
	first, last := from, end
	if last-first >= minTogether {
		if holds(b.claims[first:last]) {
			return -1
		}
		// Halves: where the first one holds, the false claim is in the second.
		for last-first >= minTogether {
			middle := (first + last) / 2
			if holds(b.claims[first:middle]) {
				first = middle
			} else {
				last = middle
			}
		}
	}
	if at := b.searchEach(first, last); at >= 0 || first == from && last == end {
		return at
	}
	return b.searchEach(from, end) // the sum was wrong
}

// searchEach is search without sums.
func (b *Batch) searchEach(from, end int) int {
	for i := from; i < end; i++ {
		b.alone++
		if !b.claims[i].verify() {
			return i
		}
	}
	return -1
}

// verify checks one claim by itself.
func (c *claim) verify() bool {
	if c.isTweak {
		return VerifyTweak((*[32]byte)(c.sig[:32]), c.parity, &c.key, &c.data)
	}
	return Verify(&c.key, c.data[:], &c.sig)
}

// sumsUp reports whether the sum over claims is infinity. It is false as well if a
// number is out of its range or an x is not on the curve.
func (b *Batch) sumsUp(claims []claim) bool {
	b.together += len(claims)
	b.begin()
	for i := range claims {
		a := scalar{1} // one coefficient can be fixed: only their ratios matter
		if i > 0 {
			a[0], a[1] = b.random.Uint64(), b.random.Uint64()
		}
		c := &claims[i]
		if c.isTweak && !b.sumTweak(c, &a) || !c.isTweak && !b.sumSignature(c, &a) {
			return false
		}
	}
	if !liftAll(b.points) {
		return false
	}
	b.msm.reset()
	for i := range b.points {
		b.msm.pushSplit(&b.coeffs[i], &b.points[i])
	}
	b.msm.pushSplit(&b.base, &generator)
	var sum jacobian
	b.msm.sum(&sum)
	return sum.isInfinity()
}

// begin empties the sum and seeds the coefficients. They come from ChaCha8, a
// cryptographic generator, under a new seed of the system for each batch. So they
// are as hard to foresee as the system's own bytes, for one read instead of
// thousands. They are never shown, so nobody even sees a part of the stream.
func (b *Batch) begin() {
	var seed [32]byte
	crand.Read(seed[:]) // never fails: it ends the program instead
	b.random.Seed(seed)
	b.points, b.coeffs = b.points[:0], b.coeffs[:0]
	b.base = scalar{}
	if b.keys == nil {
		b.keys = make(map[[32]byte]int)
		b.tweaks = make(map[claim]struct{})
	}
	clear(b.keys)
	clear(b.tweaks)
}

// sumSignature adds a*(R + e*P - s*G) to the sum, if all numbers are in range.
func (b *Batch) sumSignature(c *claim, a *scalar) bool {
	var s scalar
	if !s.setBytes((*[32]byte)(c.sig[32:])) {
		return false
	}
	s.mul(&s, a)
	s.neg(&s)
	b.base.add(&b.base, &s)
	e := challenge(&c.sig, &c.key, c.data[:])
	e.mul(&e, a)
	// Honest nonces never repeat, so they are not worth a search.
	return b.sumKey(&c.key, &e) && b.sumPoint((*[32]byte)(c.sig[:32]), a)
}

// sumTweak adds a*(Q - P - t*G) to the sum, if all numbers are in range, where Q
// has the claimed parity and so is minus the lifted point if that is odd.
func (b *Batch) sumTweak(c *claim, a *scalar) bool {
	if _, done := b.tweaks[*c]; done {
		return true
	}
	b.tweaks[*c] = struct{}{}
	var t, minus scalar
	if c.parity > 1 || !t.setBytes(&c.data) {
		return false
	}
	minus.neg(a)
	t.mul(&t, &minus)
	b.base.add(&b.base, &t)
	q := a
	if c.parity == 1 {
		q = &minus
	}
	return b.sumKey((*[32]byte)(c.sig[:32]), q) && b.sumKey(&c.key, &minus)
}

// sumKey adds k times the key with the given x. A key that is there already is
// neither lifted nor multiplied again.
func (b *Batch) sumKey(x *[32]byte, k *scalar) bool {
	if i, ok := b.keys[*x]; ok {
		b.coeffs[i].add(&b.coeffs[i], k)
		return true
	}
	b.keys[*x] = len(b.points)
	return b.sumPoint(x, k)
}

// sumPoint adds k times the point with the given x, and reports whether x is
// below p.
func (b *Batch) sumPoint(x *[32]byte, k *scalar) bool {
	var p affine
	if !p.setX(x) {
		return false
	}
	b.points = append(b.points, p)
	b.coeffs = append(b.coeffs, *k)
	return true
}

// liftAll lifts all points, in groups as large as the processor takes, and reports
// whether all of them are on the curve.
func liftAll(points []affine) bool {
	if useIFMA {
		return liftGroups(points, 8, liftEight)
	}
	return liftGroups(points, liftGroup, liftFour)
}

func liftGroups(points []affine, size int, lift func([]affine) bool) bool {
	for len(points) > 0 {
		n := min(size, len(points))
		if !lift(points[:n]) {
			return false
		}
		points = points[n:]
	}
	return true
}
