package fees

import (
	"encoding/binary"
	"errors"

	"github.com/karatcoin/karat/chain/types"
)

// The encoding of a Tracker: for each block that is remembered, the oldest first,
//
//	height | hash 32 | weight | taken | bound + 1 | inflow, each bucket less the one above
//
// Numbers are signed varints, since most of them are small and many of them 0. What
// waited after the last block is not in it, and it does not matter when the pool starts
// again.

var errEncoding = errors.New("not the encoding of what was seen of blocks")

// AppendTo appends the encoding to a buffer.
func (t *Tracker) AppendTo(b []byte) []byte {
	for i := range t.records {
		r := &t.records[i]
		b = binary.AppendVarint(b, int64(r.index.Height))
		b = append(b, r.index.Hash[:]...)
		for _, n := range []int64{r.weight, r.taken, int64(r.bound) + 1} {
			b = binary.AppendVarint(b, n)
		}
		above := int64(0)
		for j := Buckets - 1; j >= 0; j-- {
			b = binary.AppendVarint(b, r.inflow[j]-above)
			above = r.inflow[j]
		}
	}
	return b
}

// Read takes the blocks of an encoding that are still wanted, if the whole of it is one,
// in the place of what is known.
func (t *Tracker) Read(b []byte, wanted func(types.Index) bool) error {
	var records []record
	ok := true
	next := func(least, most int64) int64 {
		n, size := binary.Varint(b)
		if size <= 0 || n < least || n > most {
			ok = false
			return 0
		}
		b = b[size:]
		return n
	}
	for len(b) > 0 && ok {
		if len(records) == kept {
			return errEncoding
		}
		r := record{index: types.Index{Height: uint32(next(0, 1<<32-1))}}
		if len(b) < types.HashSize {
			return errEncoding
		}
		b = b[copy(r.index.Hash[:], b):]
		r.weight, r.taken, r.bound = next(0, 1<<40), next(0, 1<<40), int(next(0, Buckets))-1
		above := int64(0)
		for j := Buckets - 1; j >= 0; j-- {
			above += next(-1<<50, 1<<50)
			if above < 0 || above > 1<<50 {
				ok = false
			}
			r.inflow[j] = above
		}
		if n := len(records); n > 0 && records[n-1].index.Height >= r.index.Height {
			return errEncoding
		}
		records = append(records, r)
	}
	if !ok {
		return errEncoding
	}
	t.records = t.records[:0]
	for _, r := range records {
		if wanted(r.index) {
			t.records = append(t.records, r)
		}
	}
	return nil
}
