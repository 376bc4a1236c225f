package p2p

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// maxCalled bounds the calls that are remembered. Of those that were asked for by the operator there are
// few, and of the others the last ones tell enough.
const maxCalled = 128

// callMemory remembers what came of calls, for an operator who asks why nobody is connected.
type callMemory struct {
	mu sync.Mutex
	// Guarded by mu:
	calls map[string]peerinfo.Call // by target
}

// note remembers how a call ended. What says nothing of the other side is left out.
func (c *callMemory) note(ctx context.Context, t target, manual bool, now time.Time, err error) {
	if ctx.Err() != nil || errors.Is(err, errConnected) || errors.Is(err, errLate) || errors.Is(err, errInactive) || errors.Is(err, errReplaced) {
		return
	}
	call := peerinfo.Call{Target: t.String(), Manual: manual, Outcome: outcome(err), At: now}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		call.Problem, call.Since = err.Error(), now
		if before := c.calls[call.Target]; !before.Since.IsZero() {
			call.Since = before.Since
		}
	}
	if _, there := c.calls[call.Target]; !there && len(c.calls) >= maxCalled {
		c.forget()
	}
	if c.calls == nil {
		c.calls = map[string]peerinfo.Call{}
	}
	c.calls[call.Target] = call
}

// forget forgets the call that was over first; one that nobody asked for, if there is one. It
// assumes mu.
func (c *callMemory) forget() {
	oldest, found := "", peerinfo.Call{}
	for target, call := range c.calls {
		if oldest == "" || found.Manual && !call.Manual || found.Manual == call.Manual && call.At.Before(found.At) {
			oldest, found = target, call
		}
	}
	delete(c.calls, oldest)
}

// outcome sorts the errors of calls.
func outcome(err error) peerinfo.Outcome {
	var dialled *dialError
	switch {
	case err == nil:
		return peerinfo.Answered
	case errors.As(err, &dialled):
		return peerinfo.Unreachable
	case errors.Is(err, noise.ErrWrongNetwork):
		return peerinfo.OtherNetwork
	case errors.Is(err, noise.ErrWrongID):
		return peerinfo.OtherNode
	case errors.Is(err, errBannedByOperator), errors.Is(err, errMisbehaved), errors.Is(err, errAddress), errors.Is(err, errNotAllowed):
		return peerinfo.KeptOut
	}
	return peerinfo.HungUp
}

// dialError is that of a call which nobody answered.
type dialError struct{ error }

// Unwrap returns what the network says.
func (e *dialError) Unwrap() error { return e.error }

// Calls returns what came of the last calls, the latest first.
func (m *Manager) Calls() []peerinfo.Call {
	m.called.mu.Lock()
	defer m.called.mu.Unlock()
	list := make([]peerinfo.Call, 0, len(m.called.calls))
	for _, call := range m.called.calls {
		list = append(list, call)
	}
	slices.SortFunc(list, func(a, b peerinfo.Call) int { return b.At.Compare(a.At) })
	return list
}
