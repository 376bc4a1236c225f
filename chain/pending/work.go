package pending

import (
	"errors"
	"time"
)

// Work is what it took to examine a transaction. It is counted and not timed, so that
// it is the same whatever else the machine does, and nobody pays for having waited.
type Work struct {
	Coins      int // looked up in the chain
	Opcodes    int // of scripts
	Hashed     int // bytes that opcodes hashed
	Relatives  int // waiting transactions that were put in order anew, or would have been
	Signatures int // checked, and commitments to scripts; one checked by itself counts for three
}

// Add adds the work on another transaction.
func (w *Work) Add(more Work) {
	w.Coins += more.Coins
	w.Opcodes += more.Opcodes
	w.Hashed += more.Hashed
	w.Relatives += more.Relatives
	w.Signatures += more.Signatures
}

// What the units of Work take on one core of an ordinary machine, rather more than less.
const (
	coinTime      = 10 * time.Microsecond // half of it is waiting for the disk
	opcodeTime    = 20 * time.Nanosecond
	hashedTime    = 5 * time.Nanosecond // RIPEMD-160's, the slowest
	relativeTime  = 2 * time.Microsecond
	signatureTime = 20 * time.Microsecond
)

// Time estimates the processor time.
func (w Work) Time() time.Duration {
	return time.Duration(w.Coins)*coinTime + time.Duration(w.Opcodes)*opcodeTime +
		time.Duration(w.Hashed)*hashedTime + time.Duration(w.Relatives)*relativeTime + time.Duration(w.Signatures)*signatureTime
}

// Refusal is the error of a transaction, or of several that were to come in together,
// after they had cost something.
type Refusal struct {
	Err  error
	Work Work // on all of them
	// Failed is the index of the one that is at fault, -1 if none is alone.
	Failed int
}

// Error returns the text of what is wrapped.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns why the transaction was refused.
func (r *Refusal) Unwrap() error { return r.Err }

// WorkOf returns what a transaction has cost for which a pool gave an answer: the entry
// if it was taken, or the error.
func WorkOf(e *Entry, err error) Work {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Work
	case err == nil && e != nil:
		return e.Work
	}
	return Work{}
}
