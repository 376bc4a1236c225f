package header

import "time"

// Effort is what a chain has done since the node started.
type Effort struct {
	Connected, Disconnected, Refused uint64 // blocks
	Transactions, Inputs             uint64 // of connected blocks
	Claims                           uint64 // signatures and taproot commitments, checked in batches
	Batches, FailedBatches           uint64
	Flushes                          uint64

	// Time that its stages took; those on several processors count each.
	Opening  time.Duration // decoding, hashing, and the rules that need only the block
	Coins    time.Duration // fetching what is spent
	Scripts  time.Duration
	Checking time.Duration // batches of claims
	Flushing time.Duration // writing coins to disk
}
