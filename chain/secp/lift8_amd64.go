//go:build !purego

package secp

import "golang.org/x/sys/cpu"

// useIFMA chooses the 52-bit multipliers on registers of 512 bits. The package cpu
// sets its flags only if the system keeps those registers for us too.
var useIFMA = cpu.X86.HasAVX512F && cpu.X86.HasAVX512IFMA

//go:noescape
func mul8IFMA(z, x, y *field8)

//go:noescape
func sqrN8IFMA(z, x *field8, n int)

// mul sets z = x * y in every lane.
func (z *field8) mul(x, y *field8) {
	if useIFMA {
		mul8IFMA(z, x, y)
	} else {
		mul8Generic(z, x, y)
	}
}

// sqrN sets every lane of z to that of x squared n times, n at least 1.
func (z *field8) sqrN(x *field8, n int) {
	if useIFMA {
		sqrN8IFMA(z, x, n)
	} else {
		sqrN8Generic(z, x, n)
	}
}
