package sha256d

import (
	"math/bits"

	"github.com/karatcoin/karat/miner/sha256d/internal/fips180"
)

// scanPortable is a scan in batches of one.
func scanPortable(t *table, nonce, target uint32, batches int) (done int, hits uint32) {
	for done < batches {
		first := firstHash(t, bits.ReverseBytes32(nonce+uint32(done)))
		done++
		if lastWord(&first) <= target {
			return done, 1
		}
	}
	return done, 0
}

// firstHash hashes the header. The nonce comes as SHA-256 reads it.
func firstHash(t *table, nonce uint32) [8]uint32 {
	var w [64]uint32 // a word that does not depend on the nonce stays zero: the table has it
	w[nonceWord] = nonce
	kw := t.words
	for i := 18; i < len(w); i++ {
		w[i] = kw[i] + w[i-16] + smallSigma0(w[i-15]) + w[i-7] + smallSigma1(w[i-2])
		kw[i] = fips180.Constants[i] + w[i]
	}
	s := t.state
	s[0] += nonce
	s[4] += nonce
	rounds(&s, kw[nonceWord+1:])
	for i := range s {
		s[i] += t.mid[i]
	}
	return s
}

// lastWord hashes the first hash, as far as its last word needs it, and returns that
// as a number.
func lastWord(first *[8]uint32) uint32 {
	var w, kw [61]uint32
	copy(w[:], first[:])
	w[8], w[15] = padding, 8*32
	for i := range w {
		if i >= 16 {
			w[i] = w[i-16] + smallSigma0(w[i-15]) + w[i-7] + smallSigma1(w[i-2])
		}
		kw[i] = fips180.Constants[i] + w[i]
	}
	s := fips180.Initial
	rounds(&s, kw[:])
	return bits.ReverseBytes32(s[4] + fips180.Initial[7])
}
