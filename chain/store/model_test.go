package store

import (
	"os"
	"testing"
)

// long reports that the tests may take minutes.
func long() bool { return os.Getenv("KARAT_LONG") != "" }

// TestAgainstModel plays random lives of a chain and compares every coin that is
// fetched, and everything that is there after each restart, with a naive twin.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	lives, steps := 8, 200
	if long() {
		lives, steps = 400, 1000
	}
	flushes := 0
	for life := range lives {
		o := smallOptions()
		if life%2 == 0 {
			o.PruneBytes = 20000
		}
		if life%3 == 0 {
			o.cacheSlots = 1 << 12
		}
		w := newWorld(uint64(life), newFaultDisk(1), o)
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		if err := w.play(steps); err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if err := w.restart(); err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		flushes += int(w.store.lastStep)
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d lives of %d steps, %d durable steps", lives, steps, flushes)
}
