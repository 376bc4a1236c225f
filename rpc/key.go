package rpc

import "github.com/btcsuite/btcd/btcec/v2/schnorr"

// validKey reports whether 32 bytes are the x coordinate of a point of the curve.
func validKey(x []byte) bool {
	_, err := schnorr.ParsePubKey(x)
	return err == nil
}
