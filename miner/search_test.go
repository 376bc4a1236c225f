package miner

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/template"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// searcher is a miner on a fake chain with moving difficulty, so that it uses
// all its threads, and a template with the bits.
func searcher(t testing.TB, threads int, bits uint32) (*Miner, *template.Template) {
	t.Helper()
	params := testParams(t)
	params.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 3600}
	m := New(Options{Params: params, Chain: newFakeChain(params, 1_800_000_000), Threads: threads})
	tpl := *m.Template()
	tpl.Header.Bits = bits
	return m, &tpl
}

func TestSearchFinds(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		m, tpl := searcher(t, threads, 0x1f07ffff) // one in 8,192
		first := extraNonce(m.block(tpl, chaintest.Anchor), tpl)
		for range 5 {
			before := m.hashes.Load()
			block, err := m.search(t.Context(), tpl, chaintest.Anchor, math.MaxUint64)
			if err != nil {
				t.Fatal(err)
			}
			target, _, _ := consensus.ExpandBits(0x1f07ffff)
			if consensus.Uint256FromHash(block.Hash()).Cmp(target) > 0 {
				t.Fatalf("hash %s is above the target", block.Hash())
			}
			if block.Header.MerkleRoot != block.Txs[0].TxID() || extraNonce(block, tpl) <= first {
				t.Fatal("the header is not of the coinbase, or the extra nonce is an old one")
			}
			if n := m.hashes.Load() - before; n < uint64(block.Header.Nonce)+1 {
				t.Fatalf("nonce %d after %d hashes", block.Header.Nonce, n)
			}
		}
	}
}

// TestMaxTries: no more hashes than asked for, on however many threads, and no
// fewer if none will do.
func TestMaxTries(t *testing.T) {
	for _, threads := range []int{1, 3} {
		for _, tries := range []uint64{0, 1, 2, checkEvery - 1, checkEvery, checkEvery + 1, 3*checkEvery + 77} {
			m, tpl := searcher(t, threads, impossible)
			block, err := m.search(t.Context(), tpl, chaintest.Anchor, tries)
			if block != nil || err != nil || m.hashes.Load() != tries {
				t.Fatalf("%d threads: %d hashes, want %d (%v, %v)", threads, m.hashes.Load(), tries, block, err)
			}
		}
	}
}

// TestNonceSpace: when a header's nonces are used up, another coinbase is tried.
func TestNonceSpace(t *testing.T) {
	m, tpl := searcher(t, 1, impossible)
	block := m.block(tpl, chaintest.Anchor)
	scans, left := 0, uint64(3)
	_, ok := m.scan(&block.Header, consensus.Uint256{}, func() uint64 {
		scans++
		left--
		return left // 2, 1, 0
	})
	if ok || scans != 3 || m.hashes.Load() != 3 {
		t.Fatalf("%t after %d scans of %d hashes", ok, scans, m.hashes.Load())
	}
	// The nonce that is found is the lowest that will do.
	easy, _, _ := consensus.ExpandBits(0x207fffff)
	nonce, ok := m.scan(&block.Header, easy, func() uint64 { return checkEvery })
	if !ok {
		t.Fatal("nothing found")
	}
	for n := range nonce + 1 {
		header := block.Header
		header.Nonce = n
		if found := consensus.Uint256FromHash(header.Hash()).Cmp(easy) <= 0; found != (n == nonce) {
			t.Fatalf("nonce %d: %t, but %d was found", n, found, nonce)
		}
	}
}

// TestTargetItself: a hash may be as large as the target, and not larger.
func TestTargetItself(t *testing.T) {
	m, tpl := searcher(t, 1, impossible)
	header, best, target := tpl.Header, uint32(0), consensus.Uint256{}
	for n := range uint32(1000) {
		header.Nonce = n
		if value := consensus.Uint256FromHash(header.Hash()); n == 0 || value.Cmp(target) < 0 {
			best, target = n, value
		}
	}
	once := func() func() uint64 {
		left := uint64(1000)
		return func() uint64 { n := left; left = 0; return n }
	}
	if nonce, ok := m.scan(&header, target, once()); !ok || nonce != best {
		t.Fatalf("nonce %d (%t), want %d", nonce, ok, best)
	}
	target[0]--
	if nonce, ok := m.scan(&header, target, once()); ok {
		t.Fatalf("nonce %d has a hash above the target", nonce)
	}
}

func TestSearchStops(t *testing.T) {
	m, tpl := searcher(t, 2, impossible)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := m.search(ctx, tpl, chaintest.Anchor, math.MaxUint64)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	before := m.hashes.Load()
	if _, err := m.search(ctx, tpl, chaintest.Anchor, math.MaxUint64); !errors.Is(err, context.Canceled) || m.hashes.Load() != before {
		t.Fatalf("%v after %d hashes", err, m.hashes.Load()-before)
	}
}

func TestGenerate(t *testing.T) {
	w := newWorld(t, nil)
	hashes, err := w.miner.Generate(t.Context(), 20, chaintest.Anchor, 1<<20)
	if err != nil || len(hashes) != 20 {
		t.Fatalf("%d blocks, %v", len(hashes), err)
	}
	for i, hash := range hashes {
		if got, _ := w.chain.HashAt(uint32(i + 1)); got != hash {
			t.Fatalf("block %d is %s, want %s", i+1, got, hash)
		}
	}
	if hashes, err := w.miner.Generate(t.Context(), 0, chaintest.Anchor, 1); len(hashes) != 0 || err != nil {
		t.Fatalf("no blocks: %v, %v", hashes, err)
	}
	if hashes, err := w.miner.Generate(t.Context(), 3, chaintest.Anchor, 0); len(hashes) != 0 || !errors.Is(err, ErrNotFound) {
		t.Fatalf("no tries: %v, %v", hashes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if hashes, err := w.miner.Generate(ctx, 3, chaintest.Anchor, 100); len(hashes) != 0 || !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v, %v", hashes, err)
	}
	if hashes, err := w.miner.Generate(t.Context(), 3, []byte{0x52, 1, 1}, 1<<20); len(hashes) != 0 || !errors.Is(err, consensus.ErrInvalid) {
		t.Fatalf("a script that no output may have: %v, %v", hashes, err)
	}
}

// TestInterval runs on a fixed-difficulty network whose clock is the bubble's.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		params := testParams(t)
		c := newFakeChain(params, time.Now().Unix())
		m := New(Options{Params: params, Chain: c, ScriptPubKey: chaintest.Anchor, Interval: 30 * time.Second, Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(10*30*time.Second + time.Second)
		synctest.Wait()
		blocks := c.mined()
		if len(blocks) != 10 {
			t.Fatalf("%d blocks in ten intervals", len(blocks))
		}
		for i, b := range blocks[1:] {
			if d := b.Header.Timestamp - blocks[i].Header.Timestamp; d != 30 {
				t.Fatalf("block %d comes after %d seconds", i+1, d)
			}
		}
		// A block of another begins the interval anew.
		time.Sleep(14 * time.Second)
		theirs := types.Block{Header: types.Header{Timestamp: uint32(time.Now().Unix())}, Txs: []types.Tx{{}}}
		if err := c.AddBlock(ctx, theirs.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if n := len(c.mined()); n != 11 {
			t.Fatalf("%d blocks before the interval is over", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(c.mined()); n != 12 {
			t.Fatalf("%d blocks after the interval", n)
		}
		// A tip with a time far ahead holds nobody up for more than an interval.
		theirs.Header.Timestamp += 7000
		if err := c.AddBlock(ctx, theirs.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := len(c.mined()); n != 14 {
			t.Fatalf("%d blocks after a tip from the future", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestShortIntervals: an interval is kept whose blocks do not begin with a second.
func TestShortIntervals(t *testing.T) {
	for _, interval := range []time.Duration{20 * time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(300 * time.Millisecond)
			params := testParams(t)
			c := newFakeChain(params, time.Now().Unix())
			m := New(Options{Params: params, Chain: c, ScriptPubKey: chaintest.Anchor, Interval: interval, Now: time.Now})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- m.Run(ctx) }()
			time.Sleep(100 * interval)
			synctest.Wait()
			// The first one may come at once, since its parent's time has no fraction.
			if n := len(c.mined()); n < 100 || n > 101 {
				t.Errorf("%d blocks in a hundred intervals of %s", n, interval)
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRefused: a miner whose blocks are refused tries again, in its time.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		params := testParams(t)
		c := newFakeChain(params, time.Now().Unix()-3600)
		c.refuse = consensus.ErrNotYet
		m := New(Options{Params: params, Chain: c, ScriptPubKey: chaintest.Anchor, Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(refreshAfter*10 + time.Second)
		synctest.Wait()
		if n := len(c.mined()); n != 11 {
			t.Fatalf("%d blocks in ten waits", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestLocalFault: Run ends with the chain, without being told to.
func TestLocalFault(t *testing.T) {
	params := testParams(t)
	c := newFakeChain(params, time.Now().Unix()-3600)
	c.refuse = consensus.Local(errors.New("the disk broke"))
	m := New(Options{Params: params, Chain: c, ScriptPubKey: chaintest.Anchor})
	if err := m.Run(t.Context()); !errors.Is(err, consensus.ErrLocal) {
		t.Fatal(err)
	}
}

// runner is a miner that never finds a block, and what wakes it.
func runner(t *testing.T, threads int) (m *Miner, c *fakeChain, p *fakePool, stop func()) {
	t.Helper()
	params := testParams(t)
	params.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 3600}
	params.Genesis.Bits = impossible
	params.PowLimit = consensus.Uint256{1}
	c = newFakeChain(params, time.Now().Unix())
	c.asked, c.over = make(chan struct{}), make(chan struct{})
	p = &fakePool{poke: make(chan struct{}, 1)}
	p.make = func(int) ([]*pending.Entry, types.Index) { return nil, types.Index{Height: 7, Hash: types.Hash{7}} }
	m = New(Options{Params: params, Chain: c, Pool: p, ScriptPubKey: chaintest.Anchor, Threads: threads})
	m.refreshAfter, m.renewAfter = time.Hour, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	return m, c, p, func() {
		wg.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(func() { cancel(); close(c.over); wg.Wait() })
	}
}

// quiet fails if the miner asks for a new tip soon.
func (c *fakeChain) quiet(t *testing.T) {
	t.Helper()
	select {
	case <-c.asked:
		t.Fatal("a new template without need")
	case <-time.After(50 * time.Millisecond):
	}
}

func TestNewTip(t *testing.T) {
	_, c, p, start := runner(t, 2)
	c.poke <- struct{}{} // of before: the first template is on that tip
	start()
	<-c.asked
	for range 3 {
		c.quiet(t)
		c.poke <- struct{}{}
		<-c.asked
	}
	p.poke <- struct{}{} // more fees, too early
	c.quiet(t)
}

func TestBetterFees(t *testing.T) {
	m, c, p, start := runner(t, 1)
	m.refreshAfter = time.Millisecond
	start()
	<-c.asked
	for range 3 {
		p.poke <- struct{}{}
		<-c.asked
	}
	c.quiet(t)
}

// TestOldTime: a template is not mined on for ever.
func TestOldTime(t *testing.T) {
	m, c, _, start := runner(t, 1)
	m.renewAfter = time.Millisecond
	start()
	for range 3 {
		<-c.asked
	}
}

// TestBehindIsRefreshed: an empty template, made because the pool was behind,
// is given up as soon as the pool has caught up.
func TestBehindIsRefreshed(t *testing.T) {
	_, c, p, start := runner(t, 1)
	now := p.make
	var followed atomic.Bool
	behind := make(chan struct{}, 1) // the candidates were asked for, and there were none
	p.changes = new(atomic.Uint64)
	p.make = func(maxWeight int) ([]*pending.Entry, types.Index) {
		if !followed.Load() {
			select {
			case behind <- struct{}{}:
			default:
			}
			return nil, types.Index{}
		}
		return now(maxWeight)
	}
	start()
	<-c.asked
	<-behind
	c.quiet(t)
	followed.Store(true)
	p.changes.Add(1)
	p.poke <- struct{}{}
	<-c.asked
	p.poke <- struct{}{}
	c.quiet(t)
}

// BenchmarkScan is the search loop of one thread.
func BenchmarkScan(b *testing.B) {
	m, tpl := searcher(b, 1, impossible)
	header := tpl.Header
	for b.Loop() {
		given := false
		m.scan(&header, consensus.Uint256{}, func() uint64 {
			if given {
				return 0
			}
			given = true
			return checkEvery
		})
	}
	b.ReportMetric(float64(m.hashes.Load())/b.Elapsed().Seconds()/1e6, "Mhash/s")
}

// TestMaxRate: a miner does as many hashes a second as it may, on however many threads, and
// makes up for a time in which it was kept from it.
func TestMaxRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			threads int
			rate    float64
		}{{1, 50}, {1, 2000}, {3, 2000}, {2, 1e6}} {
			params := testParams(t)
			params.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 3600}
			m := New(Options{Params: params, Chain: newFakeChain(params, 1_800_000_000), Threads: c.threads, MaxRate: c.rate})
			tpl := *m.Template()
			tpl.Header.Bits = impossible
			for range 2 {
				before := m.hashes.Load()
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				_, _ = m.search(ctx, &tpl, chaintest.Anchor, math.MaxUint64)
				cancel()
				if got := float64(m.hashes.Load()-before) / 4; got < 0.98*c.rate || got > 1.02*c.rate {
					t.Errorf("%d threads at %g hashes a second do %g", c.threads, c.rate, got)
				}
			}
		}
	})
}
