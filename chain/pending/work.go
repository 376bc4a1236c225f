package pending

// Work is what it took to examine a transaction. It is counted and not timed, so that
// it is the same whatever else the machine does.
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
