package stratum

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/miner/stratuminfo"
)

// TestRefresh: a new job comes every 30 seconds, with the time of then. Shares of those
// before are taken for a while, and work is never told twice.
func TestRefresh(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		if err := c.Subscribe(""); err != nil {
			t.Fatal(err)
		}
		if err := c.Authorize(w.address(1), "d=1e-8"); err != nil { // so that difficulty stays
			t.Fatal(err)
		}
		first := w.job(c)
		share, late := search(t, first, 1), search(t, first, 2)
		last := first
		for i := range maxJobs + 1 {
			time.Sleep(refreshAfter)
			job := w.job(c)
			if job.Clean || string(job.Coinb1) == string(last.Coinb1) || job.Time < last.Time+29 || job.PrevHash != first.PrevHash {
				t.Fatalf("job %+v after %+v", job, last)
			}
			last = job
			if i == 3 {
				if err := c.Submit(share); err != nil {
					t.Errorf("a share of two minutes ago: %v", err)
				}
			}
		}
		if r := refusal(t, c.Submit(late)); r.Code != 21 {
			t.Errorf("a share of long ago: %v", r)
		}
	})
}

// TestOldJobs: of the jobs of a tip the last ones are remembered, each by its number.
func TestOldJobs(t *testing.T) {
	chain := newTestChain(t, 1, func() time.Time { return time.Unix(1_800_000_000, 0) })
	js := jobs{}
	for i := range uint32(3 * maxJobs) {
		j := js.add(chain.Template(), chain.now(), chain.now())
		if j.number != i+1 || j.clean != (i == 0) || js.current() != j || js.find(j.number) != j {
			t.Fatalf("job %d is %+v", i, j)
		}
	}
	if len(js.live) != maxJobs || js.find(2*maxJobs) != nil || js.find(2*maxJobs+1) == nil {
		t.Errorf("%d jobs", len(js.live))
	}
	chain.advance()
	if j := js.add(chain.Template(), chain.now(), chain.now()); !j.clean || len(js.live) != 1 || js.find(3*maxJobs) != nil {
		t.Errorf("%d jobs on a new tip, the newest is %+v", len(js.live), j)
	}
}

// TestSlowTemplates: when the pool is slow to follow a tip, an empty block is the job
// within 50 milliseconds, and the full one comes when it is ready.
func TestSlowTemplates(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		tx := chaintest.Outputs{}.Spend(0, chaintest.Anchor)
		w.chain.mu.Lock()
		w.chain.delay = 3 * time.Second
		w.chain.entries = []*pending.Entry{{Tx: tx, TxID: tx.TxID(), WTxID: tx.WTxID(), Weight: tx.Weight()}}
		w.chain.mu.Unlock()
		for range 2 { // the second tip comes while the template on the first is made
			w.chain.advance()
			time.Sleep(50 * time.Millisecond)
			job := w.job(c)
			if job.PrevHash != w.chain.TipState().Index.Hash || len(job.Branch) != 0 || !job.Clean {
				t.Fatalf("job on %x with %d siblings", job.PrevHash, len(job.Branch))
			}
		}
		time.Sleep(7 * time.Second)
		if job := w.job(c); job.PrevHash != w.chain.TipState().Index.Hash || len(job.Branch) != 1 || job.Clean {
			t.Errorf("job on %x with %d siblings, clean %t", job.PrevHash, len(job.Branch), job.Clean)
		}
	})
}

// countingTemplates counts how often it is asked.
type countingTemplates struct {
	*testChain
	asked atomic.Int64
}

func (c *countingTemplates) Template() *template.Template {
	c.asked.Add(1)
	return c.testChain.Template()
}

// TestNobody: while nobody works no templates are made, and who comes has a job on the
// tip of then.
func TestNobody(t *testing.T) {
	var counting *countingTemplates
	inBubble(t, 1, func(o *Options) {
		counting = &countingTemplates{testChain: o.Templates.(*testChain)}
		o.Templates = counting
	}, func(t *testing.T, w *world) {
		pass := func() {
			for range 100 {
				w.chain.advance()
				time.Sleep(10 * time.Second)
			}
		}
		pass()
		if counting.asked.Load() != 0 {
			t.Errorf("%d templates for nobody", counting.asked.Load())
		}
		c := w.miner("alice", 1)
		if job := w.job(c); job.PrevHash != w.chain.TipState().Index.Hash {
			t.Error("the job is not on the tip")
		}
		c.Close()
		time.Sleep(time.Second)
		asked := counting.asked.Load()
		pass()
		if counting.asked.Load() != asked {
			t.Errorf("%d templates after all had gone", counting.asked.Load()-asked)
		}
		c = w.miner("alice", 1)
		defer c.Close()
		if job := w.job(c); job.PrevHash != w.chain.TipState().Index.Hash {
			t.Error("the job is not on the tip")
		}
	})
}

// TestManyTips: while tips come faster than miners can use them, jobs come at a pace, and
// the last tip has one.
func TestManyTips(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		_, before := c.Current()
		for range 1000 {
			w.chain.advance()
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		job := w.job(c)
		if _, after := c.Current(); after-before > 60 || job.PrevHash != w.chain.TipState().Index.Hash {
			t.Errorf("%d jobs in a second", after-before)
		}
	})
}

// TestRefusedBlock: a block that the chain does not want is no block, and work goes on.
func TestRefusedBlock(t *testing.T) {
	inBubble(t, 1e-6, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		defer c.Close()
		w.chain.mu.Lock()
		w.chain.refuse = errors.New("the disk is full")
		w.chain.mu.Unlock()
		job := w.job(c)
		share, _ := job.SearchFor(job.NetworkDifficulty(), 1, 0, 1<<22)
		if err := c.Submit(share); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
		next := w.job(c)
		if info := w.server.Info(); info.Shares.Blocks != 0 || info.LastBlock != nil || next.ID == job.ID || next.PrevHash != job.PrevHash {
			t.Errorf("%+v, job %s after %s", info.Shares, next.ID, job.ID)
		}
		w.chain.mu.Lock()
		w.chain.refuse = nil
		w.chain.mu.Unlock()
		share, _ = next.SearchFor(job.NetworkDifficulty(), 1, 0, 1<<22)
		if err := c.Submit(share); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.chain.count() != 1 {
			t.Error("the next block was not taken")
		}
	})
}

// TestEasierNetwork: when the network's target becomes easier than a miner's, the
// miner's follows before the job comes, so that no block is lost.
func TestEasierNetwork(t *testing.T) {
	inBubble(t, 8, nil, func(t *testing.T, w *world) {
		c := w.dial("alice")
		defer c.Close()
		if err := c.Subscribe(""); err != nil {
			t.Fatal(err)
		}
		if err := c.Authorize(w.address(1), "d=5"); err != nil {
			t.Fatal(err)
		}
		if job := w.job(c); job.Difficulty != 5 {
			t.Fatalf("difficulty %g", job.Difficulty)
		}
		for _, network := range []float64{2, 0.125, 16} {
			w.chain.mu.Lock()
			w.chain.params.Genesis.Bits = consensus.CompactBits(targetOf(network))
			w.chain.mu.Unlock()
			w.chain.advance()
			time.Sleep(50 * time.Millisecond)
			job := w.job(c)
			if want := min(network, 5); job.Difficulty > job.NetworkDifficulty()*(1+1e-12) || job.Difficulty < 0.999*want || job.Difficulty > 1.001*want {
				t.Errorf("difficulty %g on a network of %g", job.Difficulty, job.NetworkDifficulty())
			}
		}
	})
}

// TestComesAgain: who comes again without its session begins with the difficulty that
// its worker had.
func TestComesAgain(t *testing.T) {
	inBubble(t, 1000, nil, func(t *testing.T, w *world) {
		c := w.miner("alice", 1)
		if _, err := c.Call("mining.suggest_difficulty", 77); err != nil {
			t.Fatal(err)
		}
		w.job(c)
		c.Close()
		time.Sleep(keepWorker / 2)
		c = w.miner("alice", 1)
		if job := w.job(c); job.Difficulty != 77 {
			t.Errorf("difficulty %g", job.Difficulty)
		}
		c.Close()
		time.Sleep(2 * keepWorker)
		if n := len(w.server.Info().Workers); n != 0 {
			t.Errorf("%d workers are remembered", n)
		}
		c = w.miner("alice", 1)
		defer c.Close()
		if job := w.job(c); job.Difficulty != startDifficulty {
			t.Errorf("difficulty %g", job.Difficulty)
		}
	})
}

// TestTimesAhead: on a chain whose blocks came so fast that its times are hours ahead, the
// job's own time is good, though the chain will not have the block yet.
func TestTimesAhead(t *testing.T) {
	inBubble(t, 1e-6, nil, func(t *testing.T, w *world) {
		ahead := uint32(time.Now().Add(3 * time.Hour).Unix())
		w.chain.mu.Lock()
		w.chain.state = consensus.NewState(w.chain.state.Index, w.chain.state.Header, consensus.Uint256{1}, []uint32{ahead})
		w.chain.mu.Unlock()
		c := w.miner("alice", 1)
		defer c.Close()
		job := w.job(c)
		if job.Time != ahead+1 {
			t.Fatalf("time %d, want %d", job.Time, ahead+1)
		}
		share, _ := job.SearchFor(job.NetworkDifficulty(), 1, 0, 1<<22)
		if err := c.Submit(share); err != nil {
			t.Error(err)
		}
	})
}

// TestMeter: rates are of the minutes that they say, or of the time since the beginning.
func TestMeter(t *testing.T) {
	m, now := meter{}, time.Unix(1_800_000_003, 0)
	steady := func(d time.Duration, work float64) {
		for end := now.Add(d); now.Before(end); now = now.Add(time.Second) {
			m.add(work/hashesPerDifficulty, now)
		}
	}
	check := func(minute, ten, hour float64) {
		t.Helper()
		got := m.rates(now)
		for _, r := range [][2]float64{{got.Minute, minute}, {got.TenMinutes, ten}, {got.Hour, hour}} {
			if r[0] < r[1]*0.98-0.01 || r[0] > r[1]*1.02+0.01 {
				t.Errorf("%+v, want %g, %g, %g", got, minute, ten, hour)
				return
			}
		}
	}
	steady(30*time.Second, 100)
	check(100, 100, 100)
	steady(2*time.Hour, 100)
	check(100, 100, 100)
	steady(5*time.Minute, 300)
	check(300, 200, 100+200*5/60.0)
	now = now.Add(15 * time.Minute)
	check(0, 0, (100*40+300*5)/60.0)
	now = now.Add(3 * time.Hour)
	check(0, 0, 0)
	m.advance(now.Add(-time.Hour)) // a clock that was set back
	check(0, 0, 0)
	if r := (&meter{}).rates(now); r != (stratuminfo.Rates{}) {
		t.Errorf("%+v of nothing", r)
	}
}

// TestManyPayouts: however many come and go, a job keeps the lines of some only.
func TestManyPayouts(t *testing.T) {
	chain := newTestChain(t, 1, time.Now)
	j := newJob(1, chain.Template(), true, "", chain.now(), chain.now())
	first := j.paying(scriptOf(1)).shared
	for i := range 3 * maxPayouts {
		script := scriptOf(2)
		binary.BigEndian.PutUint32(script[10:], uint32(i))
		j.paying(script)
	}
	if len(j.payouts) > maxPayouts {
		t.Errorf("%d lines are kept", len(j.payouts))
	}
	if !bytes.Equal(j.paying(scriptOf(1)).shared, first) {
		t.Error("the line of the first is another one now")
	}
}

// TestLateBlock: a block on a tip that another has taken leaves the jobs of the new one.
func TestLateBlock(t *testing.T) {
	chain := newTestChain(t, 1, time.Now)
	js := jobs{}
	before := js.add(chain.Template(), chain.now(), chain.now())
	chain.advance()
	after := js.add(chain.Template(), chain.now(), chain.now())
	if js.dropOn(before.template.Header.PrevBlock); js.current() != after {
		t.Error("there is no job on the new tip")
	}
	if js.dropOn(after.template.Header.PrevBlock); js.current() != nil {
		t.Error("there is a job on the tip that is to be replaced")
	}
}

// TestManyShares: a session remembers so many shares in all, the newest, of jobs that it
// may still have shares of.
func TestManyShares(t *testing.T) {
	chain := newTestChain(t, 1, time.Now)
	js, s := jobs{}, &session{}
	for i := range uint64(2 * maxGiven) {
		j := js.add(chain.Template(), chain.now(), chain.now())
		s.give(j, 1)
		g := s.find(jobID(j.number, 0))
		for share := range uint64(maxShares / 3) {
			if !s.remember(g, share) {
				t.Fatalf("job %d has no room for its share %d", i, share)
			}
		}
		kept := 0
		for _, g := range s.given {
			kept += len(g.shares)
		}
		if kept != s.kept || kept > maxShares {
			t.Fatalf("%d shares are kept, and counted as %d", kept, s.kept)
		}
	}
	g := s.given[len(s.given)-1]
	for share := uint64(1 << 40); s.remember(g, share); share++ {
	}
	if len(s.given) != 1 || len(g.shares) != maxShares {
		t.Errorf("%d jobs, the newest with %d shares", len(s.given), len(g.shares))
	}
}
