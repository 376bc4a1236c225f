package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// segmentSize is where a segment file is full. Pruning removes whole files.
const segmentSize = 128 << 20

// segments is the append-only files of one kind. Reads may happen while a
// record is appended; only one goroutine appends.
type segments struct {
	disk disk
	kind kind
	name string // begins the names of the files
	size uint32 // of a full file

	mu      sync.Mutex
	files   map[uint32]segmentFile
	extents map[uint32]*extent
	last    uint32 // the file that is appended to
	unsaved map[uint32]struct{}
	created bool // a file was made since the last sync
}

// extent is what the database names in a segment file.
type extent struct {
	end       uint32 // of the last record
	maxHeight uint32
}

func newSegments(d disk, k kind, name string, size uint32) *segments {
	return &segments{
		disk: d, kind: k, name: name, size: size,
		files: map[uint32]segmentFile{}, extents: map[uint32]*extent{}, unsaved: map[uint32]struct{}{},
	}
}

func (s *segments) fileName(segment uint32) string {
	return fmt.Sprintf("%s-%05d.seg", s.name, segment)
}

// parseSegmentName splits the name of a segment file.
func parseSegmentName(file string) (name string, segment uint32, ok bool) {
	for _, name := range []string{bodiesName, undosName} {
		if n, err := fmt.Sscanf(file, name+"-%05d.seg", &segment); err == nil && n == 1 {
			return name, segment, file == fmt.Sprintf("%s-%05d.seg", name, segment)
		}
	}
	return "", 0, false
}

// note records that the database names a place.
func (s *segments) note(p place, height uint32) {
	if p.none() {
		return
	}
	e := s.extents[p.segment]
	if e == nil {
		e = &extent{}
		s.extents[p.segment] = e
	}
	e.end = max(e.end, p.offset+p.length)
	e.maxHeight = max(e.maxHeight, height)
	s.last = max(s.last, p.segment)
}

// trim cuts off what was appended after the last record that the database
// names: a crash came before its names were written. Only the last file can
// have such a tail, since a file is left when it is full and the database is
// told of all records of one save at once; files beyond are removed.
func (s *segments) trim() error {
	names, err := s.disk.list()
	if err != nil {
		return err
	}
	for _, file := range names {
		name, segment, _ := parseSegmentName(file)
		if name == s.name && s.extents[segment] == nil {
			if err := s.disk.remove(file); err != nil {
				return err
			}
		}
	}
	e := s.extents[s.last]
	if e == nil || !s.disk.exists(s.fileName(s.last)) {
		return nil
	}
	f, err := s.file(s.last)
	if err != nil {
		return err
	}
	return f.Truncate(int64(e.end))
}

// file returns an open segment file. It assumes mu or that nobody else is there.
func (s *segments) file(segment uint32) (segmentFile, error) {
	if f := s.files[segment]; f != nil {
		return f, nil
	}
	f, err := s.disk.open(s.fileName(segment))
	if err != nil {
		return nil, err
	}
	s.files[segment] = f
	return f, nil
}

// append writes a record behind the last one. It is durable after sync.
func (s *segments) append(at types.Index, payload []byte) (place, error) {
	record := appendFramed(make([]byte, 0, frameSize+len(payload)), s.kind, at, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.extents[s.last]; e != nil && uint64(e.end)+uint64(len(record)) > uint64(s.size) {
		s.last++
	}
	if s.extents[s.last] == nil {
		s.extents[s.last] = &extent{}
		s.created = true
	}
	f, err := s.file(s.last)
	if err != nil {
		return place{}, err
	}
	p := place{s.last, s.extents[s.last].end, uint32(len(record))}
	if _, err := f.WriteAt(record, int64(p.offset)); err != nil {
		return place{}, fmt.Errorf("write %s: %w", s.disk.path(s.fileName(s.last)), err)
	}
	s.note(p, at.Height)
	s.unsaved[s.last] = struct{}{}
	return p, nil
}

// read returns the payload of a record.
func (s *segments) read(p place, at types.Index) ([]byte, error) {
	name := s.fileName(p.segment)
	where := func(err error) error {
		return fmt.Errorf("%s at byte %d: %w", s.disk.path(name), p.offset, err)
	}
	s.mu.Lock()
	if s.files[p.segment] == nil && !s.disk.exists(name) {
		s.mu.Unlock()
		return nil, where(errors.New("the file is missing"))
	}
	f, err := s.file(p.segment)
	s.mu.Unlock()
	if err != nil {
		return nil, where(err)
	}
	record := make([]byte, p.length)
	if _, err := f.ReadAt(record, int64(p.offset)); err != nil {
		return nil, where(err)
	}
	payload, err := parseFramed(record, s.kind, at)
	if err != nil {
		return nil, where(err)
	}
	return payload, nil
}

// sync makes all records durable.
func (s *segments) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for segment := range s.unsaved {
		if err := s.files[segment].Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", s.disk.path(s.fileName(segment)), err)
		}
	}
	clear(s.unsaved)
	if s.created {
		if err := s.disk.syncDir(); err != nil {
			return err
		}
		s.created = false
	}
	return nil
}

// bytes returns the bytes of all records.
func (s *segments) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := int64(0)
	for _, e := range s.extents {
		total += int64(e.end)
	}
	return total
}

// oldest returns the first file, if all of its records are below the height and
// it is not the one that is appended to.
func (s *segments) oldest(below uint32) (uint32, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, found := uint32(0), false
	for segment, e := range s.extents {
		if segment != s.last && e.maxHeight < below && (!found || segment < first) {
			first, found = segment, true
		}
	}
	return first, found
}

// drop removes a file. Nothing may name it any more.
func (s *segments) drop(segment uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[segment]; f != nil {
		if err := f.Close(); err != nil {
			return err
		}
		delete(s.files, segment)
	}
	delete(s.unsaved, segment)
	delete(s.extents, segment)
	if !s.disk.exists(s.fileName(segment)) {
		return nil
	}
	return s.disk.remove(s.fileName(segment))
}

func (s *segments) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	clear(s.files)
	return errors.Join(errs...)
}
