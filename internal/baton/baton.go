// Package baton has a lock for long work.
//
// Who holds a sync.Mutex should be done in moments, because nobody can stop
// waiting for one. A baton is handed on between operations that take as long as
// a disk or a thousand signatures do, and a caller whose context ends goes away
// without it.
package baton

import "context"

// Baton is a lock that can be waited for until a context ends. At most one
// goroutine has it.
type Baton chan struct{}

// New returns a baton that nobody has.
func New() Baton { return make(Baton, 1) }

// Take returns nil with the baton, or the context's error without it.
func (b Baton) Take(ctx context.Context) error {
	select {
	case b <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Give lets the next one have the baton. The caller must have it.
func (b Baton) Give() { <-b }
