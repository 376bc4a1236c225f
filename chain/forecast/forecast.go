// Package forecast tells what a network's difficulty rule does while hash rate comes and
// goes: how long blocks take, how long a chain can stand still, and how many coins are made
// too early. It runs the rules of package consensus over blocks that are found by chance, and
// does no proof of work, so that a year takes a second:
//
//	r := forecast.Run(params, forecast.Visitor(rate, 50, 30*24*time.Hour), 1)
//	fmt.Println(r.Blocks, "blocks where", r.Due, "were due")
//
// The same seed gives the same chain.
package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Course is what miners do in the time that is looked at.
type Course struct {
	Name string
	For  time.Duration
	// Rate is the hashes a second of all miners at a time since the genesis block, while
	// finding a block takes so many hashes. Miners who come for easy blocks look at these.
	Rate func(at time.Duration, hashes float64) float64
	// Liars is the share of the hash rate whose blocks have the time that Lie says, as far
	// as the rules allow; 0: all have the true time.
	Liars float64
	Lie   time.Duration
}

// A Rule returns the compact target of the block after parent. It is asked once for each
// block, in their order.
type Rule func(p *consensus.Params, parent *consensus.State) uint32

// Report is what came of a course.
type Report struct {
	Course  string
	Blocks  int
	Due     int // by the target spacing
	Spacing Percentiles
	Longest time.Duration // between two blocks
	// Settled is when the mean spacing came within a quarter of the target's, and stayed
	// there; negative: it never did.
	Settled  time.Duration
	TooEarly types.Amount // most that had been issued beyond the schedule at any time
	Points   []Point      // in the order of time, at most maxPoints
}

// Percentiles are of the times between blocks.
type Percentiles struct{ P5, Median, P95 time.Duration }

// Point is the state of a chain at a time.
type Point struct {
	At         time.Duration // since the genesis block
	Height     uint32
	Spacing    time.Duration // mean of the blocks since the last point
	Difficulty float64       // hashes that a block takes on average
	Rate       float64       // hashes a second
}

// MaxBlocks is how many blocks a course should have at most by the spacing. One that has many
// times more of them ends there.
const MaxBlocks = 200_000

const (
	maxBlocks = 10 * MaxBlocks
	maxPoints = 400
	window    = 100 // blocks whose mean spacing is looked at
)

// Run lets blocks be found on a network by its own rule.
func Run(p *consensus.Params, c Course, seed uint64) Report {
	return RunBy(p, c, consensus.NextBits, seed)
}

// RunBy is Run by another rule.
func RunBy(p *consensus.Params, c Course, rule Rule, seed uint64) Report {
	s := &simulation{p: p, c: c, rng: rand.New(rand.NewPCG(seed, 0)), state: p.GenesisState()}
	for s.at < c.For && len(s.found) < maxBlocks {
		s.step(rule(p, &s.state))
	}
	return s.report()
}

// simulation is one chain.
type simulation struct {
	p     *consensus.Params
	c     Course
	rng   *rand.Rand
	state consensus.State
	at    time.Duration // since the genesis block
	found []block
}

type block struct {
	at     time.Duration
	hashes float64
	rate   float64
}

// step finds the next block. The time until then is drawn anew after each spacing, since the
// hash rate may have changed: luck remembers nothing.
func (s *simulation) step(bits uint32) {
	hashes := Hashes(bits)
	tick := time.Duration(s.p.TargetSpacing) * time.Second
	var rate float64
	for {
		rate = s.c.Rate(s.at, hashes)
		wait := math.Inf(1)
		if rate > 0 {
			wait = s.rng.ExpFloat64() * hashes / rate * float64(time.Second)
		}
		if wait < float64(tick) {
			s.at += time.Duration(wait)
			break
		}
		if s.at += tick; s.at >= s.c.For {
			return
		}
	}
	genesis := s.p.Genesis.Timestamp
	now := int64(genesis) + int64(s.at/time.Second)
	written := now
	if s.c.Liars > 0 && s.rng.Float64() < s.c.Liars {
		written += int64(s.c.Lie / time.Second)
	}
	written = min(max(written, int64(s.state.MedianTimePast())+1), now+consensus.MaxFutureSeconds)
	header := types.Header{PrevBlock: s.state.Index.Hash, Timestamp: uint32(written), Bits: bits}
	s.state = s.state.Extend(&header, types.Hash{})
	s.found = append(s.found, block{s.at, hashes, rate})
}

func (s *simulation) report() Report {
	spacing := time.Duration(s.p.TargetSpacing) * time.Second
	r := Report{Course: s.c.Name, Blocks: len(s.found), Due: int(s.c.For / spacing), Settled: -1}
	gaps := make([]time.Duration, 0, len(s.found))
	last := time.Duration(0)
	for _, b := range s.found {
		gaps = append(gaps, b.at-last)
		last = b.at
	}
	r.Longest = s.c.For - last
	for _, gap := range gaps {
		r.Longest = max(r.Longest, gap)
	}
	r.TooEarly = s.tooEarly(spacing)
	r.Settled = settled(s.found, spacing)
	r.Points = s.points()
	if len(gaps) > 0 {
		slices.Sort(gaps)
		at := func(share float64) time.Duration {
			return gaps[int(share*float64(len(gaps)-1))].Round(time.Millisecond)
		}
		r.Spacing = Percentiles{at(0.05), at(0.5), at(0.95)}
	}
	return r
}

// tooEarly returns the most that blocks had issued beyond what was due at their time.
func (s *simulation) tooEarly(spacing time.Duration) (most types.Amount) {
	issued, due, height := types.Amount(0), types.Amount(0), uint32(0)
	for i, b := range s.found {
		issued += consensus.Subsidy(s.p, uint32(i+1))
		for ; height < uint32(b.at/spacing); height++ {
			due += consensus.Subsidy(s.p, height+1)
		}
		most = max(most, issued-due)
	}
	return most
}

// settled returns the first time from which on all windows of blocks have a mean spacing
// within a quarter of the target, and what chance adds to that: the mean of n good blocks
// strays by 1/sqrt(n), and four times that happens to one window in ten thousand.
func settled(found []block, spacing time.Duration) time.Duration {
	const tolerance = 1 + 0.25 + 4/10.0 // 10 is the root of window
	at := time.Duration(-1)
	for i := window; i < len(found); i += window / 10 {
		mean := float64(found[i].at-found[i-window].at) / window / float64(spacing)
		switch good := mean < tolerance && mean > 1/tolerance; {
		case !good:
			at = -1
		case at < 0:
			if at = found[i-window].at; i == window {
				at = 0
			}
		}
	}
	return at
}

func (s *simulation) points() (points []Point) {
	each := max(1, (len(s.found)+maxPoints-1)/maxPoints)
	last := time.Duration(0)
	for i := each - 1; i < len(s.found); i += each {
		b := s.found[i]
		points = append(points, Point{b.at, uint32(i + 1), (b.at - last) / time.Duration(each), b.hashes, b.rate})
		last = b.at
	}
	return points
}
