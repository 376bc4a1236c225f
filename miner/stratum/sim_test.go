package stratum

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/internal/stratumtest"
)

// simulatedMiner hashes at a speed: it waits as long as a share takes by chance, and then
// finds one.
type simulatedMiner struct {
	w      *world
	client *stratumtest.Client
	random *rand.Rand
	speed  float64 // hashes a second
	delay  time.Duration
	shares *atomic.Int64
}

// mine goes on until done is closed.
func (m *simulatedMiner) mine(t *testing.T, done <-chan struct{}) {
	counter := uint32(0)
	for {
		job, _ := m.client.Current()
		wait := time.Duration(m.random.ExpFloat64() * job.Difficulty * hashesPerDifficulty / m.speed * float64(time.Second))
		if wait < 0 || wait > time.Hour {
			wait = time.Hour
		}
		select {
		case <-time.After(wait):
		case <-m.client.Changed():
			continue // hashing has no memory
		case <-m.client.Ended():
			return
		case <-done:
			return
		}
		counter++
		share, ok := job.Search(counter, m.random.Uint32(), 1<<16)
		if !ok {
			t.Errorf("no share of difficulty %g in 65,536 hashes", job.Difficulty)
			return
		}
		// It is a while until the share is there: jobs and difficulties may change meanwhile.
		time.Sleep(time.Duration(m.random.Int64N(int64(m.delay))))
		if !m.submit(t, share) {
			return
		}
	}
}

// submit hands a share in, which must be taken unless a new tip came first.
func (m *simulatedMiner) submit(t *testing.T, share stratumtest.Share) bool {
	var refused *stratumtest.Refusal
	switch err := m.client.Submit(share); {
	case err == nil:
		m.shares.Add(1)
	case errors.As(err, &refused) && refused.Code == codeNoJob:
		time.Sleep(50 * time.Millisecond) // the block that makes it stale may be on its way
		if m.w.chain.TipState().Index.Hash == share.Job.PrevHash {
			t.Errorf("a share of the tip was refused: %v", err)
			return false
		}
	case errors.As(err, &refused):
		t.Errorf("a good share was refused: %v", err)
		return false
	}
	return true
}

// farm is many simulated miners.
type farm struct {
	w      *world
	miners []*simulatedMiner
	shares atomic.Int64
	done   chan struct{}
	wg     sync.WaitGroup
}

// newFarm begins with n miners, the fastest of which is a hundred times as fast as the
// slowest. Most say what they can do, and are wrong.
func newFarm(t *testing.T, w *world, n int) *farm {
	f := &farm{w: w, done: make(chan struct{})}
	for i := range n {
		m := &simulatedMiner{w: w, random: rand.New(rand.NewPCG(uint64(i), 1)), delay: 200 * time.Millisecond, shares: &f.shares}
		m.speed = 2 * math.Pow(10, 2*m.random.Float64())
		m.client = w.dial(fmt.Sprint("rig", i))
		guess := m.speed * shareEvery / hashesPerDifficulty * math.Pow(10, 2*m.random.Float64()-1)
		if _, err := m.client.Call("mining.suggest_difficulty", guess); err != nil {
			t.Fatal(err)
		}
		if err := m.client.Start(w.address(byte(i/3)) + fmt.Sprint(".rig", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.client.Job(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.miners = append(f.miners, m)
		f.wg.Go(func() { m.mine(t, f.done) })
	}
	return f
}

func (f *farm) stop() {
	close(f.done)
	f.wg.Wait()
	for _, m := range f.miners {
		m.client.Close()
	}
}

// checkTip moves the tip, and holds that all miners have a job on it within 50
// milliseconds.
func (f *farm) checkTip(t *testing.T) {
	t.Helper()
	f.w.chain.advance()
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	tip, late := f.w.chain.TipState().Index.Hash, 0
	for _, m := range f.miners {
		if job, _ := m.client.Current(); job.PrevHash != tip {
			late++
		}
	}
	if late > 0 {
		t.Errorf("%d of %d miners have no job on the tip after 50 ms", late, len(f.miners))
	}
}

// heap is the memory that is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

var farmTime = flag.Duration("farm", 4*time.Minute, "how long TestFarm lasts, by the clock of its miners")

// TestFarm: 300 miners of uneven speed. Difficulty settles, no good share is refused,
// every tip reaches all, and memory stays as it is.
func TestFarm(t *testing.T) {
	miners, minutes := 300, int(farmTime.Minutes())
	if testing.Short() {
		miners = 60
	}
	inBubble(t, 1e-5, nil, func(t *testing.T, w *world) {
		f := newFarm(t, w, miners)
		defer f.stop()
		began, before := time.Now(), uint64(0)
		for minute := range minutes {
			for range 2 {
				time.Sleep(30 * time.Second)
				f.checkTip(t)
			}
			if minute == minutes/3 {
				before = heap()
			}
			if t.Failed() {
				return
			}
		}
		if after := heap(); after > before+before/4+1<<20 {
			t.Errorf("%d KiB of memory after a third of the time, %d at the end", before>>10, after>>10)
		}
		every := time.Since(began).Seconds() * float64(miners) / float64(f.shares.Load())
		t.Logf("%d shares, one in %.2f s of each miner; %d blocks", f.shares.Load(), every, w.chain.count())
		if every < 0.8*shareEvery || every > 1.25*shareEvery {
			t.Errorf("a share every %.2f seconds", every)
		}
		off := 0
		for _, m := range f.miners {
			if ratio := m.client.Difficulty() / (m.speed * shareEvery / hashesPerDifficulty); ratio < 1/1.3 || ratio > 1.3 {
				off++
			}
		}
		// After a few minutes there have been so few shares that nobody can know better.
		if off > miners/8 || minutes >= 20 && off > 0 {
			t.Errorf("%d of %d miners have not settled", off, miners)
		}
		info := w.server.Info()
		if len(info.Workers) != miners || info.Shares.Accepted != uint64(f.shares.Load()) || int(info.Shares.Blocks) != w.chain.count() {
			t.Errorf("%d workers, %d shares, %d blocks; want %d, %d, %d", len(info.Workers), info.Shares.Accepted, info.Shares.Blocks, miners, f.shares.Load(), w.chain.count())
		}
		speed := 0.0
		for _, m := range f.miners {
			speed += m.speed
		}
		// While a share is under way they do not hash, and some come after a tip.
		for _, rate := range []float64{info.Rates.TenMinutes, info.Rates.Hour} {
			if ratio := rate / speed; ratio < 0.88 || ratio > 1.07 {
				t.Errorf("the rate is told as %.0f hashes a second, and is %.0f", rate, speed)
			}
		}
	})
}
