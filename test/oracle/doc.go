// Package oracle runs karat's script engine and decoders side by side with
// btcd's on random inputs, and fails on any difference that is not listed, with
// its reason, in differences.go.
//
// It is a module of its own, so that btcd's packages are no dependencies of
// karat. Three kinds of input are made from a stream of random bytes:
//
//   - spends: key path and script path spends of every hash type, signed once and
//     then spoiled (or not) in one place;
//   - scripts: random tapscripts, mostly of opcodes whose needs are met, so that
//     many succeed;
//   - encodings: transactions and blocks with spoiled bytes.
//
// PSBTs of version 0, which is all that btcd knows, are made and signed at random, read
// and written by both, and finalized by both (TestPSBT).
//
// TestDifferential runs a bounded number of each; KARAT_ORACLE_RUNS sets another,
// and KARAT_ORACLE_SEED another stream. The fuzz targets take the stream from Go's
// fuzzer.
package oracle
