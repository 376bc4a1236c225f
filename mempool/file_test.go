package mempool

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/chaintest"
)

// fill puts a family of transactions and a loner into the pool.
func (h *harness) fill() []*types.Tx {
	h.t.Helper()
	h.mineEmpty(6)
	coins := h.coins(2)
	a := h.Pay(1000, 2, coins[0])
	b := h.Pay(20, 1, chaintest.Output(a, 0))
	c := h.Pay(9000, 1, chaintest.Output(b, 0), chaintest.Output(a, 1))
	d := h.Sign(h.Pay(500, 1, h.keyCoins(1)[0]))
	h.accept(a, b, c, d)
	return []*types.Tx{a, b, c, d}
}

func TestSaveLoad(t *testing.T) {
	h := newHarness(t, nil)
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if result, err := h.pool.Load(t.Context(), path); err != nil || result != (LoadResult{}) || !h.pool.Info().Loaded {
		t.Fatalf("a file that is not there: %+v %v", result, err)
	}
	h.now = h.now.Add(-time.Hour)
	txs := h.fill()
	came := h.now
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := h.pool.Save(path); err != nil { // over the other
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	h.now = h.now.Add(time.Hour)
	h.pool = h.newPool(nil)
	h.mine(txs[3]) // confirmed while the node was down
	result, err := h.pool.Load(t.Context(), path)
	if err != nil || result != (LoadResult{Accepted: 3, Refused: 1}) {
		t.Fatalf("Load: %+v %v", result, err)
	}
	h.expect(txs[:3]...)
	if got := h.pool.Get(txs[0].TxID()).Time; !got.Equal(came) {
		t.Errorf("it came at %v, not %v", got, came)
	}
	if wtxids, _ := h.pool.Accepted(0, 10); len(wtxids) != 3 {
		t.Errorf("%d are announced", len(wtxids))
	}
	// Two weeks later nothing is worth loading; a clock that went back counts as now.
	h.pool = h.newPool(nil)
	h.now = came.Add(DefaultExpiry + time.Second)
	if result, err = h.pool.Load(t.Context(), path); err != nil || result != (LoadResult{Expired: 4}) {
		t.Errorf("after two weeks: %+v %v", result, err)
	}
	h.now = came.Add(-time.Minute)
	if result, err = h.pool.Load(t.Context(), path); err != nil || result.Accepted != 3 || !h.pool.Get(txs[0].TxID()).Time.Equal(h.now) {
		t.Errorf("before its time: %+v %v", result, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	h := newHarness(t, nil)
	h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	other := *h.params
	other.TargetSpacing++
	foreign := New(Options{Params: &other, Chain: h.chain})
	if _, err := foreign.Load(t.Context(), path); !errors.Is(err, ErrFile) {
		t.Errorf("another network's file: %v", err)
	}
	if err := os.WriteFile(path, []byte("KRM1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.newPool(nil).Load(t.Context(), path); !errors.Is(err, ErrFile) {
		t.Errorf("a short file: %v", err)
	}
	if err := h.pool.Save(filepath.Join(t.TempDir(), "none", "mempool.dat")); !errors.Is(err, consensus.ErrLocal) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestLoadEndsWithTheContext(t *testing.T) {
	h := newHarness(t, nil)
	h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pool := h.newPool(nil)
	if _, err := pool.Load(ctx, path); !errors.Is(err, context.Canceled) || pool.Info().Loaded {
		t.Errorf("Load: %v, loaded %t", err, pool.Info().Loaded)
	}
}

// Whatever a byte becomes, and wherever the file ends, what stands before is
// loaded, and nothing else.
func TestDamagedFile(t *testing.T) {
	h := newHarness(t, nil)
	txs := h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	order := h.pool.Entries()
	ends := []int{len(fileHeader(fileMagic, h.params))}
	for _, e := range order {
		ends = append(ends, ends[len(ends)-1]+recordHead+len(e.Raw)+4)
	}
	if ends[len(txs)] != len(good) {
		t.Fatalf("the file has %d bytes, want %d", len(good), ends[len(txs)])
	}
	for at := ends[0]; at < len(good); at += 7 {
		intact := 0
		for ends[intact+1] <= at {
			intact++
		}
		flipped := slices.Clone(good)
		flipped[at] ^= 0x40
		for name, data := range map[string][]byte{"flipped": flipped, "cut": good[:at]} {
			pool := h.newPool(nil)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			result, err := pool.Load(t.Context(), path)
			whole := name == "cut" && at == ends[intact]
			if err != nil || result.Accepted != intact || result.Damaged == whole || !pool.Info().Loaded {
				t.Fatalf("%s at %d: %+v %v, want %d", name, at, result, err, intact)
			}
		}
	}
	for at := range ends[0] {
		if err := os.WriteFile(path, good[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := h.newPool(nil).Load(t.Context(), path); !errors.Is(err, ErrFile) {
			t.Fatalf("cut in its header at %d: %v", at, err)
		}
	}
}

// Deltas and what no peer has asked for come back; an import takes them if that is wanted.
func TestSaveMarks(t *testing.T) {
	h := newHarness(t, nil)
	came := h.now
	txs := h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	unknown := types.Hash{7}
	h.pool.Prioritise(txs[2].TxID(), -500)
	h.pool.Prioritise(unknown, 9)
	h.pool.MarkUnbroadcast(txs[0].TxID())
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Hour)
	check := func(p *Pool, at time.Time, delta types.Amount, local int) {
		t.Helper()
		if d, _ := p.Details(txs[2].TxID()); d.Entry == nil || d.Modified-d.Fee != -delta*500 || !d.Time.Equal(at) {
			t.Errorf("it is %+v", d)
		}
		if list := p.Prioritised(); len(list) != 2*int(min(delta, 1)) || delta > 0 && (list[0].TxID != unknown && list[1].TxID != unknown || list[0].Delta+list[1].Delta != delta*(9-500)) {
			t.Errorf("the deltas are %+v", list)
		}
		if wtxids := p.Unbroadcast(); len(wtxids) != local || local > 0 && wtxids[0] != txs[0].WTxID() {
			t.Errorf("%d wait to be broadcast", len(wtxids))
		}
	}
	pool := h.newPool(nil)
	if _, err := pool.Load(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	check(pool, came, 1, 1)
	if err := pool.Import(t.Context(), path, pending.Import{Deltas: true}); err != nil {
		t.Fatal(err)
	}
	check(pool, came, 2, 1)
	pool = h.newPool(nil)
	if err := pool.Import(t.Context(), path, pending.Import{}); err != nil || pool.Info().Loaded {
		t.Fatal(err)
	}
	check(pool, h.now, 0, 0)
	if err := pool.Import(t.Context(), path, pending.Import{Unbroadcast: true}); err != nil {
		t.Fatal(err)
	}
	check(pool, h.now, 0, 1)
}

// An import says what is wrong with a file.
func TestImportRefuses(t *testing.T) {
	h := newHarness(t, nil)
	h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Import(t.Context(), path, pending.Import{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := h.pool.Import(t.Context(), t.TempDir(), pending.Import{}); !errors.Is(err, ErrFile) {
		t.Errorf("a folder: %v", err)
	}
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 200); err != nil {
		t.Fatal(err)
	}
	if err := h.newPool(nil).Import(t.Context(), path, pending.Import{}); !errors.Is(err, ErrFile) {
		t.Errorf("a damaged file: %v", err)
	}
}

// Files of the first version are still read.
func TestOldFile(t *testing.T) {
	h := newHarness(t, nil)
	txs := h.fill()
	data := fileHeader(fileMagicOld, h.params)
	for _, e := range h.pool.Entries() {
		rec := binary.LittleEndian.AppendUint32(nil, uint32(len(e.Raw)))
		rec = binary.LittleEndian.AppendUint64(rec, uint64(e.Time.Unix()))
		data = append(data, appendChecksum(append(rec, e.Raw...))...)
	}
	path := filepath.Join(t.TempDir(), "mempool.dat")
	for cut, want := range map[int]int{0: 4, 5: 3} {
		if err := os.WriteFile(path, data[:len(data)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		pool := h.newPool(nil)
		result, err := pool.Load(t.Context(), path)
		if err != nil || result.Accepted != want || result.Damaged != (cut > 0) {
			t.Errorf("%d bytes less: %+v %v", cut, result, err)
		}
		if !pool.Get(txs[0].TxID()).Time.Equal(h.now) {
			t.Error("it has another time")
		}
	}
}

// The pool is saved while it changes, and not before its file was read.
func TestKeepSaved(t *testing.T) {
	h := newHarness(t, nil)
	txs := h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	synctest.Test(t, func(t *testing.T) {
		pool := h.newPool(nil)
		pool.saving = baton.New() // a channel of this bubble
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- pool.KeepSaved(ctx, path) }()
		passes := func(want bool, why string) {
			t.Helper()
			os.Remove(path)
			time.Sleep(saveInterval)
			synctest.Wait()
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s: saved %v", why, err == nil)
			}
		}
		pool.mu.Lock()
		pool.changes++
		pool.mu.Unlock()
		passes(false, "before the file was read")
		pool.mu.Lock()
		pool.loaded = true
		pool.mu.Unlock()
		passes(true, "after a change")
		passes(false, "without a change")
		pool.Prioritise(txs[0].TxID(), 5)
		passes(true, "after a delta")
		passes(false, "without a change")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
