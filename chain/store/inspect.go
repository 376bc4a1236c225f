package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// Inspection is what is told of a data directory by looking at it.
type Inspection struct {
	IsNew       bool       // nothing is stored yet
	Locked      bool       // a process has it open; then nothing else is told
	Network     types.Hash // whose data it has; zero: not known yet
	NetworkName string
	Tip         types.Index // of the coins
}

// Inspect looks at a data directory and changes nothing in it. The error, an ErrLocal, is what Open
// would fail with, or what would be missed later: segment files that are gone or cut off.
// While it looks, which takes a moment, no other process can open the directory.
func Inspect(dir string) (i Inspection, err error) {
	defer func() {
		if err != nil {
			err = consensus.Local(err)
		}
	}()
	d := &osDisk{dir: dir}
	segments, err := d.list()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return i, err
	}
	database := d.path(databaseDir)
	if _, err := os.Stat(filepath.Join(database, "LOCK")); errors.Is(err, os.ErrNotExist) {
		if i.IsNew = len(segments) == 0; !i.IsNew {
			return i, fmt.Errorf("%s has blocks, but there is no database in %s", d.path(blocksDir), database)
		}
		return i, nil
	} else if err != nil {
		return i, err
	}
	files, err := storage.OpenFile(database, true)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, storage.ErrLocked) {
		i.Locked = true
		return i, nil
	}
	if err != nil {
		return i, fmt.Errorf("open %s: %w", database, err)
	}
	defer files.Close()
	if _, err := files.GetMeta(); err != nil && isMissingMeta(err) && len(segments) == 0 {
		i.IsNew = true // a first start that was cut off
		return i, nil
	}
	o := Options{CacheBytes: DefaultCacheBytes}
	o.fill()
	settings := levelDBOptions(&o)
	settings.ReadOnly, settings.ErrorIfMissing, settings.BlockCacheCapacity = true, true, 1<<20
	db, err := leveldb.Open(files, settings)
	if err != nil {
		return i, fmt.Errorf("open the database in %s: %w", database, err)
	}
	defer db.Close()
	return i, i.read(db, d, segments)
}

// read reads what the database says of itself, and compares it with the files of blocks.
func (i *Inspection) read(db *leveldb.DB, d *osDisk, files []segmentInfo) error {
	value, err := db.Get(appendKey(nil, keyMeta), nil)
	if errors.Is(err, leveldb.ErrNotFound) {
		if i.IsNew = len(files) == 0; !i.IsNew {
			return fmt.Errorf("%s has blocks, but the database in %s is empty", d.path(blocksDir), d.path(databaseDir))
		}
		return nil
	}
	if err != nil {
		return err
	}
	schema := uint32(0)
	if schema, i.Network, i.NetworkName, err = parseMeta(value); err != nil {
		return err
	}
	if schema != schemaVersion {
		return fmt.Errorf("data directory %s has format %d; this program knows format %d", d.dir, schema, schemaVersion)
	}
	steps := 0
	err = eachKey(db, keyStep, func(_, _ []byte) error {
		if steps++; steps > 1 {
			return fmt.Errorf("the database in %s has lost some of what was written", d.path(databaseDir))
		}
		return nil
	})
	if err != nil {
		return err
	}
	tip, err := db.Get(appendKey(nil, keyTip), &opt.ReadOptions{})
	if err == nil {
		i.Tip, err = parseTip(tip)
	}
	if err != nil && !errors.Is(err, leveldb.ErrNotFound) {
		return err
	}
	sizes := map[string]int64{}
	for _, f := range files {
		sizes[f.kind.fileName(f.segment)] = f.size
	}
	return eachKey(db, keySegment, func(key, value []byte) error {
		k, segment, e, err := parseSegment(key, value)
		if err != nil {
			return err
		}
		name := k.fileName(segment)
		if size, there := sizes[name]; !there {
			return fmt.Errorf("the file %s is gone", d.path(name))
		} else if size < int64(e.end) {
			return fmt.Errorf("the file %s has %d bytes of %d", d.path(name), size, e.end)
		}
		return nil
	})
}

// Written returns the paths in a data directory that are opened for writing each time: folders,
// the lock of the database, segment files. They may belong to another user, who ran the node once.
func Written(dir string) []string {
	d := &osDisk{dir: dir}
	paths := []string{d.path(databaseDir), filepath.Join(d.path(databaseDir), "LOCK"), d.path(blocksDir)}
	entries, _ := os.ReadDir(d.path(blocksDir)) // what cannot be listed is told with its folder
	for _, e := range entries {
		if _, _, ok := parseSegmentName(e.Name()); ok {
			paths = append(paths, d.path(e.Name()))
		}
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		_, err := os.Lstat(path)
		return errors.Is(err, os.ErrNotExist)
	})
}
