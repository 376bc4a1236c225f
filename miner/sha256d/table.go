package sha256d

import (
	"encoding/binary"
	"math/bits"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/sha256d/internal/fips180"
)

// table is what does not depend on the nonce. Assembly reads it: internal/genscan
// knows where each field is.
type table struct {
	mid   [8]uint32 // the state after the first 64 bytes
	state [8]uint32 // after round 3: the nonce's word is to be added to the first and the fifth
	// words has an entry for each round of the second 64 bytes. Up to 17 it is the sum
	// of the round's constant and word, but for word 3, which is the nonce. From there
	// on it is the part of the word that the nonce does not change.
	words [64]uint32
	// The SHA extensions keep the state as f, e, b, a and h, g, d, c. These are mid and
	// state in that order, and the words 16 to 19 without their constants.
	midABEF, midCDGH, stateABEF, stateCDGH, words16 [4]uint32
}

// nonceWord is the nonce's place among the words of the second 64 bytes.
const nonceWord = 3

// prepare makes the table of a header; the nonce in it does not matter.
func prepare(header *[types.HeaderSize]byte) (t table) {
	var w [16]uint32
	for i := range w {
		w[i] = binary.BigEndian.Uint32(header[4*i:])
	}
	t.mid = compress(&fips180.Initial, &w)

	w = [16]uint32{4: padding, 15: 8 * types.HeaderSize}
	for i := range nonceWord {
		w[i] = binary.BigEndian.Uint32(header[64+4*i:])
	}
	t.state = t.mid
	early := [nonceWord + 1]uint32(fips180.Constants[:])
	for i := range early {
		early[i] += w[i]
	}
	rounds(&t.state, early[:])
	// A word that depends on the nonce is left at zero, and so adds nothing.
	var known [18]uint32
	copy(known[:], w[:])
	for i := 16; i < 34; i++ {
		part := word(known[:], i)
		if i < len(known) {
			known[i] = part
		}
		t.words[i] = part
	}
	t.words16 = [4]uint32{known[16], known[17], t.words[18], t.words[19]}
	for i, k := range known {
		t.words[i] = fips180.Constants[i] + k
	}
	t.midABEF, t.midCDGH = reorder(&t.mid)
	t.stateABEF, t.stateCDGH = reorder(&t.state)
	return t
}

// reorder returns a state as the SHA extensions keep it.
func reorder(s *[8]uint32) (abef, cdgh [4]uint32) {
	return [4]uint32{s[5], s[4], s[1], s[0]}, [4]uint32{s[7], s[6], s[3], s[2]}
}

// padding is the bit with which SHA-256 ends a message.
const padding = 1 << 31

// word is the word of a round from 16 on, the sum of four earlier ones. Those that
// are not in w count as zero.
func word(w []uint32, i int) (sum uint32) {
	at := func(i int) uint32 {
		if i < len(w) {
			return w[i]
		}
		return 0
	}
	return at(i-16) + smallSigma0(at(i-15)) + at(i-7) + smallSigma1(at(i-2))
}

// compress takes 64 bytes into the state.
func compress(state *[8]uint32, message *[16]uint32) [8]uint32 {
	var w, kw [64]uint32
	copy(w[:], message[:])
	for i := range w {
		if i >= 16 {
			w[i] = w[i-16] + smallSigma0(w[i-15]) + w[i-7] + smallSigma1(w[i-2])
		}
		kw[i] = fips180.Constants[i] + w[i]
	}
	s := *state
	rounds(&s, kw[:])
	for i := range s {
		s[i] += state[i]
	}
	return s
}

// rounds does rounds of SHA-256, of each of which it is given the sum of its constant
// and its word.
func rounds(s *[8]uint32, kw []uint32) {
	a, b, c, d, e, f, g, h := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for _, kw := range kw {
		t := h + kw + (e&f ^ ^e&g) + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25))
		u := (a&b ^ a&c ^ b&c) + (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22))
		a, b, c, d, e, f, g, h = t+u, a, b, c, d+t, e, f, g
	}
	*s = [8]uint32{a, b, c, d, e, f, g, h}
}

func smallSigma0(x uint32) uint32 {
	return bits.RotateLeft32(x, -7) ^ bits.RotateLeft32(x, -18) ^ x>>3
}

func smallSigma1(x uint32) uint32 {
	return bits.RotateLeft32(x, -17) ^ bits.RotateLeft32(x, -19) ^ x>>10
}
