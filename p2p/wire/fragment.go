package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// MaxFragmentData is the most bytes of a payload in one fragment. So much an urgent
	// message may have to wait for: 13 milliseconds at 10 Mbit/s. All fragments of a
	// message but the last hold as many, so that a message has one form, and a peer
	// cannot cut it into crumbs.
	MaxFragmentData = 16_000
	// FragmentHeaderSize is the length of a fragment's header in bytes.
	FragmentHeaderSize = 8
	// MaxFragmentSize is the length of the longest fragment in bytes.
	MaxFragmentSize = FragmentHeaderSize + MaxFragmentData
)

// Fragment is a part of a message.
type Fragment struct {
	Lane  Lane
	Type  Type   // of the message
	Total uint32 // bytes of the message's payload
	Data  []byte // the part of the payload that follows those sent before
}

// AppendFragment appends the encoding of the fragment, whose data is at most
// MaxFragmentData bytes long: lane 1, type 1, length of the data 2, total 4, the
// data.
func AppendFragment(b []byte, f Fragment) []byte {
	b = append(b, byte(f.Lane), byte(f.Type))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Data)))
	b = binary.LittleEndian.AppendUint32(b, f.Total)
	return append(b, f.Data...)
}

// ReadFragment reads one fragment. Its data lies in buf, which must have room
// for MaxFragmentSize bytes. A failure of the reader is returned as it is
// (io.EOF only between two fragments); one of the bytes wraps ErrProtocol.
func ReadFragment(r io.Reader, buf []byte) (Fragment, error) {
	header := buf[:FragmentHeaderSize]
	if _, err := io.ReadFull(r, header); err != nil {
		return Fragment{}, err
	}
	f := Fragment{Lane: Lane(header[0]), Type: Type(header[1]), Total: binary.LittleEndian.Uint32(header[4:])}
	size := binary.LittleEndian.Uint16(header[2:])
	// Before the data is waited for: a peer must not make us read what is refused anyway.
	switch {
	case f.Lane > Bulk:
		return Fragment{}, broken("lane %d", f.Lane)
	case size > MaxFragmentData || uint32(size) > f.Total:
		return Fragment{}, broken("fragment of %d bytes of a %s of %d", size, f.Type, f.Total)
	}
	f.Data = buf[FragmentHeaderSize : FragmentHeaderSize+int(size)]
	if _, err := io.ReadFull(r, f.Data); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Fragment{}, err
	}
	return f, nil
}

// Assembler puts the messages of one connection together again. It belongs to
// the goroutine that reads the connection. It holds at most one unfinished
// message a lane, and of a message never more than twice the bytes that came.
type Assembler struct {
	maxBlock int
	lanes    [2]assembly
}

// assembly is the unfinished message of a lane.
type assembly struct {
	typ      Type
	total    int
	received int
	payload  []byte // stays empty for a type that is not known: what is skipped takes no memory
}

// NewAssembler returns an Assembler that takes no Block and no BlockTxs longer
// than maxBlock bytes: a network's weight limit.
func NewAssembler(maxBlock int) *Assembler { return &Assembler{maxBlock: maxBlock} }

// Pending returns the bytes of memory that unfinished messages hold, more than have come
// of them.
func (a *Assembler) Pending() int {
	return cap(a.lanes[Urgent].payload) + cap(a.lanes[Bulk].payload)
}

// Push takes the next fragment, whose data it copies. It returns a message and
// true if the fragment was its last; a message of a type that is not known is
// skipped. Every error wraps ErrProtocol, and ends the stream.
func (a *Assembler) Push(f Fragment) (Message, bool, error) {
	if f.Lane > Bulk {
		return nil, false, broken("lane %d", f.Lane)
	}
	// Only a message without a payload ends at zero bytes, and it ends with its first
	// fragment. So zero means that none is under way.
	l := &a.lanes[f.Lane]
	if l.received == 0 {
		if err := a.begin(l, f); err != nil {
			return nil, false, err
		}
	}
	if f.Type != l.typ || int64(f.Total) != int64(l.total) {
		return nil, false, broken("a %s of %d bytes within a %s of %d", f.Type, f.Total, l.typ, l.total)
	}
	if want := min(l.total-l.received, MaxFragmentData); len(f.Data) != want {
		return nil, false, broken("fragment of %d bytes of a %s, want %d", len(f.Data), f.Type, want)
	}
	l.received += len(f.Data)
	known := l.typ.Known()
	if known {
		l.keep(f.Data)
	}
	if l.received < l.total {
		return nil, false, nil
	}
	// The lane is free before the payload is decoded, and lets go of its bytes.
	typ, payload := l.typ, l.payload
	*l = assembly{}
	if !known {
		return nil, false, nil
	}
	m, err := Decode(typ, payload)
	return m, err == nil, err
}

// begin starts a message, if it is not longer than its type may be.
func (a *Assembler) begin(l *assembly, f Fragment) error {
	limit := MaxPayload(f.Type)
	if f.Type == TypeBlock || f.Type == TypeBlockTxs {
		limit = min(limit, a.maxBlock)
	}
	if int64(f.Total) > int64(limit) {
		return broken("%s of %d bytes, the limit is %d", f.Type, f.Total, limit)
	}
	*l = assembly{typ: f.Type, total: int(f.Total)}
	return nil
}

// keep appends data. The buffer doubles, up to the announced length and no further. So an
// announcement alone costs nothing, and a byte is copied twice at most, on average.
func (l *assembly) keep(data []byte) {
	if need := len(l.payload) + len(data); need > cap(l.payload) {
		size := min(max(need, 2*cap(l.payload)), l.total)
		l.payload = append(make([]byte, 0, size), l.payload...)
	}
	l.payload = append(l.payload, data...)
}

// Fragmenter cuts messages into fragments: those of the urgent lane first, of each lane
// in the order of the messages. It belongs to the goroutine that writes the connection.
// It cuts one fragment at a time, so that an urgent message that is pushed meanwhile
// goes before the rest of a block. It has no bound; who pushes looks at Pending and
// Messages.
type Fragmenter struct {
	lanes [2][]outgoing
	size  int
}

// outgoing is a message, or what is left to send of one.
type outgoing struct {
	typ   Type
	total uint32
	rest  []byte
}

// Push adds a message behind those of its lane. A payload that is shared with
// the message must not change until it is sent. The error is ErrTooLarge.
func (f *Fragmenter) Push(m Message) error {
	t, payload := m.Type(), Encode(m)
	if len(payload) > MaxPayload(t) {
		return fmt.Errorf("%w: %s of %d bytes, the limit is %d", ErrTooLarge, t, len(payload), MaxPayload(t))
	}
	lane := t.Lane()
	f.lanes[lane] = append(f.lanes[lane], outgoing{t, uint32(len(payload)), payload})
	f.size += len(payload)
	return nil
}

// Pending returns the bytes of payloads that were not taken yet.
func (f *Fragmenter) Pending() int { return f.size }

// Messages returns the number of messages that were not taken to their end. Each
// takes memory beside its payload.
func (f *Fragmenter) Messages() int { return len(f.lanes[Urgent]) + len(f.lanes[Bulk]) }

// Empty reports whether everything was taken. Pending is no measure of that:
// there are messages without a payload.
func (f *Fragmenter) Empty() bool { return len(f.lanes[Urgent]) == 0 && len(f.lanes[Bulk]) == 0 }

// AppendNext appends the encoding of the next fragment. It reports false, and
// appends nothing, if there is none.
func (f *Fragmenter) AppendNext(b []byte) ([]byte, bool) {
	lane := Urgent
	if len(f.lanes[lane]) == 0 {
		lane = Bulk
	}
	queue := f.lanes[lane]
	if len(queue) == 0 {
		return b, false
	}
	m := &queue[0]
	n := min(len(m.rest), MaxFragmentData)
	b = AppendFragment(b, Fragment{lane, m.typ, m.total, m.rest[:n]})
	m.rest = m.rest[n:]
	f.size -= n
	if len(m.rest) == 0 {
		// Cut off, not moved up: the queue of who does not read is long.
		*m = outgoing{}
		if f.lanes[lane] = queue[1:]; len(queue) == 1 {
			f.lanes[lane] = nil
		}
	}
	return b, true
}
