package secp

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/karatcoin/karat/internal/vectors"
)

// randomField8 returns lanes that fill what a field8 may hold.
func randomField8(r *rand.Rand) (z field8, values [8]*big.Int) {
	for l := range 8 {
		values[l] = new(big.Int)
		for i := 4; i >= 0; i-- {
			size := 52
			if i == 4 {
				size = 49
			}
			w := r.Uint64() >> (64 - size)
			switch r.IntN(6) {
			case 0:
				w = 0
			case 1:
				w = 1<<size - 1
			}
			z[i][l] = w
			values[l].Or(values[l].Lsh(values[l], 52), new(big.Int).SetUint64(w))
		}
	}
	return z, values
}

func checkField8(t *testing.T, what string, z *field8, want func(l int) *big.Int) {
	t.Helper()
	for l := range 8 {
		for i := range z {
			if z[i][l]>>52 != 0 || i == 4 && z[i][l]>>49 != 0 {
				t.Fatalf("%s: limb %d is %#x", what, i, z[i][l])
			}
		}
		x := z.lane(l)
		checkField(t, what, &x, want(l))
	}
}

// checkEight runs all that works on eight lanes, by whatever does it at the moment.
func checkEight(t *testing.T, count int) {
	r := newRand(18)
	for range count {
		x, bx := randomField8(r)
		y, by := randomField8(r)
		var z field8
		z.mul(&x, &y)
		checkField8(t, "mul", &z, func(l int) *big.Int { return new(big.Int).Mul(bx[l], by[l]) })
		n := 1 + r.IntN(5)
		z.sqrN(&x, n)
		power := new(big.Int).Lsh(big.NewInt(1), uint(n))
		checkField8(t, "sqrN", &z, func(l int) *big.Int { return new(big.Int).Exp(bx[l], power, bigP) })
	}
	good := 0
	for i := range rounds(400) {
		points, single := make([]affine, 1+i%8), make([]affine, 1+i%8)
		all := true
		for j := range points {
			points[j].x = base().low[r.IntN(1<<(windowG-2))].x
			if r.IntN(16) == 0 {
				points[j].x = randomField(r)
				points[j].x.normalize()
			}
			single[j].x = points[j].x
			all = single[j].lift() && all
		}
		if got := liftEight(points); got != all {
			t.Fatalf("liftEight = %v, one by one %v", got, all)
		}
		for j := range points {
			if all && points[j] != single[j] {
				t.Fatal("liftEight gives another point")
			}
		}
		if all {
			good++
		}
	}
	if good == 0 {
		t.Fatal("no case was liftable")
	}
}

// TestLiftEightPortable checks all around the assembly; internal/genifma checks its
// instructions. So little is left that only TestLiftEightIFMA can find.
func TestLiftEightPortable(t *testing.T) {
	defer func(old bool) { useIFMA = old }(useIFMA)
	useIFMA = false
	checkEight(t, rounds(500))
}

func TestLiftEightIFMA(t *testing.T) {
	if !useIFMA {
		vectors.NotRun(t, "mul8IFMA, sqrN8IFMA and liftEight over them, because this processor (or the tag purego) has no AVX-512 IFMA; only the interpreter in internal/genifma has run their instructions")
	}
	checkEight(t, 20000)
	r := newRand(19)
	var b Batch
	for _, n := range []int{5, 8, 13, 64, 300} {
		claims := mix(r, n, false)
		checkBatch(t, &b, claims)
		s := spoil(signed(1, 1)[0], r)
		claims[n/2] = mixed{sig: &s}
		checkBatch(t, &b, claims)
	}
}

// TestLiftAllGroups runs batches through groups of eight on any processor, by
// lifting what a batch lifts in both ways.
func TestLiftAllGroups(t *testing.T) {
	for n := range 40 {
		fours, eights := make([]affine, n), make([]affine, n)
		for i := range fours {
			fours[i].x = base().low[i].x
			eights[i].x = fours[i].x
		}
		if !liftAll(fours) || !liftGroups(eights, 8, liftEight) {
			t.Fatal("a point was turned away")
		}
		for i := range fours {
			if fours[i] != eights[i] {
				t.Fatal("the two ways differ")
			}
		}
	}
}
