package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// Named is a node, and what a person calls it, such as its address.
type Named struct {
	Name string
	Node
}

// Nodes are several nodes that are asked together. Sync takes the best chain of all,
// compares their filters, and finds out who lies where they differ; transactions go to all of
// them. A node that was found to lie is not asked any more. Its methods may be called
// concurrently.
type Nodes struct {
	list []Named

	mu     sync.Mutex
	lies   map[int]error     // by place in the list
	silent map[int]time.Time // when one did not answer, by place
}

// NewNodes returns nodes that are asked together, in the order in which they are preferred.
func NewNodes(list ...Named) *Nodes {
	return &Nodes{list: list, lies: map[int]error{}, silent: map[int]time.Time{}}
}

// patience is how long one of several nodes may take for an answer, before the others are
// asked to make up for it: the time for 500 filters of full blocks over a slow line. A single
// node has all the time that its client gives it.
const patience = time.Minute

// leftAlone is how long a node that did not answer is left alone while there are others: each
// question to it would take all of their patience again.
const leftAlone = 10 * patience

// toAll are the methods that every node is to hear of. The others are asked of one.
var toAll = []string{"sendrawtransaction", "submitpackage"}

// Call implements Node: the first node that answers and does not refuse is believed, but for
// transactions. Those go to all, and one that takes them is enough. If none does and one gave
// no answer, that is the error, since it may have them.
func (n *Nodes) Call(ctx context.Context, method string, result any, params ...any) error {
	all := slices.Contains(toAll, method)
	var refused, lost error
	taken := false
	for _, i := range n.trusted() {
		into := result
		if taken {
			into = nil
		}
		err := one{n, i}.Call(ctx, method, into, params...)
		switch {
		case err == nil && !all:
			return nil
		case err == nil:
			taken = true
		case ctx.Err() != nil && !taken:
			return err
		case codeOf(err) != 0:
			refused = firstError(refused, err)
		default:
			lost = firstError(lost, err)
		}
	}
	switch {
	case taken:
		return nil
	case lost != nil && (all || refused == nil):
		return lost
	case refused != nil:
		return refused
	}
	return n.failure()
}

// firstError returns the first error that there is.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Batch implements Node: the first node that answers and does not refuse is believed.
func (n *Nodes) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) (err error) {
	begun := false
	for _, i := range n.trusted() {
		err = one{n, i}.Batch(ctx, method, params, func(i int, result json.RawMessage, err error) error {
			begun = true
			return each(i, result, err)
		})
		if err == nil || begun || ctx.Err() != nil {
			return err
		}
	}
	return firstError(err, n.failure())
}

// trusted returns the places of the nodes that were not found to lie. Those that did not answer
// a while ago are left out, unless nobody else is there.
func (n *Nodes) trusted() (places []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var silent []int
	for i := range n.list {
		since, was := n.silent[i]
		switch {
		case n.lies[i] != nil:
		case was && time.Since(since) < leftAlone:
			silent = append(silent, i)
		default:
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return silent
	}
	return places
}

// failure is the error if nobody is left to be asked.
func (n *Nodes) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.list {
		if n.lies[i] != nil {
			return n.lies[i]
		}
	}
	return errNone
}

var errNone = fmt.Errorf("%w: none is named", ErrUnreachable)

// remotes returns the nodes of a Node that were not found to lie, each by itself.
func remotes(node Node, p *consensus.Params) (list []*remote) {
	n, several := node.(*Nodes)
	if !several {
		return []*remote{{node: node, params: p}}
	}
	for _, i := range n.trusted() {
		r := &remote{node: one{n, i}, params: p, lied: func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.lies[i] = err
		}}
		if len(n.list) > 1 {
			r.name = n.list[i].Name
		}
		list = append(list, r)
	}
	return list
}

// one is one of several nodes.
type one struct {
	n  *Nodes
	at int
}

// Call implements Node.
func (o one) Call(ctx context.Context, method string, result any, params ...any) error {
	return o.within(ctx, func(ctx context.Context) error { return o.n.list[o.at].Call(ctx, method, result, params...) })
}

// Batch implements Node.
func (o one) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	return o.within(ctx, func(ctx context.Context) error { return o.n.list[o.at].Batch(ctx, method, params, each) })
}

// within calls a node, and gives up when it has had the time that one of several has.
func (o one) within(ctx context.Context, call func(context.Context) error) error {
	if len(o.n.list) < 2 {
		return call(ctx)
	}
	err := within(ctx, patience, call)
	if errors.Is(err, errSilent) {
		o.n.mu.Lock()
		defer o.n.mu.Unlock()
		o.n.silent[o.at] = time.Now()
	}
	return err
}

// errSilent is the kind of the error about a node that took too long.
var errSilent = fmt.Errorf("%w within", ErrUnreachable)

// within calls a node, and gives up after a time.
func within(ctx context.Context, most time.Duration, call func(context.Context) error) error {
	limited, stop := context.WithTimeout(ctx, most)
	defer stop()
	err := call(limited)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w %s", errSilent, most)
	}
	return err
}

// named says of which node an error is, where there are several.
func (r *remote) named(err error) error {
	if r.name == "" {
		return err
	}
	return fmt.Errorf("node %s: %w", r.name, err)
}

// ofNode reports whether an error is about a node and what it says. The others are about this
// computer, such as its disk, and no other node helps.
func ofNode(err error) bool {
	for _, kind := range []error{ErrUnreachable, ErrOtherNetwork, ErrLying, ErrBehind, ErrLittleWork, ErrNoBlock, consensus.ErrNotYet} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return codeOf(err) != 0
}
