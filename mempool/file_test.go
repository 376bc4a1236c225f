package mempool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
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
	if _, err := h.newPool(nil).Load(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory was loaded")
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
	ends := []int{len(fileHeader(h.params))}
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
			result, err := pool.load(t.Context(), bytes.NewReader(data[ends[0]:]))
			whole := name == "cut" && at == ends[intact]
			if err != nil || result.Accepted != intact || result.Damaged == whole {
				t.Fatalf("%s at %d: %+v %v, want %d", name, at, result, err, intact)
			}
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{Witness: [][]byte{{1, 2}}}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: chaintest.Anchor}}}
	record := appendRecord(nil, &pending.Entry{Raw: tx.AppendTo(nil), Time: time.Unix(1_800_000_000, 0)})
	f.Add(record[:len(record)-4])
	f.Add([]byte{})
	f.Add(binary.LittleEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, data []byte) {
		readRecord(bytes.NewReader(data)) // whatever it says, it returns
		// The same with a checksum that fits, so that the rest is reached.
		data = appendChecksum(data)
		r := bytes.NewReader(data)
		tx, at, err := readRecord(r)
		if err != nil {
			if err == io.EOF {
				t.Fatal("an end of file before the end")
			}
			return
		}
		used := data[:len(data)-r.Len()]
		if again := appendRecord(nil, &pending.Entry{Raw: tx.AppendTo(nil), Time: at}); !bytes.Equal(again, used) {
			t.Fatalf("%x became %x", used, again)
		}
	})
}
