package seed

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// encoded returns messages as they are sent.
func encoded(t *testing.T, messages ...wire.Message) (all []byte) {
	var f wire.Fragmenter
	for _, m := range messages {
		if err := f.Push(m); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		all, more = f.AppendNext(all)
	}
	return all
}

// TestVisits: what a node is, and what a stranger can do to whoever calls it.
func TestVisits(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	hello := &wire.Hello{Version: wire.Version, Services: wire.ServiceNetwork, UserAgent: "/node/"}
	told := &wire.Peers{}
	for n := range wire.MaxPeers {
		told.Peers = append(told.Peers, wire.PeerAddress{Addr: place(n/100, n%100), LastSeen: 1})
	}
	flood := encoded(t, &wire.Inv{WTxIDs: make([]types.Hash, wire.MaxInv)})
	for _, c := range []struct {
		name string
		do   func(c net.Conn)
		met  bool
		told int
		most time.Duration
	}{
		{"an honest node", func(c net.Conn) { c.Write(encoded(t, hello, told)) }, true, wire.MaxPeers, time.Second},
		{"news first", func(c net.Conn) {
			c.Write(encoded(t, hello))
			c.Write(flood)
			c.Write(encoded(t, &wire.Ping{Nonce: 1}, told))
		}, true, wire.MaxPeers, time.Second},
		{"no peers told", func(c net.Conn) { c.Write(encoded(t, hello)); time.Sleep(2 * visitTime) }, true, 0, visitTime},
		{"hangs up after it greeted", func(c net.Conn) { c.Write(encoded(t, hello)) }, true, 0, time.Second},
		{"says nothing", func(net.Conn) { time.Sleep(2 * visitTime) }, false, 0, visitTime},
		{"another message first", func(c net.Conn) { c.Write(encoded(t, told)) }, false, 0, time.Second},
		{"too old", func(c net.Conn) { c.Write(encoded(t, &wire.Hello{Version: 0})) }, false, 0, time.Second},
		{"no fragments", func(c net.Conn) { c.Write([]byte(strings.Repeat("nonsense", 100))) }, false, 0, time.Second},
		{"no end", func(c net.Conn) {
			c.Write(encoded(t, hello))
			for n := 0; ; n += len(flood) {
				if n > 2<<20 {
					t.Errorf("%d bytes were read", n)
				}
				if _, err := c.Write(flood); err != nil {
					return
				}
			}
		}, true, 0, time.Second},
		{"one byte a second", func(c net.Conn) {
			for _, b := range encoded(t, hello, told) {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}, false, 0, visitTime},
		{"a block of the greatest length", func(c net.Conn) {
			c.Write(encoded(t, hello, &wire.Block{Raw: make([]byte, 400_000)}, told))
		}, true, wire.MaxPeers, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key, _ := noise.GenerateKey()
				s := &Seed{o: Options{Params: params, Key: key, UserAgent: "/seed/", Now: time.Now, Dial: answering(t, params.Identity(), c.do)}}
				start := time.Now()
				at, found, err := s.meet(t.Context(), target{address: "192.0.2.1:9555"})
				if (err == nil) != c.met || len(found.told) != c.told || at.String() != "192.0.2.1:9555" {
					t.Errorf("met: %v, %d told, at %s", err, len(found.told), at)
				}
				if took := time.Since(start); took > c.most {
					t.Errorf("it took %s", took)
				}
				time.Sleep(3 * visitTime) // until the other side is gone too
				if c.met && (!found.full || found.agent != "/node/") {
					t.Errorf("found %+v", found)
				}
			})
		})
	}
	t.Run("another network", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			key, _ := noise.GenerateKey()
			s := &Seed{o: Options{Params: params, Key: key, Now: time.Now, Dial: answering(t, types.Hash{1}, func(net.Conn) {})}}
			if _, _, err := s.meet(t.Context(), target{address: "192.0.2.1:9555"}); !errors.Is(err, noise.ErrWrongNetwork) {
				t.Errorf("got %v", err)
			}
		})
	})
}

// answering is a network on which everybody does the same after the handshake, and then
// hangs up.
func answering(t *testing.T, network types.Hash, do func(net.Conn)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			key, err := noise.GenerateKey()
			if err != nil {
				t.Error(err)
			}
			conn, err := noise.Server(context.WithoutCancel(ctx), far, key, network)
			if err != nil {
				return
			}
			go io.Copy(io.Discard, conn)
			do(conn)
		}()
		return near, nil
	}
}

// TestFalseIDs: who tells the right address of a node with a wrong id does not make it
// seem dead, since ids are asked for only where the operator gave them.
func TestFalseIDs(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		key, _ := noise.GenerateKey()
		s := &Seed{o: Options{Params: params, Key: key, Now: time.Now}}
		s.o.Dial = answering(t, params.Identity(), func(c net.Conn) { c.Write(encoded(t, &wire.Hello{Version: wire.Version})) })
		if _, _, err := s.meet(t.Context(), target{address: "192.0.2.1:9555", id: &peerinfo.NodeID{1}}); !errors.Is(err, noise.ErrWrongID) {
			t.Errorf("got %v", err)
		}
		if _, _, err := s.meet(t.Context(), target{address: "192.0.2.1:9555"}); err != nil {
			t.Error(err)
		}
	})
	for _, text := range []string{"", "host", ":1", "x@192.0.2.1:1", strings.Repeat("0a", 32) + "@"} {
		if _, err := parseTarget(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if target, err := parseTarget(strings.Repeat("0a", 32) + "@192.0.2.1:1"); err != nil || target.id == nil || target.address != "192.0.2.1:1" {
		t.Errorf("%+v, %v", target, err)
	}
}
