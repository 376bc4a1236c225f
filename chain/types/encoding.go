package types

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrEncoding is wrapped by every error of a decoder in this package. It says that the
// bytes encode nothing, whatever the rules would say.
var ErrEncoding = errors.New("bad encoding")

// Decoder reads from a slice of bytes. Its error is sticky: after the first failure
// every read returns a zero value. So to decode something is a straight list of its
// fields with one check at the end. Slices that it returns are parts of the input and
// no copies.
type Decoder struct {
	data []byte
	off  int
	err  error

	maxElements int // of all witnesses of a transaction; 0 is no limit

	inputSlab   slab[TxIn]
	outputSlab  slab[TxOut]
	elementSlab slab[[]byte]
}

// NewDecoder returns a decoder of b, which must not change while values that
// were decoded from it are in use.
func NewDecoder(b []byte) *Decoder { return &Decoder{data: b} }

// Err returns the first failure, which wraps ErrEncoding.
func (d *Decoder) Err() error { return d.err }

// Remaining returns the number of bytes that were not read.
func (d *Decoder) Remaining() int { return len(d.data) - d.off }

// Finish returns the first failure. Bytes that are left over are one too: otherwise
// one thing would have many encodings.
func (d *Decoder) Finish() error {
	if d.err == nil && d.Remaining() > 0 {
		d.Fail("%d bytes left over", d.Remaining())
	}
	return d.err
}

// Fail records a failure, unless there was one before, and ends the input.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w at byte %d: %s", ErrEncoding, d.off, fmt.Sprintf(format, args...))
		d.off = len(d.data)
	}
}

// Bytes returns the next n bytes of the input.
func (d *Decoder) Bytes(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > d.Remaining() {
		d.Fail("%d bytes wanted, %d there", n, d.Remaining())
		return nil
	}
	b := d.data[d.off : d.off+n : d.off+n]
	d.off += n
	return b
}

// Uint8 reads one byte.
func (d *Decoder) Uint8() byte {
	if b := d.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint32 reads four bytes, little-endian.
func (d *Decoder) Uint32() uint32 {
	if b := d.Bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads eight bytes, little-endian.
func (d *Decoder) Uint64() uint64 {
	if b := d.Bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Hash reads 32 bytes.
func (d *Decoder) Hash() (h Hash) {
	copy(h[:], d.Bytes(HashSize))
	return h
}

// CompactSize reads Bitcoin's integer of variable length. It refuses every form but
// the shortest, as Bitcoin Core does, so that the same bytes are written again.
func (d *Decoder) CompactSize() uint64 {
	// Nearly all are one byte. After a failure the input is at its end.
	if d.off < len(d.data) && d.data[d.off] < 0xfd {
		d.off++
		return uint64(d.data[d.off-1])
	}
	return d.longCompactSize()
}

func (d *Decoder) longCompactSize() uint64 {
	var n, least uint64
	switch d.Uint8() {
	case 0xfd:
		b := d.Bytes(2)
		if b == nil {
			return 0
		}
		n, least = uint64(binary.LittleEndian.Uint16(b)), 0xfd
	case 0xfe:
		n, least = uint64(d.Uint32()), 1<<16
	case 0xff:
		n, least = d.Uint64(), 1<<32
	}
	if d.err == nil && n < least {
		d.Fail("compact size of %d is not canonical", n)
		return 0
	}
	return n
}

// Count reads the number of elements of a list. Each takes at least minSize bytes, and
// a number that the rest of the input cannot hold is refused. So a few bytes that claim
// a billion elements allocate nothing.
func (d *Decoder) Count(minSize int) int {
	n := d.CompactSize()
	if d.err != nil {
		return 0
	}
	if n > uint64(d.Remaining()/minSize) {
		d.Fail("a list of %d elements does not fit in %d bytes", n, d.Remaining())
		return 0
	}
	return int(n)
}

// VarBytes reads a compact size and that many bytes. If there are none, the slice is
// empty and not nil.
func (d *Decoder) VarBytes() []byte { return d.Bytes(d.Count(1)) }

// AppendCompactSize appends Bitcoin's integer of variable length, in its shortest form.
func AppendCompactSize(b []byte, n uint64) []byte {
	switch {
	case n < 0xfd:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.LittleEndian.AppendUint16(append(b, 0xfd), uint16(n))
	case n <= 0xffffffff:
		return binary.LittleEndian.AppendUint32(append(b, 0xfe), uint32(n))
	default:
		return binary.LittleEndian.AppendUint64(append(b, 0xff), n)
	}
}

// CompactSizeLen returns the number of bytes that AppendCompactSize appends.
func CompactSizeLen(n uint64) int {
	switch {
	case n < 0xfd:
		return 1
	case n <= 0xffff:
		return 3
	case n <= 0xffffffff:
		return 5
	default:
		return 9
	}
}

// AppendVarBytes appends the length of v as a compact size, then v.
func AppendVarBytes(b, v []byte) []byte {
	return append(AppendCompactSize(b, uint64(len(v))), v...)
}

func varBytesLen(v []byte) int { return CompactSizeLen(uint64(len(v))) + len(v) }

// slab hands out parts of arrays that several transactions share. A block of thousands
// of small ones would otherwise take thousands of allocations. The zero value shares
// nothing: each part is an array of its own.
type slab[T any] struct {
	free []T
	size int // of a new array, at least
}

// take returns n zero values. Their slice has no spare capacity, so that whoever
// appends to it gets a copy and does not write into a neighbour.
func (s *slab[T]) take(n int) []T {
	if n > len(s.free) {
		s.free = make([]T, max(n, s.size))
	}
	taken := s.free[:n:n]
	s.free = s.free[n:]
	return taken
}

// share lets the transactions that are read from now on share arrays of the given
// number of elements.
func (d *Decoder) share(size int) {
	d.inputSlab.size, d.outputSlab.size, d.elementSlab.size = size, size, size
}
