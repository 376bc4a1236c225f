package poke

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// poked takes a poke, if one is there.
func poked(poke <-chan struct{}) bool {
	select {
	case <-poke:
		return true
	default:
		return false
	}
}

// TestBell: any number of rings is one poke, to each subscriber, until it cancels.
func TestBell(t *testing.T) {
	var bell Bell
	bell.Ring() // nobody hears it
	one, cancelOne := bell.Subscribe()
	two, cancelTwo := bell.Subscribe()
	defer cancelTwo()
	if poked(one) || poked(two) {
		t.Fatal("a poke before a ring")
	}
	bell.Ring()
	bell.Ring()
	if !poked(one) || poked(one) || !poked(two) || poked(two) {
		t.Fatal("two rings are not one poke to each")
	}
	bell.Ring()
	if !poked(one) {
		t.Fatal("no poke after the first was taken")
	}
	cancelOne()
	cancelOne() // once more does no harm
	bell.Ring()
	if poked(one) || !poked(two) {
		t.Fatal("the cancelled subscriber is poked, or the other is not")
	}
}

// counter is the simplest thing to follow: its changes are counted.
type counter struct {
	Bell
	mu    sync.Mutex
	value int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	c.value += n
	c.mu.Unlock()
	c.Ring()
}

// since returns how far the counter is ahead of a position, at most limit.
func (c *counter) since(at, limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(c.value-at, limit)
}

// TestFollow: changes of before, one while it waits, one during a pull, and more
// than one pull takes are all found; then it waits.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		c.add(3)
		at, pulls, during := 0, 0, func() {}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- Follow(ctx, &c, func() (bool, error) {
				pulls++
				n := c.since(at, 2)
				at += n
				during()
				return n > 0, nil
			})
		}()
		expect := func(wantAt, wantPulls int) {
			t.Helper()
			synctest.Wait()
			if at != wantAt || pulls != wantPulls {
				t.Fatalf("at %d after %d pulls, want %d after %d", at, pulls, wantAt, wantPulls)
			}
		}
		expect(3, 3) // two, one, nothing
		c.add(1)
		expect(4, 5)
		c.Ring() // for nothing
		expect(4, 6)
		during = func() { // behind the look at the counter, before the wait
			during = func() {}
			c.add(1)
		}
		c.Ring()
		expect(5, 9) // nothing, the one, nothing; and a poke that was left over
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("the end of the context is an error: %v", err)
		}
		if len(c.slots) != 0 {
			t.Fatal("it is still subscribed")
		}
	})
}

// TestFollowSlowly: for a follower that is slow, many changes are one poke, and
// the one that makes them does not wait.
func TestFollowSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		at, pulls := 0, 0
		go func() {
			_ = Follow(t.Context(), &c, func() (bool, error) {
				pulls++
				time.Sleep(time.Minute)
				at += c.since(at, 1000)
				return false, nil
			})
		}()
		synctest.Wait()
		began := time.Now()
		for range 1000 {
			c.add(1)
		}
		if d := time.Since(began); d != 0 {
			t.Fatalf("it took %s to make the changes", d)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if at != 1000 || pulls != 2 {
			t.Fatalf("at %d after %d pulls", at, pulls)
		}
	})
}

// TestFollowEnds: at an error of pull; at the end of the context while there is
// always more, whatever pull says then.
func TestFollowEnds(t *testing.T) {
	broken := errors.New("broken")
	var c counter
	if err := Follow(t.Context(), &c, func() (bool, error) { return true, broken }); err != broken {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pulls := 0
	err := Follow(ctx, &c, func() (bool, error) {
		if pulls++; pulls == 3 {
			cancel()
			return true, ctx.Err()
		}
		return true, nil
	})
	if err != nil || pulls != 3 || len(c.slots) != 0 {
		t.Fatalf("%v after %d pulls, %d subscribed", err, pulls, len(c.slots))
	}
	if err := Follow(ctx, &c, func() (bool, error) { t.Error("it pulls"); return false, nil }); err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsLost: several goroutines change, several follow, some come late or
// go early; whoever stays gets everything. The race detector looks on.
func TestNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, changes, followers = 4, 500, 6
		var c counter
		ctx, cancel := context.WithCancel(t.Context())
		nap := func() { time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) }
		var writing, following sync.WaitGroup
		at := make([]int, followers)
		for i := range followers {
			following.Go(func() {
				nap()
				_ = Follow(ctx, &c, func() (bool, error) {
					n := c.since(at[i], 1+i)
					at[i] += n
					if i%2 == 0 {
						nap()
					}
					return n > 0, nil
				})
			})
			following.Go(func() { // somebody who comes and goes
				for range changes {
					_, cancel := c.Subscribe()
					nap()
					cancel()
					nap()
				}
			})
		}
		for range writers {
			writing.Go(func() {
				for range changes {
					c.add(1)
					nap()
				}
			})
		}
		writing.Wait()
		time.Sleep(time.Hour)
		cancel()
		following.Wait()
		for i, got := range at {
			if got != writers*changes {
				t.Errorf("follower %d is at %d of %d", i, got, writers*changes)
			}
		}
	})
}
