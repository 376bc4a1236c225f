package secp

// field4 is four independent field elements that go through the same steps.
//
// One product has to wait for the one before it when it needs its result, and
// then most of the processor stands idle: four in a row that need nothing from
// each other take about half the time each. So the loops that matter (square
// roots, the additions of a batch) are laid out in fours.
type field4 [4]field

// field4One is one in every lane.
var field4One = field4{{1}, {1}, {1}, {1}}

// mul4Generic sets z = x * y in every lane.
func mul4Generic(z, x, y *field4) {
	for i := range z {
		mulGeneric(&z[i], &x[i], &y[i])
	}
}

// sqrN4Generic squares the first lanes n times, n at least 1.
func sqrN4Generic(z, x *field4, n, lanes int) {
	for i := range lanes {
		sqrGeneric(&z[i], &x[i])
	}
	for ; n > 1; n-- {
		for i := range lanes {
			sqrGeneric(&z[i], &z[i])
		}
	}
}
