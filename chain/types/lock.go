package types

// LockTimeThreshold is the least LockTime of a transaction that is a time in seconds
// since 1970. One below it is a height (Bitcoin Core's LOCKTIME_THRESHOLD).
const LockTimeThreshold = 500_000_000

// SequenceFinal is the sequence number of an input without any lock. A transaction
// all of whose inputs have it is not held up by its LockTime either.
const SequenceFinal = 0xffffffff

// The parts of a sequence number that is a relative lock (BIP68), which counts from
// the block that made the coin.
const (
	SequenceLockDisabled = 1 << 31 // no relative lock
	SequenceLockIsTime   = 1 << 22 // in units of time, else in blocks
	SequenceLockMask     = 0xffff  // the number of them
	SequenceLockShift    = 9       // a unit of time is 1<<9 seconds
)
