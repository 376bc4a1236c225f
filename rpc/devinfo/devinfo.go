// Package devinfo holds what is said of a developer's chain: when it mines, whose coins it
// begins with, what can be asked of it.
package devinfo

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Mode says when blocks are mined.
type Mode string

// The values of Mode.
const (
	ByTransaction Mode = "tx"       // a block as soon as a transaction has come
	ByInterval    Mode = "interval" // a block every so often
	ByHand        Mode = "hand"     // a block when a client asks for it
)

// Mining is when blocks are mined. Every is for ByInterval alone.
type Mining struct {
	Mode  Mode
	Every time.Duration
}

// The bounds of Mining.Every.
const (
	LeastEvery = 10 * time.Millisecond
	MostEvery  = 24 * time.Hour
)

// String is what --mining takes.
func (m Mining) String() string {
	if m.Mode == ByInterval {
		return m.Every.String()
	}
	return string(m.Mode)
}

// Account is an address whose key is derived from words that everybody may know.
type Account struct {
	Path    string // of the key below the words' master key (BIP86)
	Address string
	Script  []byte       // scriptPubKey of the address
	Genesis types.Amount // what the genesis block gives it
}

// Balance is an account with what it has in blocks.
type Balance struct {
	Account
	Has types.Amount
}

// Info is a workbench as it is.
type Info struct {
	Mining    Mining
	Tip       types.Index
	Time      time.Time     // by the chain's clock
	Ahead     time.Duration // of the real time
	Words     string
	Accounts  []Balance
	Bank      Balance
	PayTo     []byte // scriptPubKey that is paid for blocks
	Snapshots []Snapshot
}

// Snapshot is a moment that can be returned to.
type Snapshot struct {
	ID      int
	Tip     types.Index
	Waiting int // transactions
}

// Reverted is where a chain went back to.
type Reverted struct {
	Tip  types.Index
	Lost []types.Hash // transactions that waited at that moment and were refused now
}

// Reorganised is what became of the end of a chain.
type Reorganised struct {
	Fork     types.Index // the last block that stayed
	Replaced []types.Hash
	Mined    []types.Hash
}

// Payment is a transaction that was mined for the purpose. The zero value is none: nothing
// had to be paid.
type Payment struct {
	TxID  types.Hash
	Block types.Hash
}

// The bounds of what is asked of a workbench.
const (
	MostMined     = 100_000 // blocks of a call
	MostReplaced  = 1_000   // blocks of a reorganisation
	MostSnapshots = 1_000   // the oldest are forgotten
)
