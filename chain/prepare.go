package chain

import (
	"context"
	"iter"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// prepared is a block after the checks that need no knowledge of the chain.
type prepared struct {
	raw   []byte
	block *consensus.HashedBlock // nil if it has no work or could not be decoded
	err   error
	ready chan struct{}
}

// preparedAhead is how many blocks for each worker may be decoded before they are
// needed. It bounds the memory, and evens out small and large blocks.
const preparedAhead = 4

// prepare decodes, hashes and checks blocks on several goroutines, and yields
// them in the order in which they came: a parent mostly comes before its child. raws
// is pulled on another goroutine, so that reading a file or waiting for a peer
// overlaps with the checks. When the loop over prepare ends, nothing is under way.
func prepare(ctx context.Context, params *consensus.Params, raws iter.Seq[[]byte], workers int, effort *effort) iter.Seq[*prepared] {
	return func(yield func(*prepared) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ordered := make(chan *prepared, preparedAhead*workers)
		unordered := make(chan *prepared, preparedAhead*workers)
		for range workers {
			go func() {
				for p := range unordered {
					began := time.Now()
					p.check(params)
					since(&effort.opening, began)
				}
			}()
		}
		go func() {
			defer close(ordered)
			defer close(unordered)
			for raw := range raws {
				p := &prepared{raw: raw, ready: make(chan struct{})}
				select {
				case ordered <- p:
					unordered <- p
				case <-ctx.Done():
					return
				}
			}
		}()
		// The feeder ends at its next send, the workers when it has; nothing
		// that they hold is used after that.
		defer func() {
			cancel()
			for p := range ordered {
				<-p.ready
			}
		}()
		for p := range ordered {
			<-p.ready
			if ctx.Err() != nil || !yield(p) {
				return
			}
		}
	}
}

// check notes the first rule that the block breaks. What it says of a block that
// can be decoded is reported by accept, beside the header's place in the tree.
func (p *prepared) check(params *consensus.Params) {
	defer close(p.ready)
	p.block, p.err = consensus.OpenBlock(params, p.raw)
}
