package secp

import (
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

// oracleMultiple returns k*G by btcec.
func oracleMultiple(k *scalar) btcec.JacobianPoint {
	b := make([]byte, 32)
	bigOf(*k).FillBytes(b)
	var d btcec.ModNScalar
	d.SetByteSlice(b)
	var r btcec.JacobianPoint
	btcec.ScalarBaseMultNonConst(&d, &r)
	r.ToAffine()
	return r
}

// checkPoint compares a point with btcec's.
func checkPoint(t *testing.T, what string, got *jacobian, want *btcec.JacobianPoint) {
	t.Helper()
	wantInfinity := want.X.IsZero() && want.Y.IsZero() || want.Z.IsZero()
	if got.isInfinity() || wantInfinity {
		if got.isInfinity() != wantInfinity {
			t.Fatalf("%s: infinity %v, want %v", what, got.isInfinity(), wantInfinity)
		}
		return
	}
	w := *want
	w.ToAffine()
	var a affine
	a.x.setBytes(w.X.Bytes())
	a.y.setBytes(w.Y.Bytes())
	if !got.equals(&a) {
		t.Fatalf("%s: wrong point", what)
	}
	a.y.neg(&a.y)
	if got.equals(&a) {
		t.Fatalf("%s: equals its own negative", what)
	}
}

// affineMultiple returns k*G, k not 0, by btcec as an affine point.
func affineMultiple(k *scalar) (a affine) {
	p := oracleMultiple(k)
	a.x.setBytes(p.X.Bytes())
	a.y.setBytes(p.Y.Bytes())
	return a
}

// smallScalars are scalars whose multiples of G meet each other and infinity often.
func smallScalar(r *rand.Rand) scalar {
	k := scalar{r.Uint64N(4)}
	if r.IntN(2) == 0 {
		k.neg(&k)
	}
	return k
}

func TestPointAdditions(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(7)
		for i := range rounds(600) {
			k, m := smallScalar(r), smallScalar(r)
			if i%2 == 0 {
				k = randomScalar(r)
			}
			if i%4 == 0 {
				m = randomScalar(r)
			}
			if m.isZero() {
				continue
			}
			var a, sum jacobian
			a.baseMultiple(&k)
			want := oracleMultiple(&k)
			checkPoint(t, "baseMultiple", &a, &want)

			var s scalar
			s.add(&k, &m)
			b := affineMultiple(&m)
			want = oracleMultiple(&s)
			var ratio, z field
			if a.isInfinity() {
				sum.addAffine(&a, &b)
			} else {
				sum.addAffineRatio(&a, &b, &ratio)
				z.mul(&a.z, &ratio)
				if !z.equal(&sum.z) {
					t.Fatal("the ratio is wrong")
				}
			}
			checkPoint(t, "addAffine", &sum, &want)
			c := a
			c.addAffine(&c, &b)
			checkPoint(t, "addAffine in place", &c, &want)

			s.add(&k, &k)
			want = oracleMultiple(&s)
			sum.double(&a)
			checkPoint(t, "double", &sum, &want)
			a.double(&a)
			checkPoint(t, "double in place", &a, &want)
		}
	})
}

func TestDoubleMultiple(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(8)
		for i := range rounds(300) {
			s, k, q := randomScalar(r), randomScalar(r), randomScalar(r)
			if i%3 == 0 {
				s, k, q = smallScalar(r), smallScalar(r), smallScalar(r)
			}
			if q.isZero() {
				continue
			}
			p := affineMultiple(&q)
			var got jacobian
			got.doubleMultiple(&s, &k, &p)
			q.mul(&q, &k)
			s.add(&s, &q)
			want := oracleMultiple(&s)
			checkPoint(t, "doubleMultiple", &got, &want)
		}
	})
}

// TestConstants derives what the package has as numbers.
func TestConstants(t *testing.T) {
	lambda := scalar(limbsOf(bigLambda))
	p := affineMultiple(&lambda)
	var x field
	x.mul(&generator.x, &beta)
	if !x.equal(&p.x) || !p.y.equal(&generator.y) {
		t.Error("lambda*G is not (beta*x, y)")
	}
	g := affineMultiple(&scalar{1})
	if g != generator {
		t.Error("the generator is not btcec's")
	}
	for i, table := range [][]affine{base().low[:], base().high[:]} {
		step := scalar{1}
		if i == 1 {
			step = scalar{0, 0, 1}
		}
		k, two := step, step
		two.add(&two, &two)
		for j := range table {
			if j < 40 || j > len(table)-5 {
				if a := affineMultiple(&k); a != table[j] {
					t.Fatalf("entry %d of table %d is wrong", j, i)
				}
			}
			k.add(&k, &two)
		}
	}
}

func TestLiftFour(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(9)
		good := 0
		for i := range rounds(2000) {
			n := 1 + i%liftGroup
			points, single := make([]affine, n), make([]affine, n)
			all := true
			for j := range points {
				k := randomScalar(r)
				k[0] |= 1
				if r.IntN(4) != 0 {
					points[j].x = base().low[r.IntN(1<<(windowG-2))].x
				} else {
					b := random32(r)
					points[j].x.setBytes(&b)
				}
				single[j].x = points[j].x
				all = single[j].lift() && all
			}
			if got := liftFour(points); got != all {
				t.Fatalf("liftFour = %v, one by one %v", got, all)
			}
			if !all {
				continue
			}
			good++
			for j := range points {
				if points[j] != single[j] || points[j].y.isOdd() {
					t.Fatal("liftFour gives another point")
				}
			}
		}
		if good == 0 {
			t.Fatal("no case was liftable")
		}
	})
}
