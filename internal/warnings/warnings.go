// Package warnings is the one place where a node keeps what its operator should know:
// whoever finds something puts it on the Board, and clients, the log and hooks are told
// from there.
//
//	board.Set("future tip", "the best block is more than two hours ahead of the clock")
//	board.Unset("future tip") // it is over
package warnings

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"github.com/karatcoin/karat/internal/poke"
)

// Warning is something that the operator should know.
type Warning struct {
	Number uint64 // counts warnings up from 1, so that who follows knows which are new
	Text   string
}

// Board has the warnings that hold now. It pokes its subscribers after each that is new.
// All methods may be called concurrently.
type Board struct {
	poke.Bell
	log *slog.Logger

	mu   sync.Mutex
	last uint64
	now  map[string]Warning // by what it is about
}

// New returns a Board without warnings. Each that is new is logged.
func New(log *slog.Logger) *Board { return &Board{log: log, now: map[string]Warning{}} }

// Set warns of something. If that is warned of already, nothing changes.
func (b *Board) Set(about, text string) {
	if b.set(about, text) {
		b.log.Warn(text)
		b.Ring()
	}
}

func (b *Board) set(about, text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.now[about]; there {
		return false
	}
	b.last++
	b.now[about] = Warning{Number: b.last, Text: text}
	return true
}

// Unset takes a warning back. Without one it does nothing.
func (b *Board) Unset(about string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.now, about)
}

// List returns the warnings that hold, the oldest first.
func (b *Board) List() []Warning {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Warning, 0, len(b.now))
	for _, warning := range b.now {
		list = append(list, warning)
	}
	slices.SortFunc(list, func(x, y Warning) int { return cmp.Compare(x.Number, y.Number) })
	return list
}
