package lab

import (
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// Status is what a lab tells of itself.
type Status struct {
	Seed       uint64
	Now        time.Time     // the lab's
	Passed     time.Duration // since it began
	Speed      float64       // seconds of the lab in one
	Loss       float64
	News       int  // under way
	Repeatable bool // the same seed and commands would come to the same
	Nodes      []NodeStatus
	Links      []LinkStatus
}

// NodeStatus is a node of a lab.
type NodeStatus struct {
	Tip     types.Index
	Found   uint64 // blocks
	Waiting int    // transactions
}

// LinkStatus is a link of a lab.
type LinkStatus struct {
	A, B  int
	Delay time.Duration
	Cut   bool
}

// Status tells what the lab is like now.
func (l *Lab) Status() Status {
	l.turn <- struct{}{}
	defer l.turn.Give()
	s := Status{
		Seed: l.o.Seed, Now: l.clock(), Passed: l.now, Speed: l.pace.speed, Loss: l.loss, News: l.list.news(), Repeatable: l.repeatable,
	}
	for _, m := range l.members {
		s.Nodes = append(s.Nodes, NodeStatus{m.Chain().Tip(), m.found, len(m.Pool().Entries())})
	}
	for _, k := range l.links {
		s.Links = append(s.Links, LinkStatus{k.a.number, k.b.number, k.delay, k.cut})
	}
	return s
}
