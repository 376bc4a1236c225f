// Package ratelog keeps a log small whatever strangers do. Lines with the same text
// are of one kind. Of each kind a few are written at once, and then one in a while,
// which tells how many were left out before it:
//
//	log := ratelog.New(slog.Default())
//	for range calls {
//		log.Info("connected") // msg=connected … msg=connected left_out=8123
//	}
//
// Lines below slog.LevelInfo are for whoever looks for a fault. All of them are written.
package ratelog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The lines of one kind that are written.
const (
	Burst = 20               // at once
	Every = 10 * time.Second // then one
)

// maxKinds bounds the kinds that are told apart. Texts are constants of the program,
// so that there are far fewer.
const maxKinds = 1000

// handler passes on what is not too much.
type handler struct {
	slog.Handler
	limits *limits // of all handlers that come from one
}

// limits knows how much was written.
type limits struct {
	mu sync.Mutex
	// Guarded by mu:
	kinds map[string]*kind
}

// kind is the lines with one text.
type kind struct {
	room    float64 // lines that may be written now
	at      time.Time
	leftOut int
}

// New returns a logger that leaves lines out. One that does so already is returned
// as it is.
func New(log *slog.Logger) *slog.Logger {
	if _, ok := log.Handler().(*handler); ok {
		return log
	}
	return slog.New(&handler{log.Handler(), &limits{kinds: map[string]*kind{}}})
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		leftOut, ok := h.limits.take(r.Message, r.Time)
		if !ok {
			return nil
		}
		if leftOut > 0 {
			r = r.Clone()
			r.Add("left_out", leftOut)
		}
	}
	return h.Handler.Handle(ctx, r)
}

// take reports whether a line may be written, and how many were left out before it.
func (l *limits) take(text string, now time.Time) (leftOut int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[text]
	if k == nil {
		if len(l.kinds) >= maxKinds {
			clear(l.kinds)
		}
		k = &kind{room: Burst, at: now}
		l.kinds[text] = k
	}
	k.room = min(k.room+now.Sub(k.at).Seconds()/Every.Seconds(), Burst)
	k.at = now
	if k.room < 1 {
		k.leftOut++
		return 0, false
	}
	k.room--
	leftOut, k.leftOut = k.leftOut, 0
	return leftOut, true
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.limits}
}
