package taproot

import (
	"errors"

	"github.com/btcsuite/btcd/btcec/v2"
)

// The errors of OutputKey.
var (
	errMerkleRoot  = errors.New("taproot: a merkle root has 32 bytes, or none")
	errInternalKey = errors.New("taproot: the internal key is not the x coordinate of a point")
	errTweak       = errors.New("taproot: the tweak is not less than the group order, or undoes the key")
)

// OutputKey returns the output key Q = P + tG of an internal key P and the root of a
// taproot tree. The root has 32 bytes, or none for an output without script path.
// parity is that of Q's y coordinate, which a control block states. All values are
// public, so nothing is done in constant time. It is not made for speed either: the
// node never calls it, wallets do.
func OutputKey(internal [32]byte, merkleRoot []byte) (key [32]byte, parity byte, err error) {
	if len(merkleRoot) != 0 && len(merkleRoot) != 32 {
		return key, 0, errMerkleRoot
	}
	compressed := append([]byte{2}, internal[:]...) // BIP340 lifts to the even y
	p, err := btcec.ParsePubKey(compressed)
	if err != nil {
		return key, 0, errInternalKey
	}
	tweak := TweakHash(internal, merkleRoot)
	var t btcec.ModNScalar
	if t.SetBytes(&tweak) != 0 {
		return key, 0, errTweak
	}
	var point, tG, q btcec.JacobianPoint
	p.AsJacobian(&point)
	btcec.ScalarBaseMultNonConst(&t, &tG)
	btcec.AddNonConst(&point, &tG, &q)
	if q.Z.IsZero() {
		return key, 0, errTweak
	}
	q.ToAffine()
	if q.Y.IsOdd() {
		parity = 1
	}
	q.X.PutBytes(&key)
	return key, parity, nil
}

// OutputScriptSize is the length of an OutputScript in bytes.
const OutputScriptSize = 2 + 32

// OutputScript returns the script that pays to an output key (P2TR): OP_1 and a
// push of the key (BIP341).
func OutputScript(key [32]byte) []byte {
	return append([]byte{Op1, byte(len(key))}, key[:]...)
}

// IsPayToAnchor reports whether a witness program is OP_1 <4e73>, Bitcoin Core's P2A.
// Anyone can spend it with an empty witness, and policy lets that pass. So anyone can
// add to the fee of a transaction that has such an output, as Lightning needs.
func IsPayToAnchor(version int, program []byte) bool {
	return version == 1 && string(program) == "\x4e\x73"
}
