package noise

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/karatcoin/karat/chain/types"
)

// twin is a second implementation of the handshake and of the records, made
// from docs/wire-protocol.md and the Noise specification alone, with nothing of
// flynn/noise.
type twin struct {
	t       testing.TB
	ck, h   []byte
	k       []byte
	n       uint64
	s, e    *ecdh.PrivateKey
	rs, re  *ecdh.PublicKey
	initial bool // it is the initiator
}

func newTwin(t testing.TB, network types.Hash, static, ephemeral [32]byte, initiator bool) *twin {
	w := &twin{t: t, initial: initiator}
	var err error
	if w.s, err = ecdh.X25519().NewPrivateKey(static[:]); err != nil {
		t.Fatal(err)
	}
	if w.e, err = ecdh.X25519().NewPrivateKey(ephemeral[:]); err != nil {
		t.Fatal(err)
	}
	w.h = []byte("Noise_XX_25519_ChaChaPoly_SHA256") // 32 bytes: no padding, no hash
	w.ck = w.h
	w.mixHash(append([]byte("karat/1"), network[:]...))
	return w
}

func (w *twin) mixHash(data []byte) {
	digest := sha256.Sum256(append(bytes.Clone(w.h), data...))
	w.h = digest[:]
}

func (w *twin) mixKey(secret *ecdh.PrivateKey, public *ecdh.PublicKey) {
	shared, err := secret.ECDH(public)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ck, w.k = w.hkdf(shared)
	w.n = 0
}

func (w *twin) hkdf(input []byte) (first, second []byte) {
	out, err := hkdf.Key(sha256.New, input, w.ck, "", 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return out[:32], out[32:]
}

func aead(t testing.TB, key []byte) cipher.AEAD {
	c, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func nonce(n uint64) []byte { return binary.LittleEndian.AppendUint64(make([]byte, 4, 12), n) }

// seal encrypts and hashes, open decrypts and hashes.
func (w *twin) seal(plain []byte) []byte {
	out := aead(w.t, w.k).Seal(nil, nonce(w.n), plain, w.h)
	w.n++
	w.mixHash(out)
	return out
}

func (w *twin) open(sealed []byte) []byte {
	out, err := aead(w.t, w.k).Open(nil, nonce(w.n), sealed, w.h)
	if err != nil {
		w.t.Fatal(err)
	}
	w.n++
	w.mixHash(sealed)
	return out
}

func (w *twin) public(b []byte) *ecdh.PublicKey {
	key, err := ecdh.X25519().NewPublicKey(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *twin) write1() []byte {
	w.mixHash(w.e.PublicKey().Bytes())
	w.mixHash(nil) // the empty payload
	return w.e.PublicKey().Bytes()
}

func (w *twin) read1(message []byte) {
	w.re = w.public(message)
	w.mixHash(message)
	w.mixHash(nil)
}

func (w *twin) write2() []byte {
	message := w.e.PublicKey().Bytes()
	w.mixHash(message)
	w.mixKey(w.e, w.re) // ee
	message = append(message, w.seal(w.s.PublicKey().Bytes())...)
	w.mixKey(w.s, w.re) // es
	return append(message, w.seal(nil)...)
}

func (w *twin) read2(message []byte) {
	w.re = w.public(message[:32])
	w.mixHash(message[:32])
	w.mixKey(w.e, w.re) // ee
	w.rs = w.public(w.open(message[32:80]))
	w.mixKey(w.e, w.rs) // es
	w.open(message[80:])
}

func (w *twin) write3() []byte {
	message := w.seal(w.s.PublicKey().Bytes())
	w.mixKey(w.s, w.re) // se
	return append(message, w.seal(nil)...)
}

func (w *twin) read3(message []byte) {
	w.rs = w.public(w.open(message[:48]))
	w.mixKey(w.e, w.rs) // se
	w.open(message[48:])
}

// split returns the keys of the records that this side sends and receives.
func (w *twin) split() (send, receive *twinKey) {
	first, second := w.hkdf(nil)
	if !w.initial {
		first, second = second, first
	}
	return &twinKey{t: w.t, key: first}, &twinKey{t: w.t, key: second}
}

// twinKey is the state of one direction.
type twinKey struct {
	t   testing.TB
	key []byte
	n   uint64
}

func (k *twinKey) advance() {
	if k.n++; k.n%65_536 == 0 {
		k.key = aead(k.t, k.key).Seal(nil, nonce(math.MaxUint64), make([]byte, 32), nil)[:32]
	}
}

func (k *twinKey) seal(plain []byte) []byte {
	out := aead(k.t, k.key).Seal(nil, nonce(k.n), plain, nil)
	k.advance()
	return append(binary.LittleEndian.AppendUint16(nil, uint16(len(out))), out...)
}

func (k *twinKey) open(record []byte) []byte {
	if int(binary.LittleEndian.Uint16(record)) != len(record)-2 {
		k.t.Fatalf("record of %d bytes says %x", len(record), record[:2])
	}
	out, err := aead(k.t, k.key).Open(nil, nonce(k.n), record[2:], nil)
	if err != nil {
		k.t.Fatalf("record %d: %v", k.n, err)
	}
	k.advance()
	return out
}

// session is what both sides of this package made of a handshake, each with
// the twin in the place of the other.
type session struct {
	messages           [3][]byte
	client, server     *Conn
	toServer, toClient *twinKey
}

func runOracle(t testing.TB, network types.Hash, clientStatic, clientEphemeral, serverStatic, serverEphemeral [32]byte) *session {
	t.Helper()
	s := &session{}
	ours, err := newHandshake(mustKey(t, clientStatic), network, true, bytes.NewReader(clientEphemeral[:]))
	if err != nil {
		t.Fatal(err)
	}
	theirs := newTwin(t, network, serverStatic, serverEphemeral, false)
	line := &dialogue{answers: []func([]byte) []byte{
		func(m []byte) []byte {
			theirs.read1(m)
			s.messages[0], s.messages[1] = m, theirs.write2()
			return s.messages[1]
		},
		func(m []byte) []byte {
			theirs.read3(m)
			s.messages[2] = m
			return nil
		},
	}}
	if s.client, err = client(line, ours, nil); err != nil {
		t.Fatal(err)
	}
	s.toClient, s.toServer = theirs.split()

	if ours, err = newHandshake(mustKey(t, serverStatic), network, false, bytes.NewReader(serverEphemeral[:])); err != nil {
		t.Fatal(err)
	}
	theirs = newTwin(t, network, clientStatic, clientEphemeral, true)
	line = &dialogue{unread: theirs.write1(), answers: []func([]byte) []byte{
		func(m []byte) []byte {
			if !bytes.Equal(m, s.messages[1]) {
				t.Errorf("our server answers %x, the twin %x", m, s.messages[1])
			}
			theirs.read2(m)
			return theirs.write3()
		},
	}}
	if s.server, err = server(line, ours); err != nil {
		t.Fatal(err)
	}
	return s
}

func mustKey(t testing.TB, private [32]byte) Key {
	key, err := NewKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// dialogue is a connection that answers each write.
type dialogue struct {
	net.Conn
	unread  []byte
	answers []func([]byte) []byte
}

func (d *dialogue) Read(p []byte) (int, error) {
	n := copy(p, d.unread)
	d.unread = d.unread[n:]
	return n, nil
}

func (d *dialogue) Write(p []byte) (int, error) {
	d.unread = append(d.unread, d.answers[0](bytes.Clone(p))...)
	d.answers = d.answers[1:]
	return len(p), nil
}

func fill32(b byte) [32]byte { return [32]byte(bytes.Repeat([]byte{b}, 32)) }

// TestOracle compares with the second implementation: each message of the
// handshake, and records in both directions across two changes of key.
func TestOracle(t *testing.T) {
	s := runOracle(t, networkA, fill32(1), fill32(2), fill32(3), fill32(4))
	if s.client.RemoteID() != testKey(t, 3).ID() || s.server.RemoteID() != testKey(t, 1).ID() {
		t.Error("the sides do not know each other")
	}
	line := &loop{}
	s.client.conn = line
	for i := range 2*RekeyRecords + 3 {
		data := binary.LittleEndian.AppendUint32(nil, uint32(i))
		if _, err := s.client.Write(data); err != nil {
			t.Fatal(err)
		}
		if got := s.toServer.open(line.record); !bytes.Equal(got, data) {
			t.Fatalf("record %d to the server: %x", i, got)
		}
		line.unread = s.toClient.seal(data)
		var buf [8]byte
		if n, err := s.client.Read(buf[:]); err != nil || !bytes.Equal(buf[:n], data) {
			t.Fatalf("record %d to the client: %x, %v", i, buf[:n], err)
		}
	}
}

// TestBeyondRekey: both sides of this package change keys at the same record.
func TestBeyondRekey(t *testing.T) {
	c, s := connect(t)
	line := &loop{Conn: c.conn}
	c.conn, s.conn = line, line
	var buf [1]byte
	for i := range RekeyRecords + 2 {
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(buf[:]); err != nil || buf[0] != byte(i) {
			t.Fatalf("record %d: %x, %v", i, buf, err)
		}
	}
}

// FuzzHandshake lets a peer send anything: no handshake of it succeeds, since
// nobody guesses a tag, and every error is the peer's.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(make([]byte, 200), false)
	f.Add(bytes.Repeat([]byte{9}, 96), true)
	f.Fuzz(func(t *testing.T, stream []byte, asClient bool) {
		var err error
		if asClient {
			_, err = Client(context.Background(), script(stream), testKey(t, 1), networkA, nil)
		} else {
			_, err = Server(context.Background(), script(stream), testKey(t, 1), networkA)
		}
		if !errors.Is(err, ErrHandshake) {
			t.Fatal(err)
		}
	})
}

// FuzzRead lets a peer send anything after the handshake, now and then a true
// record: what comes out is what the true ones before the first false one hold.
func FuzzRead(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{0, 0}, uint8(1))
	f.Add([]byte{20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, uint8(3))
	f.Fuzz(func(t *testing.T, tail []byte, valid uint8) {
		s := runOracle(t, networkA, fill32(1), fill32(2), fill32(3), fill32(4))
		var stream, want []byte
		for i := range valid % 8 {
			data := bytes.Repeat([]byte{i}, 1+int(i))
			stream, want = append(stream, s.toClient.seal(data)...), append(want, data...)
		}
		s.client.conn = script(append(stream, tail...))
		got, err := io.ReadAll(s.client)
		if !bytes.Equal(got, want) {
			t.Fatalf("read %x, want %x", got, want)
		}
		if (err == nil) != (len(tail) == 0) || err != nil && !errors.Is(err, ErrRecord) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	})
}
