package event

import "github.com/karatcoin/karat/chain/types"

// Tips tells which blocks are new tips, of all that a subscriber of the chain walks along: each
// that goes on from the one before, and after a reorganisation the last alone. While the chain
// syncs there is none but the last. Core tells of tips so, by hashblock and -blocknotify. The
// zero value is ready.
type Tips struct {
	reorganised bool // since the last tip
}

// Reverted notes that a block was taken back.
func (t *Tips) Reverted() { t.reorganised = true }

// Applied reports whether a block that was applied is a new tip. tip is that of the chain now.
func (t *Tips) Applied(block, tip types.Index, syncing func() bool) bool {
	if block != tip && (t.reorganised || syncing()) {
		return false
	}
	t.reorganised = false
	return true
}
