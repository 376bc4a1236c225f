package wallet

import "github.com/karatcoin/karat/chain/types"

// What has become of a transaction between two looks at the history.
const (
	EventPending   = "pending"   // it is new, and waits for a block
	EventConfirmed = "confirmed" // a block has it now
	EventMature    = "mature"    // a block's reward can be spent now
	EventUndone    = "undone"    // its block was undone, and it waits again
	EventGone      = "gone"      // it will not be confirmed: replaced, refused, or a reward whose block was undone
)

// Event is what has become of a transaction.
type Event struct {
	What string
	Entry
}

// Events compares two histories of a wallet, and returns what has happened between them, in
// the order of the later.
func Events(before, after []Entry) (events []Event) {
	was := make(map[types.Hash]Entry, len(before))
	for _, e := range before {
		was[e.TxID] = e
	}
	for _, e := range after {
		old, known := was[e.TxID]
		inBlock, wasInBlock := e.Confirmations > 0, known && old.Confirmations > 0
		what := ""
		switch {
		case e.Status == StatusConflicted:
			if known && old.Status != StatusConflicted {
				what = EventGone
			}
		case !inBlock && wasInBlock:
			what = EventUndone
		case !inBlock && (!known || old.Status == StatusConflicted):
			what = EventPending
		case inBlock && (!wasInBlock || old.Height != e.Height):
			what = EventConfirmed
		case known && old.Status == StatusImmature && e.Status == StatusConfirmed:
			what = EventMature
		}
		if what != "" {
			events = append(events, Event{what, e})
		}
	}
	return events
}

// Resume takes over what another open of the same wallet, which is closed now, has looked at
// in the node's pool, so that it is not fetched again.
func (w *Wallet) Resume(from *Wallet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(from.keys) == len(w.keys) { // a key that came under watch may be paid in what was looked at
		w.seen = from.seen
	}
}
