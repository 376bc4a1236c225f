// Package psbt is partially signed transactions: what people who sign one transaction
// together pass to each other. It reads and writes version 0 (BIP174) and version 2
// (BIP370), with the fields of taproot (BIP371) and MuSig2 (BIP373), and does what needs
// no key:
//
//	p := psbt.New(tx, 2)              // the creator
//	p.Inputs[0].WitnessUTXO = &output // the updater; then signers add their signatures
//	p, err = psbt.Combine(parts)      // the combiner
//	p.Finalize()                      // the finalizer
//	tx, err = p.Extract()             // the extractor
//
// A Packet has the same form for both versions. What it is written from is its fields
// alone, in Bitcoin Core's order, so equal packets are equal bytes. Fields that the
// package does not know are kept and written as they were.
//
// All input is taken to be hostile: bytes, fields, inputs and outputs are counted before
// anything is made of them. A signature is never believed: Finalize verifies what it makes,
// and Extract what it is given.
//
// The fields of older scripts (ECDSA, P2SH) are kept and shown, but nothing is made of
// them: on this network nothing is spent by them.
package psbt
