package secp

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

var bigLambda, _ = new(big.Int).SetString("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72", 16)

func randomScalar(r *rand.Rand) (k scalar) {
	if r.IntN(8) == 0 {
		edges := []scalar{{}, {1}, {2}, {n0 - 1, n1, n2, n3}, {n0 - 2, n1, n2, n3}, {0, 0, 1}, {p3, p3}, {n0, n1, n2 - 1, n3}, {0, 0, 0, 1 << 63}}
		return edges[r.IntN(len(edges))]
	}
	b := random32(r)
	k.setBytes(&b)
	return k
}

func checkScalar(t *testing.T, what string, got scalar, want *big.Int) {
	t.Helper()
	want = new(big.Int).Mod(want, bigN)
	if bigOf(got).Cmp(want) != 0 {
		t.Fatalf("%s: got %x, want %x", what, bigOf(got), want)
	}
}

// bigHalf returns a half scalar as a signed integer.
func bigHalf(h halfScalar) *big.Int {
	b := bigOf([4]uint64{h.lo, h.hi})
	if h.negative {
		b.Neg(b)
	}
	return b
}

func checkScalarOps(t *testing.T, x, y scalar) {
	t.Helper()
	bx, by := bigOf(x), bigOf(y)
	for i := range 3 {
		c := [3]scalar{x, y}
		c[i].add(&c[0], &c[1])
		checkScalar(t, "add", c[i], new(big.Int).Add(bx, by))
		c = [3]scalar{x, y}
		c[i].mul(&c[0], &c[1])
		checkScalar(t, "mul", c[i], new(big.Int).Mul(bx, by))
		c = [3]scalar{x, y}
		c[i].neg(&c[0])
		checkScalar(t, "neg", c[i], new(big.Int).Neg(bx))
	}
	// btcec as a second opinion.
	var dx, dy btcec.ModNScalar
	dx.SetByteSlice(bx.Bytes())
	dy.SetByteSlice(by.Bytes())
	dx.Mul(&dy)
	b := dx.Bytes()
	x.mul(&x, &y)
	if bigOf(x).Cmp(new(big.Int).SetBytes(b[:])) != 0 {
		t.Fatalf("mul is not btcec's: %x * %x", bx, by)
	}
}

// checkSplit tells whether k1 + k2*lambda is k; that both halves fit in 128 bits is
// in their type, so a half that did not fit would show in the sum.
func checkSplit(t *testing.T, k scalar) {
	t.Helper()
	k1, k2 := k.split()
	sum := new(big.Int).Mul(bigHalf(k2), bigLambda)
	checkScalar(t, "split", k, sum.Add(sum, bigHalf(k1)))
	h, ok := k.short()
	distance := bigOf(k)
	if other := new(big.Int).Sub(bigN, distance); other.Cmp(distance) < 0 {
		distance = other
	}
	if ok != (distance.BitLen() <= 128) {
		t.Fatalf("short(%x) = %v", bigOf(k), ok)
	}
	if ok {
		checkScalar(t, "short", k, bigHalf(h))
	}
}

func TestScalar(t *testing.T) {
	r := newRand(4)
	for range rounds(50000) {
		checkScalarOps(t, randomScalar(r), randomScalar(r))
	}
}

func TestScalarSplit(t *testing.T) {
	r := newRand(5)
	for range rounds(100000) {
		checkSplit(t, randomScalar(r))
	}
	// Around the multiples of lambda and n/lambda, where the rounding turns over.
	for i := -int64(rounds(2000)); i < int64(rounds(2000)); i++ {
		for _, c := range []*big.Int{bigLambda, new(big.Int).Rsh(bigN, 1), new(big.Int).Lsh(big.NewInt(1), 128), new(big.Int).Lsh(big.NewInt(3), 126)} {
			b := new(big.Int).Add(c, big.NewInt(i))
			checkSplit(t, scalar(limbsOf(b.Mod(b, bigN))))
			b = new(big.Int).Mul(c, big.NewInt(i))
			checkSplit(t, scalar(limbsOf(b.Mod(b, bigN))))
		}
	}
}

// TestFoldOrder looks at the limbs where the carries of a row meet.
func TestFoldOrder(t *testing.T) {
	r := newRand(21)
	worth := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), bigN)
	// The w for which w * (2^64 + c1) is just below a power of 2^64.
	w := new(big.Int).Lsh(big.NewInt(1), 128)
	w.Div(w, new(big.Int).Rsh(worth, 64))
	critical := w.Uint64()
	for range rounds(100000) {
		var x [8]uint64
		for i := range x {
			switch r.IntN(4) {
			case 0:
				x[i] = r.Uint64()
			case 1:
				x[i] = critical + r.Uint64N(9) - 4
			case 2:
				x[i] = p3 - r.Uint64N(3)
			}
		}
		n := 1 + r.IntN(4)
		clear(x[4+n:])
		low, high := bigOf([4]uint64(x[:4])), bigOf([4]uint64(x[4:]))
		foldOrder(&x, n)
		got := bigOf([4]uint64(x[4:]))
		got.Or(got.Lsh(got, 256), bigOf([4]uint64(x[:4])))
		if want := high.Mul(high, worth); got.Cmp(want.Add(want, low)) != 0 {
			t.Fatalf("%x, want %x", got, want)
		}
	}
}

func TestScalarBytes(t *testing.T) {
	for _, c := range []struct {
		value *big.Int
		ok    bool
	}{
		{big.NewInt(0), true},
		{new(big.Int).Sub(bigN, big.NewInt(1)), true},
		{bigN, false},
		{bigP, false},
		{new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), false},
	} {
		var b [32]byte
		c.value.FillBytes(b[:])
		var k scalar
		if ok := k.setBytes(&b); ok != c.ok {
			t.Errorf("setBytes(%x) = %v", b, ok)
		}
		checkScalar(t, "setBytes", k, c.value)
	}
}

// TestNAF sums the digits up again and looks at their form.
func TestNAF(t *testing.T) {
	r := newRand(6)
	for i := range rounds(20000) {
		k := halfScalar{r.Uint64(), r.Uint64(), r.IntN(2) == 0}
		switch i % 5 {
		case 0:
			k.lo = 0
		case 1:
			k.hi = 0
		case 2:
			k.lo, k.hi = p3, p3
		case 3:
			k.lo, k.hi = 1<<63, p3<<r.IntN(64)
		}
		for _, window := range []int{windowP, windowG} {
			var f naf
			f.set(k, window)
			sum := new(big.Int)
			last := -window
			for place := nafDigits - 1; place >= 0; place-- {
				sum.Add(sum.Lsh(sum, 1), big.NewInt(int64(f.d[place])))
			}
			for place, d := range f.d {
				if d == 0 {
					continue
				}
				if place >= f.n || place-last < window || d&1 == 0 || d >= 1<<(window-1) || d <= -1<<(window-1) {
					t.Fatalf("digit %d at %d of %v", d, place, k)
				}
				last = place
			}
			if sum.Cmp(bigHalf(k)) != 0 {
				t.Fatalf("the digits of %v add up to %x", k, sum)
			}
		}
	}
}

func FuzzScalar(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b [64]byte
		copy(b[:], data)
		var x, y scalar
		okX := x.setBytes((*[32]byte)(b[:32]))
		if okX != (new(big.Int).SetBytes(b[:32]).Cmp(bigN) < 0) {
			t.Fatal("setBytes")
		}
		y.setBytes((*[32]byte)(b[32:]))
		checkScalarOps(t, x, y)
		checkSplit(t, x)
	})
}
