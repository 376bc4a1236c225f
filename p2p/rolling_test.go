package p2p

import (
	"encoding/binary"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

func numbered(n int) (h types.Hash) {
	binary.BigEndian.PutUint64(h[24:], uint64(n))
	return h
}

// TestRollingFilter: it has what was added last, and next to nothing else, in memory that
// does not grow.
func TestRollingFilter(t *testing.T) {
	const size = 5000
	f := newRollingFilter(size)
	if f.has(numbered(1)) || f.young != nil {
		t.Error("an empty filter has something")
	}
	for i := range 20 * size {
		f.add(numbered(i))
		for _, back := range []int{0, 1, size / 2, size - 1} {
			if i >= back && !f.has(numbered(i-back)) {
				t.Fatalf("%d is forgotten when %d are added", i-back, i+1)
			}
		}
	}
	strangers := 0
	for i := range 100_000 {
		if f.has(numbered(1_000_000 + i)) {
			strangers++
		}
	}
	if strangers > 5 { // of 0.1 that are to be expected
		t.Errorf("%d of 100,000 that were never added seem to be there", strangers)
	}
	if f.has(numbered(0)) && f.has(numbered(1)) {
		t.Error("nothing is forgotten")
	}
	if got := 8 * (len(f.young) + len(f.old)); got > 2*size*filterBits/8+16 {
		t.Errorf("%d bytes", got)
	}
	f.forget()
	if f.has(numbered(20*size - 1)) {
		t.Error("it is not empty")
	}
}

func BenchmarkRollingFilter(b *testing.B) {
	f := newRollingFilter(maxKnown)
	for i := 0; b.Loop(); i++ {
		f.add(numbered(i))
		f.has(numbered(i + 1))
	}
}
