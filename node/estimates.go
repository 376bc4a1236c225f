package node

import (
	"context"
	"path/filepath"
	"time"

	"github.com/karatcoin/karat/mempool"
)

const (
	estimatesFile = "fee_estimates.dat"
	// estimatesEvery is how often what was seen of blocks is saved, as in Bitcoin Core.
	estimatesEvery = time.Hour
)

// keepEstimates keeps what the pool has seen of recent blocks in a file. That it cannot
// be read or saved is no reason to end: it is learnt again in some blocks.
func (n *Node) keepEstimates(pool *mempool.Pool) func(context.Context) error {
	path := filepath.Join(n.config.DataDir, estimatesFile)
	save := func() {
		if err := pool.SaveEstimates(path); err != nil {
			n.log.Warn("what was seen of fees could not be saved", "err", err)
		}
	}
	return func(ctx context.Context) error {
		if err := pool.LoadEstimates(path); err != nil {
			n.log.Warn("what was seen of fees could not be read back", "err", err)
		}
		ticker := time.NewTicker(estimatesEvery)
		defer ticker.Stop()
		defer save()
		for {
			select {
			case <-ticker.C:
				save()
			case <-ctx.Done():
				return nil
			}
		}
	}
}
