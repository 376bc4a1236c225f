package wallet

import (
	"bytes"
	"errors"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/types"
)

// The words and a node bring back all that a damaged database held, but not what its owner has
// noted. So before it is removed, what can still be read of the labels is taken out of it.

// rescueLabels returns the labels of a damaged database, as lines of BIP329: those that can be
// read, if it can be read too that they are an owner's. The database is of no use afterwards.
func (d *database) rescueLabels(owner types.Hash) []byte {
	if d.db != nil {
		_ = d.db.Close() // that it is damaged is known
	}
	var err error
	// Without Strict what the checksums find damaged is skipped.
	if d.db, err = leveldb.Recover(d.files, &opt.Options{Compression: opt.NoCompression}); err != nil {
		d.db = nil
		return nil
	}
	m, err := d.meta()
	if err != nil || m.unowned || len(m.accounts) == 0 || m.accounts[0].id != owner {
		return nil
	}
	var lines [][]byte
	it := d.db.NewIterator(util.BytesPrefix([]byte{keyLabel}), nil)
	defer it.Release()
	for it.Next() {
		lines = append(lines, bytes.Clone(it.Value()))
	}
	return bytes.Join(lines, []byte("\n"))
}

// takeBack puts labels into a database that was begun anew.
func (w *Wallet) takeBack(rescued []byte) error {
	if len(rescued) == 0 {
		return nil
	}
	result, err := w.ImportLabels(bytes.NewReader(rescued))
	if err != nil {
		return errors.Join(err, w.db.close())
	}
	w.log.Warn("labels were taken out of the damaged database", "labels", result.Changed)
	return nil
}
