package chain

import "context"

// baton is a lock that can be waited for until a context ends.
type baton chan struct{}

func newBaton() baton { return make(baton, 1) }

// take returns nil with the baton, or the context's error without it.
func (b baton) take(ctx context.Context) error {
	select {
	case b <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b baton) give() { <-b }
