// Package noise gives a connection between two nodes secrecy and identity: it
// turns a net.Conn into one whose bytes nobody else reads or changes and whose
// other end has proved which node it is. It uses the Noise protocol framework's
// XX pattern; docs/wire-protocol.md has the details.
//
// It knows nothing of messages, and decides nothing about whom to talk to.
package noise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	flynn "github.com/flynn/noise"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

var (
	// ErrHandshake is wrapped by every error of a handshake that the other side
	// is the reason for.
	ErrHandshake = errors.New("handshake failed")
	// ErrWrongNetwork is an ErrHandshake: the server's answer cannot be read with
	// our network's identity. It is of another network, or no node of ours.
	ErrWrongNetwork = fmt.Errorf("%w: the peer is of another network or no karat node", ErrHandshake)
	// ErrWrongID is an ErrHandshake: the server proved to be another node than
	// the one that was asked for.
	ErrWrongID = fmt.Errorf("%w: the peer has another node id", ErrHandshake)
)

// The lengths in bytes of the three messages of the XX pattern without
// payloads. Fixed lengths need no announcement, and bound the handshake.
const (
	keySize      = 32
	tagSize      = 16
	message1Size = keySize
	message2Size = keySize + keySize + tagSize + tagSize
	message3Size = keySize + tagSize + tagSize
)

// prologue opens the prologue of the handshake, and names the version of all
// that is described here; the identity of the network follows.
const prologue = "karat/1"

// Client runs the handshake as the side that dialled. With want, the server
// must prove to be that node; a server that is not learns nothing of us. The
// handshake ends with ctx. The connection stays the caller's to close, after an
// error too.
func Client(ctx context.Context, conn net.Conn, key Key, network types.Hash, want *peerinfo.NodeID) (*Conn, error) {
	hs, err := newHandshake(key, network, true, rand.Reader)
	if err != nil {
		return nil, err
	}
	return withContext(ctx, conn, func() (*Conn, error) { return client(conn, hs, want) })
}

func client(conn net.Conn, hs *flynn.HandshakeState, want *peerinfo.NodeID) (*Conn, error) {
	if _, _, err := send(conn, hs); err != nil {
		return nil, err
	}
	if _, _, err := receive(conn, hs, message2Size, ErrWrongNetwork); err != nil {
		return nil, err
	}
	remote := peerinfo.NodeID(hs.PeerStatic())
	if want != nil && remote != *want {
		return nil, fmt.Errorf("%w: %s, want %s", ErrWrongID, remote, *want)
	}
	out, in, err := send(conn, hs)
	if err != nil {
		return nil, err
	}
	return newConn(conn, hs, out, in), nil
}

// Server runs the handshake as the side that was dialled. It is otherwise as
// Client. A client that leaves after our answer is most often of another network
// or looks for another node.
func Server(ctx context.Context, conn net.Conn, key Key, network types.Hash) (*Conn, error) {
	hs, err := newHandshake(key, network, false, rand.Reader)
	if err != nil {
		return nil, err
	}
	return withContext(ctx, conn, func() (*Conn, error) { return server(conn, hs) })
}

func server(conn net.Conn, hs *flynn.HandshakeState) (*Conn, error) {
	if _, _, err := receive(conn, hs, message1Size, ErrHandshake); err != nil {
		return nil, err
	}
	if _, _, err := send(conn, hs); err != nil {
		return nil, err
	}
	in, out, err := receive(conn, hs, message3Size, ErrHandshake)
	if err != nil {
		return nil, err
	}
	return newConn(conn, hs, out, in), nil
}

// newHandshake takes the ephemeral key's bytes from random.
func newHandshake(key Key, network types.Hash, initiator bool, random io.Reader) (*flynn.HandshakeState, error) {
	if key.secret == nil {
		return nil, errNoKey
	}
	return flynn.NewHandshakeState(flynn.Config{
		CipherSuite:   flynn.NewCipherSuite(flynn.DH25519, flynn.CipherChaChaPoly, flynn.HashSHA256),
		Pattern:       flynn.HandshakeXX,
		Random:        random,
		Initiator:     initiator,
		Prologue:      append([]byte(prologue), network[:]...),
		StaticKeypair: flynn.DHKey{Private: key.secret().Bytes(), Public: key.secret().PublicKey().Bytes()},
	})
}

// send writes the next message of the handshake. The last one brings the
// ciphers, the initiator's first.
func send(conn net.Conn, hs *flynn.HandshakeState) (initiators, responders *flynn.CipherState, err error) {
	message, initiators, responders, err := hs.WriteMessage(nil, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrHandshake, err) // the peer's key is no point to agree on
	}
	if _, err := conn.Write(message); err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	return initiators, responders, nil
}

// receive reads the next message of the handshake; kind is what it means if
// the message is not what it should be.
func receive(conn net.Conn, hs *flynn.HandshakeState, size int, kind error) (initiators, responders *flynn.CipherState, err error) {
	message := make([]byte, size)
	if _, err := io.ReadFull(conn, message); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil, fmt.Errorf("%w: the peer hung up: %w", ErrHandshake, err)
		}
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	_, initiators, responders, err = hs.ReadMessage(nil, message)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%w)", kind, err)
	}
	return initiators, responders, nil
}

// withContext runs a handshake that is cut off when ctx ends. The connection
// has no deadlines afterwards.
func withContext(ctx context.Context, conn net.Conn, handshake func() (*Conn, error)) (*Conn, error) {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(cut)
	})
	c, err := handshake()
	if !stop() {
		<-cut
		c, err = nil, fmt.Errorf("handshake: %w", ctx.Err())
	}
	conn.SetDeadline(time.Time{})
	return c, err
}
