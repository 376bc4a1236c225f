package secp

// A powerStep is one step of an addition chain that raises a number to a fixed
// power: register dst becomes register src squared n times, then multiplied by
// register by (unless by is none). Register 0 holds the number itself and
// register r2 holds it to the power 2^2 - 1, r3 to 2^3 - 1, and so on.
type powerStep struct{ dst, src, n, by int }

const (
	r1 = iota
	r2
	r3
	r6
	r9
	r11
	r22
	r44
	r88
	r176
	acc
	powerRegisters
	none = -1
)

// sqrtChain ends in acc with the power (p+1)/4. Since p is 3 modulo 4, that is a
// square root of every number that has one. 253 squarings and 13 products.
var sqrtChain = append(ones223(), []powerStep{
	{acc, acc, 23, r22},
	{acc, acc, 6, r2},
	{acc, acc, 2, none},
}...)

// inverseChain ends in acc with the power p-2, which is the inverse (Fermat).
var inverseChain = append(ones223(), []powerStep{
	{acc, acc, 23, r22},
	{acc, acc, 5, r1},
	{acc, acc, 3, r2},
	{acc, acc, 2, r1},
}...)

// ones223 is what both chains begin with: both exponents begin with 223 one bits.
func ones223() []powerStep {
	return []powerStep{
		{r2, r1, 1, r1},
		{r3, r2, 1, r1},
		{r6, r3, 3, r3},
		{r9, r6, 3, r3},
		{r11, r9, 2, r2},
		{r22, r11, 11, r11},
		{r44, r22, 22, r22},
		{r88, r44, 44, r44},
		{r176, r88, 88, r88},
		{acc, r176, 44, r44},
		{acc, acc, 3, r3},
	}
}

// inv sets z = 1/x, and 0 when x is 0.
func (z *field) inv(x *field) {
	var r [powerRegisters]field
	r[r1] = *x
	for _, s := range inverseChain {
		r[s.dst].sqrN(&r[s.src], s.n)
		if s.by != none {
			r[s.dst].mul(&r[s.dst], &r[s.by])
		}
	}
	*z = r[acc]
}

// sqrt sets z to a square root of x and reports whether x has one.
func (z *field) sqrt(x *field) bool {
	var r [powerRegisters]field
	r[r1] = *x
	for _, s := range sqrtChain {
		r[s.dst].sqrN(&r[s.src], s.n)
		if s.by != none {
			r[s.dst].mul(&r[s.dst], &r[s.by])
		}
	}
	*z = r[acc]
	return z.isSqrtOf(&r[r1])
}

// isSqrtOf reports whether z squared is x.
func (z *field) isSqrtOf(x *field) bool {
	var t field
	t.sqr(z)
	return t.equal(x)
}

// sqrt sets the first lanes of z to those of x to the power (p+1)/4. The caller asks
// whether these are square roots.
func (z *field4) sqrt(x *field4, lanes int) {
	var r [powerRegisters]field4
	r[r1] = *x
	for _, s := range sqrtChain {
		r[s.dst].sqrN(&r[s.src], s.n, lanes)
		if s.by != none {
			r[s.dst].mul(&r[s.dst], &r[s.by])
		}
	}
	*z = r[acc]
}
