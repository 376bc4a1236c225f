package p2p

import (
	"net/netip"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestOnionServiceTellsNoLocalAddress: who calls from this machine is told of the nodes
// of our own network, but not behind a proxy, where it may be anybody who came by Tor.
// Nor does it lead us to our own network then.
func TestOnionServiceTellsNoLocalAddress(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		for _, behindProxy := range []bool{false, true} {
			n := w.start("n", func(o *Options) { o.ByName = func(string) bool { return behindProxy } })
			local, public := netip.MustParseAddrPort("10.0.0.7:1"), netip.MustParseAddrPort("20.0.0.7:1")
			n.discovery.book.Good(local, testID(1))
			n.discovery.book.Good(public, testID(2))
			key, err := noise.GenerateKey()
			if err != nil {
				t.Fatal(err)
			}
			s := w.strangerFrom("127.0.0.1", "n", key)
			if err := s.send(&wire.GetPeers{}); err != nil {
				t.Fatal(err)
			}
			told := map[netip.AddrPort]bool{}
			for _, a := range next[*wire.Peers](s, time.Minute).Peers {
				told[a.Addr] = true
			}
			if !told[public] || told[local] == behindProxy {
				t.Errorf("behind a proxy %v: it tells %v", behindProxy, told)
			}
			for _, p := range n.slots.all() {
				if n.discovery.source(p).Local == behindProxy {
					t.Errorf("behind a proxy %v: it believes who calls from this machine: %v", behindProxy, !behindProxy)
				}
			}
			s.conn.Close()
			n.stop()
		}
	})
}
