package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// lived returns a world whose story is over and whose store is closed.
func lived(t testing.TB, seed uint64, o Options) *world {
	t.Helper()
	w := newWorld(seed, newFaultDisk(seed), o)
	if err := w.story(); err != nil {
		t.Fatal(err)
	}
	return w
}

// honest opens the store on a disk that has lost or changed something. It may
// refuse, say that a thing cannot be read, or have an earlier state, but what it
// returns must be right.
func (w *world) honest(d *faultDisk) error {
	s, err := open(d, w.o)
	if err != nil {
		return local(err)
	}
	defer func() { go s.Close() }()
	want := coinSet{}
	if tip := s.CoinsTip(); tip != (types.Index{}) {
		if w.blocks[tip.Hash] == nil || w.blocks[tip.Hash].at != tip || !w.tips[tip] {
			return fmt.Errorf("WRONG: the coins are of %s, which was never flushed", tip)
		}
		want = w.blocks[tip.Hash].coins
	}
	got := coinSet{}
	err = forEachCoin(s, func(name types.OutPoint, coin *types.Coin) error {
		got[name] = *coin
		return nil
	})
	if err == nil && !maps.Equal(got, want) {
		return fmt.Errorf("WRONG: %d coins, want %d, or they differ", len(got), len(want))
	}
	return errors.Join(local(err), w.honestFetch(s, want), w.honestBodies(s))
}

func (w *world) honestFetch(s *Store, want coinSet) error {
	var names []types.OutPoint
	for _, b := range w.blocks {
		for _, e := range b.update.Created {
			names = append(names, e.OutPoint)
		}
	}
	for part := range slices.Chunk(names, 16) {
		coins := make([]consensus.FetchedCoin, len(part))
		if err := s.FetchCoins(part, coins); err != nil {
			return local(err)
		}
		for i, name := range part {
			if coin, ok := want[name]; ok != coins[i].Found || coin != coins[i].Coin {
				return fmt.Errorf("WRONG: coin %s: found %v, want %v", name, coins[i].Found, ok)
			}
		}
	}
	return nil
}

func (w *world) honestBodies(s *Store) error {
	return local(s.Headers(func(r header.Record) error {
		b := w.blocks[r.Hash]
		if b == nil || r != b.record(r.Status) {
			return fmt.Errorf("WRONG: header record %v", r)
		}
		if !r.Status.Has(header.StatusBody | header.StatusUndo) {
			return nil
		}
		raw, err := s.ReadBlock(r.Hash)
		if err == nil && !bytes.Equal(raw, b.raw) {
			return fmt.Errorf("WRONG: body of %s", b.at)
		}
		undo, undoErr := s.ReadUndo(r.Hash)
		if undoErr == nil && !slices.Equal(undo, b.update.SpentCoins()) {
			return fmt.Errorf("WRONG: undo data of %s", b.at)
		}
		return errors.Join(local(err), local(undoErr))
	}))
}

// local passes nothing but the errors that must not be: those that are no
// ErrLocal, or of a test.
func local(err error) error {
	if err != nil && (!errors.Is(err, consensus.ErrLocal) || strings.Contains(err.Error(), "WRONG")) {
		return fmt.Errorf("WRONG error: %w", err)
	}
	return nil
}

// TestFlippedBits flips bits all over the files of a closed store.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	w := lived(t, 5, storyOptions())
	type flip struct {
		name string
		at   int
	}
	var flips []flip
	every := 41
	if long() {
		every = 1
	}
	for name, f := range w.disk.files {
		for at := len(name) % every; at < len(f.data); at += every {
			flips = append(flips, flip{name, at})
		}
	}
	inParallel(t, len(flips), func(i int) error {
		d := w.disk.reboot(crashDrop, 1)
		f := d.files[flips[i].name]
		f.data[flips[i].at] ^= 1 << (i % 8)
		if err := w.honest(d); err != nil {
			return fmt.Errorf("%s at %d: %w", flips[i].name, flips[i].at, err)
		}
		return nil
	})
	t.Logf("%d bits flipped in %d files", len(flips), len(w.disk.files))
}

// TestDamagedSegment flips each bit of a segment file. The reads of its blocks
// must name the file and the byte where the record begins, and no other read may
// fail.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	w := newWorld(1, newFaultDisk(1), smallOptions())
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := w.extend(3, 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blocks-00000.seg", "undo-00000.seg"} {
		f := w.disk.files[name]
		for bit := range len(f.data) * 8 {
			if bit%5 != 0 && !long() {
				continue
			}
			f.data[bit/8] ^= 1 << (bit % 8)
			failed := 0
			for hash := range w.blocks {
				_, err := w.store.ReadBlock(hash)
				if name != "blocks-00000.seg" {
					_, err = w.store.ReadUndo(hash)
				}
				if err != nil {
					failed++
					if !errors.Is(err, consensus.ErrLocal) || !strings.Contains(err.Error(), "/fault/"+name) || !strings.Contains(err.Error(), "at byte") {
						t.Fatalf("bit %d of %s: %v", bit, name, err)
					}
				}
			}
			if failed != 1 {
				t.Fatalf("bit %d of %s: %d blocks cannot be read", bit, name, failed)
			}
			f.data[bit/8] ^= 1 << (bit % 8)
		}
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLyingDisk cuts the power of a disk on which a sync does nothing. No store
// can survive that; it must not return anything wrong.
func TestLyingDisk(t *testing.T) {
	t.Parallel()
	const seed = 9
	n := operations(t, seed)
	step := 4
	if long() {
		step = 1
	}
	inParallel(t, n/step, func(i int) error {
		d := newFaultDisk(seed)
		d.cut, d.lying = (i+1)*step, true
		w := newWorld(seed, d, storyOptions())
		if err := w.story(); err != nil {
			if err := w.stopped(err); err != nil {
				return err
			}
		}
		return w.honest(d.reboot(crashMode(i%int(crashModes)), uint64(i)))
	})
	t.Logf("%d power cuts", n/step)
}

// TestFailingReads fails each read of the story once.
func TestFailingReads(t *testing.T) {
	t.Parallel()
	const seed = 4
	d := newFaultDisk(seed)
	if err := newWorld(seed, d, storyOptions()).story(); err != nil {
		t.Fatal(err)
	}
	inParallel(t, d.reads, func(i int) error {
		d := newFaultDisk(seed)
		d.readFail = i + 1
		w := newWorld(seed, d, storyOptions())
		if err := w.story(); err != nil {
			if err := w.stopped(err); err != nil {
				return fmt.Errorf("read %d: %w", i+1, err)
			}
		}
		return w.recover(d.reboot(crashMode(i%int(crashModes)), uint64(i)))
	})
	t.Logf("%d reads, each failing once", d.reads)
}

// TestFullDisk fills the disk up. The store stops before anything is written,
// says how much it needs, closes cleanly, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	w := newWorld(1, newFaultDisk(1), smallOptions())
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	if err := w.extend(1, 5); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if err := w.extend(1, 5); err != nil {
		t.Fatal(err)
	}
	w.disk.space = 70 << 20
	ops := w.disk.ops
	err := w.flush()
	const want = "disk full: 70 MiB free in /fault/, need 72 MiB; make room and start again"
	if !errors.Is(err, consensus.ErrLocal) || !strings.Contains(fmt.Sprint(err), want) {
		t.Fatalf("flush on a full disk: %v", err)
	}
	if w.disk.ops != ops {
		t.Errorf("%d operations on a full disk", w.disk.ops-ops)
	}
	if again := w.store.Close(); again == nil || again.Error() != err.Error() {
		t.Errorf("close on a full disk: %v", again)
	}
	if err := w.open(); !errors.Is(err, nil) {
		t.Fatalf("open on a full disk: %v", err)
	}
	if err := w.resume(); err != nil {
		t.Fatal(err)
	}
	if err := w.extend(1, 5); !strings.Contains(fmt.Sprint(err), "disk full") {
		t.Fatalf("write on a full disk: %v", err)
	}
	_ = w.store.Close() // says the same again
	w.disk.space = 1 << 40
	if err := w.recover(w.disk); err != nil {
		t.Fatal(err)
	}
}
