package main

import (
	"math/bits"
	"slices"

	"github.com/karatcoin/karat/miner/sha256d/internal/fips180"
)

// Places in the memory that programs read. The table is Go's type of that name.
func midAt(i int) operand   { return operand{base: table, n: 4 * i} }
func stateAt(i int) operand { return operand{base: table, n: 4 * (8 + i)} }
func wordAt(t int) operand  { return operand{base: table, n: 4 * (16 + t)} }

// hashAt is the place of a word of the first hashes.
func (k kind) hashAt(stream, i int) operand {
	return operand{base: hashes, n: (8*stream + i) * k.size()}
}

// pool gives constants places in the file's own memory.
type pool struct {
	words []uint32
	place map[uint32]int
}

func (c *pool) at(v uint32) operand {
	i, ok := c.place[v]
	if !ok {
		i = len(c.words)
		c.words, c.place[v] = append(c.words, v), i
	}
	return operand{base: constants, n: 4 * i}
}

// four gives four constants a place.
func (c *pool) four(v []uint32) operand {
	for i := 0; i+4 <= len(c.words); i++ {
		if slices.Equal(c.words[i:i+4], v[:4]) {
			return operand{base: constants, n: 4 * i}
		}
	}
	c.words = append(c.words, v[:4]...)
	return operand{base: constants, n: 4 * (len(c.words) - 4)}
}

// word is a word of a message.
type word struct {
	class
	fixed uint32 // its value, if fixed
	value value  // where it is, if varying
}

// class says when a word becomes known.
type class int

const (
	fixed    class = iota // now
	prepared              // with the header: the table has it
	varying               // with the nonce
)

// hasher writes the rounds of SHA-256 into a program.
type hasher struct {
	*program
	pool  *pool
	state [8]value // a to h
	words [64]word
}

// round does one round of SHA-256. In the last ones a is not needed, since nothing
// before the end depends on it.
func (h *hasher) round(t int, withA bool) {
	a, b, c, d, e, f, g, sum := h.state[0], h.state[1], h.state[2], h.state[3], h.state[4], h.state[5], h.state[6], h.state[7]
	switch w := h.words[t]; w.class {
	case fixed:
		sum = h.add(sum, h.broadcast(h.pool.at(k256[t]+w.fixed)))
	case prepared:
		sum = h.add(sum, h.broadcast(wordAt(t)))
	case varying:
		sum = h.add(sum, h.add(w.value, h.broadcast(h.pool.at(k256[t]))))
	}
	// All rounds wait for the e of the one before: what it needs longest comes first.
	rotated := h.bigSigma1(e)
	sum = h.add(sum, h.choose(e, f, g), rotated)
	next := [8]value{1: a, b, c, h.add(d, sum), e, f, g}
	if withA {
		next[0] = h.add(sum, h.add(h.majority(a, b, c), h.bigSigma0(a)))
	}
	h.state = next
}

// schedule makes the word of a round out of four earlier ones. Those that do not vary
// are one number: of constants it is known here, and of the header it is in the table.
func (h *hasher) schedule(t int) {
	class, number := fixed, uint32(0)
	var sum []value
	for _, term := range []struct {
		back  int
		known func(uint32) uint32
		later func(value) value
	}{{16, same[uint32], same[value]}, {15, smallSigma0, h.smallSigma0}, {7, same[uint32], same[value]}, {2, smallSigma1, h.smallSigma1}} {
		switch w := h.words[t-term.back]; w.class {
		case fixed:
			number += term.known(w.fixed)
		case prepared:
			class = prepared
		case varying:
			sum = append(sum, term.later(w.value))
		}
	}
	if len(sum) == 0 {
		h.words[t] = word{class: class, fixed: number}
		return
	}
	if class == prepared {
		sum = append(sum, h.broadcast(wordAt(t)))
	} else if number != 0 {
		sum = append(sum, h.broadcast(h.pool.at(number)))
	}
	h.words[t] = word{class: varying, value: h.add(sum[0], sum[1:]...)}
}

func same[T any](x T) T { return x }

// first hashes a batch of headers. It stores the eight words that come out, of which
// the second hash is made.
func (h *hasher) first(stream int) {
	k := h.kind
	v := h.add(h.broadcast(operand{base: nonce}), h.load(operand{base: counting, n: stream * k.size()}))
	for t := range 3 {
		h.words[t].class = prepared
	}
	h.words[3] = word{class: varying, value: h.reverse(v)} // a header has it the other way round
	h.words[4].fixed = 0x80000000
	h.words[15].fixed = 8 * 80
	// Three rounds are in the table, and the fourth but for the nonce.
	for i := range h.state {
		h.state[i] = h.broadcast(stateAt(i))
	}
	for _, i := range []int{0, 4} {
		h.state[i] = h.add(h.words[3].value, h.state[i])
	}
	h.rounds(4, 64, 64)
	for i, v := range h.state {
		h.store(h.add(v, h.broadcast(midAt(i))), k.hashAt(stream, i))
	}
}

// second hashes the first hashes of a batch. It returns the last word as a number:
// for proof of work, the most significant one.
func (h *hasher) second(stream int) value {
	h.words = [64]word{8: {fixed: 0x80000000}, 15: {fixed: 8 * 32}}
	for i := range 8 {
		h.words[i] = word{class: varying, value: h.load(h.kind.hashAt(stream, i))}
	}
	// It begins with constants, so that its first round is two additions.
	a, e := firstRound()
	for i, v := range []uint32{a, iv[0], iv[1], iv[2], e, iv[4], iv[5], iv[6]} {
		h.state[i] = h.broadcast(h.pool.at(v))
	}
	for _, i := range []int{0, 4} {
		h.state[i] = h.add(h.words[0].value, h.state[i])
	}
	// The e of the 61st round is the h of the last, and no a after the 57th comes
	// into it.
	h.rounds(1, 61, 57)
	return h.reverse(h.add(h.state[4], h.broadcast(h.pool.at(iv[7]))))
}

// rounds does rounds, and makes the word of each before the round that precedes it:
// there is something to do while that round waits.
func (h *hasher) rounds(from, to, withA int) {
	for t := from; t < to; t++ {
		if t+1 >= 16 && t+1 < to {
			h.schedule(t + 1)
		}
		h.round(t, t < withA)
	}
}

// firstRound returns a and e after the first round of SHA-256, without its word.
func firstRound() (a, e uint32) {
	sum := iv[7] + bigSigma1(iv[4]) + (iv[4]&iv[5] ^ ^iv[4]&iv[6]) + k256[0]
	return sum + bigSigma0(iv[0]) + (iv[0]&iv[1] ^ iv[0]&iv[2] ^ iv[1]&iv[2]), iv[3] + sum
}

func rotate(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) }
func bigSigma0(x uint32) uint32     { return rotate(x, 2) ^ rotate(x, 13) ^ rotate(x, 22) }
func bigSigma1(x uint32) uint32     { return rotate(x, 6) ^ rotate(x, 11) ^ rotate(x, 25) }
func smallSigma0(x uint32) uint32   { return rotate(x, 7) ^ rotate(x, 18) ^ x>>3 }
func smallSigma1(x uint32) uint32   { return rotate(x, 17) ^ rotate(x, 19) ^ x>>10 }

var iv, k256 = fips180.Initial, fips180.Constants
