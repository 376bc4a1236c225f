package rpc

import "encoding/hex"

// HashedPassword is the part of a --rpc-auth line behind the salt.
func HashedPassword(salt, password string) string {
	hash := hashPassword(salt, password)
	return hex.EncodeToString(hash[:])
}
