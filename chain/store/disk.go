package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb/storage"
	"golang.org/x/sys/unix"
)

// disk is all that the store knows of the file system, so that tests can cut
// its power, fill it and break it: LevelDB's files and the segment files.
type disk interface {
	// levelDB returns the storage of the database and locks the directory.
	levelDB() (storage.Storage, error)
	// open opens a segment file, and makes it if it does not exist.
	open(name string) (segmentFile, error)
	// exists reports whether a segment file exists.
	exists(name string) bool
	// list returns the names of all segment files.
	list() ([]string, error)
	remove(name string) error
	// syncDir makes new and removed segment files durable.
	syncDir() error
	// free returns the bytes that can be written.
	free() (uint64, error)
	// path names a segment file for humans.
	path(name string) string
}

type segmentFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// osDisk is a directory: LevelDB's files in index, segments in blocks.
type osDisk struct{ dir string }

const (
	indexDir  = "index"
	blocksDir = "blocks"
)

func newOSDisk(dir string) (*osDisk, error) {
	if err := os.MkdirAll(filepath.Join(dir, blocksDir), 0o700); err != nil {
		return nil, err
	}
	return &osDisk{dir: dir}, nil
}

func (d *osDisk) levelDB() (storage.Storage, error) {
	s, err := storage.OpenFile(filepath.Join(d.dir, indexDir), false)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, storage.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another karatd; stop that first, or choose another with --datadir", d.dir)
	}
	return s, err
}

func (d *osDisk) path(name string) string { return filepath.Join(d.dir, blocksDir, name) }

func (d *osDisk) open(name string) (segmentFile, error) {
	return os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE, 0o600)
}

func (d *osDisk) exists(name string) bool {
	_, err := os.Stat(d.path(name))
	return err == nil
}

func (d *osDisk) list() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, blocksDir))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if _, _, ok := parseSegmentName(entry.Name()); ok {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (d *osDisk) remove(name string) error { return os.Remove(d.path(name)) }

func (d *osDisk) syncDir() error {
	f, err := os.Open(filepath.Join(d.dir, blocksDir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *osDisk) free() (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", d.dir, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// syncingStorage makes goleveldb keep its order across a power cut: it closes a
// full journal without a sync, so that a later, synced write could survive
// while this journal's does not.
type syncingStorage struct {
	storage.Storage
}

func (s *syncingStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := s.Storage.Create(fd)
	if err != nil || fd.Type != storage.TypeJournal {
		return w, err
	}
	return syncOnClose{w}, nil
}

type syncOnClose struct{ storage.Writer }

func (w syncOnClose) Close() error {
	if err := w.Sync(); err != nil {
		return errors.Join(err, w.Writer.Close())
	}
	return w.Writer.Close()
}
