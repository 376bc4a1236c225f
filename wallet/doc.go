// Package wallet holds keys and finds out what they own.
//
// Keys come from twelve or twenty-four words (BIP39) by BIP32 and BIP86, so the
// words alone restore a wallet, here or in another program. They leave the
// encrypted File only as a Signer, which signs and is wiped. Everything else
// works with the Account, the public half.
//
// Build chooses the coins of a payment and makes the transaction, the Signer
// signs it by the taproot key path (BIP341) and verifies what it signed.
//
// The package speaks to no node but through the calls of an interface, and never
// tells it an address or a script.
package wallet
