package index

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/types"
)

// writeOld makes the one database of earlier versions in the world's folder.
func (w *world) writeOld(kept byte) {
	w.t.Helper()
	db, err := leveldb.OpenFile(w.dir, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	var header types.Hash
	var batch leveldb.Batch
	for height := range w.tip.Height + 1 {
		hash, _ := w.chain.HashAt(height)
		u, err := w.chain.BlockUpdate(hash)
		if err != nil {
			w.t.Fatal(err)
		}
		bytes, err := filter.Build(&u)
		if err != nil {
			w.t.Fatal(err)
		}
		header = filter.Header(bytes, header)
		batch.Put(append([]byte("f"), hash[:]...), append(header[:], bytes...))
		for _, txid := range u.Block.TxIDs {
			batch.Put(append([]byte("t"), txid[:]...), hash[:])
		}
	}
	identity := w.params.Identity()
	position := append(append([]byte{2}, identity[:]...), kept)
	position = binary.LittleEndian.AppendUint32(position, w.tip.Height)
	batch.Put([]byte("p"), append(append(position, w.tip.Hash[:]...), header[:]...))
	batch.Put(binary.BigEndian.AppendUint64([]byte("s"), 77), nil)
	if err := db.Write(&batch, nil); err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestEarlierVersion: a pruned node keeps its filters, and goes on with them; the
// transactions can only be indexed anew.
func TestEarlierVersion(t *testing.T) {
	for _, cut := range []bool{false, true} {
		w := newWorld(t, 60)
		w.growBy(20)
		w.writeOld(3)
		if cut { // a crash between the two moves
			if err := os.Rename(w.dir, w.dir+".old"); err != nil {
				t.Fatal(err)
			}
		}
		c := &pruned{w.chain, 15}
		x := w.open(c, both)
		if x.find(indexed.Filters).fresh || !x.find(indexed.Txs).fresh {
			t.Fatal("filters were lost, or transactions kept")
		}
		if err := catchUp(t.Context(), x); err == nil {
			t.Fatal("transactions were indexed without blocks")
		}
		x.Close()
		x = w.open(c, keep(indexed.Filters))
		w.fork(3, 1)
		w.catchUp(x)
		w.expect(x)
		i := x.all[0].db.NewIterator(util.BytesPrefix([]byte{oldTxs}), nil)
		if i.Next() {
			t.Errorf("old transactions are left: %x", i.Key())
		}
		i.Release()
		x.Close()
		x = w.open(w.chain, both)
		w.catchUp(x)
		w.expect(x)
	}
}

// TestEarlierVersionWithoutFilters: it is made anew.
func TestEarlierVersionWithoutFilters(t *testing.T) {
	w := newWorld(t, 61)
	w.growBy(5)
	w.writeOld(2)
	x := w.open(w.chain, both)
	w.catchUp(x)
	w.expect(x)
	if _, err := os.Stat(filepath.Join(w.dir, "CURRENT")); err == nil {
		t.Error("the old database is left")
	}
}
