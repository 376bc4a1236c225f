package p2p

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestInboundLimit: callers who come at once do not get past the limit, and there
// is room again when one has gone.
func TestInboundLimit(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.MaxInbound = 3 })
		var mu sync.Mutex
		var in []*stranger
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() {
				key, _ := noise.GenerateKey()
				raw, err := w.dial("stranger", "n:1")
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Second) // until all have called
				conn, err := noise.Client(t.Context(), raw, key, w.params.Identity(), nil)
				if err != nil {
					return
				}
				s := w.begin("n", key, conn)
				mu.Lock()
				defer mu.Unlock()
				in = append(in, s)
			})
		}
		work.Wait()
		time.Sleep(10 * time.Second)
		if got := len(n.Peers()); got != 3 {
			t.Errorf("%d peers were let in, want 3", got)
		}
		for _, s := range in {
			s.conn.Close()
		}
		time.Sleep(time.Second)
		s := w.stranger(n)
		s.expect(stays, "who comes when there is room again", 10*time.Second)
		s.conn.Close()
	})
}

// TestRedial: a peer that cannot be reached is called less and less, but for ever,
// and at once after a connection that was one.
func TestRedial(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil, "gone")
		time.Sleep(time.Hour)
		w.mu.Lock()
		calls := w.calls["gone:1"]
		w.mu.Unlock()
		for i := 1; i < len(calls); i++ {
			most := min(redialFirst<<min(i-1, 30), redialMost)
			if gap := calls[i].Sub(calls[i-1]); gap < most/2 || gap > most*3/2 {
				t.Errorf("call %d comes %s after the one before, want about %s", i, gap, most)
			}
		}
		if len(calls) < 40 || len(calls) > 130 {
			t.Errorf("%d calls in an hour", len(calls))
		}
		gone := w.start("gone", nil)
		w.eventually("a connection", 2*time.Minute, func() bool { return len(n.Peers()) == 1 })
		time.Sleep(2 * time.Minute)
		gone.stop()
		time.Sleep(time.Second)
		w.start("gone", nil)
		w.eventually("a connection again", 10*time.Second, func() bool { return len(n.Peers()) == 1 })
		if err := n.RemoveNode("gone:1"); err != nil {
			t.Error(err)
		}
		w.eventually("none", time.Second, func() bool { return len(n.Peers()) == 0 })
		if err := n.RemoveNode("gone:1"); err == nil {
			t.Error("it can be removed twice")
		}
	})
}

// TestWhoIsLetIn: not a node of another network, nor one that is not on the list,
// nor the node itself.
func TestWhoIsLetIn(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		friend, err := noise.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		n := w.start("n", func(o *Options) { o.Allow = []peerinfo.NodeID{friend.ID()} }, "n")
		open := w.start("open", nil, "n", "open")
		time.Sleep(time.Minute)
		if len(n.Peers()) != 0 || len(open.Peers()) != 0 {
			t.Errorf("%d and %d connections", len(n.Peers()), len(open.Peers()))
		}
		s := w.strangerWith("n", friend)
		if s == nil || s.fate(time.Minute) != stays {
			t.Fatal("a friend was not let in")
		}
		s.conn.Close()
		raw, err := w.dial("stranger", "open:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := noise.Client(t.Context(), raw, friend, types.Hash{1}, nil); err == nil {
			t.Error("a node of another network was let in")
		}
		time.Sleep(time.Minute)
		s = w.strangerWith("open", friend)
		if s == nil || s.fate(time.Minute) != stays {
			t.Error("a wrong network costs more than the connection")
		}
		s.conn.Close()
	})
}

// TestOneConnection: of two nodes that call each other over and over, the
// connection that stays is the same on both sides, and it stays.
func TestOneConnection(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a := w.start("a", nil)
		b := w.start("b", nil)
		for range 5 {
			for _, err := range []error{a.TryNode("b:1"), b.TryNode("a:1")} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Minute)
		at, bt := a.Peers(), b.Peers()
		if len(at) != 1 || len(bt) != 1 || at[0].Inbound == bt[0].Inbound {
			t.Fatalf("connections: %v and %v", at, bt)
		}
		if lower := a.NodeID().String() < b.NodeID().String(); lower == at[0].Inbound {
			t.Error("the connection is not that of the lower id")
		}
		number := at[0].Number
		for range 5 {
			if err := b.TryNode("a:1"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if now := a.Peers(); len(now) != 1 || now[0].Inbound && now[0].Number < number || !now[0].Inbound && now[0].Number != number {
			t.Errorf("the connection changed: %v", now)
		}
	})
}

// TestOtherConnectionIsNoFailure: a peer that called us first can be reached.
func TestOtherConnectionIsNoFailure(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var log [2]strings.Builder
		logTo := func(i int) func(o *Options) {
			return func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log[i], nil)) }
		}
		a := w.start("a", logTo(0), "b")
		b := w.start("b", logTo(1), "a")
		time.Sleep(30 * time.Minute)
		if len(a.Peers()) != 1 || len(b.Peers()) != 1 {
			t.Errorf("%d and %d connections", len(a.Peers()), len(b.Peers()))
		}
		a.stop()
		b.stop()
		for i := range log {
			if strings.Contains(log[i].String(), "there is a connection already") {
				t.Errorf("the log tells of a failure:\n%s", log[i].String())
			}
		}
	})
}

// TestStopWhileGreeting: a call that has come no further than the handshake does
// not hold up the end.
func TestStopWhileGreeting(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		key, err := noise.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := w.dial("stranger", "n:1")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := noise.Client(t.Context(), raw, key, w.params.Identity(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, conn) }() // it hears the hello, and says none
		synctest.Wait()
		began := time.Now()
		n.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %s", took)
		}
	})
}
