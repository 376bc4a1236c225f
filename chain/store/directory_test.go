package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/types"
)

// The tests of this file run on the real file system.

func diskOptions() Options {
	return Options{Network: types.Hash{0xaa, 0xbb}, NetworkName: "alpha", CacheBytes: 8 << 20, SegmentSize: 4000}
}

// blockAt makes the block of a height: its place in the chain and its body.
func blockAt(height uint32) (header.Record, []byte) {
	r := header.Record{
		Header: types.Header{Nonce: height}, Height: height, TxCount: 1, Status: header.StatusBody | header.StatusUndo,
	}
	r.Hash = r.Header.Hash()
	return r, bytes.Repeat([]byte{byte(height)}, 900+int(height))
}

func undoAt(height uint32) []types.Coin {
	return []types.Coin{coinEntry(uint64(height)).Coin, coinEntry(uint64(height) + 1).Coin}
}

// writeBlocks writes blocks of heights from first to before end, and flushes.
func writeBlocks(t testing.TB, s *Store, first, end uint32) {
	t.Helper()
	var records []header.Record
	var tip types.Index
	for height := first; height < end; height++ {
		r, raw := blockAt(height)
		tip = types.Index{Height: height, Hash: r.Hash}
		if err := errors.Join(s.WriteBlock(tip, raw), s.WriteUndo(tip, undoAt(height))); err != nil {
			t.Fatal(err)
		}
		created := consensus.Update{Block: tip, Created: []consensus.CoinEntry{coinEntry(1000 + uint64(height))}}
		if err := s.ApplyUpdate(&created); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if err := s.Flush(records, tip); err != nil {
		t.Fatal(err)
	}
}

// checkBlock reads a block back and returns the error, if that is one.
func checkBlock(t testing.TB, s *Store, height uint32) error {
	t.Helper()
	r, want := blockAt(height)
	raw, err := s.ReadBlock(r.Hash)
	coins, undoErr := s.ReadUndo(r.Hash)
	if err == nil && !bytes.Equal(raw, want) || undoErr == nil && !slices.Equal(coins, undoAt(height)) {
		t.Errorf("block %d is not what was written", height)
	}
	return errors.Join(err, undoErr)
}

func openDir(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// expectLocal checks that an error is an ErrLocal with all the words.
func expectLocal(t testing.TB, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, consensus.ErrLocal) {
		t.Fatalf("not an ErrLocal: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not have %q: %v", word, err)
		}
	}
}

func segmentFiles(t testing.TB, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, blocksDir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDirectoryIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openDir(t, dir, diskOptions())
	_, err := Open(dir, diskOptions())
	expectLocal(t, err, dir, "in use")
	closeStore(t, s)
	closeStore(t, openDir(t, dir, diskOptions()))
}

func TestDirectoryOfAnotherNetwork(t *testing.T) {
	dir := t.TempDir()
	closeStore(t, openDir(t, dir, diskOptions()))
	other := diskOptions()
	other.Network, other.NetworkName = types.Hash{1}, "beta"
	_, err := Open(dir, other)
	expectLocal(t, err, dir, `"alpha"`, `"beta"`)
	closeStore(t, openDir(t, dir, diskOptions())) // and nothing was changed or left locked
}

func TestDirectoryOfAnotherSchema(t *testing.T) {
	dir := t.TempDir()
	closeStore(t, openDir(t, dir, diskOptions()))
	db, err := leveldb.OpenFile(filepath.Join(dir, databaseDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := appendMeta(nil, diskOptions().Network, "alpha")
	meta[0] = schemaVersion + 1
	if err := errors.Join(db.Put(appendKey(nil, keyMeta), meta, nil), db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, diskOptions())
	expectLocal(t, err, dir, fmt.Sprintf("format %d", schemaVersion+1), fmt.Sprintf("format %d", schemaVersion))
}

// TestDirectoryWithoutIndex: block files whose database is gone are not thrown
// away.
func TestDirectoryWithoutIndex(t *testing.T) {
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 10)
	closeStore(t, s)
	before := segmentFiles(t, dir, "*.seg")
	if err := os.RemoveAll(filepath.Join(dir, databaseDir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := Open(dir, diskOptions())
		expectLocal(t, err, filepath.Join(dir, databaseDir), filepath.Join(dir, blocksDir))
	}
	if after := segmentFiles(t, dir, "*.seg"); !slices.Equal(before, after) || len(after) == 0 {
		t.Errorf("files %v became %v", before, after)
	}
}

// TestFirstStartCutOff: a process that was killed while it made the database
// leaves pieces of it.
func TestFirstStartCutOff(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"an empty manifest":         {"MANIFEST-000000": ""},
		"a manifest and no pointer": {"MANIFEST-000000": "\x01\x02"},
		"an empty pointer":          {"MANIFEST-000000": "\x01\x02", "CURRENT.0": ""},
		"an empty pointer alone":    {"CURRENT.0": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, databaseDir), 0o700); err != nil {
				t.Fatal(err)
			}
			for file, content := range files {
				if err := os.WriteFile(filepath.Join(dir, databaseDir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := openDir(t, dir, diskOptions())
			writeBlocks(t, s, 0, 3)
			closeStore(t, s)
			s = openDir(t, dir, diskOptions())
			if err := checkBlock(t, s, 2); err != nil {
				t.Error(err)
			}
			closeStore(t, s)
		})
	}
}

// TestPruneRemovesFiles prunes, and puts the removed files back as a crash
// between forgetting and removing leaves them.
func TestPruneRemovesFiles(t *testing.T) {
	dir, o := t.TempDir(), diskOptions()
	o.PruneBytes = 12_000
	s := openDir(t, dir, o)
	writeBlocks(t, s, 0, 40)
	before := map[string][]byte{}
	for _, name := range segmentFiles(t, dir, "*.seg") {
		before[name], _ = os.ReadFile(name)
	}
	if pruned, err := s.Prune(0, false); err != nil || len(pruned) != 0 {
		t.Fatalf("below 0: %d blocks, %v", len(pruned), err)
	}
	if pruned, err := s.Prune(3, true); err != nil || len(pruned) != 0 { // the first file has more
		t.Fatalf("all below 3: %d blocks, %v", len(pruned), err)
	}
	pruned, err := s.Prune(30, false)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for height := range uint32(40) {
			r, _ := blockAt(height)
			err := checkBlock(t, s, height)
			if gone := slices.Contains(pruned, r.Hash); gone != errors.Is(err, consensus.ErrNotFound) || !gone && err != nil || gone && height >= 30 {
				t.Errorf("block %d, pruned %v: %v", height, gone, err)
			}
		}
		err := s.Headers(func(r header.Record) error {
			if r.Status.Has(header.StatusBody) == slices.Contains(pruned, r.Hash) {
				t.Errorf("block %d has status %d", r.Height, r.Status)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	check()
	left := segmentFiles(t, dir, "*.seg")
	if len(pruned) < 20 || len(left) >= len(before) {
		t.Errorf("%d blocks pruned, %d files became %d", len(pruned), len(before), len(left))
	}
	closeStore(t, s)
	for name, content := range before {
		if !slices.Contains(left, name) {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s = openDir(t, dir, o)
	if again := segmentFiles(t, dir, "*.seg"); !slices.Equal(again, left) {
		t.Errorf("after the restart there are %v, want %v", again, left)
	}
	check()
	closeStore(t, s)
}

// TestMissingSegmentFile: the store opens, the blocks of the file cannot be
// read, all others can, and new ones can be written.
func TestMissingSegmentFile(t *testing.T) {
	for _, spoil := range []func(string) error{os.Remove, func(name string) error { return os.Truncate(name, 100) }} {
		for _, which := range []int{0, 1, -1} {
			dir := t.TempDir()
			s := openDir(t, dir, diskOptions())
			writeBlocks(t, s, 0, 18) // the last file has room for more
			closeStore(t, s)
			files := segmentFiles(t, dir, "blocks-*.seg")
			name := files[(which+len(files))%len(files)]
			if err := spoil(name); err != nil {
				t.Fatal(err)
			}
			s = openDir(t, dir, diskOptions())
			writeBlocks(t, s, 18, 30)
			closeStore(t, s)
			if info, err := os.Stat(name); err == nil && info.Size() != 100 {
				t.Errorf("%s was spoiled and then written to", name)
			}
			s = openDir(t, dir, diskOptions())
			lost := 0
			for height := range uint32(30) {
				if err := checkBlock(t, s, height); err != nil {
					expectLocal(t, err, name)
					lost++
				}
			}
			if lost == 0 || lost > 5 {
				t.Errorf("%s is spoiled: %d blocks cannot be read", name, lost)
			}
			closeStore(t, s)
		}
	}
}

// TestReadWhileWriting reads bodies from many goroutines while others are
// written, saved and pruned. Its worth is in the race detector.
func TestReadWhileWriting(t *testing.T) {
	dir, o := t.TempDir(), diskOptions()
	o.PruneBytes = 20_000
	s := openDir(t, dir, o)
	writeBlocks(t, s, 0, 10)
	done := make(chan struct{})
	var wg sync.WaitGroup
	var found, gone [3]int
	for reader := range 3 {
		wg.Go(func() {
			for height := uint32(reader); ; height = (height + 3) % 150 {
				select {
				case <-done:
					return
				default:
				}
				switch err := checkBlock(t, s, height); {
				case err == nil:
					found[reader]++
				case errors.Is(err, consensus.ErrNotFound) && !errors.Is(err, consensus.ErrLocal):
					gone[reader]++
				default:
					t.Errorf("block %d: %v", height, err)
				}
			}
		})
	}
	for height := uint32(10); height < 150; height += 10 {
		writeBlocks(t, s, height, height+10)
		if _, err := s.Prune(height-5, false); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	closeStore(t, s)
	t.Logf("found %v, not found %v", found, gone)
}

// TestOpenFiles: reading from many segment files leaves none of them open.
func TestOpenFiles(t *testing.T) {
	handles := func() int {
		entries, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	dir := t.TempDir()
	s := openDir(t, dir, diskOptions())
	writeBlocks(t, s, 0, 120)
	before := handles()
	for height := range uint32(120) {
		if err := checkBlock(t, s, height); err != nil {
			t.Fatal(err)
		}
	}
	if after := handles(); after > before+3 {
		t.Errorf("%d segment files: %d open files became %d", len(segmentFiles(t, dir, "*.seg")), before, after)
	}
	closeStore(t, s)
}

// TestEntryBytes measures what coins in the cache really cost, and that the
// cache keeps its budget while coins come and go.
func TestEntryBytes(t *testing.T) {
	if got := unsafe.Sizeof(slot{}) + unsafe.Sizeof(state(0)); got != slotBytes {
		t.Errorf("a slot takes %d bytes, slotBytes is %d", got, slotBytes)
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	const n = 500_000
	before := heap()
	table := newCoinTable(n * 16 / keepLoad)
	for i := range uint64(n) {
		e := coinEntry(i)
		table.set(&e.OutPoint, &e.Coin, stateDirty|stateFresh)
	}
	used := heap() - before
	each := float64(used) / n
	t.Logf("%d coins: %d MiB, %.0f bytes each; %d MiB by its own account", n, used>>20, each, table.bytes()>>20)
	if math.Abs(float64(used-table.bytes())) > 0.02*float64(used) {
		t.Errorf("the table says that it takes %d bytes, it takes %d", table.bytes(), used)
	}
	if each < slotBytes || each > 1.6*slotBytes {
		t.Errorf("a coin takes %.0f bytes, want from %d to %d", each, slotBytes, slotBytes*16/10)
	}
	if budget := table.limit * shardCount * slotBytes; table.bytes() > budget*11/10 {
		t.Errorf("the table takes %d bytes, its budget is %d", table.bytes(), budget)
	}
	runtime.KeepAlive(table)
}
