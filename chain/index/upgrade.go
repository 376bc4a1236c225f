package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"github.com/karatcoin/karat/chain/types"
)

// Earlier versions had one database for filters and transactions. It becomes that of the
// filters, since a node that has pruned its blocks could not make these again. The
// transactions go out of it, and are indexed anew: they lacked the places.
//
//	'p'  2 or 3, 1 byte | network identity 32 | what is kept 1 (filters: 1) | height 4 | block hash 32 | filter header 32

// oldTxs is the prefix of the transactions in it.
const oldTxs = 't'

// moveOld brings the old database to where that of the filters is. It can be
// interrupted anywhere.
func moveOld(dir string) error {
	aside := dir + ".old"
	if _, err := os.Stat(filepath.Join(dir, "CURRENT")); err == nil {
		if err := os.Rename(dir, aside); err != nil {
			return err
		}
	}
	if _, err := os.Stat(aside); err != nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Rename(aside, filepath.Join(dir, folderOfFilters))
}

// upgrade gives an old database a position of today, in one write. All other keys stay
// as they are.
func (x *index) upgrade(db *leveldb.DB) error {
	value, err := db.Get([]byte{keyPosition}, nil)
	if errors.Is(err, leveldb.ErrNotFound) || err == nil && (len(value) == 0 || value[0] >= format) {
		return nil
	}
	if err != nil {
		return err
	}
	const flagFilters = 1
	mark := x.mark()
	d := types.NewDecoder(value)
	d.Uint8()
	identity, kept := d.Hash(), d.Uint8()
	rest := d.Bytes(4 + 2*types.HashSize)
	if d.Finish() != nil || string(identity[:]) != string(mark[2:]) || kept&flagFilters == 0 {
		return fmt.Errorf("%w: it is of another network or version", errAnew)
	}
	genesis := x.chain.Params().GenesisBlock().Hash
	steps, _, err := countSteps(db)
	if err != nil {
		return err
	}
	if there, err := db.Has(append([]byte{keyFilter}, genesis[:]...), nil); err != nil || !there || steps != 1 {
		return errors.Join(fmt.Errorf("%w: a part of it is missing", errAnew), err)
	}
	var batch leveldb.Batch
	batch.Put(blockKey(0), genesis[:])
	batch.Put([]byte{keyPosition}, append(mark, rest...))
	x.log.Info("the filters of an earlier version are kept")
	return db.Write(&batch, &opt.WriteOptions{Sync: true})
}

// dropOld removes some of the old transactions, and reports whether there may be more.
// What a crash leaves is found again.
func (x *index) dropOld() (more bool, err error) {
	const some = 20_000
	var batch leveldb.Batch
	i := x.db.NewIterator(util.BytesPrefix([]byte{oldTxs}), nil)
	defer i.Release()
	for batch.Len() < some && i.Next() {
		batch.Delete(i.Key())
	}
	if err := i.Error(); err != nil || batch.Len() == 0 {
		return false, err
	}
	return true, x.db.Write(&batch, nil)
}
