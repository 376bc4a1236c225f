package oracle

import (
	"encoding/binary"
	"math/rand/v2"
)

// stream is a source of random choices that a fuzzer can steer: it gives the
// bytes of its input first, and then those of a generator.
type stream struct {
	data []byte
	rest *rand.PCG
}

func newRand(data []byte) *rand.Rand {
	return rand.New(&stream{data: data, rest: rand.NewPCG(uint64(len(data)), 0)})
}

// Uint64 implements rand.Source.
func (s *stream) Uint64() uint64 {
	if len(s.data) == 0 {
		return s.rest.Uint64()
	}
	var b [8]byte
	s.data = s.data[copy(b[:], s.data):]
	return binary.LittleEndian.Uint64(b[:])
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
	}
	return b
}

// chance is true once in n.
func chance(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }
