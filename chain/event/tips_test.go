package event_test

import (
	"testing"

	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/types"
)

// TestTips: who walks along a chain that has block 9 on top hears of tips only.
func TestTips(t *testing.T) {
	tip := types.Index{Height: 9}
	var tips event.Tips
	is := func(height uint32, syncing bool) bool {
		return tips.Applied(types.Index{Height: height}, tip, func() bool { return syncing })
	}
	if !is(7, false) {
		t.Error("a block that goes on from the one before is no tip")
	}
	if is(8, true) || !is(9, true) {
		t.Error("during a sync not the last block alone is a tip")
	}
	tips.Reverted()
	if is(7, false) || is(8, false) || !is(9, false) {
		t.Error("after a reorganisation not the last block alone is a tip")
	}
	if !is(8, false) {
		t.Error("the reorganisation is not forgotten")
	}
}
