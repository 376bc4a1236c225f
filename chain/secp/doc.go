// Package secp verifies BIP340 signatures and BIP341 tweaks on secp256k1.
//
// It is verification only. It never sees a secret, so nothing in it takes
// constant time, and nothing in it can sign. Every input is taken to be chosen
// by an attacker; any input gives an exact answer and none panics.
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
// eight square roots at a time (AVX-512 IFMA); both are chosen at run time by
// what the processor can do, and are left out under the build tag purego.
//
// Tests hold the package against the BIP340 vectors, math/big and btcec.
package secp
