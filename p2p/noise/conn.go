package noise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	flynn "github.com/flynn/noise"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

const (
	// MaxRecordData is the most bytes that one record carries. A fragment of package
	// wire fits in. A reader waits for a whole record before it can decrypt any of it,
	// so a larger one would only delay what comes first.
	MaxRecordData = 16 << 10
	// RecordOverhead is what a record takes besides its data, in bytes.
	RecordOverhead = lengthSize + tagSize
	// RekeyRecords is the number of records after which each direction changes its
	// key: after 1 GiB at most.
	RekeyRecords = 1 << 16

	lengthSize = 2
	maxRecord  = MaxRecordData + RecordOverhead
	// inputBuffer has room for a whole record behind the rest of another, so that what
	// is left over is rarely moved, and one call of the system brings many small records.
	inputBuffer = 2 * maxRecord
)

// ErrRecord is wrapped by an error of Read about bytes that the peer's end of the
// connection cannot have sent as they came: they were changed on the way, or the peer
// does not speak the protocol.
var ErrRecord = errors.New("broken record")

// Conn is an encrypted connection to a node that is known. It is a net.Conn: one
// goroutine may read and another write at the same time, and more of either take turns.
// An io.EOF from Read does not prove that the peer has ended the stream, since whoever
// can cut the connection can cut it between two records.
type Conn struct {
	conn    net.Conn
	remote  peerinfo.NodeID
	session types.Hash

	readMu  sync.Mutex // held while the one that reads waits for bytes
	in      *flynn.CipherState
	readErr error  // after the first broken record there is no way on: the nonce counts records
	input   []byte // what came and is not decrypted; its array is kept
	buffer  []byte // that array, whole
	plain   []byte // what is decrypted and not read, within the array

	writeMu  sync.Mutex // held while the one that writes waits for room
	out      *flynn.CipherState
	writeErr error  // after a record that was sent in part there is no way on
	output   []byte // room for one record, kept between calls
}

// newConn returns the connection after its handshake.
func newConn(conn net.Conn, hs *flynn.HandshakeState, out, in *flynn.CipherState) *Conn {
	buffer := make([]byte, inputBuffer)
	return &Conn{
		conn: conn, remote: peerinfo.NodeID(hs.PeerStatic()), session: types.Hash(hs.ChannelBinding()), in: in, out: out,
		buffer: buffer, input: buffer[:0], output: make([]byte, 0, maxRecord),
	}
}

// RemoteID returns the id that the other side proved.
func (c *Conn) RemoteID() peerinfo.NodeID { return c.remote }

// Session returns the hash of the handshake, which is the same on both sides and another
// for every connection (the Noise specification's channel binding). Neither side can
// choose it alone, so it decides between two nodes which of two connections stays.
func (c *Conn) Session() types.Hash { return c.session }

// Records returns how many records were read. It is for the goroutine that reads: to
// another one it may answer only after the next record.
func (c *Conn) Records() uint64 {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	return c.in.Nonce()
}

// Read reads up to one record's data. After a deadline that ran out it can be
// called again and nothing is lost; an error that wraps ErrRecord is final.
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.plain) == 0 {
		if c.readErr != nil {
			return 0, c.readErr
		}
		if err := c.readRecord(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

// readRecord decrypts the next record in place, into plain.
func (c *Conn) readRecord() error {
	if err := c.fill(lengthSize); err != nil {
		return err
	}
	// An empty record is refused: a peer could send such for ever, and Read would have
	// nothing to return.
	size := int(binary.LittleEndian.Uint16(c.input))
	if size <= tagSize || size > MaxRecordData+tagSize {
		return c.failRead(fmt.Errorf("%w: %d bytes", ErrRecord, size))
	}
	if err := c.fill(lengthSize + size); err != nil {
		return err
	}
	record := c.input[lengthSize : lengthSize+size]
	plain, err := c.in.Decrypt(record[:0], nil, record)
	if err != nil {
		return c.failRead(fmt.Errorf("%w: %w", ErrRecord, err))
	}
	c.input = c.input[lengthSize+size:]
	c.plain = plain
	rekey(c.in)
	return nil
}

func (c *Conn) failRead(err error) error {
	c.readErr = err
	return err
}

// fill reads until input holds n bytes, and whatever else has come already. It is called
// only when all of plain is read, so the whole array is free but for input. What was
// read before an error stays in input: after a deadline the next call goes on from there.
func (c *Conn) fill(n int) error {
	if len(c.input) >= n {
		return nil
	}
	// To the front with it, if there is no room behind for a whole record.
	if cap(c.input) < maxRecord || len(c.input) == 0 {
		c.input = c.buffer[:copy(c.buffer, c.input)]
	}
	have := len(c.input)
	more, err := io.ReadAtLeast(c.conn, c.input[have:cap(c.input)], n-have)
	c.input = c.input[:have+more]
	if err == io.EOF && len(c.input) > 0 { // within a record
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Write sends p in records of at most MaxRecordData bytes, and returns how much of it was
// sent in whole records. Every error is final, a deadline's too: the part of a record
// that went out cannot be taken back, nor sent again under the next nonce.
func (c *Conn) Write(p []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	sent := 0
	for sent < len(p) {
		if c.writeErr != nil {
			return sent, c.writeErr
		}
		data := p[sent:min(len(p), sent+MaxRecordData)]
		if c.writeErr = c.writeRecord(data); c.writeErr != nil {
			return sent, c.writeErr
		}
		sent += len(data)
	}
	return sent, nil
}

// writeRecord sends one record by one call of the connection beneath.
func (c *Conn) writeRecord(data []byte) error {
	record := binary.LittleEndian.AppendUint16(c.output[:0], uint16(len(data)+tagSize))
	record, err := c.out.Encrypt(record, nil, data)
	if err != nil {
		return err
	}
	rekey(c.out)
	_, err = c.conn.Write(record)
	return err
}

// rekey changes the key of a direction after every RekeyRecords records, as Noise's
// REKEY does. The new key does not tell the old one, so a key that leaks does not open
// what was sent long before. Both sides count records, so no message announces it.
func rekey(s *flynn.CipherState) {
	if s.Nonce()%RekeyRecords == 0 {
		s.Rekey()
	}
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// LocalAddr returns the address of this side.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the address of the other side.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline bounds Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, which cannot be called again after it ran out.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }
