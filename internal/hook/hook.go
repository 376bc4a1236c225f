// Package hook runs a command of the operator's for each event.
//
// Nobody waits for it: events queue up, and when too many do, the oldest is left out. One
// command runs at a time, so that a script sees events in their order.
package hook

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"time"
)

const (
	waiting  = 256              // events
	patience = time.Minute      // for a command
	lastTime = 10 * time.Second // for the output of a command that was ended
)

// Hook is a command for one kind of event.
type Hook struct {
	flag, command string
	events        chan []string
	log           *slog.Logger
}

// New returns the hook of a flag, which the log names. Without a command it does nothing.
func New(flag, command string, log *slog.Logger) *Hook {
	return &Hook{flag: flag, command: command, events: make(chan []string, waiting), log: log}
}

// Set reports whether there is a command.
func (h *Hook) Set() bool { return h != nil && h.command != "" }

// Fire lets the command run, with each place holder, such as %s, replaced. It does not wait.
// Values come from the chain: they are put in as they are, unless they are quoted by Quote.
func (h *Hook) Fire(oldnew ...string) {
	if !h.Set() {
		return
	}
	for {
		select {
		case h.events <- oldnew:
			return
		default:
		}
		select {
		case <-h.events:
			h.log.Warn("an event is left out: the command takes too long", "flag", h.flag)
		default:
		}
	}
}

// Run runs commands until the context ends.
func (h *Hook) Run(ctx context.Context) error {
	for {
		select {
		case oldnew := <-h.events:
			h.run(ctx, oldnew)
		case <-ctx.Done():
			return nil
		}
	}
}

// Now runs the command at once and waits for it.
func (h *Hook) Now(ctx context.Context, oldnew ...string) {
	if h.Set() {
		h.run(ctx, oldnew)
	}
}

func (h *Hook) run(ctx context.Context, oldnew []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-c", strings.NewReplacer(append(oldnew, "%%", "%")...).Replace(h.command))
	command.WaitDelay = lastTime
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
	case errors.As(err, &exit) && ctx.Err() == nil:
		h.log.Warn("a command failed", "flag", h.flag, "status", exit.ExitCode())
	default:
		h.log.Warn("a command failed", "flag", h.flag, "err", errors.Join(err, ctx.Err()))
	}
}

// Quote makes a text one word of a shell.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
