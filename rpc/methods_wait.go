package rpc

import (
	"context"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

func waitMethods() []method {
	timeout := param{name: "timeout", kind: kindNumber, optional: "0", about: "The milliseconds to wait at most; never more than ten minutes, which 0 stands for"}
	return []method{
		{name: "waitfornewblock", read: waitForNewBlock, about: "Waits until the tip is another, and returns it.", params: []param{timeout,
			{name: "current_tip", kind: kindString, optional: "the tip of now", about: "The hash of the tip that the client knows"}}},
		{name: "waitforblock", read: waitForBlock, about: "Waits until a block is the tip, and returns it.", params: []param{
			{name: "blockhash", kind: kindString, about: "The hash of the block"}, timeout}},
		{name: "waitforblockheight", read: waitForBlockHeight, about: "Waits until the tip has at least this height, and returns it.", params: []param{
			{name: "height", kind: kindNumber, about: "The height"}, timeout}},
	}
}

// waitForNewBlock, and the two after it, are Core's. Each answers with the tip, whether
// the wait was for nothing or not.
func waitForNewBlock(s *Server, a *args) work {
	known := s.Headers.Tip().Hash
	limit := a.waitLimit(0)
	if a.given(1) {
		known = a.hash(1, "current_tip")
	}
	return s.waitForTip(limit, func(tip types.Index) bool { return tip.Hash != known })
}

func waitForBlock(s *Server, a *args) work {
	hash, limit := a.hash(0, "blockhash"), a.waitLimit(1)
	return s.waitForTip(limit, func(tip types.Index) bool { return tip.Hash == hash })
}

func waitForBlockHeight(s *Server, a *args) work {
	height, limit := a.int32(0, 0), a.waitLimit(1)
	return s.waitForTip(limit, func(tip types.Index) bool { return int64(tip.Height) >= height })
}

// waitLimit reads how long to wait. No client waits for ever: its connection would be
// taken although it has gone long ago.
func (a *args) waitLimit(i int) time.Duration {
	milliseconds := a.int32(i, 0)
	if milliseconds < 0 {
		a.fail(failf(CodeMisc, "Negative timeout"))
	}
	if milliseconds == 0 || milliseconds > longestPoll.Milliseconds() {
		return longestPoll
	}
	return time.Duration(milliseconds) * time.Millisecond
}

// waitForTip waits for a tip, in one of the places of those who wait for templates.
func (s *Server) waitForTip(limit time.Duration, done func(tip types.Index) bool) work {
	return func(ctx context.Context) (any, error) {
		leave, err := s.waitPlace(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		moved, cancel := s.Blocks.Subscribe()
		defer cancel()
		longest := time.NewTimer(limit)
		defer longest.Stop()
		for waiting := true; waiting && !done(s.Headers.Tip()); {
			select {
			case <-moved:
			case <-longest.C:
				waiting = false
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		tip := s.Headers.Tip()
		return struct {
			Hash   types.Hash `json:"hash"`
			Height uint32     `json:"height"`
		}{tip.Hash, tip.Height}, nil
	}
}
