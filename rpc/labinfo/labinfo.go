// Package labinfo is what is said of a lab, a network of nodes in one process
// (node/lab): what it is like, and what it is told to do.
package labinfo

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Status is what a lab tells of itself.
type Status struct {
	Seed       uint64
	Now        time.Time     // the lab's
	Passed     time.Duration // since it began
	Speed      float64       // seconds of the lab in one; 0: time passes on command only
	Loss       float64       // share of the news that have to be sent again
	News       int           // under way
	Repeatable bool          // the same seed and commands would come to the same
	Nodes      []Node
	Links      []Link
}

// Node is a node of a lab.
type Node struct {
	Tip     types.Index
	Found   uint64 // blocks, by the lab
	Waiting int    // transactions
}

// Link joins two nodes of a lab.
type Link struct {
	A, B  int           // numbers of the nodes
	Delay time.Duration // of news, on average
	Cut   bool          // by a partition
}
