package secp

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	bigP, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	bigN, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
)

// isOdd reports whether the number below p that z stands for is odd.
func (z *field) isOdd() bool {
	t := *z
	t.normalize()
	return t[0]&1 == 1
}

// limbsOf and bigOf convert between limbs and big integers.
func limbsOf(b *big.Int) (l [4]uint64) {
	m := new(big.Int)
	for i := range l {
		l[i] = m.And(m.Rsh(b, uint(64*i)), new(big.Int).SetUint64(1<<64-1)).Uint64()
	}
	return l
}

func bigOf(l [4]uint64) *big.Int {
	b := new(big.Int)
	for i := 3; i >= 0; i-- {
		b.Or(b.Lsh(b, 64), new(big.Int).SetUint64(l[i]))
	}
	return b
}

// randomField returns values of every size, often at the edges and often in the
// second representation, from p up.
func randomField(r *rand.Rand) (z field) {
	switch r.IntN(8) {
	case 0:
		edges := []field{{}, {1}, {p0 - 1, p3, p3, p3}, {p0, p3, p3, p3}, {p0 + 1, p3, p3, p3}, {p3, p3, p3, p3}, {0, p3, p3, p3}, {fold}, {fold - 1}, {0, 0, 0, p3}}
		return edges[r.IntN(len(edges))]
	case 1:
		return field{p0 + r.Uint64N(fold), p3, p3, p3}
	}
	b := random32(r)
	z.setBytes(&b)
	return z
}

// checkField compares got with want modulo p.
func checkField(t *testing.T, what string, got *field, want *big.Int) {
	t.Helper()
	want = new(big.Int).Mod(want, bigP)
	c := *got
	c.normalize()
	if bigOf(c).Cmp(want) != 0 {
		t.Fatalf("%s: got %x, want %x", what, bigOf(*got), want)
	}
	if got.isZero() != (want.Sign() == 0) || got.isOdd() != (want.Bit(0) == 1) {
		t.Fatalf("%s: isZero or isOdd is wrong for %x", what, bigOf(*got))
	}
}

// checkFieldOps holds every operation on x and y against math/big, with the
// result in a place of its own and in that of an operand.
func checkFieldOps(t *testing.T, x, y field) {
	t.Helper()
	bx, by := bigOf(x), bigOf(y)
	two := func(what string, op func(z, x, y *field), want *big.Int) {
		t.Helper()
		var z field
		op(&z, &x, &y)
		checkField(t, what, &z, want)
		for i, c := range [][2]field{{x, y}, {x, y}} {
			op(&c[i], &c[0], &c[1])
			checkField(t, what+" in place", &c[i], want)
		}
	}
	two("add", (*field).add, new(big.Int).Add(bx, by))
	two("sub", (*field).sub, new(big.Int).Sub(bx, by))
	two("mul", (*field).mul, new(big.Int).Mul(bx, by))
	two("mulGeneric", mulGeneric, new(big.Int).Mul(bx, by))
	two("sqr", func(z, x, _ *field) { z.sqr(x) }, new(big.Int).Mul(bx, bx))
	two("sqrGeneric", func(z, x, _ *field) { sqrGeneric(z, x) }, new(big.Int).Mul(bx, bx))
	two("sqrN", func(z, x, _ *field) { z.sqrN(x, 3) }, new(big.Int).Exp(bx, big.NewInt(8), bigP))
	two("neg", func(z, x, _ *field) { z.neg(x) }, new(big.Int).Neg(bx))
	two("half", func(z, x, _ *field) { z.half(x) }, new(big.Int).Mul(bx, new(big.Int).ModInverse(big.NewInt(2), bigP)))
	if x.equal(&y) != (new(big.Int).Mod(bx, bigP).Cmp(new(big.Int).Mod(by, bigP)) == 0) {
		t.Fatalf("equal(%x, %x) = %v", bx, by, x.equal(&y))
	}
	n := x
	if n.normalize(); !n.isZero() {
		two("condNeg", func(z, _, _ *field) { z.condNeg(&n, 1) }, new(big.Int).Neg(bx))
		two("condNeg 0", func(z, _, _ *field) { z.condNeg(&n, 0) }, bx)
	}
}

func TestField(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(1)
		for range rounds(20000) {
			checkFieldOps(t, randomField(r), randomField(r))
		}
	})
}

// TestFieldCarries makes products that are small modulo p from factors that are not:
// those run through the carry at the end of a reduction, which random factors meet
// with a chance of 2^-60.
func TestFieldCarries(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(20)
		squares := 0
		for range rounds(3000) {
			small := new(big.Int).SetUint64(r.Uint64() >> r.IntN(64))
			x := randomField(r)
			if x.isZero() {
				continue
			}
			y := new(big.Int).ModInverse(bigOf(x), bigP)
			y.Mul(y, small)
			checkFieldOps(t, x, limbsOf(y.Mod(y, bigP)))
			if root := new(big.Int).ModSqrt(small, bigP); root != nil {
				checkFieldOps(t, limbsOf(root), limbsOf(root.Sub(bigP, root)))
				squares++
			}
		}
		if squares < rounds(100) {
			t.Fatalf("only %d squares", squares)
		}
	})
}

func TestFieldInverseAndRoot(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(2)
		squares := 0
		for range 500 {
			x := randomField(r)
			bx := new(big.Int).Mod(bigOf(x), bigP)
			var z field
			z.inv(&x)
			want := new(big.Int)
			if bx.Sign() != 0 {
				want.ModInverse(bx, bigP)
			}
			checkField(t, "inv", &z, want)
			isSquare := big.Jacobi(bx, bigP) >= 0
			if got := z.sqrt(&x); got != isSquare {
				t.Fatalf("sqrt(%x) = %v", bx, got)
			} else if got {
				squares++
				z.sqr(&z)
				checkField(t, "sqrt", &z, bx)
			}
		}
		if squares < 100 || squares > 400 {
			t.Fatalf("%d of 500 numbers were squares", squares)
		}
	})
}

func TestField4(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(3)
		for range rounds(2000) {
			var x, y, product, power, root field4
			for l := range x {
				x[l], y[l] = randomField(r), randomField(r)
			}
			product.mul(&x, &y)
			lanes := 1 + r.IntN(4)
			kept := root
			root.sqrt(&x, 4)
			kept.sqrt(&x, lanes)
			for l := range lanes {
				if kept[l] != root[l] {
					t.Fatal("a root depends on the other lanes")
				}
			}
			inverse := field4{{3}, {5}, {7}, {9}}
			for l := range x {
				checkField(t, "mul", &product[l], new(big.Int).Mul(bigOf(x[l]), bigOf(y[l])))
				var z field
				if ok := z.sqrt(&x[l]); ok != root[l].isSqrtOf(&x[l]) || !z.equal(&root[l]) {
					t.Fatalf("sqrt of %x", x[l])
				}
				if !x[l].isZero() {
					inverse[l] = x[l]
				}
			}
			w := inverse
			inverse.invert()
			for l := range w {
				checkField(t, "invert", &inverse[l], new(big.Int).ModInverse(bigOf(w[l]), bigP))
			}
			n := 1 + r.IntN(5)
			power = x
			power.sqrN(&x, n, lanes)
			z := x
			z.sqrN(&z, n, lanes)
			if !slices.Equal(power[lanes:], x[lanes:]) || !slices.Equal(z[lanes:], x[lanes:]) {
				t.Fatal("sqrN went past its lanes")
			}
			for l := range lanes {
				want := new(big.Int).Exp(bigOf(x[l]), new(big.Int).Lsh(big.NewInt(1), uint(n)), bigP)
				checkField(t, "sqrN", &power[l], want)
				checkField(t, "sqrN in place", &z[l], want)
			}
		}
	})
}

func TestFieldBytes(t *testing.T) {
	for _, c := range []struct {
		value *big.Int
		ok    bool
	}{
		{big.NewInt(0), true},
		{new(big.Int).Sub(bigP, big.NewInt(1)), true},
		{bigP, false},
		{new(big.Int).Add(bigP, big.NewInt(1)), false},
		{new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), false},
	} {
		var b [32]byte
		c.value.FillBytes(b[:])
		var z field
		if ok := z.setBytes(&b); ok != c.ok || bigOf(z).Cmp(c.value) != 0 {
			t.Errorf("setBytes(%x) = %v with %x", b, ok, bigOf(z))
		}
	}
}

func FuzzField(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b [64]byte
		copy(b[:], data)
		var x, y field
		x.setBytes((*[32]byte)(b[:32]))
		y.setBytes((*[32]byte)(b[32:]))
		checkFieldOps(t, x, y)
		if useBMI2 {
			useBMI2 = false
			checkFieldOps(t, x, y)
			useBMI2 = true
		}
	})
}
