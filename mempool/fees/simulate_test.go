package fees

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// trace is how much comes, and what it pays, over the blocks of a simulation.
type trace struct {
	name string
	// load is the weight that comes between two blocks on average, in blocks; rate is what
	// the middle one pays, in grains per 1000 virtual bytes. at is from 0 to 1.
	load, rate func(block int, random *rand.Rand) float64
	backlog    float64 // what waits at the beginning, in blocks
}

func constant(value float64) func(int, *rand.Rand) float64 {
	return func(int, *rand.Rand) float64 { return value }
}

// traces are what a network may go through.
func traces() []trace {
	burst := 0
	return []trace{
		{"quiet", constant(.3), constant(2000), 0},
		{"busy", func(at int, _ *rand.Rand) float64 { return 1 + .15*math.Sin(float64(at)/25) }, constant(4000), 2},
		{"bursts", func(at int, random *rand.Rand) float64 {
			if burst > 0 {
				burst--
				return 2.5
			}
			if random.IntN(50) == 0 {
				burst = 8
			}
			return .6
		}, constant(3000), 0},
		{"falling", func(at int, _ *rand.Rand) float64 { return .8 }, func(at int, _ *rand.Rand) float64 { return 20_000 * math.Exp2(-float64(at)/60) }, 15},
		{"rising", func(at int, _ *rand.Rand) float64 { return .7 + float64(at)/700 }, func(at int, _ *rand.Rand) float64 { return 1500 * math.Exp2(float64(at)/100) }, 0},
	}
}

const (
	simRoom     = 400_000 // weight units of a block: a tenth of a real one
	simFloor    = types.FeeRate(100)
	simWarmUp   = 60 // blocks before the first question
	simBlocks   = 360
	simHorizon  = 24
	simSpacing  = 60. // seconds
	simTemplate = 5.  // seconds by which a template is behind
)

type simTx struct {
	id     int
	rate   types.FeeRate
	weight int
	at     float64
}

// simulation is a pool, a miner, and what was asked.
type simulation struct {
	random  *rand.Rand
	txs     []simTx // that wait
	rates   []types.FeeRate
	tracker Tracker
	core    *lookingBack
	asked   []asked
	cuts    []types.FeeRate // of each block, what had to be outbid
}

type asked struct {
	block, target int // it shall be in block, or one of the target-1 that follow
	estimator     int
	rate          types.FeeRate
}

// estimators are what is compared.
var estimators = []string{"economical", "conservative", "what waits", "Core, economical", "Core, conservative"}

func (s *simulation) come(at, rate float64) {
	weight := 440 + int(200*math.Exp(s.random.NormFloat64()))
	pays := max(simFloor, types.FeeRate(rate*math.Exp(.8*s.random.NormFloat64())))
	tx := simTx{len(s.rates), pays, min(weight, 20_000), at}
	s.rates = append(s.rates, pays)
	s.txs = append(s.txs, tx)
	if s.core != nil {
		s.core.came(tx.id, pays)
	}
}

func (s *simulation) histogram() *Histogram {
	var h Histogram
	for _, tx := range s.txs {
		h.Add(tx.rate, tx.weight)
	}
	return &h
}

// ask asks all estimators.
func (s *simulation) ask(block int) {
	waiting := s.histogram()
	for _, target := range []int{1, 2, 3, 6, 12, 24} {
		q := Question{Waiting: waiting, Blocks: target, MaxWeight: simRoom}
		only := Tracker{}
		rates := []types.FeeRate{
			s.tracker.Estimate(q),
			s.tracker.Estimate(Question{q.Waiting, q.Blocks, q.MaxWeight, true}),
			only.Estimate(q),
		}
		if s.core != nil {
			rates = append(rates, s.core.estimate(target, false), s.core.estimate(target, true))
		}
		for i, rate := range rates {
			s.asked = append(s.asked, asked{block, target, i, max(rate, simFloor)})
		}
	}
}

// mine makes a block of what pays best of what has come before the template.
func (s *simulation) mine(height int, at float64) {
	before := s.histogram()
	slices.SortStableFunc(s.txs, func(a, b simTx) int { return cmp.Compare(b.rate, a.rate) })
	b := Block{Index: types.Index{Height: uint32(height), Hash: types.Hash{byte(height), byte(height >> 8), 1}}, Parent: s.tracker.at.Hash, Before: *before}
	room, cut := simRoom, simFloor-1
	var ids []int
	s.txs = slices.DeleteFunc(s.txs, func(tx simTx) bool {
		if tx.at > at-simTemplate {
			b.Fresh.Add(tx.rate, tx.weight)
			return false
		}
		if tx.weight > room {
			cut = max(cut, tx.rate)
			return false
		}
		if cut >= simFloor {
			return false // a block is full with the first that has no room: the rest is noise
		}
		room -= tx.weight
		b.Taken.Add(tx.rate, tx.weight)
		ids = append(ids, tx.id)
		return true
	})
	b.Weight, b.After = simRoom-room, *s.histogram()
	s.tracker.Connect(&b)
	if s.core != nil {
		s.core.block(ids, func(id int) types.FeeRate { return s.rates[id] })
	}
	s.cuts = append(s.cuts, cut)
}

func simulate(tr trace, seed uint64, blocks int, core bool) *simulation {
	s := &simulation{random: rand.New(rand.NewPCG(seed, 11))}
	if core {
		s.core = newLookingBack()
	}
	const mean = 440 + 330
	for range int(tr.backlog * simRoom / mean) {
		s.come(-1000, tr.rate(0, s.random))
	}
	s.tracker.Restart(types.Index{}, s.histogram())
	now := 0.
	for block := range simWarmUp + blocks + simHorizon {
		interval := s.random.ExpFloat64() * simSpacing
		load, rate := tr.load(block, s.random), tr.rate(block, s.random)
		asking := block >= simWarmUp && block < simWarmUp+blocks
		next, question := now, now+s.random.ExpFloat64()*simSpacing
		for {
			next += s.random.ExpFloat64() * simSpacing * mean / simRoom / load
			for asking && question < min(next, now+interval-simTemplate) {
				s.ask(block)
				question += s.random.ExpFloat64() * simSpacing
			}
			if next > now+interval {
				break
			}
			s.come(next, rate)
		}
		now += interval
		s.mine(block+1, now)
	}
	return s
}

// score is how good an estimator was.
type score struct {
	asked, hits int
	over        []float64 // how much more than was needed those paid that were in time
}

func (s *simulation) score(into map[[2]int]*score) {
	for _, a := range s.asked {
		for _, key := range [][2]int{{a.estimator, a.target}, {a.estimator, 0}} {
			sc := into[key]
			if sc == nil {
				sc = &score{}
				into[key] = sc
			}
			needed := slices.Min(s.cuts[a.block:a.block+a.target]) + 1
			sc.asked++
			if a.rate >= needed {
				sc.hits++
				sc.over = append(sc.over, float64(a.rate)/float64(needed))
			}
		}
	}
}

func (sc *score) hitRate() float64 { return float64(sc.hits) / float64(max(1, sc.asked)) }

// overpayment is the middle one's, in parts of what was needed.
func (sc *score) overpayment() float64 {
	if len(sc.over) == 0 {
		return 0
	}
	slices.Sort(sc.over)
	return sc.over[len(sc.over)/2] - 1
}

func TestSimulation(t *testing.T) {
	seeds, blocks := 4, simBlocks
	if testing.Short() {
		seeds, blocks = 1, 60
	}
	for _, tr := range traces() {
		scores := map[[2]int]*score{}
		for seed := range seeds {
			simulate(tr, uint64(seed), blocks, !testing.Short()).score(scores)
		}
		economical, conservative, naive := scores[[2]int{0, 0}], scores[[2]int{1, 0}], scores[[2]int{2, 0}]
		if economical.hitRate() < .7 || conservative.hitRate() < .88 || economical.hitRate() < naive.hitRate() {
			t.Errorf("%s: %.2f and %.2f are in time, %.2f by what waits alone", tr.name, economical.hitRate(), conservative.hitRate(), naive.hitRate())
		}
		if economical.overpayment() > .8 || conservative.overpayment() > 3 {
			t.Errorf("%s: they pay %.2f and %.2f too much", tr.name, economical.overpayment(), conservative.overpayment())
		}
		var lines strings.Builder
		for e, name := range estimators {
			fmt.Fprintf(&lines, "\n%-20s", name)
			for _, target := range []int{1, 2, 3, 6, 12, 24, 0} {
				sc := scores[[2]int{e, target}]
				if sc == nil {
					continue
				}
				fmt.Fprintf(&lines, "  %3.0f%% %+4.0f%%", 100*sc.hitRate(), 100*sc.overpayment())
			}
		}
		t.Logf("%s%s", tr.name, lines.String())
	}
}
