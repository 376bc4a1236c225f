// Package logswitch switches the debug lines of a log on and off while the program
// runs, for each of its parts alone:
//
//	switches := logswitch.New(slog.Default(), "mempool", "net")
//	log := switches.Logger()
//	p2p.New(log.With(logswitch.Category("net")))
//	switches.SetCategory("net", true)
//
// A category is a group without members, which other handlers pass over.
package logswitch

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// Category is the attribute of a logger whose debug lines belong to a category.
func Category(name string) slog.Attr { return slog.Group(name) }

// Switches knows which categories are on.
type Switches struct {
	inner slog.Handler
	on    map[string]*atomic.Bool // written by New alone
}

// New returns the switches of a logger. A category is on if the logger takes debug lines.
func New(log *slog.Logger, categories ...string) *Switches {
	s := &Switches{log.Handler(), map[string]*atomic.Bool{}}
	for _, name := range categories {
		s.on[name] = &atomic.Bool{}
		s.on[name].Store(s.inner.Enabled(context.Background(), slog.LevelDebug))
	}
	return s
}

// Logger returns the logger. What has no category is written as before.
func (s *Switches) Logger() *slog.Logger { return slog.New(&handler{s.inner, s, nil}) }

// Categories returns all of them, and which are on.
func (s *Switches) Categories() map[string]bool {
	list := make(map[string]bool, len(s.on))
	for name, on := range s.on {
		list[name] = on.Load()
	}
	return list
}

// SetCategory switches one, and reports whether there is such a category.
func (s *Switches) SetCategory(name string, on bool) bool {
	category, ok := s.on[name]
	if ok {
		category.Store(on)
	}
	return ok
}

// handler passes lines on. It has a switch for its debug lines if they belong to a
// category.
type handler struct {
	slog.Handler
	of       *Switches
	category *atomic.Bool
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	if h.category != nil && level < slog.LevelInfo {
		return h.category.Load()
	}
	return h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	category := h.category
	for _, a := range attrs {
		if on := h.of.on[a.Key]; on != nil && a.Value.Kind() == slog.KindGroup && len(a.Value.Group()) == 0 {
			category = on
		}
	}
	return &handler{h.Handler.WithAttrs(attrs), h.of, category}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.of, h.category}
}
