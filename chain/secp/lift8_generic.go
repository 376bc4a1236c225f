//go:build !amd64 || purego

package secp

// useIFMA is never set without assembly.
var useIFMA = false

// mul sets z = x * y in every lane.
func (z *field8) mul(x, y *field8) { mul8Generic(z, x, y) }

// sqrN sets every lane of z to that of x squared n times, n at least 1.
func (z *field8) sqrN(x *field8, n int) { sqrN8Generic(z, x, n) }
