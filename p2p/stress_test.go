package p2p

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/pipenet"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestChurn: connections of one id that are closed, banned, registered and
// disconnected at the same moment leave the manager at work.
func TestChurn(t *testing.T) {
	t.Run("virtual", func(t *testing.T) {
		watch(t)
		simulate(t, func(t *testing.T, w *world) { w.churn(w.start("n", nil), 8, 40) })
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		watch(t)
		params, err := karat.LoadNetwork("dev")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, params: params, dir: t.TempDir(), net: pipenet.New(), calls: map[string][]time.Time{}, services: wire.ServiceNetwork, version: wire.Version}
		w.churn(w.start("n", nil), 8, 40)
	})
}

// watch ends the tests if this one hangs: who waits for a mutex stops the clock of
// a bubble, and with it every timeout within.
func watch(t *testing.T) {
	timer := time.AfterFunc(10*time.Minute, func() { panic(t.Name() + " hangs") })
	t.Cleanup(func() { timer.Stop() })
}

// churn lets several strangers call a node again and again, each with two
// connections of the same key.
func (w *world) churn(n *testNode, strangers, rounds int) {
	var work sync.WaitGroup
	for i := range strangers {
		work.Go(func() {
			for j := range rounds {
				w.collide(fmt.Sprintf("stranger-%d-%d", i, j), n)
			}
		})
	}
	work.Wait()
	s := w.stranger(n)
	s.send(&wire.GetPeers{})
	if next[*wire.Peers](s, time.Minute) == nil {
		w.t.Error("nobody is served any more")
	}
	s.conn.Close()
}

// collide opens two connections with one key, and lets the first break the protocol
// while the second says hello and the operator hangs up.
func (w *world) collide(from string, n *testNode) {
	key, err := noise.GenerateKey()
	if err != nil {
		w.t.Error(err)
		return
	}
	var conns [2]*noise.Conn
	for i := range conns {
		raw, err := w.dial(from, n.name+":1")
		if err != nil {
			w.t.Error(err)
			return
		}
		defer raw.Close()
		if conns[i], err = noise.Client(w.t.Context(), raw, key, w.params.Identity(), nil); err != nil {
			return // there is no room at the moment
		}
	}
	hello := &wire.Hello{Version: wire.Version, Services: w.services, UserAgent: "/stranger/", Time: time.Now().Unix(), Relay: true}
	in := make(chan struct{})
	var work sync.WaitGroup
	for i, conn := range conns {
		work.Go(func() {
			heard := 0
			for buf := make([]byte, wire.MaxFragmentSize); ; heard++ {
				if _, err := wire.ReadFragment(conn, buf); err != nil {
					break
				}
				if i == 0 && heard == 1 { // its hello, and what it sends to who is in
					close(in)
				}
			}
			if i == 0 && heard < 2 {
				close(in)
			}
		})
	}
	write := func(conn *noise.Conn, b []byte) {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Write(b)
	}
	var f wire.Fragmenter
	if err := f.Push(hello); err != nil {
		w.t.Error(err)
		return
	}
	greeting, _ := f.AppendNext(nil)
	write(conns[0], greeting)
	<-in
	var at sync.WaitGroup
	at.Go(func() { write(conns[0], wire.AppendFragment(nil, wire.Fragment{Lane: 9})) })
	at.Go(func() { write(conns[1], greeting) })
	at.Go(func() { _ = n.Disconnect(key.ID().String()) })
	at.Go(func() { n.Peers() })
	at.Wait()
	for _, conn := range conns {
		conn.Close()
	}
	work.Wait()
}
