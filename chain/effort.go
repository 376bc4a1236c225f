package chain

import (
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
)

// effort counts what the chain does. Whoever watches a node over months sees from it where
// its time goes.
type effort struct {
	connected, disconnected, refused, transactions, inputs, claims, batches, failedBatches, flushes atomic.Uint64
	opening, coins, scripts, checking, flushing                                                     atomic.Int64 // nanoseconds
}

// since adds the time from a moment on to one of the stages.
func since(stage *atomic.Int64, began time.Time) { stage.Add(int64(time.Since(began))) }

// settled counts a block that was found to be valid.
func (e *effort) settled(b *consensus.HashedBlock, inputs int) {
	e.connected.Add(1)
	e.transactions.Add(uint64(len(b.Block.Txs)))
	e.inputs.Add(uint64(inputs))
}

// checked counts a batch of claims.
func (e *effort) checked(claims int, ok bool) {
	e.batches.Add(1)
	e.claims.Add(uint64(claims))
	if !ok {
		e.failedBatches.Add(1)
	}
}

// Effort returns what the chain has done since it was opened.
func (c *Chain) Effort() header.Effort {
	e := &c.effort
	return header.Effort{
		Connected: e.connected.Load(), Disconnected: e.disconnected.Load(), Refused: e.refused.Load(), Transactions: e.transactions.Load(),
		Inputs: e.inputs.Load(), Claims: e.claims.Load(), Batches: e.batches.Load(), FailedBatches: e.failedBatches.Load(), Flushes: e.flushes.Load(),
		Opening: time.Duration(e.opening.Load()), Coins: time.Duration(e.coins.Load()), Scripts: time.Duration(e.scripts.Load()),
		Checking: time.Duration(e.checking.Load()), Flushing: time.Duration(e.flushing.Load()),
	}
}
