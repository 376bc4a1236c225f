// Package bootstrap reads and writes blocks in the framing of Bitcoin's
// bootstrap.dat and blk files: four bytes of network magic, four bytes of
// length (little-endian), the block.
//
// Blocks stand in such a file in the order in which a node got them, children before
// parents among them. The one idea is that only headers are put in order, not
// blocks: the importer adds the header of each block that it reads to the chain's
// tree. A block whose header the tree takes is handed over at once. Any other waits
// where it stands on disk, until its parent comes.
//
//	im := bootstrap.NewImporter(chain, params, refused)
//	err := chain.AddBlocks(ctx, im.Blocks(ctx, sources), report)
//	err = errors.Join(err, im.Err()) // an input that cannot be read ends Blocks early
//
// A file is hostile. A length is believed only up to the network's limit, and a
// block is kept waiting only if its header has its proof of work. Bytes between
// records are passed over, as Bitcoin Core does, because real files have gaps of
// zeros.
package bootstrap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/karatcoin/karat/chain/types"
)

// frameSize is the size of magic and length.
const frameSize = 8

// Record is one framed block.
type Record struct {
	Offset int64  // of the block, not its frame, in the input
	Raw    []byte // the encoding of the block, owned by the caller
}

// Scanner finds framed blocks in a stream.
type Scanner struct {
	r       *bufio.Reader
	magic   [4]byte
	limit   uint32 // bytes of a block
	offset  int64  // bytes that were consumed
	skipped int64  // those of them that belonged to no record
	cut     bool   // the input ended inside a record
}

// NewScanner returns a scanner for blocks of at most limit bytes that follow
// the given magic.
func NewScanner(r io.Reader, magic [4]byte, limit int) *Scanner {
	// The buffer holds the largest record. So the bytes behind what looks like a
	// frame are not consumed before it is known to be one.
	return &Scanner{r: bufio.NewReaderSize(r, limit+2*frameSize), magic: magic, limit: uint32(limit)}
}

// Next returns the next record, io.EOF at the end, or the reader's error.
func (s *Scanner) Next() (Record, error) {
	for {
		frame, err := s.r.Peek(frameSize)
		if len(frame) < frameSize {
			s.discard(len(frame))
			s.skipped += int64(len(frame))
			return Record{}, orEOF(err)
		}
		if !bytes.Equal(frame[:4], s.magic[:]) {
			s.skipGap()
			continue
		}
		size := binary.LittleEndian.Uint32(frame[4:])
		if size < types.HeaderSize || size > s.limit {
			s.discard(1)
			s.skipped++
			continue
		}
		record, err := s.r.Peek(frameSize + int(size))
		if len(record) == frameSize+int(size) {
			raw := bytes.Clone(record[frameSize:])
			s.discard(len(record))
			return Record{Offset: s.offset - int64(size), Raw: raw}, nil
		}
		if !errors.Is(err, io.EOF) {
			return Record{}, err
		}
		// The file ends inside the record, or this was no frame: look on.
		s.cut = true
		s.discard(1)
		s.skipped++
	}
}

// skipGap passes over bytes that begin no frame, up to the next that may.
func (s *Scanner) skipGap() {
	buffered, _ := s.r.Peek(s.r.Buffered())
	n := bytes.IndexByte(buffered[1:], s.magic[0]) + 1
	if n == 0 {
		n = len(buffered)
	}
	s.discard(n)
	s.skipped += int64(n)
}

func (s *Scanner) discard(n int) {
	// Only bytes that were peeked at are discarded, so this cannot fail.
	_, _ = s.r.Discard(n)
	s.offset += int64(n)
}

// Offset returns the number of bytes that were consumed.
func (s *Scanner) Offset() int64 { return s.offset }

// Skipped returns the number of bytes that belonged to no record.
func (s *Scanner) Skipped() int64 { return s.skipped }

// Cut reports whether the input ended inside a record, as the file of a node does
// that was stopped while it wrote.
func (s *Scanner) Cut() bool { return s.cut }

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// Write writes one framed block.
func Write(w io.Writer, magic [4]byte, raw []byte) error {
	frame := binary.LittleEndian.AppendUint32(magic[:], uint32(len(raw)))
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("write a block: %w", err)
	}
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("write a block: %w", err)
	}
	return nil
}

// Mask is the key by which Bitcoin Core hides what is in its files of blocks. The zero
// value hides nothing.
type Mask [8]byte

// Apply hides the bytes that stand in a file from offset on, or shows them: each byte is
// XORed with the byte of the key that its place in the file leads to.
func (m *Mask) Apply(b []byte, offset int64) {
	if *m == (Mask{}) {
		return
	}
	for i := range b {
		b[i] ^= m[(offset+int64(i))%int64(len(m))]
	}
}
