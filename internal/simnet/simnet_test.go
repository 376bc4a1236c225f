package simnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var alice, bob = netip.MustParseAddr("20.1.0.1"), netip.MustParseAddr("20.2.0.1")

// joined returns both ends of a connection from alice to bob.
func joined(t *testing.T, n *Network) (near, far net.Conn) {
	t.Helper()
	l := n.Listen(netip.AddrPortFrom(bob, 1))
	near, err := n.Dial(t.Context(), alice, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close(); l.Close() })
	return near, far
}

func slow(_, _ netip.Addr) time.Duration { return 100 * time.Millisecond }

// took returns how long something took, in milliseconds.
func took(do func()) int {
	began := time.Now()
	do()
	return int(time.Since(began) / time.Millisecond)
}

func send(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Error(err)
	}
}

func receive(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Error(err)
	}
}

func TestLatencyAndBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: slow, Up: 10_000})
		var near, far net.Conn
		if ms := took(func() { near, far = joined(t, n) }); ms != 200 {
			t.Errorf("a connection takes %d ms", ms)
		}
		if ms := took(func() { send(t, near, 1000); receive(t, far, 1000) }); ms != 200 {
			t.Errorf("1000 bytes take %d ms, want 100 to leave and 100 on the way", ms)
		}
		if ms := took(func() { send(t, near, 1000); send(t, near, 1000); receive(t, far, 2000) }); ms != 300 {
			t.Errorf("2000 bytes take %d ms", ms)
		}
		if got := n.Sent(alice); got != 3000 {
			t.Errorf("%d bytes are counted", got)
		}
	})
}

// TestLoss: what is lost comes later, and the same seed loses the same.
func TestLoss(t *testing.T) {
	run := func(seed uint64) (ms int) {
		synctest.Test(t, func(t *testing.T) {
			near, far := joined(t, New(Options{Seed: seed, Latency: slow, Loss: 0.2}))
			ms = took(func() {
				for range 20 {
					send(t, near, 1000)
					receive(t, far, 1000)
				}
			})
		})
		return ms
	}
	first := run(1)
	if first <= 2000 || first != run(1) || first == run(3) && first == run(4) {
		t.Errorf("%d ms with loss, again %d, with other seeds %d and %d", first, run(1), run(3), run(4))
	}
}

// TestPartition: what is under way arrives when the hosts are joined again, and a call
// takes until then.
func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: slow})
		near, far := joined(t, n)
		n.Separate(func(a, b netip.Addr) bool { return a != b })
		send(t, near, 10)
		_ = far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("through a partition: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, alice, "20.2.0.1:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call through a partition: %v", err)
		}
		_ = far.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Minute, func() { n.Separate(nil) })
		if ms := took(func() { receive(t, far, 10) }); ms != 60_000 {
			t.Errorf("it arrives after %d ms", ms)
		}
	})
}

func TestCloseAndDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: slow})
		near, far := joined(t, n)
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		if sent, err := near.Write(make([]byte, window+1)); sent != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes go to who does not read: %v", sent, err)
		}
		near.Close()
		receive(t, far, window) // what was sent before the end
		if _, err := far.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if _, err := far.Write([]byte{1}); !errors.Is(err, errReset) {
			t.Errorf("a write to who is gone: %v", err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read of a closed connection: %v", err)
		}
		if _, err := n.Dial(t.Context(), alice, "20.3.0.1:1"); err == nil {
			t.Error("somebody answers who is not there")
		}
	})
}
