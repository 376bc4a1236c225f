package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/karatcoin/karat/chain/types"
)

// TestLostStep damages single steps in LevelDB's journal. goleveldb passes over
// the damaged part and goes on behind it, as if the step had never been; the
// store must notice unless it was the last one, without which the database is
// as it was before.
func TestLostStep(t *testing.T) {
	d := newFaultDisk(1)
	w := newWorld(1, d, Options{NetworkName: "test", Network: types.Hash{1}})
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	journal := func(d *faultDisk) []byte {
		for name, f := range d.files {
			if strings.HasSuffix(name, "journal") {
				return f.data
			}
		}
		t.Fatal("no journal")
		return nil
	}
	ends := []int{len(journal(d))}
	var before types.Index
	for range 8 {
		// A step is larger than two blocks of the journal, so that damage in its
		// middle takes no other step with it.
		for range 5 {
			if err := w.extend(5, 800); err != nil {
				t.Fatal(err)
			}
		}
		before = w.store.CoinsTip()
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if ends = append(ends, len(journal(d))); ends[len(ends)-1]-ends[len(ends)-2] < 3*32<<10 {
			t.Fatal("a step is too small for this test")
		}
	}
	tip := w.store.CoinsTip()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range len(ends) - 1 {
		spoiled := d.reboot(crashDrop, 1)
		journal(spoiled)[(ends[i]+ends[i+1])/2] ^= 1
		s, err := open(spoiled, w.o)
		if last := i == len(ends)-2; last {
			if err != nil || s.CoinsTip() != before || before == tip {
				t.Fatalf("the last step is damaged: %v", err)
			}
			closeStore(t, s)
		} else {
			expectLocal(t, err, "has lost what was written", databaseDir)
		}
	}
}

// TestJournalIsSyncedWhenClosed: what was written to a journal without a sync is
// durable once it is closed, and its name with it. Every step is synced, so the
// store does not depend on that; LevelDB's own order does.
func TestJournalIsSyncedWhenClosed(t *testing.T) {
	d := newFaultDisk(1)
	files, err := d.database()
	if err != nil {
		t.Fatal(err)
	}
	guarded := newGuardedStorage(files, d)
	fd := storage.FileDesc{Type: storage.TypeJournal, Num: 3}
	w, err := guarded.Create(fd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("unsynced")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		if f := d.reboot(crashDrop, seed).files[indexName(fd)]; f == nil || string(f.data) != "unsynced" {
			t.Fatalf("after the power cut there is %v", f)
		}
	}
}

// TestFailureEndsCommit: the store tells of a failed disk, though LevelDB waits for
// it without end.
func TestFailureEndsCommit(t *testing.T) {
	d := newFaultDisk(1)
	w := newWorld(1, d, smallOptions())
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	c, err := w.store.newChanges(w.store.batchSize + 1)
	if err != nil || c.tx == nil {
		t.Fatalf("no transaction: %v", err)
	}
	c.put([]byte("key"), nil)
	d.mu.Lock() // no operation ends from now on
	defer d.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- w.store.commit(c) }()
	time.Sleep(50 * time.Millisecond) // until LevelDB waits
	if err := w.store.files.write(func() error { return errPower }); err == nil {
		t.Fatal("the write did not fail")
	}
	select {
	case err := <-done:
		if !errors.Is(err, errPower) {
			t.Errorf("commit: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("commit waits for a disk that has failed")
	}
}
