package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/karatcoin/karat/node"
)

// Go collects garbage when memory has doubled, which with a large coin cache would be far
// beyond the budget. So it is told a limit, near which it collects more often.

// workingMemory is what a flush, and blocks on their way, take beside the coin cache.
const workingMemory = 112 * mebibyte

// limitPause is how often the limit is looked at again: a sync brings many headers a second.
const limitPause = 10 * time.Second

// limitMemory lets the limit grow with what is kept for good, until the context ends. A header
// tree beyond the limit would have Go do little but look for garbage that is not there.
func (o *options) limitMemory(ctx context.Context, n *node.Node) {
	again := time.NewTicker(limitPause)
	defer again.Stop()
	for {
		debug.SetMemoryLimit(o.cacheMiB*mebibyte + workingMemory + n.MemoryBeside())
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}
