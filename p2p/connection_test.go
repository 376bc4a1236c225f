package p2p

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/p2p/wire"
)

// testConnection is one end of a pipe, with a budget of its own, and nothing else.
func testConnection(conn net.Conn) *connection {
	c := &connection{now: time.Now, maxBlockWeight: 1 << 20, conn: conn, ended: func(error) {}, answer: func(r request) { r.answer() }}
	c.budget = &budget{most: 1 << 20, now: time.Now, among: func() []*connection { return []*connection{c} }}
	c.open()
	return c
}

// TestConnectionAlone: messages come in order, requests are answered one after the
// other, and all that was weighed is given back at the end.
func TestConnectionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := net.Pipe()
		a, b := testConnection(left), testConnection(right)
		go a.write()
		go b.write()
		go b.serve()
		var got []uint64
		go func() {
			b.close(b.read(func(m wire.Message) error {
				nonce := m.(*wire.Ping).Nonce
				return b.later(100, func() { b.send(&wire.Pong{Nonce: nonce}) })
			}))
		}()
		go func() {
			a.close(a.read(func(m wire.Message) error {
				got = append(got, m.(*wire.Pong).Nonce)
				return nil
			}))
		}()
		for i := range uint64(100) {
			a.send(&wire.Ping{Nonce: i})
		}
		synctest.Wait()
		for i, nonce := range got {
			if nonce != uint64(i) {
				t.Fatalf("answer %d is to %d", i, nonce)
			}
		}
		if len(got) != 100 {
			t.Errorf("%d answers", len(got))
		}
		a.close(errors.New("enough"))
		synctest.Wait()
		for _, c := range []*connection{a, b} {
			if !c.closing.Load() {
				t.Error("the other end stays")
			}
			c.empty()
			if held := c.budget.held.Load(); held != 0 {
				t.Errorf("%d bytes are still counted", held)
			}
		}
	})
}

// TestConnectionEndsOnce: however many close it, the end is told once, with the
// first reason, and before the other side can notice.
func TestConnectionEndsOnce(t *testing.T) {
	left, right := net.Pipe()
	defer right.Close()
	c := testConnection(left)
	first := errors.New("first")
	var told []error
	c.ended = func(err error) { told = append(told, err) }
	c.close(first)
	c.close(errors.New("second"))
	if <-c.closed; len(told) != 1 || told[0] != first || c.closeErr != first {
		t.Errorf("told %v, ended by %v", told, c.closeErr)
	}
}

// TestConnectionRefusesFlood: more requests at once than wait are an error for who
// reads them, and nothing of the one too many is kept.
func TestConnectionRefusesFlood(t *testing.T) {
	left, right := net.Pipe()
	defer right.Close()
	c := testConnection(left)
	most := maxRequestBytes / requestOverhead
	for i := range most {
		if err := c.later(0, func() {}); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if err := c.later(0, func() {}); !errors.Is(err, errFlood) {
		t.Errorf("one more: %v", err)
	}
	if held := c.held.Load(); held != maxRequestBytes {
		t.Errorf("%d bytes wait", held)
	}
}

// TestUnknownTypesArePaced: messages that are skipped are read no faster than others.
func TestUnknownTypesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := net.Pipe()
		c := testConnection(right)
		go func() { c.close(c.read(func(wire.Message) error { return nil })) }()
		const many = messageBurst + 10*messageRate
		began := time.Now()
		for range many {
			if _, err := left.Write(wire.AppendFragment(nil, wire.Fragment{Lane: wire.Bulk, Type: 200})); err != nil {
				t.Fatal(err)
			}
		}
		left.Close()
		<-c.closed // when it has read all
		if took := time.Since(began); took < 9*time.Second {
			t.Errorf("%d messages of unknown types are read in %s", many, took)
		}
	})
}
