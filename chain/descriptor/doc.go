// Package descriptor reads and writes output descriptors (BIP380): texts that say
// which scripts somebody owns, and how they are spent.
//
//	tr([d34db33f/86h/1h/0h]tpub…/<0;1>/*)#checksum
//
// stands for the taproot outputs of an account, two sequences of them (BIP389), one
// script for each index. Parse reads a text, Descriptor.Scripts gives the scripts of an
// index, Descriptor.Outputs also what is needed to spend them, and Descriptor.String
// writes the text again without private keys.
//
// The functions of outputs that a taproot-only chain can have are tr (BIP386), rawtr, and
// addr and raw (BIP385). Leaves of a tree are pk, multi_a, sortedmulti_a (BIP387) and
// miniscript (BIP379). musig() (BIP390) may stand for a key. The older functions
// (pk, pkh, wpkh, combo, multi, sortedmulti, sh, wsh; BIP381 to 384) are read as well, so
// that a client learns that its text is right. They have no scripts: ErrNoOutput.
//
// DecodeScript reads the miniscript expression of a leaf from its script alone, and
// Miniscript.Satisfy finds the witness that it takes.
//
// Texts come from clients. Their length, their keys, the steps from key to key and the
// depth of what stands in brackets are bounded. What is wrong is told in Bitcoin
// Core's words, because clients and their tests look for them.
package descriptor
