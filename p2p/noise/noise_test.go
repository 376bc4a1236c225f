package noise

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

func newKey(t testing.TB) Key {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type shaken struct {
	conn *Conn
	err  error
}

// connect makes a handshake over a pipe.
func connect(t testing.TB, client, server Key, clientNetwork, serverNetwork types.Hash, want *ID) (a, b shaken) {
	t.Helper()
	left, right := net.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	done := make(chan shaken)
	go func() {
		conn, err := Server(ctx, right, server, serverNetwork)
		done <- shaken{conn, err}
	}()
	a.conn, a.err = Client(ctx, left, client, clientNetwork, want)
	b = <-done
	return a, b
}

func TestHandshake(t *testing.T) {
	alice, bob, carol := newKey(t), newKey(t), newKey(t)
	bobID, carolID := bob.ID(), carol.ID()
	here, elsewhere := types.Hash{1}, types.Hash{2}
	for _, c := range []struct {
		name           string
		network        types.Hash
		want           *ID
		client, server error
	}{
		{"to anyone", here, nil, nil, nil},
		{"to bob", here, &bobID, nil, nil},
		{"to carol, but bob answers", here, &carolID, ErrWrongID, io.EOF},
		{"to another network", elsewhere, nil, ErrHandshake, io.EOF},
	} {
		a, b := connect(t, alice, bob, c.network, here, c.want)
		if !errors.Is(a.err, c.client) || !errors.Is(b.err, c.server) && !errors.Is(b.err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, %v", c.name, a.err, b.err)
		}
		if c.client == nil && (a.conn.RemoteID() != bobID || b.conn.RemoteID() != alice.ID()) {
			t.Errorf("%s: %s talks to %s", c.name, a.conn.RemoteID(), b.conn.RemoteID())
		}
	}
}

// TestBytesArrive: what is written in any pieces is read in any pieces, both
// ways at once.
func TestBytesArrive(t *testing.T) {
	a, b := connect(t, newKey(t), newKey(t), types.Hash{}, types.Hash{}, nil)
	if a.err != nil || b.err != nil {
		t.Fatal(a.err, b.err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	send := func(c *Conn, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for rest := data; len(rest) > 0; {
			n := min(len(rest), rng.IntN(40_000))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	go send(a.conn, 1)
	got, err := io.ReadAll(b.conn)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d arrived: %v", len(got), len(data), err)
	}
}

// TestKeysChange: records go on arriving when both sides change their keys.
func TestKeysChange(t *testing.T) {
	if testing.Short() {
		t.Skip("70,000 records")
	}
	a, b := connect(t, newKey(t), newKey(t), types.Hash{}, types.Hash{}, nil)
	before := a.conn.writer.UnsafeKey()
	go func() {
		for i := range rekeyAfter + 100 {
			if _, err := a.conn.Write([]byte{byte(i)}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var one [1]byte
	for i := range rekeyAfter + 100 {
		if _, err := io.ReadFull(b.conn, one[:]); err != nil || one[0] != byte(i) {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	if a.conn.writer.UnsafeKey() == before {
		t.Error("the key did not change")
	}
}

// wire lets a test see and change what passes.
type wire struct {
	net.Conn
	change func([]byte) []byte
}

func (w *wire) Write(b []byte) (int, error) {
	if _, err := w.Conn.Write(w.change(bytes.Clone(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

func TestTamperingIsFound(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"a bit":       func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"the length":  func(b []byte) []byte { b[1]--; return b },
		"cut to none": func([]byte) []byte { return []byte{0, 0} },
		"too long":    func([]byte) []byte { return []byte{0xff, 0xff} },
		"a repeat":    nil,
	} {
		a, b := connect(t, newKey(t), newKey(t), types.Hash{}, types.Hash{}, nil)
		repeated := change == nil
		if repeated {
			change = func(b []byte) []byte { return append(bytes.Clone(b), b...) }
		}
		a.conn.Conn = &wire{a.conn.Conn, change}
		go func() {
			_, _ = a.conn.Write([]byte("hello"))
			a.conn.Close()
		}()
		var buf [5]byte
		if repeated {
			if _, err := b.conn.Read(buf[:]); err != nil {
				t.Errorf("%s: the first: %v", name, err)
			}
		}
		if n, err := b.conn.Read(buf[:]); !errors.Is(err, ErrRecord) || n != 0 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		b.conn.Close()
	}
}

// TestNothingSecretPasses: neither IDs nor words are on the wire in clear.
func TestNothingSecretPasses(t *testing.T) {
	alice, bob := newKey(t), newKey(t)
	left, right := net.Pipe()
	var seen bytes.Buffer
	tap := &wire{left, func(b []byte) []byte { seen.Write(b); return b }}
	done := make(chan shaken)
	go func() {
		conn, err := Server(context.Background(), right, bob, types.Hash{})
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 6))
		}
		done <- shaken{conn, err}
	}()
	conn, err := Client(context.Background(), tap, alice, types.Hash{}, nil)
	if err == nil {
		_, err = conn.Write([]byte("secret"))
	}
	if b := <-done; err != nil || b.err != nil {
		t.Fatal(err, b.err)
	}
	id := alice.ID()
	if bytes.Contains(seen.Bytes(), id[:]) || bytes.Contains(seen.Bytes(), []byte("secret")) {
		t.Error("the wire tells what it should not")
	}
}

// TestSilenceEnds: a peer that says nothing holds a handshake up for as long as
// the context lets it.
func TestSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := net.Pipe()
		defer right.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := Server(ctx, left, newKey(t), types.Hash{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("it took %s", waited)
		}
	})
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	key, err := LoadOrCreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, err := LoadOrCreateKey(path)
	if err != nil || again.ID() != key.ID() {
		t.Errorf("another key: %v", err)
	}
	if strings.Contains(key.String(), string(key.pair.Private)) {
		t.Error("the secret is printed")
	}
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is no key: %v", err)
	}
	if _, err := LoadOrCreateKey(filepath.Join(path, "sub")); err == nil {
		t.Error("a file in a file")
	}
	if _, err := LoadOrCreateKey(filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("a folder that does not exist")
	}
}

func TestParseID(t *testing.T) {
	id := newKey(t).ID()
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("%s, %v", got, err)
	}
	for _, s := range []string{"", "12", id.String() + "00", strings.Repeat("x", 64)} {
		if _, err := ParseID(s); !errors.Is(err, ErrID) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// FuzzServer feeds bytes to both sides of a handshake: they refuse them, and
// end.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 32}, true)
	f.Add(make([]byte, 34), false)
	f.Fuzz(func(t *testing.T, data []byte, initiator bool) {
		left, right := net.Pipe()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		go func() { _, _ = io.Copy(io.Discard, right) }()
		go func() {
			_, _ = right.Write(data)
			right.Close()
		}()
		if c, err := shakeHands(ctx, left, newKey(t), types.Hash{}, nil, initiator); err == nil {
			t.Fatalf("a handshake with nobody: %v", c.RemoteID())
		}
	})
}

func BenchmarkConn(b *testing.B) {
	x, y := connect(b, newKey(b), newKey(b), types.Hash{}, types.Hash{}, nil)
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	go func() { _, _ = io.Copy(io.Discard, y.conn) }()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.conn.Write(data); err != nil {
			b.Fatal(err)
		}
	}
}
