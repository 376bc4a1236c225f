// Package secp verifies BIP340 signatures and BIP341 tweaks on secp256k1.
//
// The one idea is that many claims are checked as one. A signature claims that a sum
// of points is infinity, and so does a tweak. If each claim is multiplied by a random
// number of its own and all are added, the total is infinity if all are true, and
// for no other reason that can be foreseen. A sum of thousands of multiples costs a
// third of so many single ones, since points with the same digits are added up first.
//
//	var batch secp.Batch
//	batch.AddSignature(&key, &message, &signature)
//	batch.AddTweak(&output, parity, &internal, &tweak)
//	if !batch.Verify() {
//		offender := batch.Offender() // the first claim that is false
//	}
//
// It is verification only. It never sees a secret, so nothing in it takes
// constant time, and nothing in it can sign. Every input is taken to be chosen
// by an attacker. Any input gives an exact answer, and none panics.
//
// From the bottom up:
//
//   - field.go, field4.go: arithmetic modulo p = 2^256 - 2^32 - 977, on one
//     value and on four independent values at a time;
//   - scalar.go: arithmetic modulo the group order n, and the split of a scalar
//     into two halves by the curve's endomorphism (GLV);
//   - point.go: affine and Jacobian points;
//   - ecmult.go: s*G + k*P for a single verification;
//   - msm.go: the sum of many multiples at once, for batches;
//   - bip340.go: Verify, VerifyTweak, IsPublicKey;
//   - batch.go: Batch.
//
// The portable code is complete by itself and is the reference. On amd64,
// field_amd64.s replaces the field products (MULX of BMI2), and lift8_amd64.s takes
// eight square roots at a time (AVX-512 IFMA). Both are chosen at run time by
// what the processor can do, and are left out under the build tag purego.
//
// Tests hold the package against the BIP340 vectors, math/big and btcec.
package secp
