package rpc

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
)

// Long polling (BIP22): a client tells which template it has, and is answered when there
// is a better one. A block is told at once. Transactions come all the time, so that they
// are looked at after a minute for the first time, as in Bitcoin Core.
const (
	feesFirst = time.Minute
	feesThen  = 10 * time.Second
	// longestPoll ends a wait without news, well before the call would end with an error.
	// The client has the time of now, then, and asks again.
	longestPoll = 10 * time.Minute
	// maxPolls bounds the clients that wait, each of which takes a connection.
	maxPolls = 128
)

// pollID is what a template was made of.
type pollID struct {
	tip     types.Hash
	changes uint64 // of the pool
}

func pollIDOf(t *template.Template) pollID {
	id := pollID{t.Header.PrevBlock, t.PoolChanges}
	if t.PoolBehind {
		id.changes = ^id.changes // an empty block for want of a better one: the first look finds news
	}
	return id
}

// String returns the id as clients get it: the hash of the tip, then the number.
func (id pollID) String() string { return id.tip.String() + strconv.FormatUint(id.changes, 10) }

// pollID reads a longpollid. As in Core, what is behind the hash is taken for the number
// that it begins with, and what is no string stands for the template of now.
func (s *Server) pollID(a *args, raw json.RawMessage) pollID {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return pollID{s.Headers.Tip().Hash, s.Pool.Info().Sequence}
	}
	id := pollID{tip: a.parseHash("longpollid", text[:min(len(text), 2*types.HashSize)])}
	digits := text[min(len(text), 2*types.HashSize):]
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	id.changes, _ = strconv.ParseUint(digits[:min(len(digits), 20)], 10, 64)
	return id
}

// waitPlace takes a place of those who wait, of which one user has not all while there
// are others.
func (s *Server) waitPlace(ctx context.Context) (leave func(), err error) {
	leave, ok := s.polls.try(userIn(ctx))
	if !ok {
		return nil, failf(CodeMisc, "%d clients wait already, or %d of this user; ask without waiting, or later", s.polls.most, s.polls.each)
	}
	return leave, nil
}

// waitForNews returns when there is a better template than the one with the id, or when
// the wait has been long. It holds nothing but its place.
func (s *Server) waitForNews(ctx context.Context, since pollID) error {
	leave, err := s.waitPlace(ctx)
	if err != nil {
		return err
	}
	defer leave()
	moved, cancel := s.Blocks.Subscribe()
	defer cancel()
	look, longest := time.NewTimer(feesFirst), time.NewTimer(longestPoll)
	defer look.Stop()
	defer longest.Stop()
	for s.Headers.Tip().Hash == since.tip {
		select {
		case <-moved:
		case <-look.C:
			if s.Pool.Info().Sequence != since.changes {
				return nil
			}
			look.Reset(feesThen)
		case <-longest.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
