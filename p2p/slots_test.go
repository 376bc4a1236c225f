package p2p

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// lineConn is a line on which nothing is said. It notes that it was hung up.
type lineConn struct {
	net.Conn
	from   string
	closed bool
}

// RemoteAddr implements net.Conn.
func (c *lineConn) RemoteAddr() net.Addr { return lineAddr(c.from) }

// Close implements net.Conn.
func (c *lineConn) Close() error {
	c.closed = true
	return nil
}

type lineAddr string

// Network implements net.Addr.
func (lineAddr) Network() string { return "line" }

// String implements net.Addr.
func (a lineAddr) String() string { return string(a) }

// TestHandshakePlaces: who gives way when the places of handshakes are taken.
func TestHandshakePlaces(t *testing.T) {
	from := func(format string, n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return list
	}
	for name, c := range map[string]struct {
		before []string
		heard  []int // of them, what has sent something
		call   string
		want   int // of those before, -1: nobody gives way
	}{
		"room":                {from("192.0.2.1:%d", maxCallsAddress-1), nil, "192.0.2.1:99", -1},
		"one_address":         {from("192.0.2.1:%d", maxCallsAddress), nil, "192.0.2.1:99", 0},
		"idle_first":          {from("192.0.2.1:%d", maxCallsAddress), []int{0, 1}, "192.0.2.1:99", 2},
		"all_said_something":  {from("192.0.2.1:%d", 2), []int{0, 1}, "192.0.2.1:99", -1},
		"newcomer_stays":      {from("192.0.2.1:%d", maxCallsAddress), []int{0, 1, 2, 3, 4, 5, 6, 7}, "192.0.2.1:99", 0},
		"another_address":     {from("192.0.2.1:%d", maxCallsAddress), nil, "198.51.100.1:1", -1},
		"one_network":         {from("192.0.%d.1:5", maxCallsGroup), nil, "192.0.99.1:5", 0},
		"one_network_of_ipv6": {from("[2001:db8:%d::1]:5", maxCallsGroup), nil, "[2001:db8:99::1]:5", 0},
		"this_machine":        {from("127.0.0.1:%d", maxCallsLocal), nil, "127.0.0.1:99", 0},
		"laboratory":          {from("127.0.0.1:%d", maxCallsLocal-1), nil, "127.0.0.1:99", -1},
		"all":                 {append(from("11.%d.0.1:5", maxCalls-2), "12.0.0.1:5", "12.0.0.2:5"), nil, "13.0.0.1:5", maxCalls - 2},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			calls := newCalls(func() time.Time { now = now.Add(time.Millisecond); return now })
			var conns []*lineConn
			for i, address := range c.before {
				conn := &lineConn{from: address}
				conns = append(conns, conn)
				calls.begin(conn, false).heard.Store(slices.Contains(c.heard, i))
			}
			last := &lineConn{from: c.call}
			calls.begin(last, false)
			for i, conn := range conns {
				if conn.closed != (i == c.want) {
					t.Errorf("number %d gives way: %v", i, conn.closed)
				}
			}
			if last.closed {
				t.Error("the newcomer is not let in")
			}
		})
	}
}

// TestHandshakesUnderPressure: who takes long for a handshake has less time when places are
// scarce; trusted callers are left alone.
func TestHandshakesUnderPressure(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	calls := newCalls(func() time.Time { return now })
	slow, trusted := &lineConn{from: "192.0.2.1:1"}, &lineConn{from: "192.0.2.2:1"}
	calls.begin(slow, false)
	calls.begin(trusted, true)
	now = now.Add(2 * pressedHandshake)
	for i := range maxCalls/2 - 2 {
		calls.begin(&lineConn{from: fmt.Sprintf("11.%d.0.1:1", i)}, false)
	}
	if slow.closed {
		t.Error("there was room")
	}
	calls.begin(&lineConn{from: "12.0.0.1:1"}, false)
	if !slow.closed || trusted.closed {
		t.Errorf("the slow one gives way: %v, the trusted one: %v", slow.closed, trusted.closed)
	}
	for i := range 10 * maxCalls {
		calls.begin(&lineConn{from: fmt.Sprintf("11.%d.1.1:1", i%256)}, false)
	}
	if len(calls.list) > maxCalls+1 || trusted.closed {
		t.Errorf("%d calls are held", len(calls.list))
	}
}

// TestIdleCalls: connections on which nothing is said keep nobody out, neither who calls
// from elsewhere nor who calls from the same address.
func TestIdleCalls(t *testing.T) {
	for _, from := range []string{"192.0.2.1", "127.0.0.1", "10.0.0.1"} {
		t.Run(from, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.start("n", func(o *Options) { o.MaxPerAddress = 0 })
				for range 2 * maxCalls {
					c, err := w.dial(from, "n:1")
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
				}
				for _, honest := range []string{"198.51.100.1", "127.0.0.1", from} {
					began := time.Now()
					s := w.strangerFrom(honest, "n", newKey(t))
					if s == nil || s.fate(time.Minute) != stays {
						t.Fatalf("%s is kept out", honest)
					}
					if took := time.Since(began) - time.Minute; took > 100*time.Millisecond {
						t.Errorf("it takes %s", took)
					}
					s.conn.Close()
				}
			})
		})
	}
}

// silent is an id that keeps its place and does nothing else. It is nil if it is not
// let in.
func (w *world) silent(from, to string, key noise.Key) *stranger {
	w.t.Helper()
	s := w.strangerFrom(from, to, key)
	if s != nil {
		go func() {
			for range s.Got { // nothing of it is kept
			}
		}()
	}
	return s
}

// connected counts the peers that are still there.
func connected(list []*stranger) (n int) {
	for _, s := range list {
		select {
		case <-s.Closed:
		default:
			n++
		}
	}
	return n
}

// TestManyIDs: as many ids from one address as there are places keep nobody out, for
// hours, wherever others call from.
func TestManyIDs(t *testing.T) {
	for _, from := range []string{"192.0.2.1", "127.0.0.1"} {
		t.Run(from, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.start("n", func(o *Options) { o.MaxInbound, o.MaxPerAddress = 114, 0 })
				var evil []*stranger
				for range 114 {
					if s := w.silent(from, "n", newKey(t)); s != nil {
						evil = append(evil, s)
					}
				}
				time.Sleep(10 * time.Minute)
				if got, most := connected(evil), 114/2; got > most {
					t.Errorf("%d of one address are connected", got)
				}
				honest := []string{"198.51.100.1", "198.51.100.2", "203.0.113.1", "127.0.0.1", "10.0.0.1"}
				var in []*stranger
				for _, address := range honest {
					s := w.silent(address, "n", newKey(t))
					if s == nil {
						t.Fatalf("%s is kept out", address)
					}
					in = append(in, s)
				}
				time.Sleep(10 * time.Minute)
				if got := connected(in); got != len(in) {
					t.Errorf("%d of %d are connected", got, len(in))
				}
				for _, s := range append(evil, in...) {
					s.conn.Close()
				}
				synctest.Wait()
			})
		})
	}
}

// TestLaboratory: many nodes of one machine may call one of them, without any flag.
func TestLaboratory(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.MaxInbound, o.MaxPerAddress = 114, 0 })
		var nodes []*stranger
		for range 50 {
			if s := w.silent("127.0.0.1", "n", newKey(t)); s != nil {
				nodes = append(nodes, s)
			}
		}
		time.Sleep(10 * time.Minute)
		if got := connected(nodes); got != 50 {
			t.Errorf("%d of 50 are connected", got)
		}
		for _, s := range nodes {
			s.conn.Close()
		}
		if len(n.Bans()) != 0 {
			t.Errorf("banned: %+v", n.Bans())
		}
	})
}

// TestCrowdedNetwork: strangers with hundreds of addresses of one network, who come and go
// all the time, drive out nobody who was there, and keep nobody out who comes.
func TestCrowdedNetwork(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const places, others = 40, 12
		w.start("n", func(o *Options) { o.MaxInbound, o.MaxPerAddress = places, 0 })
		var honest, evil []*stranger
		for i := range others {
			honest = append(honest, w.silent(fmt.Sprintf("11.%d.0.1", i), "n", newKey(t)))
		}
		time.Sleep(time.Minute)
		for i := range 120 {
			if s := w.silent(fmt.Sprintf("66.66.%d.%d", i%200, i%7), "n", newKey(t)); s != nil {
				evil = append(evil, s)
			}
			time.Sleep(time.Second)
		}
		if got := connected(honest); got != others {
			t.Errorf("%d of %d are still connected", got, others)
		}
		if got := connected(evil); got > places/4 {
			t.Errorf("%d of one network are connected", got)
		}
		for i := range others {
			s := w.silent(fmt.Sprintf("12.%d.0.1", i), "n", newKey(t))
			if s == nil {
				t.Fatal("who comes later is kept out")
			}
			honest = append(honest, s)
		}
		time.Sleep(10 * time.Minute)
		if got := connected(honest); got != 2*others {
			t.Errorf("%d of %d are connected later", got, 2*others)
		}
		for _, s := range append(honest, evil...) {
			s.conn.Close()
		}
	})
}

// TestTrusted: whom the operator trusts has a place when all are taken, takes none of
// others, and is not banned.
func TestTrusted(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		friend := newKey(t)
		n := w.start("n", func(o *Options) {
			o.MaxInbound = 3
			o.Trust = []peerinfo.Selector{{ID: friend.ID()}, selector(t, "10.1.0.0/16")}
		})
		var in []*stranger
		for i := range 3 {
			in = append(in, w.silent(fmt.Sprintf("11.%d.0.1", i), "n", newKey(t)))
		}
		if s := w.silent("12.0.0.1", "n", newKey(t)); s != nil && s.fate(time.Second) == stays {
			t.Error("there is no limit")
		}
		in = append(in, w.silent("192.0.2.1", "n", friend), w.silent("10.1.2.3", "n", newKey(t)))
		time.Sleep(time.Minute)
		if got := connected(in); got != 5 {
			t.Fatalf("%d of 5 are connected", got)
		}
		bad := w.strangerFrom("192.0.2.1", "n", friend)
		for range 2 * maxStrikes {
			_, _ = bad.conn.Write(make([]byte, 100)) // breaks the protocol
			<-bad.Closed
			if bad = w.strangerFrom("192.0.2.1", "n", friend); bad == nil || len(n.Bans()) != 0 {
				t.Fatal("a trusted peer is banned")
			}
		}
		go func() { _, _ = io.Copy(io.Discard, bad.conn) }()
		for _, s := range append(in, bad) {
			s.conn.Close()
		}
	})
}

// TestReplacedPeersCount: who calls in the place of a connection that we made to it takes a
// place like any other, so that ids without number get one address no more places.
func TestReplacedPeersCount(t *testing.T) {
	s := newSlots(Options{Key: newKey(t), MaxInbound: 16, MaxPerAddress: 8, Now: time.Now}, slog.New(slog.DiscardHandler))
	connect := func(n int, inbound bool, address string) {
		p := &peer{id: peerinfo.NodeID{30: byte(n >> 8), 31: byte(n)}, inbound: inbound, address: address, since: time.Now()}
		p.now, p.conn, p.ended = time.Now, &lineConn{from: address}, func(error) {}
		p.budget = &budget{most: 1 << 20, now: time.Now, among: func() []*connection { return nil }}
		p.open()
		if err := s.register(p); err != nil && !(inbound && errors.Is(err, errFull)) {
			t.Fatalf("%d, inbound %v: %v", n, inbound, err)
		}
	}
	for n := range 200 {
		connect(n, false, fmt.Sprintf("192.0.2.1:%d", 1000+n))
		connect(n, true, fmt.Sprintf("192.0.2.1:%d", 30_000+n))
	}
	inbound := 0
	for _, p := range s.all() {
		if p.inbound {
			inbound++
		}
	}
	if inbound != 8 {
		t.Errorf("%d callers of one address are connected", inbound)
	}
}
