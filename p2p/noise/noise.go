// Package noise encrypts and authenticates a connection between two nodes: a
// net.Conn goes in, a net.Conn comes out.
//
// The handshake is Noise_XX_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision
// 34). Each side proves a key that lasts, whose public half is its ID. The
// network's identity is part of the prologue, so nodes of different networks
// cannot finish a handshake. After it, bytes travel in records of at most 16 KiB.
//
// The package knows nothing of what is said.
package noise

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/flynn/noise"

	"github.com/karatcoin/karat/chain/types"
)

const (
	// MaxRecord is the number of bytes that one record carries at most.
	MaxRecord = 16 << 10
	// tagSize is what encryption adds to a record.
	tagSize = 16
	// maxHandshake bounds the messages of the handshake, of which the longest has
	// 96 bytes.
	maxHandshake = 256
	// rekeyAfter is the number of records after which each direction changes its
	// key, so that a key that is found out tells little of the past.
	rekeyAfter = 1 << 16
)

// prologuePrefix begins the prologue: the name and the version of this way to
// connect.
const prologuePrefix = "karat/1"

var (
	// ErrHandshake is wrapped by the error of a handshake that failed for what the
	// other side sent: it is of another network, speaks another protocol, or does
	// not have the key that it claims.
	ErrHandshake = errors.New("handshake failed: the peer is of another network or is no karat node")
	// ErrWrongID is wrapped by the error of a handshake with a node that is not
	// the one that was called.
	ErrWrongID = errors.New("the peer has another node id")
	// ErrRecord is wrapped by the error of a record that is too long, empty or was
	// changed on the way.
	ErrRecord = errors.New("broken record")
)

var cipherSuite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

// Client makes the handshake as the side that called, on a network with the
// given identity. If want is not nil, the other side must have that ID. The
// context bounds the handshake only. On failure the connection is closed.
func Client(ctx context.Context, conn net.Conn, key Key, network types.Hash, want *ID) (*Conn, error) {
	return shakeHands(ctx, conn, key, network, want, true)
}

// Server makes the handshake as the side that was called.
func Server(ctx context.Context, conn net.Conn, key Key, network types.Hash) (*Conn, error) {
	return shakeHands(ctx, conn, key, network, nil, false)
}

func shakeHands(ctx context.Context, conn net.Conn, key Key, network types.Hash, want *ID, initiator bool) (*Conn, error) {
	// A deadline in the past ends reads and writes that are under way.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	c, err := handshake(conn, key, network, want, initiator)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("handshake: %w", ctx.Err())
		}
		return nil, err
	}
	return c, nil
}

func handshake(conn net.Conn, key Key, network types.Hash, want *ID, initiator bool) (*Conn, error) {
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: cipherSuite, Pattern: noise.HandshakeXX, Initiator: initiator,
		Prologue: append([]byte(prologuePrefix), network[:]...), StaticKeypair: key.pair,
	})
	if err != nil {
		return nil, err
	}
	var first, second *noise.CipherState
	buf := make([]byte, 0, 2+maxHandshake)
	for message := range 3 {
		if (message%2 == 0) == initiator {
			buf = buf[:2]
			if buf, first, second, err = state.WriteMessage(buf, nil); err != nil {
				return nil, err
			}
			binary.BigEndian.PutUint16(buf, uint16(len(buf)-2))
			if _, err := conn.Write(buf); err != nil {
				return nil, fmt.Errorf("handshake: %w", err)
			}
			continue
		}
		if buf, err = readFrame(conn, buf, maxHandshake); err != nil {
			return nil, fmt.Errorf("handshake: %w", err)
		}
		var payload []byte
		if payload, first, second, err = state.ReadMessage(nil, buf); err != nil || len(payload) > 0 {
			return nil, ErrHandshake
		}
		if message == 1 && want != nil && string(want[:]) != string(state.PeerStatic()) {
			return nil, fmt.Errorf("%w: it is %x, not %s", ErrWrongID, state.PeerStatic(), want)
		}
	}
	c := &Conn{Conn: conn, writer: first, reader: second, in: make([]byte, 0, MaxRecord+tagSize), out: make([]byte, 0, 2+MaxRecord+tagSize)}
	if !initiator {
		c.writer, c.reader = second, first
	}
	copy(c.remote[:], state.PeerStatic())
	return c, nil
}

// readFrame reads a length of two bytes, big-endian, and that many bytes into
// buf, from 1 to limit.
func readFrame(r io.Reader, buf []byte, limit int) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	if size == 0 || size > limit {
		return nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrRecord, size, limit)
	}
	buf = append(buf[:0], make([]byte, size)...)
	if _, err := io.ReadFull(r, buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf, nil
}

// Conn is an encrypted connection. Reads and writes may be made by two
// goroutines at once.
type Conn struct {
	net.Conn
	remote ID

	readMu sync.Mutex
	reader *noise.CipherState
	in     []byte // the record that was read last
	unread []byte // what is left of it

	writeMu sync.Mutex
	writer  *noise.CipherState
	out     []byte
}

// RemoteID returns the ID that the other side has proved.
func (c *Conn) RemoteID() ID { return c.remote }

// Read reads what the other side wrote, from one record.
func (c *Conn) Read(b []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	for len(c.unread) == 0 {
		frame, err := readFrame(c.Conn, c.in, MaxRecord+tagSize)
		if err != nil {
			return 0, err
		}
		c.in = frame
		if c.unread, err = c.reader.Decrypt(frame[:0], nil, frame); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		rekey(c.reader)
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// Write sends the bytes in as many records as they need.
func (c *Conn) Write(b []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	written := 0
	for len(b) > 0 {
		part := b[:min(len(b), MaxRecord)]
		out, err := c.writer.Encrypt(c.out[:2], nil, part)
		if err != nil {
			return written, err
		}
		c.out = out
		binary.BigEndian.PutUint16(out, uint16(len(out)-2))
		rekey(c.writer)
		if _, err := c.Conn.Write(out); err != nil {
			return written, err
		}
		written += len(part)
		b = b[len(part):]
	}
	return written, nil
}

// rekey changes the key after every so many records, on both sides at the same
// one: nonces count on.
func rekey(state *noise.CipherState) {
	if state.Nonce()%rekeyAfter == 0 {
		state.Rekey()
	}
}
