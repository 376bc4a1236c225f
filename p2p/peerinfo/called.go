package peerinfo

import "time"

// Outcome is what came of a call to a node.
type Outcome string

// The outcomes. Each leaves something else to do for an operator.
const (
	Answered     Outcome = "answered"      // there was a connection
	Unreachable  Outcome = "unreachable"   // nobody answers at the address
	OtherNetwork Outcome = "other-network" // who answers is of another network, or no node
	OtherNode    Outcome = "other-node"    // who answers has another id
	KeptOut      Outcome = "kept-out"      // this node may not talk to it: a ban, or a list of the only ones
	HungUp       Outcome = "hung-up"       // it ended the handshake, or it failed in another way
)

// Call is what came of the last call to a node.
type Call struct {
	Target  string // [ID@]HOST:PORT
	Manual  bool   // it was asked for by --connect or addnode
	Outcome Outcome
	Problem string    // what went wrong, in words; empty if nothing did
	At      time.Time // when it was over
	Since   time.Time // of the first of those in a row that failed; zero: it did not
}
