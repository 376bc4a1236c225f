package p2p

import (
	"hash/maphash"

	"github.com/karatcoin/karat/chain/types"
)

// The shape of a rolling filter: bits for each hash of a generation, and how many of
// them a hash sets. With these a hash that was never added seems to be there once in a
// million times.
const (
	filterBits   = 29
	filterProbes = 20
)

// rollingFilter remembers the hashes that were added last, at least as many as it was made
// for and at most twice as many. It never forgets one of these, and may take another for
// one of them, once in a million times. Its memory does not grow, and its key keeps
// strangers from choosing hashes that it takes for each other (the idea is Bitcoin
// Core's CRollingBloomFilter). It has no lock.
type rollingFilter struct {
	size     int // hashes of a generation
	seed     maphash.Seed
	young    []uint64 // bits; nil until there is something
	old      []uint64
	inYoung  int
	numberOf uint64 // bits of a generation
}

func newRollingFilter(size int) *rollingFilter {
	return &rollingFilter{size: size, seed: maphash.MakeSeed(), numberOf: uint64(size) * filterBits}
}

// add remembers a hash.
func (f *rollingFilter) add(hash types.Hash) {
	if f.young == nil {
		f.young = make([]uint64, f.numberOf/64+1)
	}
	if f.inYoung == f.size { // the older half goes
		f.young, f.old, f.inYoung = f.old, f.young, 0
		if f.young == nil {
			f.young = make([]uint64, len(f.old))
		}
		clear(f.young)
	}
	f.inYoung++
	for at, step, i := f.first(hash); i < filterProbes; i++ {
		bit := at % f.numberOf
		f.young[bit/64] |= 1 << (bit % 64)
		at += step
	}
}

// has reports whether a hash was added lately.
func (f *rollingFilter) has(hash types.Hash) bool {
	return f.holds(f.young, hash) || f.holds(f.old, hash)
}

func (f *rollingFilter) holds(bits []uint64, hash types.Hash) bool {
	if bits == nil {
		return false
	}
	for at, step, i := f.first(hash); i < filterProbes; i++ {
		bit := at % f.numberOf
		if bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
		at += step
	}
	return true
}

// first returns the first bit of a hash and the way to the others (Kirsch and
// Mitzenmacher, "Less hashing, same performance").
func (f *rollingFilter) first(hash types.Hash) (at, step uint64, probe int) {
	sum := maphash.Bytes(f.seed, hash[:])
	return sum >> 32, sum&0xffffffff | 1, 0
}

// forget empties the filter.
func (f *rollingFilter) forget() {
	clear(f.young)
	clear(f.old)
	f.inYoung = 0
}
