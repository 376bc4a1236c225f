package noise

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

var (
	networkA = types.Hash{0: 0xaa, 31: 1}
	networkB = types.Hash{0: 0xaa, 31: 2}
)

// testKey returns a key that is the same in every run.
func testKey(t testing.TB, seed byte) Key {
	t.Helper()
	key, err := NewKey([32]byte(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// result is what one side of a handshake ended with.
type result struct {
	conn *Conn
	err  error
}

// handshake runs both sides over two ends of a connection. A side that fails
// closes its end, as the caller of the package does.
func handshake(client, server func() (*Conn, error), clientEnd, serverEnd net.Conn) (c, s result) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.conn, s.err = server()
		if s.err != nil {
			serverEnd.Close()
		}
	}()
	c.conn, c.err = client()
	if c.err != nil {
		clientEnd.Close()
	}
	<-done
	return c, s
}

// connect returns both ends of an encrypted connection over a pipe.
func connect(t testing.TB) (client, server *Conn) {
	t.Helper()
	c, s := net.Pipe()
	return over(t, c, s)
}

// over runs a handshake that has to succeed.
func over(t testing.TB, c, s net.Conn) (client, server *Conn) {
	t.Helper()
	left, right := handshake(
		func() (*Conn, error) { return Client(context.Background(), c, testKey(t, 1), networkA, nil) },
		func() (*Conn, error) { return Server(context.Background(), s, testKey(t, 2), networkA) },
		c, s)
	if left.err != nil || right.err != nil {
		t.Fatalf("client: %v, server: %v", left.err, right.err)
	}
	t.Cleanup(func() { left.conn.Close(); right.conn.Close() })
	return left.conn, right.conn
}

// tcpPair returns both ends of a TCP connection on this machine.
func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := listener.Accept()
		accepted <- conn
	}()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server = <-accepted; server == nil {
		t.Fatal("nothing was accepted")
	}
	return client, server
}

// filter is a connection whose writes pass through a function first.
type filter struct {
	net.Conn
	change func(p []byte) []byte
}

func (f *filter) Write(p []byte) (int, error) {
	if _, err := f.Conn.Write(f.change(bytes.Clone(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// scripted is a connection that reads from a fixed stream and writes nowhere.
type scripted struct {
	net.Conn
	stream io.Reader
}

func (s *scripted) Read(p []byte) (int, error)  { return s.stream.Read(p) }
func (s *scripted) Write(p []byte) (int, error) { return len(p), nil }

// script returns a scripted connection, with a pipe that nobody reads behind
// it for deadlines and addresses.
func script(stream []byte) *scripted {
	end, _ := net.Pipe()
	return &scripted{end, bytes.NewReader(stream)}
}
