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
