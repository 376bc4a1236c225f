package secp

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestMSM compares sums with btcec: with many points, with points that repeat and
// cancel, with tiny and extreme scalars.
func TestMSM(t *testing.T) {
	switchPaths(t, func(t *testing.T) {
		r := newRand(10)
		var m msm
		for _, n := range []int{0, 1, 2, 3, 5, 8, 17, 50, 200, rounds(5000)} {
			for _, shape := range []string{"random", "few points", "small", "extreme"} {
				checkMSM(t, r, &m, n, shape)
			}
		}
	})
}

func checkMSM(t *testing.T, r *rand.Rand, m *msm, n int, shape string) {
	t.Helper()
	m.reset()
	want := scalar{}
	table := base().low[:] // the odd multiples of G, each a known multiple
	for i := range n {
		at := r.IntN(len(table))
		k := randomScalar(r)
		switch shape {
		case "few points":
			at = r.IntN(2)
		case "small":
			at = r.IntN(3)
			k = smallScalar(r)
		case "extreme":
			k = []scalar{{p3, p3}, {0, 1 << 63}, {1 << 63}, {p3, p3 >> 1}, {n0 - 1, n1, n2, n3}, {}}[r.IntN(6)]
			if r.IntN(2) == 0 {
				k.neg(&k)
			}
		}
		p := table[at]
		multiple := scalar{uint64(2*at + 1)}
		if r.IntN(2) == 0 {
			p.y.condNeg(&p.y, 1)
			multiple.neg(&multiple)
		}
		m.pushSplit(&k, &p)
		multiple.mul(&multiple, &k)
		want.add(&want, &multiple)
		if i == n-1 && i%2 == 1 {
			// Cancel everything: the answer is infinity.
			k.neg(&want)
			m.pushSplit(&k, &generator)
			want = scalar{}
		}
	}
	var got jacobian
	m.sum(&got)
	w := oracleMultiple(&want)
	checkPoint(t, fmt.Sprintf("%d points, %s", n, shape), &got, &w)
}

// TestMSMInfinities drives sums of buckets through infinity and back: the same
// scalar for P and -P, many times, with other points between them.
func TestMSMInfinities(t *testing.T) {
	r := newRand(11)
	var m msm
	seen := 0
	for round := range rounds(300) {
		m.reset()
		want := scalar{}
		k := halfScalar{lo: r.Uint64(), hi: r.Uint64()}
		for range 2 + r.IntN(40) {
			at := r.IntN(2)
			p := base().low[at]
			multiple := scalar{uint64(2*at + 1)}
			h := k
			if r.IntN(2) == 0 {
				h.negative = true
				multiple.neg(&multiple)
			}
			if r.IntN(2) == 0 {
				p.y.condNeg(&p.y, 1)
				multiple.neg(&multiple)
			}
			m.push(h, &p)
			multiple.mul(&multiple, &scalar{k.lo, k.hi})
			want.add(&want, &multiple)
		}
		var got jacobian
		m.sum(&got)
		w := oracleMultiple(&want)
		checkPoint(t, fmt.Sprint("round ", round), &got, &w)
		if m.infinities {
			seen++
		}
	}
	if seen == 0 {
		t.Fatal("no sum went through infinity")
	}
}
