package wallet

import (
	"context"

	"github.com/karatcoin/karat/chain/types"
)

// A wallet that is restored does not know which addresses were given out. It watches GapLimit
// keys behind the last that it saw paid, so a payment to a later one brings others under
// watch, which blocks before may have paid: addresses are not paid in the order in which they
// were given out. Those late keys are looked for again from the beginning, until none are
// left. To look back at once, block by block, would fetch the same filters for each of them;
// so the scan goes on to the tip, and all that came up on the way is looked for together.

// lateKeys returns the index in each account and branch from which on keys have not been
// looked for in all blocks up to the position, nil if there are none.
func (w *Wallet) lateKeys() []marks {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late
}

// scanForLate looks through all blocks up to the position for the late keys.
func (s *session) scanForLate(ctx context.Context) error {
	w := s.w
	for late := w.lateKeys(); late != nil; late = w.lateKeys() {
		if err := s.scanOnceForLate(ctx, late); err != nil {
			w.mu.Lock()
			w.late = late // what came since has higher indexes, so it is looked for too
			w.mu.Unlock()
			return err
		}
	}
	return nil
}

// scanOnceForLate looks for the keys that are late now. It stores what it found at the end
// only: cut off, it begins again, and late keys stay noted until then.
func (s *session) scanOnceForLate(ctx context.Context, late []marks) error {
	w := s.w
	w.mu.Lock()
	w.late = nil // until keys behind these are needed too
	end, tip := w.meta, w.tip
	at, err := w.firstBlock()
	w.mu.Unlock()
	if err != nil {
		return err
	}
	last, _, err := s.begin(ctx, at, types.Hash{})
	if err != nil {
		return err
	}
	var all []*Transaction
	if err := s.walk(ctx, at, last, end.position.Height, func(b *batch) error {
		found, err := s.search(ctx, b, late)
		all = append(all, found...)
		last = b.headers[len(b.headers)-1]
		s.progress(Progress{Headers: tip.Height, Scanned: b.last().Height, Tip: tip.Height})
		return err
	}); err != nil {
		return err
	}
	// The filters chain up to the same header as the first time, or they are others.
	if !end.filter.IsZero() && last != end.filter {
		return lying("other filters for the same blocks than before")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.save(w.db.begin(), all)
}
