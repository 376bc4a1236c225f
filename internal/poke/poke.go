// Package poke is how the parts of a node hear of each other's changes: poke,
// then pull.
//
// Whoever changes something rings a Bell. The ring carries nothing: it puts a
// poke into the one slot that each subscriber has, unless one is there already.
// The subscriber knows its own position, and pulls what has changed since until
// there is no more:
//
//	return poke.Follow(ctx, chain, func() (more bool, err error) {
//		reverted, applied, err := chain.UpdatesSince(at, 8)
//		… // go along, and move at
//		return len(reverted)+len(applied) > 0, err
//	})
//
// So a restart, a reorganisation and a slow subscriber are one code path: each
// is a position that is behind. Nothing queues up for the slow one, and the one
// that makes the change never waits and calls nobody.
//
// No change is lost, if both sides keep an order. The one side first makes the
// change, where a pull finds it, and then rings. The other first takes the poke
// and then pulls. A ring during a pull leaves a poke behind, which leads to
// another pull. Follow does the second part.
package poke

import (
	"context"
	"sync"
)

// Slot holds at most one poke. The one that waits receives from it.
type Slot chan struct{}

// NewSlot returns an empty slot.
func NewSlot() Slot { return make(Slot, 1) }

// Poke fills the slot if it is empty. It never waits.
func (s Slot) Poke() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Bell pokes its subscribers. The zero value has none yet. All methods may be
// called concurrently.
type Bell struct {
	mu    sync.Mutex
	slots map[Slot]struct{}
}

// Subscribe returns a channel that receives a poke, never more than one at a
// time, after each ring, and a function that ends that.
func (b *Bell) Subscribe() (poke <-chan struct{}, cancel func()) {
	slot := NewSlot()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slots == nil {
		b.slots = map[Slot]struct{}{}
	}
	b.slots[slot] = struct{}{}
	return slot, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.slots, slot)
	}
}

// Ring pokes all subscribers. It waits for none of them, so that it may be
// called under a lock.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for slot := range b.slots {
		slot.Poke()
	}
}

// Source is what can be subscribed to: a Bell, or what has one.
type Source interface {
	Subscribe() (poke <-chan struct{}, cancel func())
}

// Follow calls pull until it reports that there is no more, and again after each
// poke, until the context ends, which is no error, or pull fails.
func Follow(ctx context.Context, source Source, pull func() (more bool, err error)) error {
	poke, cancel := source.Subscribe() // before the first pull, so that no change falls between the two
	defer cancel()
	for ctx.Err() == nil {
		more, err := pull()
		switch {
		case ctx.Err() != nil:
			return nil // what pull says then is only that it was stopped
		case err != nil:
			return err
		case more:
			continue
		}
		select {
		case <-poke:
		case <-ctx.Done():
		}
	}
	return nil
}
