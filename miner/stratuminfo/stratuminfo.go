// Package stratuminfo holds what the Stratum server tells of itself: the server makes
// these values, and RPC clients are handed them as they are. They are snapshots, and
// true when the server was asked.
package stratuminfo

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Reason is why a share was refused.
type Reason int

// The reasons, each of which is counted by itself.
const (
	Stale        Reason = iota // of a block that is not the next one any more, or of a job that is gone
	Duplicate                  // the same work was handed in before
	Low                        // the hash is above the share's target
	Malformed                  // a field is missing, of the wrong length, or out of its bounds
	Unauthorized               // of a worker that the connection has not named
	Reasons                    // how many there are
)

// String returns the name under which RPC clients see the reason.
func (r Reason) String() string {
	return [...]string{"stale", "duplicate", "low", "malformed", "unauthorized"}[r]
}

// Rates are hashes a second, as estimated from the shares of the last minutes. Of
// one who came later the time since then counts.
type Rates struct {
	Minute, TenMinutes, Hour float64
}

// Shares are what was handed in.
type Shares struct {
	Accepted uint64
	Rejected [Reasons]uint64
	Work     float64   // the sum of the accepted shares' difficulties
	Best     float64   // the difficulty that the best share's hash would have been enough for
	Last     time.Time // when the last one was accepted; zero: none was
	Blocks   uint64    // that the chain has taken
}

// Worker is a name under which shares are handed in, by one connection or by several.
type Worker struct {
	Name        string // as the miner gives it, with the address in its usual form
	Address     string // that its blocks pay; empty: what the node's own blocks pay
	Connections int    // that use the name now
	From        string // host from which the last of them comes
	Agent       string // the miner's program, as it says; printable
	Difficulty  float64
	Rates       Rates
	Shares      Shares
}

// Block is a block that a worker found and the chain took.
type Block struct {
	Height uint32
	Hash   types.Hash
	Worker string
	Time   time.Time
}

// Job is the work that miners have now.
type Job struct {
	Height       uint32
	Transactions int // without the coinbase
	Fees         types.Amount
	Time         time.Time // when it was made
}

// Info is the state of the server.
type Info struct {
	Listening   string // HOST:PORT; empty: there is no server
	TLS         bool
	Connections int
	Banned      int // addresses that are kept out now
	Job         *Job
	LastBlock   *Block // nil: none was found
	Rates       Rates
	Shares      Shares
	Workers     []Worker // by name
}
