package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// errScanAborted ends a scan that a client wants no more.
var errScanAborted = errors.New("the scan was aborted")

// scan is work of which one at a time is done, that tells how far it is, and that can be
// ended by another call.
type scan struct {
	progress atomic.Int32  // in per cent
	height   atomic.Uint32 // of the block that is looked at

	mu     sync.Mutex
	cancel context.CancelCauseFunc // guarded by mu; nil while there is none
}

// scanAction reads the first two parameters of a scan, and answers for one that does not
// start one.
func (a *args) scanAction(status func() any, of *scan) (start bool, other work) {
	switch action := a.text(0, ""); action {
	case "start":
		if !a.given(1) {
			a.fail(failf(CodeMisc, "scanobjects argument is required for the start action"))
		}
		return true, nil
	case "status":
		return false, func(context.Context) (any, error) {
			if !of.running() {
				return nil, nil
			}
			return status(), nil
		}
	case "abort":
		return false, func(context.Context) (any, error) { return of.abort(), nil }
	default:
		a.fail(failf(CodeInvalidParam, "Invalid action '%.100s'", action))
		return false, nil
	}
}

// begin makes this call the one that scans, until end is called. It waits for a place among
// the slow calls. The context ends when the scan is aborted.
func (s *Server) beginScan(ctx context.Context, of *scan) (scanning context.Context, end func(), err error) {
	scanning, cancel := context.WithCancelCause(ctx)
	of.mu.Lock()
	busy := of.cancel != nil
	if !busy {
		of.cancel = cancel
	}
	of.mu.Unlock()
	if busy {
		cancel(nil)
		return nil, nil, failf(CodeInvalidParam, "Scan already in progress, use action \"abort\" or \"status\"")
	}
	of.progress.Store(0)
	leave, err := s.takePlace(scanning)
	end = func() {
		of.mu.Lock()
		of.cancel = nil
		of.mu.Unlock()
		cancel(nil)
		if leave != nil {
			leave()
		}
	}
	if err != nil && !aborted(scanning) {
		end()
		return nil, nil, err
	}
	return scanning, end, nil
}

// aborted reports whether a scan was ended by another call.
func aborted(scanning context.Context) bool {
	return context.Cause(scanning) == errScanAborted
}

func (c *scan) running() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancel != nil
}

// abort ends the scan that is under way, and reports whether there is one.
func (c *scan) abort() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel == nil {
		return false
	}
	c.cancel(errScanAborted)
	return true
}
