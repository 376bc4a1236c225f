package stratum

import (
	"math"
	"time"
)

// shareEvery is how many seconds there are to be between the shares of a connection.
const shareEvery = 3.0

// The constants of vardiff. The number of shares in a time is random, and the estimate
// that comes of n of them is off by one in the root of n.
const (
	startDifficulty = 1.0 // of a miner of which nothing is known

	longMemory  = 256 // shares of which the estimate is made: it is off by 4%
	shortMemory = 20  // shares by which a new speed is noticed: they are off by 16%

	known  = 16   // shares from which on the estimate is worth something
	enough = 4    // shares from which on it is worth more than a guess
	steady = 0.1  // what the estimate must differ by, as a logarithm, to be followed
	rushed = 0.9  // what the last shares must differ from it by to replace it
	drop   = 4.0  // what the difficulty is divided by when no shares come
	moment = 0.05 // seconds that are counted at least: shares may come in a bunch
)

// vardiff finds the difficulty with which a miner has a share every few seconds. It
// counts the work of shares and not their number, so that those which were found
// before the miner knew of a change count rightly. It knows no clock.
type vardiff struct {
	difficulty  float64 // what it is after
	least       float64 // that the miner can do (minimum-difficulty)
	fixed       bool    // the miner has chosen
	long, short window
	last        time.Time // up to which time was counted
	quiet       float64   // seconds since the last share
}

// window is work and the time that it took, of which the older counts less.
type window struct {
	work    float64 // sum of difficulties
	squares float64 // of them
	seconds float64
}

// add counts a share, and forgets some of the others.
func (w *window) add(difficulty, memory float64) {
	keep := 1 - 1/memory
	w.work = w.work*keep + difficulty
	w.squares = w.squares*keep*keep + difficulty*difficulty
	w.seconds *= keep
}

// shares is how many equal shares would tell as much as those of the window: an easy
// one tells nothing beside a hard one.
func (w *window) shares() float64 {
	if w.squares == 0 {
		return 0
	}
	return w.work * w.work / w.squares
}

// ideal is the difficulty that the miner would have had.
func (w *window) ideal() float64 { return w.work / max(w.seconds, moment) * shareEvery }

// start begins anew with a guess. Who is silent for long is given an easier one again and
// again, but none below the least that there is.
func (v *vardiff) start(difficulty float64, now time.Time) {
	v.difficulty = max(difficulty, v.least, minDifficulty)
	v.long, v.short, v.last, v.quiet = window{}, window{}, now, 0
}

// resume goes on after a while that does not count.
func (v *vardiff) resume(now time.Time) { v.last, v.quiet = now, 0 }

// share counts a share of the difficulty that it was asked to have.
func (v *vardiff) share(difficulty float64, now time.Time) {
	v.pass(now)
	v.long.add(difficulty, longMemory)
	v.short.add(difficulty, shortMemory)
	v.quiet = 0
}

func (v *vardiff) pass(now time.Time) {
	if seconds := now.Sub(v.last).Seconds(); seconds > 0 {
		v.long.seconds += seconds
		v.short.seconds += seconds
		v.quiet += seconds
		v.last = now
	}
}

// adjust reconsiders the difficulty. used is the one that the miner has now, which may
// be less than what vardiff is after.
func (v *vardiff) adjust(used float64, now time.Time) {
	if v.fixed {
		return
	}
	v.pass(now)
	if v.quiet > v.patience() {
		v.start(used/drop, now)
		return
	}
	if v.short.shares() > known && math.Abs(math.Log(v.short.ideal()/v.long.ideal())) > rushed {
		v.long = v.short // it is not as fast as it was
	}
	shares, want := v.long.shares(), v.long.ideal()
	switch off := math.Abs(math.Log(want / v.difficulty)); {
	case shares < enough, shares < known && off < math.Ln2, off < max(steady, 1/math.Sqrt(shares)):
		return
	}
	v.difficulty, _ = clamp(max(want, v.least))
}

// patience is how many seconds without a share are taken for chance. The less is known
// of the miner, the less it costs to begin anew.
func (v *vardiff) patience() float64 {
	switch shares := v.long.shares(); {
	case shares == 0:
		return 8
	case shares < known:
		return 15
	}
	return 50
}
