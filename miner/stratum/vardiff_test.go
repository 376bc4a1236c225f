package stratum

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// simulated is a miner that finds shares at random, as hashing does.
type simulated struct {
	vardiff
	random  *rand.Rand
	now     time.Time
	told    float64 // the difficulty that it works at
	told2   float64 // and that it has been told, and takes up a moment later
	changes int
}

func newSimulated(seed uint64) *simulated {
	m := &simulated{random: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1_800_000_000, 0), told: startDifficulty, told2: startDifficulty}
	m.start(startDifficulty, m.now)
	return m
}

// mine goes on for a time at a speed in difficulties a second, and looks at what was
// reached every few seconds.
func (m *simulated) mine(speed float64, limit float64, duration time.Duration, look func(difficulty float64)) {
	end, tick := m.now.Add(duration), m.now
	adjust := func() {
		before := m.difficulty
		m.adjust(m.told2, m.now)
		if m.difficulty != before {
			m.changes++
		}
		m.told2 = min(round(m.difficulty), limit)
	}
	for m.now.Before(end) {
		wait := time.Duration(m.random.ExpFloat64() * m.told / speed * float64(time.Second))
		if until := m.now.Add(wait); wait < 0 || until.After(tick.Add(2*time.Second)) {
			tick = tick.Add(2 * time.Second)
			m.now = tick
			adjust()
			m.told = m.told2
			look(m.told)
			continue
		}
		m.now = m.now.Add(wait)
		m.share(m.told, m.now)
		adjust()
		if m.random.IntN(3) == 0 { // it takes a while until the miner knows
			m.told = m.told2
		}
	}
}

// miners is how many are simulated, by their seeds.
func miners(n uint64) uint64 {
	if testing.Short() {
		n /= 5
	}
	return n
}

// TestVardiffSettles: from one start miners of all speeds come to a share every few
// seconds within two minutes, and stay there under 30%.
func TestVardiffSettles(t *testing.T) {
	ignore := func(float64) {}
	for seed := range miners(300) {
		m := newSimulated(seed)
		speed := math.Pow(10, m.random.Float64()*12-6) // of 1e-6 to 1e6 difficulties a second: 4,300 hashes to 4 petahashes
		ideal := speed * shareEvery
		m.mine(speed, math.Inf(1), 3*time.Minute, ignore)
		if off := m.told / ideal; off < 0.3 || off > 3 {
			t.Errorf("miner %d has %.2f of its difficulty after three minutes", seed, off)
		}
		m.mine(speed, math.Inf(1), 17*time.Minute, ignore)
		m.changes = 0
		m.mine(speed, math.Inf(1), 3*time.Hour, func(difficulty float64) {
			if off := difficulty / ideal; off < 1/1.3 || off > 1.3 {
				t.Fatalf("miner %d has %.2f of its difficulty when it has settled", seed, off)
			}
		})
		if m.changes > 60 {
			t.Errorf("miner %d was told %d new difficulties in three hours", seed, m.changes)
		}
	}
}

// TestVardiffFollows: a miner whose speed changes has its difficulty soon.
func TestVardiffFollows(t *testing.T) {
	ignore := func(float64) {}
	for seed := range miners(100) {
		m := newSimulated(seed)
		speed := 100.0
		m.mine(speed, math.Inf(1), time.Hour, ignore)
		for _, factor := range []float64{10, 0.1, 1.5, 100, 0.01} {
			speed *= factor
			m.mine(speed, math.Inf(1), 15*time.Minute, ignore)
			if off := m.told / (speed * shareEvery); off < 0.55 || off > 1.8 {
				t.Errorf("miner %d has %.2f of its difficulty 15 minutes after it went %g times as fast", seed, off, factor)
			}
		}
	}
}

// TestVardiffLimits: what a network's target allows is not exceeded, and when it
// allows more, the miner has it at once.
func TestVardiffLimits(t *testing.T) {
	for seed := range miners(50) {
		m := newSimulated(seed)
		m.mine(100, 2, 30*time.Minute, func(difficulty float64) {
			if difficulty > 2 {
				t.Fatalf("difficulty %g", difficulty)
			}
		})
		if off := m.difficulty / 300; off < 0.8 || off > 1.25 {
			t.Errorf("miner %d is after %.2f of its difficulty", seed, off)
		}
	}
}

// TestVardiffChosen: who has chosen a difficulty keeps it, and who can do no less than
// one is asked for no less.
func TestVardiffChosen(t *testing.T) {
	m := newSimulated(1)
	m.fixed = true
	m.start(8, m.now)
	m.mine(100, math.Inf(1), time.Hour, func(float64) {})
	if m.difficulty != 8 {
		t.Errorf("difficulty %g, want the chosen one", m.difficulty)
	}
	m = newSimulated(2)
	m.least = 64
	m.start(1, m.now)
	m.mine(1, math.Inf(1), time.Hour, func(float64) {})
	if m.difficulty != 64 {
		t.Errorf("difficulty %g, want the least that the miner can do", m.difficulty)
	}
}
