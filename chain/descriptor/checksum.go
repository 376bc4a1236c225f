package descriptor

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
func Checksum(descriptor string) string {
	var sum Sum
	sum.Add([]byte(descriptor))
	return string(sum.AppendTo(nil))
}

// Sum computes a Checksum of a text that comes in parts. The zero
// value is that of no text.
//
// Each character gives its place in its group of 32 as a symbol, and each three
// of them one more symbol for the three groups.
type Sum struct {
	remainder uint64 // of the polynomial, with its lowest bit inverted
	groups    uint8
	counted   uint8
	bad       bool // a character can be in no descriptor
}

// Add adds characters.
func (d *Sum) Add(text []byte) {
	remainder, groups, counted := d.remainder^1, d.groups, d.counted
	for _, char := range text {
		place := charPlaces[char]
		if place == noPlace {
			d.bad = true
			return
		}
		remainder = polyMod(remainder, place%32)
		groups = groups*3 + place/32
		if counted++; counted == 3 {
			remainder = polyMod(remainder, groups)
			groups, counted = 0, 0
		}
	}
	d.remainder, d.groups, d.counted = remainder^1, groups, counted
}

// AppendTo appends the eight characters, or nothing if there is no checksum.
func (d *Sum) AppendTo(b []byte) []byte {
	if d.bad {
		return b
	}
	remainder := d.remainder ^ 1
	if d.counted > 0 {
		remainder = polyMod(remainder, d.groups)
	}
	for range checksumSize {
		remainder = polyMod(remainder, 0)
	}
	remainder ^= 1 // so that zeros appended to a descriptor are seen
	for i := range checksumSize {
		b = append(b, checksumCharset[remainder>>(5*(checksumSize-1-i))%32])
	}
	return b
}

// charPlaces is where in charset each character stands.
var charPlaces = func() (places [256]uint8) {
	for i := range places {
		places[i] = noPlace
	}
	for i := range charset {
		places[charset[i]] = uint8(i)
	}
	return places
}()

const noPlace = 255

// polyMod multiplies a polynomial over GF(32), five bits a coefficient, by x,
// adds a constant and reduces by BIP380's generator.
func polyMod(remainder uint64, constant uint8) uint64 {
	top := remainder >> 35 % 32
	return remainder&(1<<35-1)<<5 ^ uint64(constant) ^ polyMultiples[top]
}

// polyMultiples are the multiples of BIP380's generator.
var polyMultiples = func() (multiples [32]uint64) {
	for top := range multiples {
		for i, multiple := range [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd} {
			if top>>i&1 == 1 {
				multiples[top] ^= multiple
			}
		}
	}
	return multiples
}()
