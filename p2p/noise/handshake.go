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
	// ErrHandshake is wrapped by every error of a handshake for which the other side
	// is to blame. Errors of the network and of the context do not wrap it.
	ErrHandshake = errors.New("handshake failed")
	// ErrWrongNetwork is an ErrHandshake: the server's answer does not decrypt with our
	// network's identity. Only Client returns it, since the answer is the first message
	// that is encrypted.
	ErrWrongNetwork = fmt.Errorf("%w: the peer is of another network or no karat node", ErrHandshake)
	// ErrWrongID is an ErrHandshake: the server proved to be another node than the one
	// that was asked for. Its address is out of date, or somebody took it over.
	ErrWrongID = fmt.Errorf("%w: the peer has another node id", ErrHandshake)
)

// The lengths in bytes of the three messages of the XX pattern without payloads. They
// are fixed, so the messages need no framing, and a stranger can make us read 96 bytes
// at most before it has proved anything. A static key is sent encrypted, with a tag, and
// the empty payload at the end of a message is a tag alone.
const (
	keySize      = 32
	tagSize      = 16
	message1Size = keySize
	message2Size = keySize + keySize + tagSize + tagSize
	message3Size = keySize + tagSize + tagSize
)

// prologue opens the prologue of the handshake; the identity of the network follows. It
// names the version of handshake and records. Versions of the messages inside are agreed
// on by hello, so that nodes of different versions can still talk.
const prologue = "karat/1"

// Client runs the handshake as the side that dialled. With want, the server must prove
// to be that node; one that is not does not learn our id. The handshake fails when ctx
// ends. The connection stays the caller's to close, after an error too. Errors:
// ErrWrongNetwork, ErrWrongID, ErrHandshake, and those of the connection and of ctx.
func Client(ctx context.Context, conn net.Conn, key Key, network types.Hash, want *peerinfo.NodeID) (*Conn, error) {
	hs, err := newHandshake(key, network, true, rand.Reader)
	if err != nil {
		return nil, err
	}
	return withContext(ctx, conn, func() (*Conn, error) { return client(conn, hs, want) })
}

func client(conn net.Conn, hs *flynn.HandshakeState, want *peerinfo.NodeID) (*Conn, error) {
	if err := begin(conn, hs); err != nil {
		return nil, err
	}
	// Before message 3, which holds our id.
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

// Identify asks who answers at the other end, and returns the id that it proved. It goes
// no further than message 2: whoever answers does not learn who asked, and has no
// connection to keep. The network is as Client's, and so are the errors.
func Identify(ctx context.Context, conn net.Conn, key Key, network types.Hash) (peerinfo.NodeID, error) {
	hs, err := newHandshake(key, network, true, rand.Reader)
	if err != nil {
		return peerinfo.NodeID{}, err
	}
	_, err = withContext(ctx, conn, func() (*Conn, error) { return nil, begin(conn, hs) })
	if err != nil {
		return peerinfo.NodeID{}, err
	}
	return peerinfo.NodeID(hs.PeerStatic()), nil
}

// begin sends message 1 and reads message 2, with which the server proves its id.
func begin(conn net.Conn, hs *flynn.HandshakeState) error {
	if _, _, err := send(conn, hs); err != nil {
		return err
	}
	_, _, err := receive(conn, hs, message2Size, ErrWrongNetwork)
	return err
}

// Server runs the handshake as the side that was dialled. It is otherwise as Client. A
// client that hangs up after our answer is most often of another network, or looks for
// another node. It does not say which, and need not.
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

// newHandshake prepares a handshake. It takes the ephemeral key's bytes from random,
// which only tests choose: the examples of the document need keys that are known.
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

// send writes the next message of the handshake. The last one brings the ciphers: that
// of what the initiator sends, then that of what the responder sends.
func send(conn net.Conn, hs *flynn.HandshakeState) (initiators, responders *flynn.CipherState, err error) {
	message, initiators, responders, err := hs.WriteMessage(nil, nil)
	if err != nil {
		// The peer's key has a small order. With it the shared secret would be zero,
		// whoever we are, so anybody who listens would know it too.
		return nil, nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if _, err := conn.Write(message); err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	return initiators, responders, nil
}

// receive reads the next message of the handshake. kind is the error if the message does
// not decrypt: for message 2 that means another network.
func receive(conn net.Conn, hs *flynn.HandshakeState, size int, kind error) (initiators, responders *flynn.CipherState, err error) {
	// Not one byte more is read: what follows the last message is a record already.
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

// withContext runs a handshake that is cut off when ctx ends. A net.Conn knows no
// context, so a deadline in the past wakes whatever waits on it. The connection has no
// deadlines afterwards.
func withContext(ctx context.Context, conn net.Conn, handshake func() (*Conn, error)) (*Conn, error) {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0)) // the zero time would be no deadline
		close(cut)
	})
	c, err := handshake()
	if !stop() {
		// The function runs in a goroutine of its own, and its deadline must not come
		// after the one below. A handshake that ended at this moment is given up too.
		<-cut
		c, err = nil, fmt.Errorf("handshake: %w", ctx.Err())
	}
	conn.SetDeadline(time.Time{})
	return c, err
}
