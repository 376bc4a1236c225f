//go:build !purego

package secp

import "golang.org/x/sys/cpu"

// useADX chooses the assembly: MULX (BMI2) makes products without touching the
// flags, so that ADCX and ADOX (ADX) can run two carry chains side by side. A
// plain variable is a well-predicted branch, where a function value would make
// every operand escape to the heap.
var useADX = cpu.X86.HasBMI2 && cpu.X86.HasADX

//go:noescape
func mulADX(z, x, y *field)

//go:noescape
func sqrNADX(z, x *field, n int)

//go:noescape
func mul4ADX(z, x, y *field4)

//go:noescape
func sqrN4ADX(z, x *field4, n int)

// mul sets z = x * y.
func (z *field) mul(x, y *field) {
	if useADX {
		mulADX(z, x, y)
	} else {
		mulGeneric(z, x, y)
	}
}

// sqr sets z = x * x.
func (z *field) sqr(x *field) {
	if useADX {
		sqrNADX(z, x, 1)
	} else {
		sqrGeneric(z, x)
	}
}

// sqrN sets z to x squared n times, n at least 1.
func (z *field) sqrN(x *field, n int) {
	if useADX {
		sqrNADX(z, x, n)
		return
	}
	sqrGeneric(z, x)
	for ; n > 1; n-- {
		sqrGeneric(z, z)
	}
}

// mul sets z = x * y in every lane.
func (z *field4) mul(x, y *field4) {
	if useADX {
		mul4ADX(z, x, y)
	} else {
		mul4Generic(z, x, y)
	}
}

// sqr sets z = x * x in every lane.
func (z *field4) sqr(x *field4) {
	if useADX {
		sqrN4ADX(z, x, 1)
	} else {
		sqrN4Generic(z, x, 1)
	}
}

// sqrN sets every lane of z to that of x squared n times, n at least 1.
func (z *field4) sqrN(x *field4, n int) {
	if useADX {
		sqrN4ADX(z, x, n)
	} else {
		sqrN4Generic(z, x, n)
	}
}
