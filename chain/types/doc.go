// Package types is the values that everything else speaks of: hashes, amounts,
// outpoints, transactions, headers, blocks and coins. Each has one encoding,
// Bitcoin's, byte for byte (BIP144 for witnesses):
//
//	tx, err := types.DecodeTx(raw) // err wraps ErrEncoding
//	fmt.Println(tx.TxID(), tx.VirtualSize())
//	raw = tx.AppendTo(nil) // the same bytes again
//
// All input is taken to be hostile. A length is compared with the bytes that are
// really there before anything is allocated for it, every number must have its
// shortest form, and nothing may be left over.
//
// Two duties are the caller's. What was decoded refers to the bytes that it was
// decoded from, so these must not change. And nothing here says whether a transaction
// is valid: the package knows no rules beyond what an encoding can express, does no
// I/O and keeps no state.
package types
