package noise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

func TestHandshake(t *testing.T) {
	clientKey, serverKey := testKey(t, 1), testKey(t, 2)
	want := serverKey.ID()
	sessions := map[types.Hash]bool{}
	pipe := func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() }
	for name, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){"pipe": pipe, "tcp": tcpPair} {
		for _, pinned := range []*peerinfo.NodeID{nil, &want} {
			t.Run(fmt.Sprint(name, pinned != nil), func(t *testing.T) {
				c, s := pair(t)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				left, right := handshake(
					func() (*Conn, error) { return Client(ctx, c, clientKey, networkA, pinned) },
					func() (*Conn, error) { return Server(ctx, s, serverKey, networkA) }, c, s)
				cancel() // bounds the handshake only
				if left.err != nil || right.err != nil {
					t.Fatalf("client: %v, server: %v", left.err, right.err)
				}
				if left.conn.RemoteID() != serverKey.ID() || right.conn.RemoteID() != clientKey.ID() {
					t.Error("the sides do not know each other")
				}
				session := left.conn.Session()
				if session != right.conn.Session() || sessions[session] {
					t.Error("the connection has not a hash of its own that both sides see")
				}
				sessions[session] = true
				if left.conn.RemoteAddr() != c.RemoteAddr() || left.conn.LocalAddr() != c.LocalAddr() {
					t.Error("addresses are not the connection's")
				}
				exchange(t, left.conn, right.conn)
				exchange(t, right.conn, left.conn)
				if left.conn.Close() != nil || right.conn.Close() != nil {
					t.Error("closing failed")
				}
			})
		}
	}
}

// exchange sends something from one side to the other.
func exchange(t *testing.T, from, to *Conn) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := from.Write([]byte("hello"))
		done <- err
	}()
	buf := make([]byte, 10)
	n, err := to.Read(buf)
	if err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestWrongNetwork: nodes of two networks find out in the handshake, and the
// one that dialled can say so.
func TestWrongNetwork(t *testing.T) {
	c, s := net.Pipe()
	left, right := handshake(
		func() (*Conn, error) { return Client(context.Background(), c, testKey(t, 1), networkA, nil) },
		func() (*Conn, error) { return Server(context.Background(), s, testKey(t, 2), networkB) }, c, s)
	if !errors.Is(left.err, ErrWrongNetwork) || !errors.Is(left.err, ErrHandshake) || left.conn != nil {
		t.Errorf("client: %v", left.err)
	}
	if !errors.Is(right.err, ErrHandshake) || errors.Is(right.err, ErrWrongNetwork) || right.conn != nil {
		t.Errorf("server: %v", right.err)
	}
}

// TestWrongID: a server that is not the node that was asked for learns nothing
// of who asked.
func TestWrongID(t *testing.T) {
	c, s := net.Pipe()
	sent := 0
	counted := &filter{c, func(p []byte) []byte { sent += len(p); return p }}
	want := testKey(t, 3).ID()
	left, right := handshake(
		func() (*Conn, error) { return Client(context.Background(), counted, testKey(t, 1), networkA, &want) },
		func() (*Conn, error) { return Server(context.Background(), s, testKey(t, 2), networkA) }, c, s)
	if !errors.Is(left.err, ErrWrongID) || !errors.Is(left.err, ErrHandshake) || errors.Is(left.err, ErrWrongNetwork) {
		t.Errorf("client: %v", left.err)
	}
	if !errors.Is(right.err, ErrHandshake) {
		t.Errorf("server: %v", right.err)
	}
	if sent != keySize {
		t.Errorf("the client sent %d bytes, its identity may be among them", sent)
	}
}

// TestIdentify: who asks only for an id gets the one that the server proves, and tells
// nothing of itself.
func TestIdentify(t *testing.T) {
	for network, kind := range map[types.Hash]error{networkA: nil, networkB: ErrWrongNetwork} {
		c, s := net.Pipe()
		sent := 0
		counted := &filter{c, func(p []byte) []byte { sent += len(p); return p }}
		var id peerinfo.NodeID
		left, right := handshake(
			func() (_ *Conn, err error) {
				defer c.Close()
				id, err = Identify(context.Background(), counted, testKey(t, 1), networkA)
				return nil, err
			},
			func() (*Conn, error) { return Server(context.Background(), s, testKey(t, 2), network) }, c, s)
		if !errors.Is(left.err, kind) || kind == nil && id != testKey(t, 2).ID() {
			t.Errorf("client: %s, %v", id, left.err)
		}
		if !errors.Is(right.err, ErrHandshake) {
			t.Errorf("server: %v", right.err)
		}
		if sent != keySize {
			t.Errorf("the client sent %d bytes, its identity may be among them", sent)
		}
	}
}

// TestHandshakeChanged changes each byte that both sides send: they never both
// believe that they have a connection that the change did not end.
func TestHandshakeChanged(t *testing.T) {
	for at := range message1Size + message2Size + message3Size {
		c, s := net.Pipe()
		seen := 0
		flip := func(p []byte) []byte {
			if i := at - seen; i >= 0 && i < len(p) {
				p[i] ^= 0x80 // of a public key's last byte X25519 ignores this bit, Noise does not
			}
			seen += len(p)
			return p
		}
		left, right := handshake(
			func() (*Conn, error) {
				return Client(context.Background(), &filter{c, flip}, testKey(t, 1), networkA, nil)
			},
			func() (*Conn, error) {
				return Server(context.Background(), &filter{s, flip}, testKey(t, 2), networkA)
			}, c, s)
		if right.err == nil {
			t.Fatalf("byte %d changed: the server did not notice", at)
		}
		third := at >= message1Size+message2Size
		if !third && !errors.Is(left.err, ErrWrongNetwork) {
			t.Fatalf("byte %d changed: client: %v", at, left.err)
		}
		if !errors.Is(right.err, ErrHandshake) {
			t.Fatalf("byte %d changed: server: %v", at, right.err)
		}
		c.Close()
		s.Close()
	}
}

// TestSmallOrder: a public key that forces a shared secret is refused.
func TestSmallOrder(t *testing.T) {
	zero := make([]byte, message1Size)
	if _, err := Server(context.Background(), script(zero), testKey(t, 2), networkA); !errors.Is(err, ErrHandshake) {
		t.Errorf("server: %v", err)
	}
	if _, err := Client(context.Background(), script(make([]byte, message2Size)), testKey(t, 1), networkA, nil); !errors.Is(err, ErrHandshake) {
		t.Errorf("client: %v", err)
	}
}

func TestHandshakeCutShort(t *testing.T) {
	key := testKey(t, 1)
	for n := range message2Size {
		if _, err := Client(context.Background(), script(bytes.Repeat([]byte{9}, n)), key, networkA, nil); !errors.Is(err, ErrHandshake) {
			t.Fatalf("client after %d bytes: %v", n, err)
		}
		if _, err := Server(context.Background(), script(bytes.Repeat([]byte{9}, n)), key, networkA); !errors.Is(err, ErrHandshake) {
			t.Fatalf("server after %d bytes: %v", n, err)
		}
	}
}

func TestNoKey(t *testing.T) {
	if _, err := Client(context.Background(), script(nil), Key{}, networkA, nil); !errors.Is(err, errNoKey) {
		t.Error(err)
	}
	if _, err := Server(context.Background(), script(nil), Key{}, networkA); !errors.Is(err, errNoKey) {
		t.Error(err)
	}
}

// TestHandshakeEndsWithContext: a peer that says nothing holds nobody longer
// than the context allows, and not at all once it is cancelled.
func TestHandshakeEndsWithContext(t *testing.T) {
	sides := map[string]func(context.Context, net.Conn, Key) (*Conn, error){
		"client": func(ctx context.Context, conn net.Conn, key Key) (*Conn, error) {
			return Client(ctx, conn, key, networkA, nil)
		},
		"server": func(ctx context.Context, conn net.Conn, key Key) (*Conn, error) {
			return Server(ctx, conn, key, networkA)
		},
	}
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			key := testKey(t, 1)
			synctest.Test(t, func(t *testing.T) {
				silent, conn := net.Pipe()
				defer silent.Close()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, err := side(ctx, conn, key)
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrHandshake) || time.Since(start) != 20*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}

				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(3*time.Second, cancel)
				start = time.Now()
				_, err = side(ctx, conn, key)
				if !errors.Is(err, context.Canceled) || time.Since(start) != 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// TestNoDeadlineLeft: the context's deadline does not live on in the connection.
func TestNoDeadlineLeft(t *testing.T) {
	key1, key2 := testKey(t, 1), testKey(t, 2)
	synctest.Test(t, func(t *testing.T) {
		c, s := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		left, right := handshake(
			func() (*Conn, error) { return Client(ctx, c, key1, networkA, nil) },
			func() (*Conn, error) { return Server(ctx, s, key2, networkA) }, c, s)
		if left.err != nil || right.err != nil {
			t.Fatal(left.err, right.err)
		}
		time.Sleep(time.Hour)
		exchange(t, left.conn, right.conn)
		left.conn.Close()
		right.conn.Close()
	})
}
