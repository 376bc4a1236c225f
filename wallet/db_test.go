package wallet

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/karatcoin/karat/chain/types"
)

// FuzzRecord: a record that is taken is what is written for its transaction.
func FuzzRecord(f *testing.F) {
	tx := &types.Tx{Version: 2, Inputs: []types.TxIn{{Sequence: 1}}, Outputs: []types.TxOut{{Value: 5, ScriptPubKey: []byte{0x51}}}}
	f.Add(appendRecord(nil, &Transaction{Tx: tx, TxID: tx.TxID(), Height: 7, Time: 9, Dropped: true, place: 3}))
	f.Add(appendRecord(nil, &Transaction{Tx: tx, TxID: tx.TxID(), Abandoned: true}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		record, err := parseRecord(bytes.Clone(b))
		if err != nil {
			return
		}
		if got := appendRecord(nil, record); !bytes.Equal(got, b) {
			t.Errorf("%x is read as what is written as %x", b, got)
		}
		if record.TxID != record.Tx.TxID() {
			t.Errorf("txid %s", record.TxID)
		}
	})
}

// TestDamagedDatabase: what is wrong with a database's content is told from what
// keeps it from being opened.
func TestDamagedDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	network := types.Hash{1}
	d, err := openDatabase(dir, network)
	if err != nil {
		t.Fatal(err)
	}
	s := d.begin()
	stored := meta{position: types.Index{Height: 5, Hash: types.Hash{2}}, watched: 1, accounts: []accountState{{types.Hash{3}, marks{3, 4}}, {types.Hash{4}, marks{5}}}}
	s.putMeta(&stored)
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	if _, err := openDatabase(dir, network); err == nil || isDamage(err) {
		t.Errorf("a database that is in use: %v", err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	wantDamage(t, "a database of another network", dir, types.Hash{9})
	if d, err = openDatabase(dir, network); err != nil {
		t.Fatal(err)
	}
	if m, err := d.meta(); err != nil || !reflect.DeepEqual(m, stored) {
		t.Errorf("read back %+v, %v", m, err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	checkLater(t, dir, network)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if err := os.WriteFile(name, []byte("nonsense, and more of it"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantDamage(t, "nonsense", dir, network)
	notFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDatabase(notFolder, network); err == nil || isDamage(err) {
		t.Errorf("a file where the folder should be: %v", err)
	}
}

// wantDamage opens a database that is damaged.
func wantDamage(t *testing.T, what, dir string, network types.Hash) {
	t.Helper()
	d, err := openDatabase(dir, network)
	if !isDamage(err) {
		t.Fatalf("%s: %v", what, err)
	}
	if _, err := openDatabase(dir, network); err == nil || isDamage(err) {
		t.Errorf("%s: its lock is lost before it is removed: %v", what, err)
	}
	must(t, d.close())
}

// checkLater makes a database one of a later version for a while: it must not be
// removed for that. Then it puts late keys in it.
func checkLater(t *testing.T, dir string, network types.Hash) {
	t.Helper()
	d, err := openDatabase(dir, network)
	must(t, err)
	value, err := d.db.Get([]byte{keyMeta}, nil)
	must(t, err)
	later := append([]byte{dbVersion + 1}, value[1:]...)
	must(t, d.db.Put([]byte{keyMeta}, append(later, 1, 2, 3), nil))
	must(t, d.close())
	if _, err := openDatabase(dir, network); err == nil || isDamage(err) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a database of a later version: %v", err)
	}
	d = &database{network: network}
	d.db, err = leveldb.OpenFile(dir, nil)
	must(t, err)
	must(t, d.db.Put([]byte{keyMeta}, value, nil))
	for _, want := range [][]marks{nil, {{20, 1 << 31}, {0, 3}}, nil} {
		s := d.begin()
		s.putLate(want)
		must(t, s.write())
		if got, err := d.late(2); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("late keys %v, %v, want %v", got, err, want)
		}
	}
	must(t, d.db.Put([]byte{keyLate}, []byte{1}, nil))
	if _, err := d.late(1); !isDamage(err) {
		t.Errorf("late keys of one byte: %v", err)
	}
	must(t, d.db.Delete([]byte{keyLate}, nil))
	must(t, d.close())
}
