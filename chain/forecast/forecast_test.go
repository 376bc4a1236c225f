package forecast

import (
	"math"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
)

const rate = 1e6 // hashes a second

// lab is a network that was made for the rate.
func lab(t testing.TB, spacing, halfLife time.Duration) *consensus.Params {
	t.Helper()
	p, err := karat.LoadNetwork("main")
	if err != nil {
		t.Fatal(err)
	}
	q := &consensus.Params{
		Name: "lab", HRP: "lab", Genesis: consensus.Genesis{Version: 1, Timestamp: 1_000_000_000, Bits: BitsFor(rate, spacing), Outputs: p.Genesis.Outputs},
		TargetSpacing: uint32(spacing / time.Second), Difficulty: consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: uint32(halfLife / time.Second)},
		InitialSubsidy: p.InitialSubsidy, HalvingInterval: p.HalvingInterval, CoinbaseMaturity: 100, MaxBlockWeight: p.MaxBlockWeight, MaxMoney: p.MaxMoney,
	}
	q.PowLimit, _, _ = consensus.ExpandBits(0x207fffff)
	return q
}

// A target is made for a rate, and what it takes is told of it again.
func TestBitsFor(t *testing.T) {
	for _, hashes := range []float64{2, 10, 1e3, 1e6, 1e9, 1e12, 1e18} {
		if got := Hashes(BitsFor(hashes/60, time.Minute)); math.Abs(got/hashes-1) > 0.01 {
			t.Errorf("a block of %g hashes takes %g", hashes, got)
		}
	}
	if got := BitsFor(0, time.Second); got != 0x207fffff {
		t.Errorf("for nobody: %08x", got)
	}
}

// With the rate that it was made for a network keeps its spacing, by any rule, and the same
// seed gives the same chain.
func TestSteady(t *testing.T) {
	p := lab(t, time.Minute, time.Hour)
	const d = 30 * 24 * time.Hour
	for name, rule := range map[string]Rule{"asert": consensus.NextBits, "2016": Bitcoins2016()} {
		r := RunBy(p, Steady(rate, d), rule, 7)
		if off := math.Abs(float64(r.Blocks)/float64(r.Due) - 1); off > 0.02 || r.Settled != 0 {
			t.Errorf("%s: %d blocks, %d due, settled %v", name, r.Blocks, r.Due, r.Settled)
		}
		if m := r.Spacing.Median.Seconds(); m < 36 || m > 47 { // ln 2 of a minute
			t.Errorf("%s: a median of %v", name, r.Spacing.Median)
		}
	}
	if a, b := Run(p, Steady(rate, d), 3), Run(p, Steady(rate, d), 3); a.Blocks != b.Blocks || a.Longest != b.Longest {
		t.Error("one seed, two chains")
	}
}

// After a change of a hundredfold the spacing is right again. What a rule of half-lives needs
// for it is known: it must come to be log2(100) = 6.6 half-lives off its schedule. When miners
// go, the schedule is left behind as fast as the clock goes. When they come, blocks run ahead
// of it much faster: to a quarter above the target takes ln(99/20)/ln(2) = 2.3 half-lives.
func TestHundredfold(t *testing.T) {
	const halfLife, d = time.Hour, 12 * 24 * time.Hour
	p := lab(t, time.Minute, halfLife)
	for _, c := range []struct {
		name  string
		later float64
		most  time.Duration
	}{{"grows", 100, 5 * halfLife / 2}, {"shrinks", 0.01, 7 * halfLife}} {
		course := Course{For: d, Rate: func(at time.Duration, _ float64) float64 {
			if at < d/2 {
				return rate
			}
			return c.later * rate
		}}
		for seed := range uint64(5) {
			r := Run(p, course, seed)
			if after := r.Settled - d/2; after > c.most || after < c.most/4 {
				t.Errorf("%s: settled %v after the change, want %v at most", c.name, after, c.most)
			}
		}
	}
}

// The target of a hundredfold lower difficulty that a new network began with is felt: it
// issues too early, and the report says how much.
func TestTooEasyBeginning(t *testing.T) {
	p := lab(t, time.Minute, 12*time.Hour)
	p.Genesis.Bits = BitsFor(rate/100, time.Minute)
	r := Run(p, Steady(rate, 4*24*time.Hour), 1)
	due := math.Log2(100) * 12 * 60 // blocks by which the schedule is left behind
	if early := float64(r.TooEarly) / float64(p.InitialSubsidy); math.Abs(early/due-1) > 0.1 {
		t.Errorf("%.0f blocks too early, want %.0f", early, due)
	}
}

// Lies about time and hopping change little of what is issued by asert.
func TestGames(t *testing.T) {
	p := lab(t, time.Minute, 6*time.Hour)
	const d = 30 * 24 * time.Hour
	for _, c := range Courses(rate, time.Minute, d) {
		r := Run(p, c, 5)
		if off := math.Abs(float64(r.Blocks)/float64(r.Due) - 1); off > 0.08 {
			t.Errorf("%s: %d blocks, %d due", c.Name, r.Blocks, r.Due)
		}
		if len(r.Points) == 0 || len(r.Points) > maxPoints {
			t.Errorf("%s: %d points", c.Name, len(r.Points))
		}
	}
}
