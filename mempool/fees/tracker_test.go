package fees

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// seen tells a tracker of blocks of a fixed room, one after another.
type seen struct {
	tracker Tracker
	waiting Histogram
	height  uint32
}

const room = 400_000

// blockAt is the block at a height.
func blockAt(height uint32) (at types.Index) {
	if height > 0 {
		at = types.Index{Height: height, Hash: types.Hash{byte(height), byte(height >> 8), 1}}
	}
	return at
}

// block adds what came and lets a block take what pays best, but nothing that pays less
// than least. foreign is the weight of what it takes that never waited here.
func (s *seen) block(came Histogram, least types.FeeRate, foreign int) {
	for i := range came {
		s.waiting[i] += came[i]
	}
	b := Block{Index: blockAt(s.height + 1), Parent: blockAt(s.height).Hash, Before: s.waiting}
	left := int64(room - foreign)
	for i := Buckets - 1; i >= bucketOf(least); i-- {
		took := min(left, s.waiting[i])
		left -= took
		s.waiting[i] -= took
		b.Taken.Add(bounds[i], int(took))
	}
	b.After = s.waiting
	b.Weight = room - int(left)
	s.height++
	s.tracker.Connect(&b)
}

func (s *seen) estimate(blocks int, conservative bool) types.FeeRate {
	return s.tracker.Estimate(Question{Waiting: &s.waiting, Blocks: blocks, MaxWeight: room, Conservative: conservative})
}

// at makes a histogram of pairs of a feerate and a weight.
func at(pairs ...int) (h Histogram) {
	for i := 0; i < len(pairs); i += 2 {
		h.Add(types.FeeRate(pairs[i]), pairs[i+1])
	}
	return h
}

// near reports whether an estimate is the feerate, or that of one of the two buckets
// above it.
func near(got, want types.FeeRate) bool {
	return bucketOf(got) >= bucketOf(want) && bucketOf(got) <= bucketOf(want)+2
}

func TestBuckets(t *testing.T) {
	for i := 1; i < Buckets; i++ {
		if bounds[i] <= bounds[i-1] || bucketOf(bounds[i]) != i || bucketOf(bounds[i]-1) != i-1 {
			t.Fatalf("bucket %d begins at %d", i, bounds[i])
		}
	}
	if bucketOf(-5) != 0 || bucketOf(1<<62) != Buckets-1 || bounds[Buckets-1] < 10_000_000 {
		t.Error("the ends")
	}
}

func TestEstimates(t *testing.T) {
	tests := []struct {
		name   string
		blocks func(s *seen)
		target int
		want   types.FeeRate // 0: any
	}{
		{"nothing is known", func(*seen) {}, 1, 0},
		{"blocks have room", func(s *seen) {
			for range 20 {
				s.block(at(1000, 150_000, 3000, 50_000), 0, 0)
			}
		}, 1, 0},
		{"more comes than they take", func(s *seen) {
			for range 20 {
				s.block(at(1000, 300_000, 3000, 250_000), 0, 0)
			}
		}, 1, 1000},
		{"and all that is dear takes all the room", func(s *seen) {
			for range 20 {
				s.block(at(1000, 300_000, 3000, 250_000, 9000, 250_000), 0, 0)
			}
		}, 1, 3000},
		// The same blocks, and nobody pays more than 1000 but a miner to itself.
		{"a miner fills half of each block with its own", func(s *seen) {
			for range 20 {
				s.block(at(1000, 150_000), 0, 200_000)
			}
		}, 1, 0},
		{"a miner fills all of each block with its own", func(s *seen) {
			for range 20 {
				s.block(at(1000, 10_000), 0, room)
			}
		}, 1, 1000},
		{"miners do not take what pays less than 1000", func(s *seen) {
			for range 20 {
				s.block(at(500, 50_000, 2000, 50_000), 1000, 0)
			}
		}, 1, 500},
		{"a burst ended", func(s *seen) {
			s.block(at(5000, 6*room), 0, 0)
			for range 5 {
				s.block(at(1000, 100_000), 0, 0)
			}
			for range 80 {
				s.block(at(1000, 100_000), 0, 0)
			}
		}, 6, 0},
	}
	for _, tc := range tests {
		var s seen
		tc.blocks(&s)
		got := s.estimate(tc.target, false)
		if tc.want == 0 && got != 0 || tc.want > 0 && !near(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestBacklog: what waits goes before, but the longer one can wait the less it matters.
func TestBacklog(t *testing.T) {
	var s seen
	for range 20 {
		s.block(at(2000, 200_000), 0, 0)
	}
	for i := range s.waiting[:50] {
		s.waiting[60+i] += 5 * room / 50 // five blocks
	}
	last := types.FeeRate(1 << 40)
	for _, blocks := range []int{1, 2, 3, 5, 8, 12, 100} {
		got := s.estimate(blocks, false)
		if got > last {
			t.Errorf("in %d blocks it costs more", blocks)
		}
		if blocks == 1 && bucketOf(got) < 80 || blocks == 100 && got != 0 {
			t.Errorf("%d blocks: %v", blocks, got)
		}
		last = got
	}
}

// TestNeverUnreasonable: whatever was seen, patience never costs more, and the careful
// never pay less.
func TestNeverUnreasonable(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		var s seen
		for range random.IntN(40) {
			var came Histogram
			for range random.IntN(30) {
				came[random.IntN(Buckets)] += int64(random.IntN(60_000))
			}
			s.block(came, types.FeeRate(random.IntN(2000)), random.IntN(room))
			if random.IntN(20) == 0 {
				s.tracker.Disconnect(s.height - uint32(random.IntN(3)))
				s.tracker.Restart(blockAt(s.height), &s.waiting)
			}
		}
		last := types.FeeRate(1 << 40)
		for blocks := range 30 {
			economical, conservative := s.estimate(blocks, false), s.estimate(blocks, true)
			if economical > last || conservative < economical {
				t.Fatalf("%d blocks: %v and %v after %v", blocks, economical, conservative, last)
			}
			last = economical
		}
		if got := s.estimate(2000, true); got < 0 {
			t.Fatal(got)
		}
	}
}

// TestPassedOver: what blocks leave while they take what pays less competes with nobody.
func TestPassedOver(t *testing.T) {
	var s seen
	for range 10 {
		s.block(at(1000, 300_000, 3000, 250_000), 0, 0)
	}
	rate, height, ok := s.tracker.PassedOver()
	if !ok || height != 7 || bucketOf(rate) != bucketOf(1000)+2 {
		t.Errorf("%v %d %v", rate, height, ok)
	}
	for range 3 {
		s.block(Histogram{}, 0, room)
	}
	if _, _, ok := s.tracker.PassedOver(); ok {
		t.Error("blocks that took nothing tell something")
	}
}

// TestForgetting: of undone blocks nothing stays, and what came over a gap is not taken
// for what comes between two blocks.
func TestForgetting(t *testing.T) {
	var s seen
	for range 10 {
		s.block(at(1000, 100_000), 0, 0)
	}
	s.tracker.Disconnect(8)
	if n := len(s.tracker.records); n != 7 {
		t.Fatalf("%d blocks are left", n)
	}
	s.block(at(1000, 100*room), 0, 0)
	if n := len(s.tracker.records); n != 7 {
		t.Fatalf("a block after a gap counts: %d", n)
	}
	s.block(at(1000, 100_000), 0, 0)
	if n := len(s.tracker.records); n != 8 || s.tracker.records[7].inflow[0] != 100_000 {
		t.Fatalf("%d blocks, the last with %d", n, s.tracker.records[n-1].inflow[0])
	}
	for range 3 * kept {
		s.block(at(1000, 100_000), 0, 0)
	}
	if n := len(s.tracker.records); n != kept {
		t.Errorf("%d blocks are kept", n)
	}
}

func TestEncoding(t *testing.T) {
	var s seen
	for i := range 40 {
		s.block(at(1000+i*10, 300_000, 3000, 250_000), 0, i*100)
	}
	encoded := s.tracker.AppendTo(nil)
	if len(encoded) > 40*400 {
		t.Errorf("%d bytes", len(encoded))
	}
	var read Tracker
	if err := read.Read(encoded, func(types.Index) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.records, s.tracker.records) {
		t.Error("other blocks come back")
	}
	if err := read.Read(encoded, func(at types.Index) bool { return at.Height != 7 }); err != nil || len(read.records) != 39 {
		t.Errorf("%v, %d blocks", err, len(read.records))
	}
	before := len(read.records)
	if err := read.Read(encoded[:len(encoded)-1], func(types.Index) bool { return true }); err == nil || len(read.records) != before {
		t.Errorf("an encoding that is cut off: %v, %d blocks", err, len(read.records))
	}
	if err := read.Read(append(encoded, encoded...), func(types.Index) bool { return true }); err == nil {
		t.Error("heights go back")
	}
}

func FuzzRead(f *testing.F) {
	var s seen
	for range 3 {
		s.block(at(1000, 300_000), 0, 0)
	}
	f.Add(s.tracker.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var read Tracker
		if read.Read(b, func(types.Index) bool { return true }) != nil {
			return
		}
		var waiting Histogram
		read.Estimate(Question{Waiting: &waiting, Blocks: 3, MaxWeight: 4_000_000, Conservative: true})
		var again Tracker
		if err := again.Read(read.AppendTo(nil), func(types.Index) bool { return true }); err != nil || !reflect.DeepEqual(again.records, read.records) {
			t.Fatalf("%v", err)
		}
	})
}
