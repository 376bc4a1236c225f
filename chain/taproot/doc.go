// Package taproot spends outputs: BIP341's signature message, commitments and
// control blocks, BIP342's tapscript interpreter, and the texts of scripts:
// addresses of those that karat allows (bech32m, BIP350), Core's asm, and the
// checksum of descriptors (BIP380).
//
// A Context verifies the inputs of one transaction. Two things distinguish it
// from a script engine with more history behind it. There is no legacy script
// and no version 0 witness, so every signature is BIP340 over a message that is
// known before the signature is checked. And BIP342 makes a script fail as a
// whole on any non-empty signature that is invalid, so a signature may be
// assumed valid while the script runs and be checked later: with a Claims,
// VerifyInput only records what must hold, and a batch of claims from many
// inputs, transactions and blocks is checked in one multiplication. The
// conjunction of VerifyInput's verdict and the batch's is exactly the verdict
// of checking at once.
//
// The package holds no keys and signs nothing.
package taproot
