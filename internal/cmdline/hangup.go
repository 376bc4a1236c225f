package cmdline

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// hangups is what becomes of SIGHUP. It has two meanings: a terminal was closed, and whoever runs
// a daemon wants its configuration read again.
type hangups struct {
	end       context.CancelFunc
	signals   chan os.Signal
	ignored   bool       // by whom started the program, as nohup does
	terminals []*os.File // that the program has

	mu sync.Mutex
	// Guarded by mu:
	again func() // nil: nobody wants to hear of it
}

// hangupsKey is where a context has them.
type hangupsKey struct{}

// newHangups takes the signal over. It ends the program until OnHangup is called, unless nohup has
// it ignored, because the program is to outlive its terminal.
func newHangups(end context.CancelFunc) *hangups {
	h := &hangups{end: end, signals: make(chan os.Signal, 1), ignored: signal.Ignored(syscall.SIGHUP)}
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if term.IsTerminal(int(f.Fd())) {
			h.terminals = append(h.terminals, f)
		}
	}
	if !h.ignored {
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	go func() {
		for range h.signals {
			h.hear()
		}
	}()
	return h
}

// OnHangup has a function called for each SIGHUP that does not come of a closed terminal, one call at
// a time. Those of a terminal still end the program, unless it was started to outlive that.
// Where the context is not Main's nothing happens.
func OnHangup(ctx context.Context, again func()) {
	h, ok := ctx.Value(hangupsKey{}).(*hangups)
	if !ok {
		return
	}
	h.mu.Lock()
	h.again = again
	h.mu.Unlock()
	signal.Notify(h.signals, syscall.SIGHUP) // which it may not be, under nohup
}

func (h *hangups) hear() {
	h.mu.Lock()
	again := h.again
	h.mu.Unlock()
	if again == nil || !h.ignored && h.closed() {
		signal.Stop(h.signals) // the next one ends the process
		h.end()
		return
	}
	again()
}

// closed reports whether a terminal is gone: the system closes it before it tells.
func (h *hangups) closed() bool {
	for _, f := range h.terminals {
		if !term.IsTerminal(int(f.Fd())) {
			return true
		}
	}
	return false
}
