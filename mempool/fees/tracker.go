package fees

import (
	"math"

	"github.com/karatcoin/karat/chain/types"
)

const (
	// kept is the number of blocks that are remembered.
	kept = 144
	// Sufficient is the number of blocks from which on an estimate is more than what
	// waits now.
	Sufficient = 6
)

// Block is what a pool saw of a block.
type Block struct {
	Index  types.Index
	Parent types.Hash
	Weight int // of the whole block, in weight units
	// Before and After are what waited before and after it, Taken what it took of that.
	Before, After, Taken Histogram
	// Fresh is what of After had come too late to be in the block.
	Fresh Histogram
}

// record is what is remembered of a block.
type record struct {
	index  types.Index
	weight int64
	taken  int64     // of what had waited
	inflow Histogram // what had come since the block before, of each bucket and those above
	// bound is the highest bucket of which the block left some for want of room, -1 for
	// none: it would have taken more.
	bound int
}

// Tracker knows how much recent blocks took, and how much came between them. The zero
// value knows nothing.
type Tracker struct {
	records []record // the oldest first
	at      types.Index
	waiting Histogram // what waited right after the block at
}

// Restart tells what waits after blocks of which nothing was seen.
func (t *Tracker) Restart(at types.Index, waiting *Histogram) { t.at, t.waiting = at, *waiting }

// Connect adds a block. If it does not follow on the one before, nobody knows what had
// come since.
func (t *Tracker) Connect(b *Block) {
	if t.at.Hash == b.Parent {
		r := record{index: b.Index, weight: int64(b.Weight), bound: b.bound()}
		before, base := b.Before.atLeast(), t.waiting.atLeast()
		for i := range r.inflow {
			r.inflow[i] = max(0, before[i]-base[i])
			r.taken += b.Taken[i]
		}
		if len(t.records) == kept {
			t.records = append(t.records[:0], t.records[1:]...)
		}
		t.records = append(t.records, r)
	}
	t.at, t.waiting = b.Index, b.After
}

// Disconnect forgets the blocks from a height on, which were undone.
func (t *Tracker) Disconnect(height uint32) {
	for len(t.records) > 0 && t.records[len(t.records)-1].index.Height >= height {
		t.records = t.records[:len(t.records)-1]
	}
	t.at = types.Index{}
}

// bound finds the highest bucket of which a block left a good part although it would
// have been worth more than what it took last. What it left although it took what pays
// less was left for another reason: another policy, or the miner has never seen it. And
// what it took below its ordinary feerate is some bargain of the miner's.
func (b *Block) bound() int {
	taken := int64(0)
	for _, weight := range b.Taken {
		taken += weight
	}
	lowest, sum := 0, int64(0)
	for ; lowest < Buckets-1; lowest++ {
		if sum += b.Taken[lowest]; sum > taken/20 {
			break
		}
	}
	enough := max(taken/16, int64(b.Weight)/64)
	left := int64(0)
	for i := lowest; i >= 0; i-- {
		if left += b.After[i] - b.Fresh[i]; left > enough {
			return i
		}
	}
	return -1
}

// PassedOver returns a feerate and a height: what pays more than that and had come at
// that height, or earlier, was passed over by the last blocks, which took others that
// pay less. It competes with nobody. It is false if the last blocks do not tell.
func (t *Tracker) PassedOver() (rate types.FeeRate, height uint32, ok bool) {
	const blocks = 3
	if len(t.records) < blocks {
		return 0, 0, false
	}
	last := t.records[len(t.records)-blocks:]
	highest := 0
	for i := range last {
		if last[i].taken < last[i].weight/2 {
			return 0, 0, false
		}
		highest = max(highest, last[i].bound+2)
	}
	if last[0].index.Height < 1 || highest >= Buckets {
		return 0, 0, false
	}
	return bounds[highest], last[0].index.Height - 1, true
}

// Question is what is asked of a Tracker.
type Question struct {
	Waiting      *Histogram // what waits now
	Blocks       int        // in one of which the transaction shall be
	MaxWeight    int        // of a block's transactions by the rules, in weight units
	Conservative bool       // rather too much than too late
}

// Known reports whether enough blocks were seen for an estimate.
func (t *Tracker) Known() bool { return len(t.records) >= Sufficient }

// Estimate returns the least feerate with which a transaction that came now would
// probably be in one of the next blocks; 0 if any will do.
func (t *Tracker) Estimate(q Question) types.FeeRate {
	waiting, base := q.Waiting.atLeast(), t.waiting.atLeast()
	room := t.room(int64(q.MaxWeight))
	bucket := t.lowest(q, shortHalfLife, waiting, base, room)
	if q.Conservative {
		bucket = max(bucket, t.lowest(q, longHalfLife, waiting, base, room))
	}
	return bounds[bucket]
}

const (
	// The blocks after which a block counts for half, when short and long memories are
	// asked. Conservative estimates ask both.
	shortHalfLife = 8
	longHalfLife  = 48
	// The standard deviations by which the next blocks may bring more, or take less, than
	// the last ones did.
	economicalDeviations   = 0.4
	conservativeDeviations = 1.5
)

// fullOneIn is the share of blocks that must have been full before their size says how much
// others would have taken, one in so many. A single miner who leaves what waits, by malice
// or because it has not seen it, must not make all blocks seem small.
const fullOneIn = 24

// room is what a block would have taken that took all that it could. Only blocks that left
// something for want of room tell, if they are as large as the others: what is left by a
// smaller one did not fit its miner, but it would have fitted others.
func (t *Tracker) room(most int64) int64 {
	largest, full := int64(0), 0
	for i := range t.records {
		largest = max(largest, t.records[i].weight)
	}
	for i := range t.records {
		if r := &t.records[i]; r.bound >= 0 && r.weight >= largest-largest/4 {
			full++
		}
	}
	if full > len(t.records)/fullOneIn {
		return min(largest, most)
	}
	return most
}

// lowest returns the lowest bucket with which a transaction would be in time, and with
// all above it too.
func (t *Tracker) lowest(q Question, halfLife float64, waiting, base *Histogram, room int64) int {
	deviations := economicalDeviations
	if q.Conservative {
		deviations = conservativeDeviations
	}
	lowest := Buckets - 1
	for i := Buckets - 1; i >= 0; i-- {
		grows, spread := t.growth(i, halfLife, waiting[i]-base[i], room)
		// What is left of the queue ahead after k blocks is waiting + k*grows, and uncertain
		// by a spread that grows with the root of k. That has no minimum between its ends.
		left := func(k float64) float64 { return float64(waiting[i]) + k*grows + deviations*math.Sqrt(k)*spread }
		if min(left(1), left(float64(max(1, q.Blocks)))) > 0 {
			break
		}
		lowest = i
	}
	return lowest
}

// growth returns by how much the queue of what pays at least a bucket's feerate grows
// with a block, on average, and the standard deviation. since is what has come since the
// last block: when that is more than ever comes between two, it counts already.
func (t *Tracker) growth(bucket int, halfLife float64, since, room int64) (mean, deviation float64) {
	var weights, inflow, taken, square float64
	weight, fade := 1.0, math.Exp2(-1/halfLife)
	for i := len(t.records) - 1; i >= 0; i-- {
		r := &t.records[i]
		in, out := float64(r.inflow[bucket]), float64(room)
		if bucket <= r.bound {
			out = float64(r.taken)
		}
		weights += weight
		inflow += weight * in
		taken += weight * out
		square += weight * (in - out) * (in - out)
		weight *= fade
	}
	if weights == 0 {
		return -float64(room), 0
	}
	inflow /= weights
	taken /= weights
	mean = inflow - taken
	variance := max(0, square/weights-mean*mean)
	if now := float64(since); now > inflow {
		mean += (now - inflow) / (weights + 1)
	}
	return mean, math.Sqrt(variance)
}
