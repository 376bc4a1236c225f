// Package faucetinfo is what is said of a faucet, between it, the page and whoever asks.
package faucetinfo

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Status is how a faucet is.
type Status struct {
	Address  string       // that fills it
	Amount   types.Amount // of a request
	Left     types.Amount // that it has and can spend
	LeftHour types.Amount // that may still be given in this hour
	Waiting  int          // requests that are paid next
}

// The errors of a request, beside *LimitError.
var (
	ErrProof   = errors.New("the proof of work is wrong, or too old")
	ErrAddress = errors.New("a faucet pays to taproot addresses of others")
	ErrBusy    = errors.New("too many requests wait; try again in a minute")
	ErrEmpty   = errors.New("the faucet is empty")
)

// LimitError is a request that came too early.
type LimitError struct {
	What  string // whose turn it is not
	Until time.Time
}

// Error says whose turn it is not. Until when is told beside it, in the reader's time.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s has had its share of this hour", e.What)
}

// WorkBits is how many leading zero bits the hash of a proof has: some 130,000 hashes, which
// a browser makes in a second.
const WorkBits = 17

// Proves reports whether a nonce is a proof of work for an address: SHA-256 of challenge,
// address and nonce, with a colon between them, begins with WorkBits zero bits.
func Proves(challenge, address, nonce string) bool {
	sum := sha256.Sum256([]byte(challenge + ":" + address + ":" + nonce))
	return bits.LeadingZeros32(binary.BigEndian.Uint32(sum[:])) >= WorkBits
}
