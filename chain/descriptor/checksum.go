package descriptor

import "strings"

// The characters of a descriptor, in groups of 32, and those of its checksum
// (BIP380).
const (
	charset = "0123456789()[],'/*abcdefgh@:$%{}" +
		"IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~" +
		"ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	checksumCharset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

	checksumSize = 8 // characters
)

// Checksum returns the checksum of a descriptor (BIP380): eight
// characters of a BCH code over GF(32). It is empty if a character can be in no
// descriptor.
//
// Each character gives its place in its group of 32 as a symbol, and each three
// of them one more symbol for the three groups.
func Checksum(descriptor string) string {
	remainder, groups, counted := uint64(1), 0, 0
	for _, char := range []byte(descriptor) {
		place := strings.IndexByte(charset, char)
		if place < 0 {
			return ""
		}
		remainder = polyMod(remainder, place%32)
		groups = groups*3 + place/32
		if counted++; counted == 3 {
			remainder = polyMod(remainder, groups)
			groups, counted = 0, 0
		}
	}
	if counted > 0 {
		remainder = polyMod(remainder, groups)
	}
	for range checksumSize {
		remainder = polyMod(remainder, 0)
	}
	remainder ^= 1 // so that zeros appended to a descriptor are seen
	checksum := make([]byte, checksumSize)
	for i := range checksum {
		checksum[i] = checksumCharset[remainder>>(5*(checksumSize-1-i))%32]
	}
	return string(checksum)
}

// polyMod multiplies a polynomial over GF(32), five bits a coefficient, by x,
// adds a constant and reduces by BIP380's generator.
func polyMod(remainder uint64, constant int) uint64 {
	top := remainder >> 35
	remainder = remainder&(1<<35-1)<<5 ^ uint64(constant)
	for i, multiple := range [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd} {
		if top>>i&1 == 1 {
			remainder ^= multiple
		}
	}
	return remainder
}
