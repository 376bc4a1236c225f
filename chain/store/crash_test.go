package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
)

// noAnswer is how long a case may take before it counts as hanging: a case takes
// a second or two, but hundreds of them on a busy machine under the race
// detector can take minutes.
const noAnswer = 8 * time.Minute

// inParallel runs n cases on many goroutines: a case mostly waits, since
// goleveldb tries again after a second what the power cut made fail. With -short
// it runs every fourth.
func inParallel(t *testing.T, n int, run func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	next, failures := atomic.Int64{}, atomic.Int64{}
	stride := 1
	if testing.Short() {
		stride = 4 // no multiple of the number of crash modes, so that all occur
	}
	for range 128 {
		wg.Go(func() {
			for i := (int(next.Add(1)) - 1) * stride; i < n && failures.Load() < 10; i = (int(next.Add(1)) - 1) * stride {
				if err := within(noAnswer, func() error { return run(i) }); err != nil {
					failures.Add(1)
					t.Errorf("case %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// within turns a hang into an error.
func within(limit time.Duration, run func() error) error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("WRONG: no answer within %v", limit)
	}
}

// story is what the crash tests do to a store: a fixed life, with everything
// that the store can do.
func (w *world) story() error {
	if err := w.open(); err != nil {
		return err
	}
	return w.all(
		func() error { return w.play(storySteps()) },
		func() error { return w.extend(8, 10) },
		func() error { return w.extend(8, 10) },
		func() error { return w.extend(8, 10) },
		func() error { return w.extend(20, 60) },
		func() error { return w.extend(20, 60) },
		w.revert,
		w.save,
		func() error { return w.prune(2) },
		w.restart,
		func() error { return w.extend(8, 10) },
		w.flush,
		func() error { return w.store.Close() },
	)
}

// all runs steps until one fails.
func (w *world) all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func storySteps() int {
	if long() {
		return 150
	}
	return 15
}

func storyOptions() Options {
	o := smallOptions()
	o.PruneBytes, o.SegmentSize = 1500, 1500
	return o
}

// stopped checks that an error is what a store says when its disk fails, and
// that nothing works after it and nothing hangs.
func (w *world) stopped(err error) error {
	if !errors.Is(err, consensus.ErrLocal) || strings.Contains(err.Error(), "WRONG") {
		return fmt.Errorf("WRONG: not an ErrLocal: %w", err)
	}
	if w.store == nil {
		return nil // Open failed
	}
	if fault := w.store.faulty(); fault != nil {
		for what, again := range map[string]error{
			"save": w.store.SaveHeaders(nil), "flush": w.store.Flush(nil, w.store.tip), "close": w.store.Close(),
			"update": w.store.ApplyUpdate(&consensus.Update{}), "fetch": w.store.FetchCoins(nil, nil),
		} {
			if again == nil || again.Error() != fault.Error() {
				return fmt.Errorf("WRONG: %s after the failure %q: %v", what, fault, again)
			}
		}
	}
	go endDatabase(w.store)
	return nil
}

// endDatabase ends LevelDB's goroutines after a failure, if it can.
func endDatabase(s *Store) {
	s.commits.Wait()
	s.db.Close()
}

// recover opens what a reboot has left, checks it, and lives on for a while.
func (w *world) recover(d *faultDisk) error {
	w.disk, w.store = d, nil
	if err := w.open(); err != nil {
		return fmt.Errorf("WRONG: does not open: %w", err)
	}
	if err := w.resume(); err != nil {
		return err
	}
	if err := w.play(6); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.restart(); err != nil {
		return fmt.Errorf("after another restart: %w", err)
	}
	return w.store.Close()
}

// operations returns how many disk operations the story takes about.
func operations(t *testing.T, seed uint64) int {
	t.Helper()
	d := newFaultDisk(seed)
	w := newWorld(seed, d, storyOptions())
	if err := w.story(); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %d blocks, %d reverts, %d prunes, %d restarts, %d steps, %d operations, %d reads",
		seed, len(w.blocks), w.reverts, w.prunes, w.restarts, w.store.lastStep, d.ops, d.reads)
	if w.reverts == 0 || w.prunes == 0 || w.restarts == 0 {
		t.Errorf("the story of seed %d lacks something", seed)
	}
	return d.ops
}

// TestPowerCut cuts the power at every operation of the story, and loses what
// was not synced in three ways. The store must open, its coins must be exactly
// those of the last flush or of the one under way, and every body that it names
// must be there.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	seeds := 1
	if long() {
		seeds = 3
	}
	for seed := range uint64(seeds) {
		n := operations(t, seed)
		inParallel(t, n*int(crashModes), func(i int) error {
			mode := crashMode(i % int(crashModes))
			d := newFaultDisk(seed)
			d.cut = i/int(crashModes) + 1
			w := newWorld(seed, d, storyOptions())
			if err := w.story(); err != nil {
				if err := w.stopped(err); err != nil {
					return fmt.Errorf("cut at %d: %w", d.cut, err)
				}
			}
			if err := w.recover(d.reboot(mode, seed+uint64(i))); err != nil {
				return fmt.Errorf("cut at %d, %s: %w", d.cut, mode, err)
			}
			return nil
		})
		t.Logf("seed %d: %d operations, each cut in %d ways", seed, n, crashModes)
	}
}

// TestFailingDisk fails operations of the story: from one on for want of space,
// or one with an I/O error, as a write or as a read. The error is an ErrLocal,
// nothing hangs, and after a restart on a sound disk everything is exact.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	const seed = 3
	n := operations(t, seed)
	for _, fault := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		inParallel(t, n, func(i int) error {
			d := newFaultDisk(seed)
			d.failAt, d.failWith = i+1, fault
			w := newWorld(seed, d, storyOptions())
			err := w.story()
			if err != nil {
				if err := w.stopped(err); err != nil {
					return fmt.Errorf("%v at %d: %w", fault, d.failAt, err)
				}
			}
			if err := w.recover(d.reboot(crashMode(i%int(crashModes)), uint64(i))); err != nil {
				return fmt.Errorf("%v at %d: %w", fault, d.failAt, err)
			}
			return nil
		})
	}
	t.Logf("%d operations, each failing in 2 ways", n)
}
