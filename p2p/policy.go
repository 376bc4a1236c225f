package p2p

import (
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/p2p/wire"
)

// errFlood is for a peer that asks for more than it takes.
var errFlood = errors.New("it asks for more than can be answered")

// errStalled is for a peer that does not send the blocks that it said it had.
var errStalled = errors.New("it does not send the blocks that were asked for")

// errDeceived is for a peer whose compact blocks are often others than they say.
var errDeceived = errors.New("its compact blocks are not what they say")

// errUnchecked is for what a peer may pass on before it has run its scripts.
var errUnchecked = errors.New("it was a compact block")

// cost is what an error costs the peer that brought it about.
type cost int

const (
	free   cost = iota // nothing: it is not the peer's fault, or may not be
	hangUp             // the connection
	ban                // the connection, and new ones for a time
)

// How long a peer stays banned.
const (
	banForNonsense = 10 * time.Minute
	banForInvalid  = 24 * time.Hour
)

// judge is the policy: it alone decides what each kind of error costs. Who sends what
// breaks a rule knew it, or should have known. A missing parent, a time in the future, a
// fee that is too low and a fault of our own are nobody's guilt.
func judge(err error) (cost, time.Duration) {
	switch {
	case err == nil, errors.Is(err, consensus.ErrLocal), errors.Is(err, errUnchecked):
		return free, 0
	case errors.Is(err, consensus.ErrNotYet), errors.Is(err, consensus.ErrPolicy):
		return free, 0
	case errors.Is(err, consensus.ReasonParentInvalid), errors.Is(err, consensus.ReasonDuplicateInvalid):
		// The peer may follow other rules, or our operator may have ruled a block out.
		return free, 0
	case errors.Is(err, consensus.ErrMutated):
		// Who passed it on may have been deceived by a compact block, but whole
		// blocks are checked before they are passed on.
		return hangUp, 0
	case errors.Is(err, consensus.ErrInvalid):
		return ban, banForInvalid
	case errors.Is(err, wire.ErrProtocol), errors.Is(err, errFlood):
		return ban, banForNonsense
	}
	return hangUp, 0
}

// offends reports whether an error counts against the address that a peer called
// from. An id costs nothing, so that of offences which only cost the connection, or
// the id, there would be no end.
func offends(err error) bool {
	what, _ := judge(err)
	return what == ban || errors.Is(err, consensus.ErrMutated) || errors.Is(err, errCostly)
}
