package index

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// lived returns a world whose index has followed block by block and is closed:
// all in the journal, or all in tables.
func lived(t testing.TB, seed uint64, tables bool) *world {
	t.Helper()
	w := newWorld(t, seed)
	x := w.open(w.chain, both)
	for range 25 {
		w.growBy(1)
		w.catchUp(x)
	}
	w.fork(3, 1)
	w.catchUp(x)
	for _, x := range x.all {
		if err := x.db.CompactRange(util.Range{}); tables && err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// expectHonest opens a damaged index. Until it has caught up it may say that it
// is behind or damaged, but what it says must be right; then all must be right,
// at the latest after a query has met the damage.
func (w *world) expectHonest() {
	w.t.Helper()
	x := w.open(w.chain, both)
	defer x.Close()
	for range 2 {
		w.catchUp(x)
		for _, b := range w.all {
			_, _, _ = x.Filter(b.Hash)
			for _, txid := range b.TxIDs {
				_, _ = x.FindTx(txid)
			}
		}
		forgive(x)
	}
	w.catchUp(x)
	w.expect(x)
}

// TestDamagedFiles changes a byte anywhere in any file.
func TestDamagedFiles(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	for _, tables := range []bool{false, true} {
		w := lived(t, 20, tables)
		saved := filepath.Join(t.TempDir(), "saved")
		w.copyTo(saved)
		r := rand.New(rand.NewPCG(21, 22))
		for range rounds {
			w.dir = filepath.Join(t.TempDir(), "damaged")
			if err := os.CopyFS(w.dir, os.DirFS(saved)); err != nil {
				t.Fatal(err)
			}
			names := files(t, w.dir)
			name := names[r.IntN(len(names))]
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[r.IntN(len(data))] ^= 1 << r.IntN(8)
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			w.expectHonest()
		}
	}
}

// TestGapInJournal: LevelDB passes over a damaged write in silence and takes the
// next one. That must not be taken for a whole index.
func TestGapInJournal(t *testing.T) {
	w := newWorld(t, 23)
	x := w.open(w.chain, both)
	w.catchUp(x)
	for range 120 { // LevelDB passes over blocks of 32 KiB
		w.growBy(1)
		w.catchUp(x)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	w.copyTo(saved)
	for i, b := range w.all {
		if i%12 > 1 {
			continue
		}
		w.dir = filepath.Join(t.TempDir(), "gap")
		if err := os.CopyFS(w.dir, os.DirFS(saved)); err != nil {
			t.Fatal(err)
		}
		hit := false
		for _, name := range files(t, w.dir) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if i := bytes.Index(data, append([]byte{keyFilter}, b.Hash[:]...)); i >= 0 && strings.HasSuffix(name, ".log") {
				data[i+10] ^= 1
				hit = true
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !hit {
			t.Fatalf("block %d is in no journal", b.Height)
		}
		x := w.open(w.chain, both)
		w.catchUp(x)
		w.expect(x)
		x.Close()
	}
}

// TestTornWrites cuts the journal at any place, as a power cut does.
func TestTornWrites(t *testing.T) {
	w := lived(t, 24, false)
	saved := filepath.Join(t.TempDir(), "saved")
	w.copyTo(saved)
	r := rand.New(rand.NewPCG(25, 26))
	for range 30 {
		w.dir = filepath.Join(t.TempDir(), "torn")
		if err := os.CopyFS(w.dir, os.DirFS(saved)); err != nil {
			t.Fatal(err)
		}
		for _, name := range files(t, w.dir) {
			if info, err := os.Stat(name); err != nil {
				t.Fatal(err)
			} else if strings.HasSuffix(name, ".log") {
				if err := os.Truncate(name, r.Int64N(info.Size())); err != nil {
					t.Fatal(err)
				}
			}
		}
		var log bytes.Buffer
		o := both
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		x := w.open(w.chain, o)
		w.catchUp(x)
		w.expect(x)
		if log.Len() > 0 {
			t.Fatalf("a write that was cut is no damage: %s", log.String())
		}
		x.Close()
	}
}

// TestMissingFile removes each file in turn.
func TestMissingFile(t *testing.T) {
	w := lived(t, 27, true)
	saved := filepath.Join(t.TempDir(), "saved")
	w.copyTo(saved)
	for i := range files(t, saved) {
		w.dir = filepath.Join(t.TempDir(), "without")
		if err := os.CopyFS(w.dir, os.DirFS(saved)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(files(t, w.dir)[i]); err != nil {
			t.Fatal(err)
		}
		w.expectHonest()
	}
}

// TestFolderInUse: a folder that another process has open is not removed.
func TestFolderInUse(t *testing.T) {
	w := newWorld(t, 28)
	w.growBy(5)
	x := w.open(w.chain, both)
	w.catchUp(x)
	if err := problem(Open(w.dir, w.chain, both)); err == nil || !strings.Contains(err.Error(), w.dir) {
		t.Fatalf("opened twice: %v", err)
	}
	w.growBy(5)
	w.catchUp(x)
	w.expect(x)
	x.Close()
	x = w.open(w.chain, both)
	w.expect(x)
}

// TestFolderIsFile: what is no index at all is not removed either.
func TestFolderIsFile(t *testing.T) {
	w := newWorld(t, 29)
	if err := os.WriteFile(w.dir, []byte("a letter"), 0o600); err != nil {
		t.Fatal(err)
	}
	if problem(Open(w.dir, w.chain, both)) == nil {
		t.Fatal("a file was opened as an index")
	}
	if data, err := os.ReadFile(w.dir); err != nil || string(data) != "a letter" {
		t.Fatalf("the file is gone: %v", err)
	}
}

// TestDamageOnPrunedChain: what cannot be mended is said, and not removed.
func TestDamageOnPrunedChain(t *testing.T) {
	w := lived(t, 30, true)
	for _, name := range files(t, w.dir) {
		if strings.HasSuffix(name, ".ldb") {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := len(files(t, w.dir))
	err := problem(Open(w.dir, &pruned{w.chain, 10}, both))
	if err == nil || !strings.Contains(err.Error(), "pruned") {
		t.Fatalf("%v", err)
	}
	if after := len(files(t, w.dir)); after < before {
		t.Fatalf("%d files of %d are left", after, before)
	}
}

// TestCloseLeavesNothing: no goroutine outlives Close.
func TestCloseLeavesNothing(t *testing.T) {
	w := newWorld(t, 31)
	w.growBy(5)
	before := runtime.NumGoroutine()
	for range 5 {
		x := w.open(w.chain, both)
		w.catchUp(x)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// LevelDB's goroutines that Close does not wait for end within seconds, or later on a machine that has other things to do.
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// heavy is a chain of blocks that seem to have a megabyte.
type heavy struct {
	Chain
	most int
}

func (h *heavy) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	reverted, applied, err = h.Chain.UpdatesSince(since, limit)
	h.most = max(h.most, len(reverted)+len(applied))
	for i := range applied {
		block := *applied[i].Block
		block.Raw = make([]byte, 4<<20)
		applied[i].Block = &block
	}
	return reverted, applied, err
}

// TestLargeBlocks: few large blocks are in memory at once, many small ones.
func TestLargeBlocks(t *testing.T) {
	w := newWorld(t, 32)
	w.growBy(40)
	c := &heavy{Chain: w.chain}
	x := w.open(c, both)
	w.catchUp(x)
	w.expect(x)
	if c.most > 4 {
		t.Fatalf("%d blocks of 4 MiB at once", c.most)
	}
	if got := nextLimit(64, 9<<20, 0); got != 32 {
		t.Fatalf("after 64 large blocks %d are asked for", got)
	}
	limit := 1
	for range 20 {
		limit = nextLimit(limit, 1000, 0)
	}
	if limit != batchBlocks || nextLimit(1, 1<<30, 0) != 1 {
		t.Fatalf("a limit of %d small blocks", limit)
	}
}
