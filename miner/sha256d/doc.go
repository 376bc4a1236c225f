// Package sha256d searches the nonces of a header for one whose hash is its proof of
// work: two rounds of SHA-256, one over the other. It does so at the speed of the
// processor, in one of several ways that all find the same.
//
// A header has 80 bytes, of which only the last word but three, the nonce, differs
// from try to try. Four things follow.
//
// The midstate. SHA-256 takes in 64 bytes at a time, and the nonce is behind them:
// what the first 64 bytes make of its state is computed once.
//
// Prepared words. The remaining 16 bytes are words 0 to 3 of the second message; the
// nonce is word 3, and what follows is padding. So three of its 64 rounds are done
// before the nonce is known. Rounds use a word each, and those from 16 on are sums of
// four earlier ones: two do not depend on the nonce, and of sixteen more a part does
// not. The table of a Scanner has all that.
//
// The early end. Proof of work compares the hash as a number whose most significant
// word is the last that SHA-256 puts out. Nearly every hash fails there already, and
// so nothing else is computed. That last word is the state's h, and h is what was e
// three rounds before: the last three rounds of the second hash are left out, and
// before those the other half of four.
//
// Lanes. SHA-256 is a chain of steps in which each waits for the one before, but
// headers with different nonces have nothing to do with each other. A vector
// register holds a word of 8 (AVX2) or 16 (AVX-512) of them, and one instruction does
// to all what has to be done to each. A processor can do more at a time than one
// such chain asks for, so that AVX-512 works on two batches side by side. The SHA
// extensions do two rounds of one header in an instruction, and of two headers in
// turn for the same reason.
//
// What passes is only a candidate. It is hashed once more by crypto/sha256, which
// shares nothing with the above.
//
// The assembly is written by internal/genscan, whose programs read like the
// description of SHA-256. scanPortable is the oracle for all of it.
package sha256d

//go:generate go run ./internal/genscan scan_amd64.s
