// Package taproot says whether an input may spend an output: BIP341's signature
// message and commitments, and BIP342's interpreter of tapscript.
//
// Its one idea is that no signature has to be checked while a script runs. There is
// no legacy script and no version 0 witness here, so every signature is BIP340's,
// over a message that is known beforehand. And BIP342 makes a script fail as a whole
// on any signature that is neither empty nor valid. So a signature may be taken for
// valid, and what must hold is written down as a claim:
//
//	var batch secp.Batch // the claims of many inputs, transactions and blocks
//	ctx := taproot.NewContext(tx, prevouts)
//	for i := range tx.Inputs {
//		if err := ctx.VerifyInput(i, taproot.Consensus, &batch); err != nil {
//			return err
//		}
//	}
//	valid := batch.Verify() // one multiplication for all of them
//
// An input is valid if VerifyInput returned nil and all its claims hold. That is
// exactly the verdict of checking at once, which VerifyInput gives with nil claims.
// If a batch fails, its inputs are verified again in that way, to find the one at
// fault.
//
// Callers have two duties. The prevouts must be the outputs that the inputs really
// spend, because signatures commit to them. And a Context is for one goroutine at a
// time; a large transaction is verified through several.
//
// The package also has the texts of scripts: addresses (bech32m, BIP350), Bitcoin
// Core's asm, and the checksum of descriptors (BIP380). It holds no keys and signs
// nothing.
package taproot
