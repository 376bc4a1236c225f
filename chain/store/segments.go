package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// defaultSegmentSize is the size at which a segment file is full. Pruning removes
// whole files, so it is also how much a budget may be exceeded by.
const defaultSegmentSize = 128 << 20

// keepBuffer is the size up to which the buffer for records is kept for the next
// one. A full block fits.
const keepBuffer = 8 << 20

// segments is the append-only files of one kind. One goroutine appends, and others
// may read meanwhile.
type segments struct {
	disk disk
	kind kind
	size uint32 // of a full file

	// Of the goroutine that appends:
	file    segmentWriter // the file that is appended to; nil: none is open
	buffer  []byte
	created bool                // a file was made since the last sync
	changed map[uint32]struct{} // files whose extents the database does not know

	mu      sync.Mutex
	last    uint32 // the file that is appended to
	extents map[uint32]extent
	pending map[types.Hash]location // records that the database does not know
}

func newSegments(d disk, k kind, size uint32) *segments {
	return &segments{
		disk: d, kind: k, size: size,
		changed: map[uint32]struct{}{}, extents: map[uint32]extent{}, pending: map[types.Hash]location{},
	}
}

func (k kind) fileName(segment uint32) string {
	if k == kindUndo {
		return fmt.Sprintf("undo-%05d.seg", segment)
	}
	return fmt.Sprintf("blocks-%05d.seg", segment)
}

// parseSegmentName splits the name of a segment file.
func parseSegmentName(name string) (k kind, segment uint32, ok bool) {
	for k, pattern := range map[kind]string{kindBlock: "blocks-%d.seg", kindUndo: "undo-%d.seg"} {
		if n, _ := fmt.Sscanf(name, pattern, &segment); n == 1 && name == k.fileName(segment) {
			return k, segment, true
		}
	}
	return 0, 0, false
}

func (s *segments) path(segment uint32) string { return s.disk.path(s.kind.fileName(segment)) }

// tidy makes the files agree with the extents that the database names. A file that
// it does not name was pruned, or was begun and not saved before a crash, and is
// removed. What the last file has beyond its extent is cut off by openLast before
// the first record is appended. A last file that is missing or too short is left as
// it is, for whoever can bring it back, and a new one is begun.
func (s *segments) tidy(files []segmentInfo, log *slog.Logger) error {
	sizes := map[uint32]int64{}
	for _, f := range files {
		if f.kind != s.kind {
			continue
		}
		if _, named := s.extents[f.segment]; named {
			sizes[f.segment] = f.size
			continue
		}
		log.Info("removing a segment file that nothing refers to", "file", s.path(f.segment), "bytes", f.size)
		if err := s.disk.remove(s.kind.fileName(f.segment)); err != nil {
			return err
		}
	}
	for segment := range s.extents {
		s.last = max(s.last, segment)
	}
	for segment, e := range s.extents {
		if size, ok := sizes[segment]; !ok || size < int64(e.end) {
			log.Error("a segment file is missing or too short: its blocks cannot be read", "file", s.path(segment),
				"bytes", size, "want", e.end)
			if segment == s.last {
				s.last++
			}
		}
	}
	return nil
}

// append writes a record behind the last one. Its payload is what fill appends. It
// can be read at once, and is durable after sync.
func (s *segments) append(at types.Index, fill func([]byte) []byte) error {
	record := fill(append(s.buffer[:0], make([]byte, frameHeadSize)...))
	record = sealRecord(record, s.kind, at)
	if cap(record) <= keepBuffer {
		s.buffer = record
	}
	s.mu.Lock()
	e := s.extents[s.last]
	s.mu.Unlock()
	// A record that is larger than a full file has a file to itself.
	if e.end > 0 && uint64(e.end)+uint64(len(record)) > uint64(s.size) {
		if err := s.rotate(); err != nil {
			return err
		}
		e = extent{}
	}
	if err := s.openLast(e); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(record, int64(e.end)); err != nil {
		return fmt.Errorf("write %s: %w", s.path(s.last), err)
	}
	loc := location{height: at.Height, segment: s.last, offset: e.end, length: uint32(len(record))}
	s.changed[s.last] = struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extents[s.last] = extent{end: e.end + loc.length, maxHeight: max(e.maxHeight, at.Height)}
	s.pending[at.Hash] = loc
	return nil
}

// rotate makes the last file durable, closes it, and moves on to the next. A file
// that is left is never opened for writing again, so sync needs to see to one only.
func (s *segments) rotate() error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return nil
}

// openLast opens the last file if it is not open, and cuts off what a crash has
// left beyond its extent, so that the file holds whole records only.
func (s *segments) openLast(e extent) error {
	if s.file != nil {
		return nil
	}
	f, err := s.disk.create(s.kind.fileName(s.last))
	if err != nil {
		return fmt.Errorf("open %s: %w", s.path(s.last), err)
	}
	s.file, s.created = f, true
	if err := f.Truncate(int64(e.end)); err != nil {
		return fmt.Errorf("truncate %s: %w", s.path(s.last), err)
	}
	return nil
}

// sync makes all records durable.
func (s *segments) sync() error {
	if s.file == nil || len(s.changed) == 0 {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.path(s.last), err)
	}
	if s.created {
		if err := s.disk.syncDir(blocksDir); err != nil {
			return fmt.Errorf("sync the directory of %s: %w", s.path(s.last), err)
		}
		s.created = false
	}
	return nil
}

// save adds to a step what the database does not know yet.
func (s *segments) save(prefix byte, c *changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash, loc := range s.pending {
		c.put(hashKey(prefix, hash), appendLocation(nil, loc))
	}
	for segment := range s.changed {
		c.put(segmentKey(s.kind, segment), appendExtent(nil, s.extents[segment]))
	}
}

// saved notes that the database knows everything: the step has succeeded.
func (s *segments) saved() {
	clear(s.changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pending)
}

// find returns the location of a record, if the database does not know it yet.
func (s *segments) find(hash types.Hash) (location, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	loc, ok := s.pending[hash]
	return loc, ok
}

// read returns the payload of a record. An error names the file and the byte.
func (s *segments) read(loc location, hash types.Hash) ([]byte, error) {
	payload, err := s.readRecord(loc, types.Index{Height: loc.height, Hash: hash})
	return payload, s.explained(loc, err)
}

// readPart returns bytes of the payload of a record, with errors as read.
func (s *segments) readPart(loc location, offset, size uint32) ([]byte, error) {
	if uint64(offset)+uint64(size)+frameSize > uint64(loc.length) {
		return nil, s.explained(loc, damaged("it has no %d bytes from byte %d on", size, offset))
	}
	loc.offset, loc.length = loc.offset+frameHeadSize+offset, size
	part, err := s.readAt(loc)
	return part, s.explained(loc, err)
}

// explained makes an error of reading name the file and the byte.
func (s *segments) explained(loc location, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing: bring it back, or remove the data directory and sync again", s.path(loc.segment))
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s ends before the record at byte %d does: bring the file back, or remove the data directory and sync again", s.path(loc.segment), loc.offset)
	case err != nil:
		return fmt.Errorf("%s, the record at byte %d: %w; check the disk, and bring the file back or remove the data directory and sync again", s.path(loc.segment), loc.offset, err)
	}
	return nil
}

func (s *segments) readRecord(loc location, of types.Index) ([]byte, error) {
	record, err := s.readAt(loc)
	if err != nil {
		return nil, err
	}
	return checkRecord(record, s.kind, of)
}

// readAt opens the file for each read. Reads are rare beside writes, and so no
// descriptor is held of a file that Prune may remove.
func (s *segments) readAt(loc location) ([]byte, error) {
	f, err := s.disk.open(s.kind.fileName(loc.segment))
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written through it
	if s.lacks(loc) {
		return nil, damaged("the location is beyond the end of the file")
	}
	bytes := make([]byte, loc.length)
	if _, err := f.ReadAt(bytes, int64(loc.offset)); err != nil {
		return nil, err
	}
	return bytes, nil
}

// lacks reports that a location is not in the file that it names. It bounds what is
// allocated when the length is damaged.
func (s *segments) lacks(loc location) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(loc.offset)+uint64(loc.length) > uint64(s.extents[loc.segment].end)
}

// bytes returns the length of all records.
func (s *segments) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := int64(0)
	for _, e := range s.extents {
		total += int64(e.end)
	}
	return total
}

// full returns the files that are no longer appended to, the oldest first, and
// their extents.
func (s *segments) full() ([]uint32, map[uint32]extent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	extents := maps.Clone(s.extents)
	delete(extents, s.last)
	return slices.Sorted(maps.Keys(extents)), extents
}

// forget removes a file, which nothing names any more.
func (s *segments) forget(segment uint32) error {
	s.mu.Lock()
	delete(s.extents, segment)
	s.mu.Unlock()
	err := s.disk.remove(s.kind.fileName(segment))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *segments) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
