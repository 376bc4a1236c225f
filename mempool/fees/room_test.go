package fees

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// On a network whose blocks are nearly empty, a few that leave what waits change nothing:
// empty ones, or such as are filled with what never waited. If they are many, and as large
// as others, blocks are full.
func TestRoomOfFewBlocks(t *testing.T) {
	for _, test := range []struct {
		name   string
		number int // of blocks that leave what waits
		weight int
		cheap  bool
	}{
		{"none", 0, 0, true},
		{"one empty", 1, 1000, true},
		{"many empty", 20, 1000, true},
		{"one that is filled", 1, 4000, true},
		{"many that are filled", 30, 4000, false},
	} {
		const blocks = 100
		index := func(height int) types.Index {
			return types.Index{Height: uint32(height), Hash: types.Hash{byte(height), 1}}
		}
		var tracker Tracker
		var waiting Histogram
		tracker.Restart(index(0), &waiting)
		for height := 1; height <= blocks; height++ {
			waiting.Add(2000, 1200)
			waiting.Add(20_000, 600)
			b := &Block{Index: index(height), Parent: index(height - 1).Hash, Before: waiting}
			if height%3 == 0 && height/3 <= test.number {
				b.Weight, b.After = test.weight, waiting
			} else {
				b.Weight, b.Taken, waiting = 2800, waiting, Histogram{}
			}
			tracker.Connect(b)
		}
		waiting = Histogram{}
		waiting.Add(2000, 24_000) // far more than a block has taken, far less than it may
		waiting.Add(20_000, 12_000)
		rate := tracker.Estimate(Question{Waiting: &waiting, Blocks: 1, MaxWeight: 4_000_000})
		if cheap := rate < 2000; cheap != test.cheap {
			t.Errorf("%s: %v", test.name, rate)
		}
	}
}
