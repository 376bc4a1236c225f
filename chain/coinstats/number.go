package coinstats

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
)

const (
	// limbs is the number of 64-bit limbs of a number.
	limbs = 48
	// numberSize is the length in bytes of an encoded number.
	numberSize = limbs * 8
	// primeGap is the distance of the modulus from 2^3072. So 2^3072 is primeGap
	// modulo the prime, and a product is reduced by adding its upper half, times
	// primeGap, to its lower half.
	primeGap = 1103717
)

// number is a factor modulo the prime 2^3072 - primeGap, the least limb first.
// It may be any number of 3072 bits: it need not be wholly reduced. No product of
// factors is zero, so all limbs zero stand for one, which makes the zero value
// an empty product.
type number [limbs]uint64

// mul multiplies n by x.
func (n *number) mul(x *number) {
	switch (number{}) {
	case *x:
		return
	case *n:
		*n = *x
		return
	}
	var product [2 * limbs]uint64
	for i, limb := range n {
		product[i+limbs] = mulAdd((*[limbs]uint64)(product[i:]), x, limb)
	}
	n.reduce(&product)
}

// mulAdd adds x*y to z and returns the limb that goes beyond z. It takes four limbs
// at a time, because the compiler then keeps the carries in the processor's flag.
func mulAdd(z *[limbs]uint64, x *number, y uint64) (carry uint64) {
	for i := 0; i < limbs; i += 4 {
		h0, l0 := bits.Mul64(x[i], y)
		h1, l1 := bits.Mul64(x[i+1], y)
		h2, l2 := bits.Mul64(x[i+2], y)
		h3, l3 := bits.Mul64(x[i+3], y)
		var c uint64
		l0, c = bits.Add64(l0, carry, 0)
		l1, c = bits.Add64(l1, h0, c)
		l2, c = bits.Add64(l2, h1, c)
		l3, c = bits.Add64(l3, h2, c)
		h3 += c
		z[i], c = bits.Add64(z[i], l0, 0)
		z[i+1], c = bits.Add64(z[i+1], l1, c)
		z[i+2], c = bits.Add64(z[i+2], l2, c)
		z[i+3], c = bits.Add64(z[i+3], l3, c)
		carry = h3 + c
	}
	return carry
}

// reduce sets n to a number of 3072 bits that is the product modulo the prime.
func (n *number) reduce(product *[2 * limbs]uint64) {
	copy(n[:], product[:limbs])
	carry := mulAdd((*[limbs]uint64)(n), (*number)(product[limbs:]), primeGap)
	// What went beyond 3072 bits comes back in the same way. A second time it
	// goes beyond by at most one, and then the rest is small: the loop ends.
	for carry != 0 {
		high, low := bits.Mul64(carry, primeGap)
		n[0], carry = bits.Add64(n[0], low, 0)
		n[1], carry = bits.Add64(n[1], high, carry)
		for i := 2; i < limbs; i++ {
			n[i], carry = bits.Add64(n[i], 0, carry)
		}
	}
}

// reduced returns n as a number below the prime.
func (n *number) reduced() number {
	less := *n // becomes n - prime, which is n + primeGap less 2^3072
	carry := uint64(primeGap)
	for i := range less {
		less[i], carry = bits.Add64(less[i], carry, 0)
	}
	if carry == 0 { // n was below the prime
		return *n
	}
	return less
}

// divided returns n/x, wholly reduced. The inverse exists: the modulus is a prime, and no
// product of factors is a multiple of it.
func (n *number) divided(x *number) (quotient number) {
	q := new(big.Int).ModInverse(x.big(), prime)
	q.Mod(q.Mul(q, n.big()), prime)
	var buf [numberSize]byte
	q.FillBytes(buf[:])
	slices.Reverse(buf[:])
	quotient.setBytes(&buf)
	return quotient
}

// prime is the modulus.
var prime = func() *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), limbs*64)
	return p.Sub(p, big.NewInt(primeGap))
}()

func (n *number) big() *big.Int {
	b := n.appendTo(make([]byte, 0, numberSize))
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// appendTo appends the number in little-endian order.
func (n *number) appendTo(b []byte) []byte {
	if *n == (number{}) {
		return append(append(b, 1), make([]byte, numberSize-1)...)
	}
	for _, limb := range n {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	return b
}

// setBytes reads a number in little-endian order.
func (n *number) setBytes(b *[numberSize]byte) {
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
}
