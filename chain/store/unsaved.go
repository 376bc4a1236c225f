package store

import (
	"encoding/binary"

	"github.com/karatcoin/karat/chain/types"
)

// maxUnsaved bounds the bytes of bodies that are read back when a directory is
// opened: they are all in memory at once.
const maxUnsaved = 256 << 20

// TakeUnsaved returns, once, the bodies that were written after the last step before
// the program was killed, in the order of writing. A power cut may have taken some or
// all of them. They have their checksums but no other warrant, so they must be added
// as if they came from a peer.
func (s *Store) TakeUnsaved() [][]byte {
	bodies := s.unsaved
	s.unsaved = nil
	return bodies
}

// readUnsaved returns the payloads of the whole records behind the last extent that
// the database names, in that file and in those that were begun after it. The first
// byte that is no record ends them: what follows a gap has no known order. It runs
// before tidy, which removes them.
func (s *segments) readUnsaved(files []segmentInfo) (payloads [][]byte) {
	sizes := map[uint32]int64{}
	for _, f := range files {
		if f.kind == s.kind {
			sizes[f.segment] = f.size
		}
	}
	last := uint32(0)
	for segment := range s.extents {
		last = max(last, segment)
	}
	room := int64(maxUnsaved)
	for segment, offset := last, int64(s.extents[last].end); ; segment, offset = segment+1, 0 {
		size, exists := sizes[segment]
		if !exists {
			return payloads
		}
		more, whole := s.readTail(segment, offset, min(size, offset+room))
		payloads = append(payloads, more...)
		room -= size - offset
		if !whole || room <= 0 {
			return payloads
		}
	}
}

// readTail returns the payloads of the records between two offsets of a file, and
// whether they fill it.
func (s *segments) readTail(segment uint32, offset, end int64) (payloads [][]byte, whole bool) {
	f, err := s.disk.open(s.kind.fileName(segment))
	if err != nil {
		return nil, false
	}
	defer f.Close()                     // nothing was written through it
	head := make([]byte, frameHeadSize) // tells how much to read; nothing in it is believed before the checksum
	for end-offset >= frameSize {
		if _, err := f.ReadAt(head, offset); err != nil {
			return payloads, false
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if kind(binary.LittleEndian.Uint32(head)) != s.kind || length > end-offset-frameSize {
			return payloads, false
		}
		record := make([]byte, frameSize+length)
		if _, err := f.ReadAt(record, offset); err != nil {
			return payloads, false
		}
		of := types.Index{Height: binary.LittleEndian.Uint32(head[8:]), Hash: types.Hash(head[12:])}
		payload, err := checkRecord(record, s.kind, of)
		if err != nil {
			return payloads, false
		}
		payloads = append(payloads, payload)
		offset += int64(len(record))
	}
	return payloads, offset == end
}
