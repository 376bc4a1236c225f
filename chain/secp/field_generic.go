//go:build !amd64 || purego

package secp

// useBMI2 is there for the tests only: without assembly there is nothing to choose.
var useBMI2 = false

// mul sets z = x * y.
func (z *field) mul(x, y *field) { mulGeneric(z, x, y) }

// sqr sets z = x * x.
func (z *field) sqr(x *field) { sqrGeneric(z, x) }

// sqrN sets z to x squared n times, n at least 1.
func (z *field) sqrN(x *field, n int) {
	sqrGeneric(z, x)
	for ; n > 1; n-- {
		sqrGeneric(z, z)
	}
}

// mul sets z = x * y in every lane.
func (z *field4) mul(x, y *field4) { mul4Generic(z, x, y) }

// sqr sets z = x * x in every lane.
func (z *field4) sqr(x *field4) { sqrN4Generic(z, x, 1, 4) }

// sqrN sets the first lanes of z, at least one, to those of x squared n times, n at
// least 1.
func (z *field4) sqrN(x *field4, n, lanes int) { sqrN4Generic(z, x, n, lanes) }
