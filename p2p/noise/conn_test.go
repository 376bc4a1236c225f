package noise

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestStream: whatever the sizes of writes and reads, what comes out is what
// went in, both ways at once.
func TestStream(t *testing.T) {
	sizes := []int{0, 1, 15, 16, 17, MaxRecordData - 1, MaxRecordData, MaxRecordData + 1, 3*MaxRecordData + 7}
	for _, pair := range []func(testing.TB) (net.Conn, net.Conn){
		func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() }, tcpPair,
	} {
		c, s := pair(t)
		left, right := over(t, c, s)
		errs := make(chan error, 2)
		for i, way := range [][2]*Conn{{left, right}, {right, left}} {
			go func() {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				stream := make([]byte, 400_000)
				for j := range stream {
					stream[j] = byte(r.Uint32())
				}
				go func() {
					for rest := stream; len(rest) > 0; {
						n := min(len(rest), sizes[r.IntN(len(sizes))])
						if sent, err := way[0].Write(rest[:n]); sent != n || err != nil {
							way[0].Close()
							return
						}
						rest = rest[n:]
					}
				}()
				errs <- readAll(way[1], stream, rand.New(rand.NewPCG(2, uint64(i))), sizes)
			}()
		}
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
}

func readAll(conn *Conn, want []byte, r *rand.Rand, sizes []int) error {
	for len(want) > 0 {
		buf := make([]byte, sizes[r.IntN(len(sizes))])
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		if !bytes.Equal(buf[:n], want[:n]) {
			return errors.New("other bytes came out")
		}
		want = want[n:]
	}
	return nil
}

// recorded returns the records that a client sends for the writes, and a
// server that has not read any of them.
func recorded(t testing.TB, writes ...[]byte) (records [][]byte, server *Conn) {
	t.Helper()
	client, server := connect(t)
	client.conn = &filter{script(nil), func(p []byte) []byte { records = append(records, p); return p }}
	for _, p := range writes {
		if n, err := client.Write(p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
	return records, server
}

// deliver lets the server read the records, and returns what came out.
func deliver(server *Conn, records ...[]byte) ([]byte, error) {
	server.conn = script(bytes.Join(records, nil))
	return io.ReadAll(server)
}

func TestRecords(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 4000)
	records, server := recorded(t, data[:1], data[1:], nil)
	var sizes []int
	for _, record := range records {
		sizes = append(sizes, len(record))
		if int(binary.LittleEndian.Uint16(record)) != len(record)-2 {
			t.Errorf("record of %d bytes says %x", len(record), record[:2])
		}
	}
	want := []int{1, MaxRecordData, MaxRecordData, len(data) - 1 - 2*MaxRecordData}
	for i := range sizes {
		if len(sizes) != len(want) || sizes[i] != want[i]+RecordOverhead {
			t.Fatalf("records of %d, want %d and %d each", sizes, want, RecordOverhead)
		}
	}
	if got, err := deliver(server, records...); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came out, %v", len(got), err)
	}
}

// TestRecordsChanged: a byte changed, a record left out, repeated, in another
// order, cut short: nothing of it comes out, nor anything after it.
func TestRecordsChanged(t *testing.T) {
	writes := [][]byte{[]byte("first"), []byte("second"), []byte("third")}
	records, _ := recorded(t, writes...)
	for at := range records[1] {
		records, server := recorded(t, writes...)
		records[1][at] ^= 1
		got, err := deliver(server, records...)
		if string(got) != "first" || err == nil {
			t.Fatalf("byte %d changed: %q, %v", at, got, err)
		}
		// The length is not covered by the tag: a longer one waits for more.
		if at > 1 && !errors.Is(err, ErrRecord) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	for name, order := range map[string][]int{"left out": {0, 2}, "repeated": {0, 0}, "turned round": {0, 2, 1}} {
		records, server := recorded(t, writes...)
		server.conn = script(nil)
		var stream [][]byte
		for _, i := range order {
			stream = append(stream, records[i])
		}
		got, err := deliver(server, stream...)
		if string(got) != "first" || !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, again := server.Read(make([]byte, 1)); again != err {
			t.Errorf("%s: read on after it: %v", name, again)
		}
	}
	for cut := range records[1] {
		records, server := recorded(t, writes...)
		got, err := deliver(server, records[0], records[1][:cut])
		wantErr := io.ErrUnexpectedEOF
		if cut == 0 {
			wantErr = nil // io.ReadAll's word for io.EOF
		}
		if string(got) != "first" || err != wantErr {
			t.Fatalf("cut at %d: %q, %v", cut, got, err)
		}
	}
}

func TestRecordLengths(t *testing.T) {
	for _, size := range []int{0, 1, tagSize, MaxRecordData + tagSize + 1, 0xffff} {
		_, server := recorded(t)
		record := make([]byte, 2+size)
		binary.LittleEndian.PutUint16(record, uint16(size))
		if got, err := deliver(server, record); len(got) > 0 || !errors.Is(err, ErrRecord) {
			t.Errorf("length %d: %v", size, err)
		}
	}
}

// TestEmptyRecord: a record without data would let a peer keep us busy with
// nothing, and Read could not say that it read nothing.
func TestEmptyRecord(t *testing.T) {
	s := runOracle(t, networkA, fill32(1), fill32(2), fill32(3), fill32(4))
	s.client.conn = script(append(s.toClient.seal([]byte("x")), s.toClient.seal(nil)...))
	if got, err := io.ReadAll(s.client); string(got) != "x" || !errors.Is(err, ErrRecord) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestReadAfterDeadline: a deadline may run out in the middle of a record, and
// the next read goes on.
func TestReadAfterDeadline(t *testing.T) {
	records, server := recorded(t, []byte("slow"))
	synctest.Test(t, func(t *testing.T) {
		sender, conn := net.Pipe()
		server.conn = conn
		for i := range records[0] {
			server.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := server.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("before byte %d: %v", i, err)
			}
			server.SetDeadline(time.Time{})
			go sender.Write(records[0][i : i+1])
			if i < len(records[0])-1 {
				continue
			}
			buf := make([]byte, 9)
			if n, err := server.Read(buf); err != nil || string(buf[:n]) != "slow" {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		}
		sender.Close()
		conn.Close()
	})
}

// TestWriteAfterFailure: a record that was sent in part cannot be followed by
// another.
func TestWriteAfterFailure(t *testing.T) {
	client, _ := connect(t)
	synctest.Test(t, func(t *testing.T) {
		conn, unread := net.Pipe()
		client.conn = conn
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := client.Write(make([]byte, 3*MaxRecordData)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
		client.SetWriteDeadline(time.Time{})
		if n, err := client.Write([]byte("more")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
		unread.Close()
		conn.Close()
	})
}

// TestConcurrentWriters: several goroutines may write, and each write stays
// whole.
func TestConcurrentWriters(t *testing.T) {
	client, server := connect(t)
	const writers, each = 4, 50
	done := make(chan error, writers)
	for i := range writers {
		go func() {
			for range each {
				if _, err := client.Write(bytes.Repeat([]byte{byte(i)}, 100)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	counts := [writers]int{}
	buf := make([]byte, 100)
	for range writers * each {
		if _, err := io.ReadFull(server, buf); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf, bytes.Repeat(buf[:1], len(buf))) {
			t.Fatalf("%x", buf)
		}
		counts[buf[0]]++
	}
	for i := range writers {
		if err := <-done; err != nil || counts[i] != each {
			t.Errorf("writer %d: %v, %d writes", i, err, counts[i])
		}
	}
}

// TestAllocations: what flynn/noise allocates for a record's nonce, and no more.
func TestAllocations(t *testing.T) {
	client, server := connect(t)
	line := &loop{Conn: client.conn}
	client.conn, server.conn = line, line
	data, buf := make([]byte, MaxRecordData), make([]byte, MaxRecordData)
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := client.Write(data); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, buf); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations a record, written and read", allocs)
	}
}

// loop is a connection that reads what was written last.
type loop struct {
	net.Conn
	record []byte
	unread []byte
}

func (l *loop) Write(p []byte) (int, error) {
	l.record = append(l.record[:0], p...)
	l.unread = l.record
	return len(p), nil
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	return n, nil
}

func BenchmarkRecord(b *testing.B) {
	client, server := connect(b)
	line := &loop{Conn: client.conn}
	client.conn, server.conn = line, line
	data, buf := make([]byte, MaxRecordData), make([]byte, MaxRecordData)
	b.SetBytes(MaxRecordData)
	for b.Loop() {
		client.Write(data)
		io.ReadFull(server, buf)
	}
}

func BenchmarkHandshake(b *testing.B) {
	for b.Loop() {
		connect(b)
	}
}
