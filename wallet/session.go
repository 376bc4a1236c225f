package wallet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// session is one Sync: the wallet and the nodes that it asks.
type session struct {
	w        *Wallet
	all      []*remote
	progress func(Progress)

	mu       sync.Mutex // filters are fetched while blocks are looked through
	problems []trouble
}

// trouble is what is wrong though the sync goes on.
type trouble struct {
	of  *remote // nil: of no node alone
	err error
}

// note notes a problem.
func (s *session) note(r *remote, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, trouble{r, err})
}

// take returns the problems, and those of single nodes, and forgets them.
func (s *session) take() (all, ofNodes []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.problems {
		if p.of == nil {
			all = append(all, p.err)
		} else {
			ofNodes = append(ofNodes, p.err)
		}
	}
	s.problems = nil
	return all, ofNodes
}

// forget forgets the problems of a node, since an error says them.
func (s *session) forget(r *remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = slices.DeleteFunc(s.problems, func(p trouble) bool { return p.of == r })
}

// drop stops asking a node in this session, and says why. It returns an error that is not the
// node's, or of a session that is interrupted, since that ends it.
func (s *session) drop(ctx context.Context, r *remote, err error) error {
	if ctx.Err() != nil || !ofNode(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.out != nil {
		return nil
	}
	r.out = r.named(err)
	s.problems = append(s.problems, trouble{r, r.out})
	if r.lied != nil && (errors.Is(err, ErrLying) || errors.Is(err, ErrOtherNetwork)) {
		r.lied(r.out)
	}
	return nil
}

// oneOut reports whether one of some nodes is not asked any more.
func (s *session) oneOut(list ...*remote) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(list, func(r *remote) bool { return r.out != nil })
}

// usable returns the nodes whose chain has the wallet's block at a height, those before others
// that the owner prefers.
func (s *session) usable(height uint32) (list []*remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		if r.out == nil && r.upTo >= height {
			list = append(list, r)
		}
	}
	return list
}

// nobody is the error if no node is left to be asked: that of the only one, or all together.
// Filters and blocks are fetched at once, and both may come to it. The second one finds the
// problems taken, and says why each node is out.
func (s *session) nobody() error {
	all, list := s.take()
	if list = append(all, list...); len(list) == 0 {
		s.mu.Lock()
		for _, r := range s.all {
			if r.out != nil {
				list = append(list, r.out)
			}
		}
		s.mu.Unlock()
	}
	switch len(list) {
	case 0:
		return errNone
	case 1:
		return list[0]
	default:
		return joined(list)
	}
}

// joined are errors in one line.
type joined []error

// Error implements error.
func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, err := range j {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns all of them.
func (j joined) Unwrap() []error { return j }

// greet asks each node for its network and its headers. The chain with most work of all wins.
// A node that answered before a better chain came is asked a second time.
func (s *session) greet(ctx context.Context) error {
	for turn := range 2 {
		for _, r := range s.usable(0) {
			if turn > 0 && r.has == s.w.Tip() {
				continue
			}
			if err := s.ask(ctx, r); err != nil {
				return err
			}
		}
	}
	for _, r := range s.usable(0) {
		if r.behind != nil {
			s.note(r, r.named(r.behind))
		}
	}
	if len(s.usable(s.w.Tip().Height)) == 0 {
		return s.nobody()
	}
	return nil
}

// ask brings the wallet up to a node's chain. A node that is behind is asked on: what it says
// of the blocks that it has may be held against what others say.
func (s *session) ask(ctx context.Context, r *remote) error {
	r.behind, r.upTo, r.has = nil, 0, types.Index{}
	err := r.checkNetwork(ctx)
	if err == nil {
		err = s.w.syncHeaders(ctx, r, s.progress)
	}
	if errors.Is(err, ErrBehind) {
		r.behind, err = err, nil
	}
	if err != nil {
		return s.drop(ctx, r, err)
	}
	if r.behind == nil {
		r.has = s.w.Tip()
		r.upTo = r.has.Height
	}
	return nil
}
