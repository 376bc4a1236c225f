//go:build !purego

package secp

import "golang.org/x/sys/cpu"

// useBMI2 chooses the assembly, whose MULX makes products without touching the
// flags. A plain variable is a well-predicted branch, where a function value would
// make every operand escape to the heap.
var useBMI2 = cpu.X86.HasBMI2

//go:noescape
func mulBMI2(z, x, y *field)

//go:noescape
func sqrNBMI2(z, x *field, n int)

//go:noescape
func mul4BMI2(z, x, y *field4)

//go:noescape
func sqrN4BMI2(z, x *field4, n, lanes int)

// mul sets z = x * y.
func (z *field) mul(x, y *field) {
	if useBMI2 {
		mulBMI2(z, x, y)
	} else {
		mulGeneric(z, x, y)
	}
}

// sqr sets z = x * x.
func (z *field) sqr(x *field) {
	if useBMI2 {
		sqrNBMI2(z, x, 1)
	} else {
		sqrGeneric(z, x)
	}
}

// sqrN sets z to x squared n times, n at least 1.
func (z *field) sqrN(x *field, n int) {
	if useBMI2 {
		sqrNBMI2(z, x, n)
		return
	}
	sqrGeneric(z, x)
	for ; n > 1; n-- {
		sqrGeneric(z, z)
	}
}

// mul sets z = x * y in every lane.
func (z *field4) mul(x, y *field4) {
	if useBMI2 {
		mul4BMI2(z, x, y)
	} else {
		mul4Generic(z, x, y)
	}
}

// sqr sets z = x * x in every lane.
func (z *field4) sqr(x *field4) {
	if useBMI2 {
		sqrN4BMI2(z, x, 1, 4)
	} else {
		sqrN4Generic(z, x, 1, 4)
	}
}

// sqrN sets the first lanes of z, at least one, to those of x squared n times, n at
// least 1.
func (z *field4) sqrN(x *field4, n, lanes int) {
	if useBMI2 {
		sqrN4BMI2(z, x, n, lanes)
	} else {
		sqrN4Generic(z, x, n, lanes)
	}
}
