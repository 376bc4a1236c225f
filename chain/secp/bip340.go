package secp

import "crypto/sha256"

// Verify reports whether sig is a BIP340 signature of msg, of any length, by the
// x-only key pubKey.
func Verify(pubKey *[32]byte, msg []byte, sig *[64]byte) bool {
	// points[0] is the key P, points[1] the nonce R, of which sig has the x.
	var points [2]affine
	var s scalar
	if !points[0].setX(pubKey) || !points[1].setX((*[32]byte)(sig[:32])) ||
		!s.setBytes((*[32]byte)(sig[32:])) || !liftFour(points[:]) {
		return false
	}
	e := challenge(sig, pubKey, msg)
	e.neg(&e)
	// R is lifted with an even y, so comparing points compares also what BIP340 asks
	// of the y; the root is no dearer than the inversion that it takes the place of.
	var r jacobian
	r.doubleMultiple(&s, &e, &points[0])
	return r.equals(&points[1])
}

// VerifyTweak reports whether output, with a Y of the given parity (0 even, 1 odd),
// is lift_x(internal) + tweak*G, the commitment of BIP341. It is false if internal
// is not on the curve, tweak is not below the group order, or the output differs.
func VerifyTweak(output *[32]byte, parity byte, internal, tweak *[32]byte) bool {
	var points [2]affine
	var t scalar
	if parity > 1 || !points[0].setX(internal) || !points[1].setX(output) ||
		!t.setBytes(tweak) || !liftFour(points[:]) {
		return false
	}
	points[1].y.condNeg(&points[1].y, uint64(parity))
	var r jacobian
	r.baseMultiple(&t)
	r.addAffine(&r, &points[0])
	return r.equals(&points[1])
}

// IsPublicKey reports whether x is the x coordinate of a point of the curve, which
// makes it a valid public key of BIP340.
func IsPublicKey(x *[32]byte) bool {
	var p affine
	return p.setX(x) && p.lift()
}

// ArePublicKeys is IsPublicKey for many, which it lifts in groups. It takes a fraction of
// the time where most of them are.
func ArePublicKeys(xs []*[32]byte) []bool {
	are := make([]bool, len(xs))
	var points [liftAtOnce]affine
	for at := 0; at < len(xs); at += liftAtOnce {
		group := xs[at:min(at+liftAtOnce, len(xs))]
		all := true
		for i, x := range group {
			all = points[i].setX(x) && all
		}
		all = all && liftAll(points[:len(group)])
		for i, x := range group {
			are[at+i] = all || IsPublicKey(x)
		}
	}
	return are
}

// liftAtOnce is how many points every way of lifting takes at once.
const liftAtOnce = 8

// challengeTag is what the tagged hash of BIP340 puts before the data.
var challengeTag = func() (tag [64]byte) {
	h := sha256.Sum256([]byte("BIP0340/challenge"))
	copy(tag[:32], h[:])
	copy(tag[32:], h[:])
	return tag
}()

// challenge returns the e of BIP340, the hash of nonce, key and message modulo n.
func challenge(sig *[64]byte, pubKey *[32]byte, msg []byte) (e scalar) {
	var buf [64 + 32 + 32 + 64]byte // on the stack for messages up to 64 bytes
	data := append(buf[:0], challengeTag[:]...)
	data = append(data, sig[:32]...)
	data = append(data, pubKey[:]...)
	data = append(data, msg...)
	h := sha256.Sum256(data)
	e.setBytes(&h) // reduced, not refused: BIP340 takes it modulo n
	return e
}
