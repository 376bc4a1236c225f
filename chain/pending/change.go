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

// Change is one transaction that came into a pool or left it.
type Change struct {
	// Sequence is Bitcoin Core's mempool sequence number. Each change but LeftBlock has
	// one of its own, the next. LeftBlock has that of the change that follows.
	Sequence uint64
	TxID     types.Hash
	WTxID    types.Hash
	Added    bool
	Left     Departure // if it was not added
}
