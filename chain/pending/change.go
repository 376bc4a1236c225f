package pending

import (
	"github.com/karatcoin/karat/chain/types"
)

// Departure is why a transaction left a pool. The words are Bitcoin Core's.
type Departure string

// The departures.
const (
	LeftExpired  Departure = "expiry"
	LeftEvicted  Departure = "sizelimit"
	LeftReorg    Departure = "reorg" // the chain went back, and it is not valid any more
	LeftBlock    Departure = "block" // it is in a block
	LeftConflict Departure = "conflict"
	LeftReplaced Departure = "replaced"
)

// Change is one transaction that came into a pool or left it, or a new place on the chain.
type Change struct {
	// Sequence is Bitcoin Core's mempool sequence number: each transaction that comes or
	// leaves, for whatever reason, has the next one.
	Sequence uint64
	TxID     types.Hash
	WTxID    types.Hash
	Added    bool
	Left     Departure // if it was not added
	// Block is where the pool has followed the chain to, in a change that is about no
	// transaction. What stands before it was there before that block. Else it is nil.
	Block *types.Index
}
