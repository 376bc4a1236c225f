package mempool

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// coreDump is a mempool.dat as Bitcoin Core's DumpMempool writes it. Without a key it is of
// the first version.
func coreDump(key []byte, txs []*types.Tx, at time.Time, delta types.Amount, others map[types.Hash]types.Amount, ids ...types.Hash) []byte {
	le := binary.LittleEndian
	head := le.AppendUint64(nil, 1)
	if key != nil {
		head = append(append(le.AppendUint64(nil, 2), byte(len(key))), key...)
	}
	b := slices.Clone(head)
	b = le.AppendUint64(b, uint64(len(txs)))
	for _, tx := range txs {
		b = tx.AppendTo(b)
		b = le.AppendUint64(b, uint64(at.Unix()))
		b = le.AppendUint64(b, uint64(delta))
	}
	b = append(b, byte(len(others)))
	for txid, delta := range others {
		b = append(b, txid[:]...)
		b = le.AppendUint64(b, uint64(delta))
	}
	b = append(b, byte(len(ids)))
	for _, txid := range ids {
		b = append(b, txid[:]...)
	}
	for i := len(head); i < len(b) && key != nil; i++ {
		b[i] ^= key[i%len(key)]
	}
	return b
}

// A file of Bitcoin Core is read as one of ours, with and without a key.
func TestCoreFile(t *testing.T) {
	h := newHarness(t, nil)
	txs := h.fill()
	path := filepath.Join(t.TempDir(), "mempool.dat")
	unknown := types.Hash{7}
	for _, key := range [][]byte{nil, {1, 2, 3, 4, 5, 6, 7, 250}} {
		data := coreDump(key, txs, h.now.Add(-time.Minute), 11, map[types.Hash]types.Amount{unknown: -3}, txs[1].TxID(), unknown)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		pool := h.newPool(nil)
		result, err := pool.Load(t.Context(), path)
		if err != nil || result != (LoadResult{Accepted: 4}) {
			t.Fatalf("Load: %+v %v", result, err)
		}
		for _, tx := range txs {
			if d, _ := pool.Details(tx.TxID()); d.Entry == nil || d.Modified-d.Fee != 11 || d.Unbroadcast != (tx == txs[1]) || !d.Time.Equal(h.now.Add(-time.Minute)) {
				t.Errorf("it is %+v", d)
			}
		}
		if list := pool.Prioritised(); len(list) != 5 || !slices.ContainsFunc(list, func(d pending.Delta) bool { return d.TxID == unknown && d.Delta == -3 && !d.InPool }) {
			t.Errorf("the deltas are %+v", list)
		}
		// Wherever it ends, what stands before comes in.
		for at := 0; at < len(data); at += 13 {
			if err := os.WriteFile(path, data[:at], 0o600); err != nil {
				t.Fatal(err)
			}
			pool := h.newPool(nil)
			result, err := pool.Load(t.Context(), path)
			if head := 16 + len(key) + len(key)/8; at < head != errors.Is(err, ErrFile) || at >= head && (err != nil || !result.Damaged) || !pool.Info().Loaded {
				t.Fatalf("cut at %d of %d: %+v %v", at, len(data), result, err)
			}
		}
	}
	legacy := &types.Tx{Version: 1, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: []byte{0x76}}}}
	if err := os.WriteFile(path, coreDump(nil, []*types.Tx{legacy, txs[0]}, h.now, 0, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if result, err := h.newPool(nil).Load(t.Context(), path); err != nil || result != (LoadResult{Accepted: 1, Refused: 1}) {
		t.Errorf("with a transaction that can be none here: %+v %v", result, err)
	}
}

// FuzzPoolFile: whatever a file has, reading it ends, with no more records than there are
// bytes for.
func FuzzPoolFile(f *testing.F) {
	h := newHarness(f, nil)
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{Witness: [][]byte{{1, 2}}}}, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: chaintest.Anchor}}}
	rec := record{txid: tx.TxID(), at: h.now, delta: -1, unbroadcast: true}
	ours := fileHeader(fileMagic, h.params)
	ours = rec.appendTo(ours, tx.AppendTo(nil))
	f.Add(rec.appendTo(ours, nil))
	f.Add(coreDump([]byte{1, 2, 3, 4, 5, 6, 7, 8}, []*types.Tx{tx, tx}, h.now, 5, map[types.Hash]types.Amount{{1}: 2}, types.Hash{3}))
	f.Add(coreDump(nil, []*types.Tx{tx}, h.now, 0, nil))
	f.Add(fileHeader(fileMagicOld, h.params))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Also with checksums that fit, so that what is behind them is reached.
		whole := appendChecksum(append(fileHeader(fileMagic, h.params), data...))
		for _, file := range [][]byte{data, whole} {
			next, err := openRecords(bufio.NewReader(bytes.NewReader(file)), h.params)
			if err != nil {
				if !errors.Is(err, ErrFile) {
					t.Fatalf("%v is no ErrFile", err)
				}
				continue
			}
			records := 0
			for {
				rec, err := next()
				if err != nil {
					break
				}
				if records++; records > len(file)/16 {
					t.Fatalf("%d records in %d bytes", records, len(file))
				}
				if rec.tx != nil && rec.txid != rec.tx.TxID() {
					t.Fatal("it has another id")
				}
			}
		}
	})
}
