package chain

import (
	"context"
	"iter"

	"github.com/karatcoin/karat/chain/consensus"
)

// prepared is a block after the steps that need no knowledge of the chain.
type prepared struct {
	raw   []byte
	block *consensus.HashedBlock // nil if it has no work or could not be decoded
	err   error
	ready chan struct{}
}

// preparedAhead is how many blocks may be decoded before they are needed, a
// worker.
const preparedAhead = 4

// prepare decodes, hashes and checks blocks on several goroutines, and yields
// them in the order in which they came. The blocks are pulled from raws on
// another goroutine. Everything has ended when the loop over prepare has.
func prepare(ctx context.Context, params *consensus.Params, raws iter.Seq[[]byte], workers int) iter.Seq[*prepared] {
	return func(yield func(*prepared) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ordered := make(chan *prepared, preparedAhead*workers)
		unordered := make(chan *prepared, preparedAhead*workers)
		for range workers {
			go func() {
				for p := range unordered {
					p.check(params)
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

func (p *prepared) check(params *consensus.Params) {
	defer close(p.ready)
	p.block, p.err = consensus.OpenBlock(params, p.raw)
}
