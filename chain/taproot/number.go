package taproot

// smallNumbers are the encodings of -1 to 16, which most scripts use. All stacks share
// them: nothing writes to a stack element once it exists.
var smallNumbers = [18]byte{0: 0x81, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8,
	10: 9, 11: 10, 12: 11, 13: 12, 14: 13, 15: 14, 16: 15, 17: 16} // n at n+1, for -1 to 16

// smallNumber returns the encoding of -1 to 16.
func smallNumber(n int) []byte {
	if n == 0 {
		return nil
	}
	return smallNumbers[n+1 : n+2 : n+2]
}

// boolean returns the encoding of a truth value.
func boolean(v bool) []byte {
	if v {
		return smallNumber(1)
	}
	return nil
}

// isTrue reports whether a value counts as true: any of its bytes is not zero. A sign
// bit alone does not count, as it makes a negative zero.
func isTrue(v []byte) bool {
	for i, b := range v {
		if b != 0 {
			return i != len(v)-1 || b != 0x80
		}
	}
	return false
}

// parseNumber reads a script number of up to maxSize bytes: little-endian, with the
// sign in the highest bit. With minimal set it must have no bytes to spare, which is
// policy: otherwise anyone could change a transaction's witness in passing.
func parseNumber(v []byte, minimal bool, maxSize int) (int64, bool) {
	n := len(v)
	if n > maxSize {
		return 0, false
	}
	if n == 0 {
		return 0, true
	}
	// The last byte may hold nothing but the sign only if the byte before it has no
	// room for one.
	if minimal && v[n-1]&0x7f == 0 && (n == 1 || v[n-2]&0x80 == 0) {
		return 0, false
	}
	magnitude := int64(0)
	for i, b := range v {
		magnitude |= int64(b) << (8 * i)
	}
	if v[n-1]&0x80 != 0 {
		return -(magnitude &^ (0x80 << (8 * (n - 1)))), true
	}
	return magnitude, true
}

// AppendNumber appends the shortest encoding of a script number. Zero has no bytes.
func AppendNumber(b []byte, n int64) []byte {
	if n == 0 {
		return b
	}
	magnitude, sign := uint64(n), byte(0)
	if n < 0 {
		magnitude, sign = -uint64(n), 0x80
	}
	for ; magnitude > 0x7f; magnitude >>= 8 {
		b = append(b, byte(magnitude))
	}
	// What is left has room for the sign, unless it was a whole byte before the
	// last shift.
	return append(b, byte(magnitude)|sign)
}
