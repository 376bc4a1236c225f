package baton

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneAtATime: each one waits for its turn, and all have it.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := New(), time.Now()
		turns := 0 // unguarded but by the baton: the race detector looks on
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := b.Take(t.Context()); err != nil {
					t.Error(err)
					return
				}
				defer b.Give()
				time.Sleep(time.Second)
				turns++
			})
		}
		all.Wait()
		if d := time.Since(began); turns != 10 || d != 10*time.Second {
			t.Fatalf("%d turns in %s", turns, d)
		}
	})
}

// TestGivingUp: who stops waiting has not got the baton, and takes it from nobody.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		if err := b.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		b.Give()
		if err := b.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
