package rpc

import "encoding/hex"

// HashedPassword is the part of a --rpc-auth line behind the salt.
func HashedPassword(salt, password string) string {
	hash := hashPassword(salt, password)
	return hex.EncodeToString(hash[:])
}

// CheckAnswer says what in an answer of a method is not as help and OpenRPC tell it.
func CheckAnswer(method string, answer []byte) error {
	shapes := parseShapes(results[method])
	if len(shapes) == 0 {
		return nil
	}
	return matchesAny(shapes, answer)
}
