package stratum

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/internal/stratumtest"
)

// TestSilentMiner: one that finds nothing has an easier job soon, in place of the one
// that it had; what it finds for that one after all is taken.
func TestSilentMiner(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		first := w.job(c)
		time.Sleep(10 * time.Second)
		job := w.job(c)
		if job.ID == first.ID || !job.Clean || job.Difficulty != first.Difficulty/drop {
			t.Fatalf("job %s of difficulty %g after %s of %g, clean %t", job.ID, job.Difficulty, first.ID, first.Difficulty, job.Clean)
		}
		for job.Difficulty > 1e-6 {
			time.Sleep(time.Second)
			job = w.job(c)
		}
		// Some miners use a new difficulty for the work that they have: that is good enough.
		share, ok := first.SearchFor(job.Difficulty, 1, 0, 1<<20)
		if !ok {
			t.Fatal("no share was found")
		}
		if err := c.Submit(share); err != nil && refusal(t, err).Code != codeNoJob {
			t.Errorf("a share of the old job by the new difficulty: %v", err)
		}
	})
}

// TestEasierAndHarder: a share of an old job is good by the easier one of its difficulty
// and those that the miner was told since.
func TestEasierAndHarder(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		suggest := func(difficulty float64) {
			if _, err := c.Call("mining.suggest_difficulty", difficulty); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		suggest(1e-6)
		hard := w.job(c)
		suggest(1e-8)
		easy := w.job(c)
		suggest(1e-6)
		if hard.Difficulty != 1e-6 || easy.Difficulty != 1e-8 || w.job(c).Difficulty != 1e-6 {
			t.Fatalf("difficulties %g, %g, %g", hard.Difficulty, easy.Difficulty, w.job(c).Difficulty)
		}
		for _, test := range []struct {
			job   *stratumtest.Job
			taken bool
		}{{hard, true}, {easy, true}, {w.job(c), false}} {
			share, ok := test.job.SearchFor(1e-8, 1, 0, 1<<20)
			for ok && stratumtest.Worth(share.Hash) >= 1e-6 { // one that is too good tells nothing
				share, ok = test.job.SearchFor(1e-8, 1, share.Nonce+1, 1<<20)
			}
			if !ok {
				t.Fatal("no share was found")
			}
			if err := c.Submit(share); (err == nil) != test.taken {
				t.Errorf("a share of job %s, whose difficulty was %g: %v", test.job.ID, test.job.Difficulty, err)
			}
		}
	})
}

// TestNeverAShare: the difficulty of one that stays and finds nothing ends at the least
// there is. Below it there would be a difficulty of 0, which no target has.
func TestNeverAShare(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		for range 40 {
			time.Sleep(5 * time.Minute)
			if _, err := c.Call("mining.ping"); err != nil {
				t.Fatal(err)
			}
		}
		if job := w.job(c); job.Difficulty < 0.99*minDifficulty { // it is rounded down
			t.Errorf("a difficulty of %g", job.Difficulty)
		}
	})
}

// TestNoJobYet: the time before the first job says nothing of a miner.
func TestNoJobYet(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		time.Sleep(time.Second) // after which nobody waits for a tip, and gets an empty block
		w.chain.delay = time.Minute
		c := w.dial("alice")
		defer c.Close()
		if err := c.Start(w.address(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(w.chain.delay + time.Second)
		w.job(c)
		if got := w.server.Info().Workers[0].Difficulty; got != startDifficulty {
			t.Errorf("a difficulty of %g", got)
		}
	})
}
