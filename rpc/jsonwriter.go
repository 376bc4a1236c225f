package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/karatcoin/karat/chain/types"
)

// A method's result is one of three. Any value is written by encoding/json. An appender
// adds itself to a buffer, without reflection and without maps, and is for what is asked
// often. A streamer is for what is long: it is sent while it is made, so that it is
// nowhere whole.

// appender is a result that appends its own JSON to a buffer.
type appender interface{ appendJSON(b []byte) []byte }

// streamer is a result that writes its own JSON. Behind its first bytes an error can only
// break the answer off, so a method reads all that can fail before it returns one. It
// may be asked to write twice, the first time to learn its length, and must write the
// same.
type streamer interface{ writeJSON(w *jsonWriter) error }

// pieceBytes is how much of an answer is made before it is sent.
const pieceBytes = writePiece

// jsonWriter takes JSON, and passes it on in pieces. Its methods append what they are
// given; whoever writes much calls spill between, which is where pieces go.
type jsonWriter struct {
	b     []byte             // what has not gone yet
	piece func([]byte) error // takes a piece, which is no longer its own afterwards; nil: all stays in b
	sent  int64              // bytes of the pieces that have gone
	count bool               // only the length is wanted: long texts are counted and not made
	err   error              // the first of piece
	ctx   context.Context    // of who waits for the answer
	lease *lease             // of the block that the answer is about
}

// use notes the block that is being written, and returns what ends that.
func (w *jsonWriter) use(l *lease) (end func()) {
	w.lease = l
	return func() {
		l.giveBack()
		w.lease = nil
	}
}

// spill sends what is there if it makes a piece. An error says that nobody takes the rest.
func (w *jsonWriter) spill() error {
	if len(w.b) < pieceBytes || w.piece == nil {
		return w.err
	}
	return w.flush()
}

// flush sends what is there.
func (w *jsonWriter) flush() error {
	if w.err == nil && w.piece != nil && len(w.b) > 0 {
		w.sent += int64(len(w.b))
		w.err = w.piece(w.b)
		w.b = w.b[:0]
	}
	return w.err
}

// total is the length of all that was written.
func (w *jsonWriter) total() int64 { return w.sent + int64(len(w.b)) }

func (w *jsonWriter) raw(s string)  { w.b = append(w.b, s...) }
func (w *jsonWriter) int(n int64)   { w.b = strconv.AppendInt(w.b, n, 10) }
func (w *jsonWriter) uint(n uint64) { w.b = strconv.AppendUint(w.b, n, 10) }
func (w *jsonWriter) bool(v bool)   { w.b = strconv.AppendBool(w.b, v) }

// hash writes a hash as it is displayed, without quotes.
func (w *jsonWriter) hash(h types.Hash) {
	if w.count {
		w.sent += 2 * types.HashSize
		return
	}
	w.b, _ = h.AppendText(w.b)
}

// hex32 writes eight digits, as Core writes versions and targets.
func (w *jsonWriter) hex32(v uint32) {
	w.b = hex.AppendEncode(w.b, binary.BigEndian.AppendUint32(nil, v))
}

// amount writes grains as a number of coins with eight decimals, as Bitcoin Core
// does. A float would be written as 1e-8.
func (w *jsonWriter) amount(a types.Amount) { w.b = a.AppendTo(w.b) }

// hex writes bytes in hexadecimal, without quotes. Long ones go in pieces.
func (w *jsonWriter) hex(data []byte) {
	if w.count {
		w.sent += 2 * int64(len(data))
		return
	}
	for len(data) > pieceBytes/2 {
		w.b = appendHex(w.b, data[:pieceBytes/2])
		data = data[pieceBytes/2:]
		if w.spill() != nil {
			return
		}
	}
	w.b = appendHex(w.b, data)
}

// appendHex is hex.AppendEncode in half of the time, which is most of what it takes to
// answer with a block.
func appendHex(b, data []byte) []byte {
	at := len(b)
	b = slices.Grow(b, 2*len(data))[:at+2*len(data)]
	to := b[at:]
	for i, c := range data {
		binary.LittleEndian.PutUint16(to[2*i:2*i+2], hexPairs[c])
	}
	return b
}

// hexPairs are the two digits of each byte, the first in the low bits.
var hexPairs = func() (pairs [256]uint16) {
	const digits = "0123456789abcdef"
	for i := range pairs {
		pairs[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return pairs
}()

// written is what a streamer writes, as a whole.
func written(b []byte, v streamer) []byte {
	w := jsonWriter{b: b, ctx: context.Background()}
	_ = v.writeJSON(&w) // without pieces nothing fails
	return w.b
}

// value writes a result of any of the three kinds.
func (w *jsonWriter) value(v any) error {
	switch v := v.(type) {
	case streamer: // before appender: what is both may be long
		return v.writeJSON(w)
	case appender:
		w.b = v.appendJSON(w.b)
	default:
		b, err := appendAny(w.b, v)
		if err != nil {
			return err
		}
		w.b = b
	}
	return w.spill()
}

// appendAny appends what encoding/json makes of a value, without its escapes for HTML:
// Core writes none, and a node serves no pages. json.RawMessage goes as it is.
func appendAny(b []byte, v any) ([]byte, error) {
	if raw, ready := v.(json.RawMessage); ready && raw != nil {
		return append(b, raw...), nil
	}
	to := sliceWriter{b}
	e := json.NewEncoder(&to)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return b, err
	}
	return bytes.TrimSuffix(to.b, []byte("\n")), nil
}

type sliceWriter struct{ b []byte }

// Write implements io.Writer.
func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// buffers are for replies. Those that have grown much are left to the collector, so that
// an idle server holds little.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const keepBuffer = 2 * pieceBytes

func takeBuffer() *[]byte { return buffers.Get().(*[]byte) }

func giveBuffer(p *[]byte, b []byte) {
	if cap(b) <= keepBuffer {
		*p = b[:0]
		buffers.Put(p)
	}
}
