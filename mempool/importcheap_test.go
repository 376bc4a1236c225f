package mempool

import (
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Parents that pay nothing may spend each other. A child that pays for all of them brings
// them back from the file as it brought them in.
func TestLoadCheapParentsOfEachOther(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	coins := h.coins(10)
	first := h.Pay(0, 2, coins[0])
	second := h.Pay(0, 2, chaintest.Output(first, 0), coins[1])
	child := h.Pay(5000, 1, chaintest.Output(first, 1), chaintest.Output(second, 0))
	h.acceptPackage(first, second, child)
	path := filepath.Join(t.TempDir(), "mempool.dat")
	if err := h.pool.Save(path); err != nil {
		t.Fatal(err)
	}
	h.pool = h.newPool(nil)
	if result, err := h.pool.Load(t.Context(), path); err != nil || result != (LoadResult{Accepted: 3}) {
		t.Errorf("Load: %+v, %v", result, err)
	}
	h.expect(first, second, child)
}

// What waits for a child while a file is read takes no more memory than the pool may.
func TestCheapParentsAreBounded(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(5)
	tx := h.Pay(0, 1000, h.coins(1)[0])
	size := tx.Size() + usageWithout(tx)
	cheap := cheapParents{index: map[types.Hash]int{}, maxUsage: 10 * size}
	for i := range 100 {
		version := *tx
		version.LockTime = uint32(i)
		rec := record{tx: &version, txid: version.TxID()}
		cheap.add(rec)
		cheap.add(rec) // a file may have it again
	}
	if len(cheap.records) != 10 || len(cheap.index) != 10 {
		t.Errorf("%d are kept in %d places", len(cheap.index), len(cheap.records))
	}
}
