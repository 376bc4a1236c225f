package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"

	"github.com/syndtr/goleveldb/leveldb/storage"
)

// faultDisk is a disk in memory that forgets what was not synced when its power
// is cut, and fails on demand. It has LevelDB's files and the segment files
// under one counter of operations, and is as nasty as POSIX allows: neither a
// synced file's name nor a removal is durable before the directory is synced.
type faultDisk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	files   map[string]*faultFile
	durable map[string]*faultFile // the directories as last synced
	fds     map[string]storage.FileDesc
	current storage.FileDesc // what LevelDB's CURRENT names
	locked  bool
	off     bool
	ops     int
	reads   int
	poison  bool // a sync has failed: what was not synced then never will be

	cut      int // the power goes at this operation; 0: never
	lying    bool
	failAt   int   // operations from here on fail with failWith; 0: never
	failWith error // ENOSPC fails writes and new files for ever, EIO one operation
	readFail int   // this read fails with EIO
	space    uint64
}

type faultFile struct {
	data   []byte
	synced []byte // what the last sync made durable
}

var errPower = errors.New("the power is off")

func newFaultDisk(seed uint64) *faultDisk {
	return &faultDisk{
		rng: rand.New(rand.NewPCG(seed, 1)), files: map[string]*faultFile{}, durable: map[string]*faultFile{},
		fds: map[string]storage.FileDesc{}, space: 1 << 40,
	}
}

type op int

const (
	opCreate op = iota
	opWrite
	opTruncate
	opSync
	opRemove
	opSyncDir
)

// do counts an operation. If it fails, half says whether what it does may be
// done in part nevertheless.
func (d *faultDisk) do(o op) (half bool, err error) {
	if d.off {
		return false, errPower
	}
	d.ops++
	if d.cut > 0 && d.ops >= d.cut {
		d.off = true
		return d.rng.IntN(2) == 0, errPower
	}
	if d.failAt == 0 || d.ops < d.failAt {
		return false, nil
	}
	switch {
	case errors.Is(d.failWith, syscall.EIO) && d.ops == d.failAt:
		d.poison = d.poison || o == opSync || o == opSyncDir
		return o == opWrite, d.failWith
	case errors.Is(d.failWith, syscall.ENOSPC) && (o == opCreate || o == opWrite):
		return o == opWrite, d.failWith
	}
	return false, nil
}

func (d *faultDisk) read() error {
	if d.off {
		return errPower
	}
	if d.reads++; d.reads == d.readFail {
		return syscall.EIO
	}
	return nil
}

// crashMode says what the power cut does to what was not synced.
type crashMode int

const (
	crashDrop    crashMode = iota // it is gone
	crashTear                     // a part from its beginning is there
	crashSectors                  // any of its sectors are there, others are zero
	crashModes
)

func (m crashMode) String() string { return [...]string{"drop", "tear", "sectors"}[m] }

// reboot returns the disk as it is found after the power cut.
func (d *faultDisk) reboot(mode crashMode, seed uint64) *faultDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	n := newFaultDisk(seed)
	n.current, n.fds = d.current, maps.Clone(d.fds)
	names := maps.Clone(d.durable)
	for name, f := range d.files {
		if names[name] != f && n.rng.IntN(2) == 0 {
			names[name] = f // the name was on its way, and arrived
		}
	}
	for name := range names {
		if d.files[name] == nil && n.rng.IntN(2) == 0 {
			delete(names, name) // the removal arrived
		}
	}
	for name, f := range names {
		content := n.survivor(f, mode)
		n.files[name] = &faultFile{data: content, synced: bytes.Clone(content)}
	}
	n.durable = maps.Clone(n.files)
	return n
}

// survivor returns what is left of a file.
func (d *faultDisk) survivor(f *faultFile, mode crashMode) []byte {
	same := 0
	for same < min(len(f.data), len(f.synced)) && f.data[same] == f.synced[same] {
		same++
	}
	if mode == crashDrop || same == len(f.synced) && same == len(f.data) || d.rng.IntN(4) == 0 {
		return bytes.Clone(f.synced)
	}
	left := bytes.Clone(f.data[:same+d.rng.IntN(len(f.data)-same+1)])
	if mode == crashSectors {
		for at := same; at < len(left); at = (at/512 + 1) * 512 {
			if end := min((at/512+1)*512, len(left)); d.rng.IntN(3) == 0 {
				clear(left[at:end])
				if at < len(f.synced) {
					copy(left[at:end], f.synced[at:])
				}
			}
		}
	}
	return left
}

func (d *faultDisk) createFile(name string, empty bool) (*faultWriter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.do(opCreate)
	if err != nil && !half {
		return nil, err
	}
	if d.files[name] == nil || empty {
		d.files[name] = &faultFile{}
	}
	return &faultWriter{d: d, name: name, f: d.files[name]}, err
}

func (d *faultDisk) openFile(name string) (*faultReader, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(); err != nil {
		return nil, err
	}
	f := d.files[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return &faultReader{d: d, f: f}, nil
}

func (d *faultDisk) remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	half, err := d.do(opRemove)
	if err != nil && !half {
		return err
	}
	if d.files[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.files, name)
	return err
}

func (d *faultDisk) syncDir(part string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncNames(part)
}

func (d *faultDisk) syncNames(part string) error {
	half, err := d.do(opSyncDir)
	if (err != nil && !half) || d.lying || d.poison {
		return err
	}
	other := func(name string, _ *faultFile) bool {
		return strings.HasPrefix(name, databaseDir) != (part == databaseDir)
	}
	maps.DeleteFunc(d.durable, func(name string, f *faultFile) bool { return !other(name, f) })
	for name, f := range d.files {
		if !other(name, f) {
			d.durable[name] = f
		}
	}
	return err
}

// The rest of disk.

func (d *faultDisk) database() (storage.Storage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nil, storage.ErrLocked
	}
	d.locked = true
	return &faultStorage{d}, nil
}

func (d *faultDisk) create(name string) (segmentWriter, error) {
	w, err := d.createFile(name, false)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (d *faultDisk) open(name string) (segmentReader, error) {
	r, err := d.openFile(name)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *faultDisk) list() ([]segmentInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(); err != nil {
		return nil, err
	}
	var files []segmentInfo
	for name, f := range d.files {
		if k, segment, ok := parseSegmentName(name); ok {
			files = append(files, segmentInfo{k, segment, int64(len(f.data))})
		}
	}
	return files, nil
}

func (d *faultDisk) free() (uint64, error) { return d.space, nil }

func (d *faultDisk) path(name string) string { return "/fault/" + name }

type faultWriter struct {
	d    *faultDisk
	name string
	f    *faultFile
	fd   storage.FileDesc
}

func (w *faultWriter) WriteAt(p []byte, at int64) (int, error) {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	half, err := w.d.do(opWrite)
	n := len(p)
	if err != nil {
		if n = 0; half {
			n = w.d.rng.IntN(len(p) + 1)
		}
	}
	if gap := int(at) + n - len(w.f.data); gap > 0 {
		w.f.data = append(w.f.data, make([]byte, gap)...)
	}
	copy(w.f.data[at:], p[:n])
	return n, err
}

func (w *faultWriter) Write(p []byte) (int, error) {
	w.d.mu.Lock()
	end := len(w.f.data)
	w.d.mu.Unlock()
	return w.WriteAt(p, int64(end))
}

func (w *faultWriter) Truncate(size int64) error {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	half, err := w.d.do(opTruncate)
	if err == nil || half {
		w.f.data = append(bytes.Clone(w.f.data), make([]byte, max(0, int(size)-len(w.f.data)))...)[:size]
	}
	return err
}

func (w *faultWriter) Sync() error {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	half, err := w.d.do(opSync)
	if (err == nil || half) && !w.d.lying && !w.d.poison {
		w.f.synced = bytes.Clone(w.f.data)
	}
	if err == nil && w.fd.Type == storage.TypeManifest {
		return w.d.syncNames(databaseDir) // as goleveldb's own files do
	}
	return err
}

func (w *faultWriter) Close() error { return nil }

type faultReader struct {
	d  *faultDisk
	f  *faultFile
	at int64
}

func (r *faultReader) ReadAt(p []byte, at int64) (int, error) {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if err := r.d.read(); err != nil {
		return 0, err
	}
	if at >= int64(len(r.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, r.f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *faultReader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (r *faultReader) Seek(offset int64, whence int) (int64, error) {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += int64(len(r.f.data))
	}
	r.at = offset
	return offset, nil
}

func (r *faultReader) Close() error { return nil }

// faultStorage is LevelDB's view of the disk.
type faultStorage struct{ *faultDisk }

type faultLock struct{}

func (faultLock) Unlock() {}

func indexName(fd storage.FileDesc) string {
	return fmt.Sprintf(databaseDir+"/%06d.%s", fd.Num, fd.Type)
}

func (s *faultStorage) Lock() (storage.Locker, error) { return faultLock{}, nil }

func (s *faultStorage) Log(string) {}

func (s *faultStorage) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked = false
	return nil
}

func (s *faultStorage) Create(fd storage.FileDesc) (storage.Writer, error) {
	w, err := s.createFile(indexName(fd), true)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fds[w.name], w.fd = fd, fd
	return w, nil
}

func (s *faultStorage) Open(fd storage.FileDesc) (storage.Reader, error) {
	r, err := s.openFile(indexName(fd))
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *faultStorage) Remove(fd storage.FileDesc) error { return s.remove(indexName(fd)) }

func (s *faultStorage) Rename(from, to storage.FileDesc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.do(opCreate); err != nil {
		return err
	}
	f := s.files[indexName(from)]
	if f == nil {
		return fs.ErrNotExist
	}
	delete(s.files, indexName(from))
	s.files[indexName(to)], s.fds[indexName(to)] = f, to
	return nil
}

func (s *faultStorage) List(types storage.FileType) ([]storage.FileDesc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, err
	}
	var list []storage.FileDesc
	for name := range s.files {
		if fd, ok := s.fds[name]; ok && fd.Type&types != 0 {
			list = append(list, fd)
		}
	}
	return list, nil
}

// SetMeta writes the new CURRENT aside, syncs it, renames it and syncs the
// directory.
func (s *faultStorage) SetMeta(fd storage.FileDesc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	half, err := s.do(opCreate)
	if err == nil || half {
		s.current = fd
	}
	if err != nil {
		return err
	}
	return s.syncNames(databaseDir)
}

func (s *faultStorage) GetMeta() (storage.FileDesc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return storage.FileDesc{}, err
	}
	if s.current.Zero() || s.files[indexName(s.current)] == nil {
		return storage.FileDesc{}, fs.ErrNotExist
	}
	return s.current, nil
}
