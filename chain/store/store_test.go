package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnknownFiles: what is not ours stays; a segment file that the database
// does not name goes.
func TestUnknownFiles(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 10)
	closeStore(t, s)
	for _, name := range []string{"notes.txt", "blocks-1.seg", "blocks-00077.seg", "undo-00077.seg"} {
		must(t, os.WriteFile(filepath.Join(dir, blocksDir, name), []byte("x"), 0o600))
	}
	closeStore(t, openDir(t, dir, diskOptions()))
	for name, stays := range map[string]bool{"notes.txt": true, "blocks-1.seg": true, "blocks-00077.seg": false, "undo-00077.seg": false} {
		if _, err := os.Stat(filepath.Join(dir, blocksDir, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTornTail: what a crash has left behind the last record that the database
// names is not in the way.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 10)
	closeStore(t, s)
	name := filepath.Join(dir, blocksDir, "blocks-00002.seg")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.Write(bytes.Repeat([]byte{0xee}, 700))
	must(t, errors.Join(err, f.Close()))
	s = openDir(t, dir, diskOptions())
	must(t, s.WriteBlock(tipAt(10), []byte("next")))
	must(t, s.SaveHeaders(nil))
	closeStore(t, s)
	data, err := os.ReadFile(name)
	must(t, err)
	for seen := 0; len(data) > 0; seen++ {
		_, _, _, size, err := parseRecord(data)
		if err != nil {
			t.Fatalf("record %d of the file: %v", seen, err)
		}
		data = data[size:]
	}
}

// TestInconsistentUpdates: an update that does not fit the coins is a fault that
// stops the store and says which coin and why.
func TestInconsistentUpdates(t *testing.T) {
	have, other, never := coinAt(1), coinAt(2), coinAt(3)
	changed := consensus.CoinEntry{OutPoint: have.OutPoint, Coin: other.Coin}
	for _, flushed := range []bool{false, true} {
		for what, test := range map[string]struct {
			update consensus.Update
			says   string
		}{
			"spend what never was":    {consensus.Update{Spent: []consensus.CoinEntry{never}}, never.OutPoint.String() + " is to be removed, and is not in the set"},
			"spend twice":             {consensus.Update{Spent: []consensus.CoinEntry{have, have}}, have.OutPoint.String() + " is to be removed, and "},
			"spend what was spent":    {consensus.Update{Spent: []consensus.CoinEntry{other}}, other.OutPoint.String() + " is to be removed, and "},
			"spend another coin":      {consensus.Update{Spent: []consensus.CoinEntry{changed}}, have.OutPoint.String() + " is to be removed, and differs"},
			"make what there is":      {consensus.Update{Created: []consensus.CoinEntry{have}}, have.OutPoint.String() + " is to be added, and is in the set already"},
			"make the same one twice": {consensus.Update{Created: []consensus.CoinEntry{never, never}}, never.OutPoint.String() + " is to be added, and is in the set already"},
		} {
			w := newWorld(1, newFaultDisk(1), smallOptions())
			must(t, w.open())
			must(t, w.store.ApplyUpdate(&consensus.Update{Created: []consensus.CoinEntry{have, other}}))
			if flushed {
				must(t, w.store.Flush(nil, tipAt(1)))
			}
			must(t, w.store.ApplyUpdate(&consensus.Update{Spent: []consensus.CoinEntry{other}}))
			test.update.Block = tipAt(77)
			err := w.store.ApplyUpdate(&test.update)
			expectLocal(t, err, tipAt(77).String(), test.says)
			must(t, w.stopped(err))
			w.store = nil
			w.disk.mu.Lock()
			locked := w.disk.locked
			w.disk.mu.Unlock()
			if locked {
				t.Errorf("%s: the directory is locked after Close, though nothing was written", what)
			}
		}
	}
}

// TestFileBroughtBack: while a file is missing, blocks go to another, so that all
// can be read when it is back.
func TestFileBroughtBack(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 10)
	closeStore(t, s)
	name := filepath.Join(dir, blocksDir, "blocks-00002.seg")
	must(t, os.Rename(name, name+".away"))
	s = openDir(t, dir, diskOptions())
	writeBlocks(t, s, 10, 20)
	closeStore(t, s)
	must(t, os.Rename(name+".away", name))
	s = openDir(t, dir, diskOptions())
	for height := range uint32(20) {
		if err := checkBlock(t, s, height); err != nil {
			t.Errorf("block %d: %v", height, err)
		}
	}
	closeStore(t, s)
}

// TestPruneUnsaved prunes blocks that no step has saved yet: nothing may be left
// of them.
func TestPruneUnsaved(t *testing.T) {
	o := smallOptions()
	o.SegmentSize, o.PruneBytes = 1500, 1
	d := newFaultDisk(1)
	s, err := open(d, o)
	must(t, err)
	for n := range uint32(12) {
		must(t, s.WriteBlock(tipAt(n), make([]byte, 300)))
		must(t, s.WriteUndo(tipAt(n), nil))
	}
	gone, err := s.Prune(100, false)
	must(t, err)
	if len(gone) == 0 || len(gone) == 12 {
		t.Fatalf("%d of 12 blocks were pruned; the last file stays", len(gone))
	}
	for range 2 {
		left := 0
		must(t, s.eachLocation(keyBlock, func(types.Hash, location) { left++ }))
		if left != 12-len(gone) {
			t.Errorf("%d locations are left of %d blocks", left, 12-len(gone))
		}
		for _, hash := range gone {
			if _, err := s.ReadBlock(hash); !errors.Is(err, consensus.ErrNotFound) {
				t.Errorf("pruned block: %v", err)
			}
		}
		closeStore(t, s)
		s, err = open(d, o)
		must(t, err)
	}
	closeStore(t, s)
}

// TestWrongLocation: a location that leads to a sound record of another block is not
// believed.
func TestWrongLocation(t *testing.T) {
	s, err := open(newFaultDisk(1), smallOptions())
	must(t, err)
	must(t, s.WriteBlock(tipAt(1), []byte("one")))
	must(t, s.WriteBlock(tipAt(2), []byte("two")))
	must(t, s.SaveHeaders(nil))
	one, err := s.db.Get(hashKey(keyBlock, tipAt(1).Hash), nil)
	must(t, err)
	must(t, s.db.Put(hashKey(keyBlock, tipAt(2).Hash), one, nil))
	_, err = s.ReadBlock(tipAt(2).Hash)
	expectLocal(t, err, "blocks-00000.seg", "at byte 0", "is of block "+tipAt(1).String())
	closeStore(t, s)
}

// TestRoom: what is about to be written counts.
func TestRoom(t *testing.T) {
	d := newFaultDisk(1)
	s, err := open(d, smallOptions())
	must(t, err)
	d.space = 200 << 20
	must(t, s.room(60<<20))
	expectLocal(t, s.room(70<<20), "disk full: 200 MiB free", "need 212 MiB")
}

// TestReadBlockPart: every part of a body is read as it is, none beyond its end is, and a
// missing block is told apart from a damaged file.
func TestReadBlockPart(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 10)
	for _, saved := range []bool{false, true} {
		for i := range uint32(10) {
			record, _ := blockAt(i)
			hash := record.Hash
			whole, err := s.ReadBlock(hash)
			must(t, err)
			for _, at := range [][2]uint32{{0, uint32(len(whole))}, {0, 1}, {1, 2}, {uint32(len(whole)) - 1, 1}, {uint32(len(whole)), 0}} {
				part, err := s.ReadBlockPart(hash, at[0], at[1])
				if want := whole[at[0]:][:at[1]]; err != nil || !bytes.Equal(part, want) {
					t.Fatalf("saved %v, block %d, %d bytes from %d on: %x %v, want %x", saved, i, at[1], at[0], part, err, want)
				}
			}
			for _, at := range [][2]uint32{{0, uint32(len(whole)) + 1}, {uint32(len(whole)), 1}, {1 << 31, 1}, {1, 1<<32 - 1}} {
				if _, err := s.ReadBlockPart(hash, at[0], at[1]); !errors.Is(err, consensus.ErrLocal) {
					t.Errorf("%d bytes from %d on: %v", at[1], at[0], err)
				}
			}
		}
		must(t, s.SaveHeaders(nil))
	}
	if _, err := s.ReadBlockPart(types.Hash{1}, 0, 1); !errors.Is(err, consensus.ErrNotFound) {
		t.Errorf("no such block: %v", err)
	}
	must(t, os.Remove(filepath.Join(dir, blocksDir, "blocks-00000.seg")))
	first, _ := blockAt(0)
	if _, err := s.ReadBlockPart(first.Hash, 0, 1); !errors.Is(err, consensus.ErrLocal) || errors.Is(err, consensus.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	closeStore(t, s)
}

// TestPruneAll: what is asked for goes whatever the budget is, but for the last file.
func TestPruneAll(t *testing.T) {
	for _, budget := range []int64{0, 1 << 40} {
		o := smallOptions()
		o.SegmentSize, o.PruneBytes = 1500, budget
		s, err := open(newFaultDisk(1), o)
		must(t, err)
		for n := range uint32(12) {
			must(t, s.WriteBlock(tipAt(n), make([]byte, 300)))
			must(t, s.WriteUndo(tipAt(n), nil))
		}
		gone, err := s.Prune(100, false)
		must(t, err)
		if len(gone) != 0 {
			t.Errorf("%d blocks went by themselves", len(gone))
		}
		before := s.SizeOnDisk()
		gone, err = s.Prune(100, true)
		must(t, err)
		if len(gone) == 0 || len(gone) == 12 || s.SizeOnDisk() >= before {
			t.Errorf("%d of 12 blocks were pruned, %d bytes are left of %d", len(gone), s.SizeOnDisk(), before)
		}
		closeStore(t, s)
	}
}
