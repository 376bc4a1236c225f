package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// disk is all that the store knows of the file system. So tests can cut its power,
// fill it and break it, for LevelDB's files and segment files alike.
type disk interface {
	// database returns LevelDB's files and locks the directory.
	database() (storage.Storage, error)
	// create opens a segment file for appending, and makes it if it is not there.
	create(name string) (segmentWriter, error)
	// open opens a segment file for reading.
	open(name string) (segmentReader, error)
	// list returns all segment files.
	list() ([]segmentInfo, error)
	remove(name string) error
	// syncDir makes durable which files a folder of the directory has.
	syncDir(folder string) error
	// free returns the bytes that may be written.
	free() (uint64, error)
	// path names a file for humans.
	path(name string) string
}

type segmentWriter interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

type segmentReader interface {
	io.ReaderAt
	Close() error
}

type segmentInfo struct {
	kind    kind
	segment uint32
	size    int64
}

// The folders of a data directory.
const (
	databaseDir = "index"  // LevelDB's
	blocksDir   = "blocks" // segment files
)

// osDisk is a directory of the operating system. A file in it that is not the store's
// is left alone.
type osDisk struct{ dir string }

func newOSDisk(dir string) (*osDisk, error) {
	d := &osDisk{dir: dir}
	for _, sub := range []string{databaseDir, blocksDir} {
		if err := os.MkdirAll(d.path(sub), 0o700); err != nil {
			return nil, err
		}
	}
	// The parent may be a directory that we cannot read. Then it may lose the name of
	// a directory that was made just now, with nothing of worth in it yet.
	_ = syncPath(filepath.Dir(dir))
	return d, syncPath(dir)
}

func (d *osDisk) database() (storage.Storage, error) {
	s, err := storage.OpenFile(d.path(databaseDir), false)
	// The lock ends with the process, so a killed one leaves none behind.
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, storage.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another karatd; stop that first, or use another directory", d.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	return s, nil
}

// path puts segment files into their folder and leaves the rest.
func (d *osDisk) path(name string) string {
	if _, _, ok := parseSegmentName(name); ok {
		return filepath.Join(d.dir, blocksDir, name)
	}
	return filepath.Join(d.dir, name)
}

func (d *osDisk) create(name string) (segmentWriter, error) {
	return os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE, 0o600)
}

func (d *osDisk) open(name string) (segmentReader, error) { return os.Open(d.path(name)) }

func (d *osDisk) list() ([]segmentInfo, error) {
	entries, err := os.ReadDir(d.path(blocksDir))
	if err != nil {
		return nil, err
	}
	var files []segmentInfo
	for _, entry := range entries {
		k, segment, ok := parseSegmentName(entry.Name())
		if !ok {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, segmentInfo{k, segment, info.Size()})
	}
	return files, nil
}

func (d *osDisk) remove(name string) error { return os.Remove(d.path(name)) }

func (d *osDisk) syncDir(folder string) error { return syncPath(d.path(folder)) }

func (d *osDisk) free() (uint64, error) {
	n, err := freeSpace(d.dir)
	if err != nil {
		return 0, fmt.Errorf("ask for the free space: %w", err)
	}
	return n, nil
}

// guardedStorage is LevelDB's files, with what goleveldb lacks to keep its word on a
// disk that loses power or fails.
//
//   - It syncs a journal when that is closed. goleveldb does not, so that after a power
//     cut a later, synced write can be there while an earlier one is not.
//   - It makes a file's name durable with the file. goleveldb relies on the file
//     system for that.
//   - It lets nothing be written after the first failure. goleveldb tries again, but
//     once a sync has failed, a second one may succeed without having written anything.
type guardedStorage struct {
	storage.Storage
	disk disk

	failing chan struct{} // closed with the first failed write

	mu  sync.Mutex
	err error // the first failed write
}

func newGuardedStorage(files storage.Storage, d disk) *guardedStorage {
	return &guardedStorage{Storage: files, disk: d, failing: make(chan struct{})}
}

// clear removes what is left of a first start that was cut off before it had made
// the database. goleveldb would call that corrupted for ever.
func (s *guardedStorage) clear() error {
	if _, err := s.Storage.GetMeta(); err == nil || !isMissingMeta(err) {
		return nil // opening it will tell
	}
	files, err := s.List(storage.TypeAll)
	for _, fd := range files {
		err = errors.Join(err, s.Remove(fd))
	}
	return err
}

// GetMeta returns LevelDB's pointer to its current files. A pointer that is damaged
// where there are no files counts as none: it was cut off while it was written for
// the first time.
func (s *guardedStorage) GetMeta() (storage.FileDesc, error) {
	fd, err := s.Storage.GetMeta()
	if err != nil && isMissingMeta(err) {
		if files, listErr := s.List(storage.TypeAll); listErr == nil && len(files) == 0 {
			return fd, fs.ErrNotExist
		}
	}
	return fd, err
}

func isMissingMeta(err error) bool {
	var corrupted *storage.ErrCorrupted
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, &corrupted)
}

func (s *guardedStorage) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// write runs one write, unless one has failed before.
func (s *guardedStorage) write(do func() error) error {
	if err := s.failure(); err != nil {
		return err
	}
	err := do()
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
			close(s.failing)
		}
	}
	return err
}

func (s *guardedStorage) Create(fd storage.FileDesc) (w storage.Writer, err error) {
	err = s.write(func() error {
		w, err = s.Storage.Create(fd)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardedWriter{Writer: w, storage: s, journal: fd.Type == storage.TypeJournal}, nil
}

func (s *guardedStorage) SetMeta(fd storage.FileDesc) error {
	return s.write(func() error { return s.Storage.SetMeta(fd) })
}

func (s *guardedStorage) Rename(from, to storage.FileDesc) error {
	return s.write(func() error { return s.Storage.Rename(from, to) })
}

// Remove does not count a failed removal as a failure: a file too many harms nothing.
func (s *guardedStorage) Remove(fd storage.FileDesc) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Storage.Remove(fd)
}

type guardedWriter struct {
	storage.Writer
	storage *guardedStorage
	journal bool
	named   bool // the file's name is durable
}

func (w *guardedWriter) Write(p []byte) (n int, err error) {
	err = w.storage.write(func() error {
		n, err = w.Writer.Write(p)
		return err
	})
	return n, err
}

func (w *guardedWriter) Sync() error {
	return w.storage.write(func() error {
		if err := w.Writer.Sync(); err != nil || w.named {
			return err
		}
		w.named = true
		return w.storage.disk.syncDir(databaseDir)
	})
}

func (w *guardedWriter) Close() error {
	var err error
	if w.journal {
		err = w.Sync()
	}
	return errors.Join(err, w.Writer.Close())
}
