package p2p

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

func testID(n uint32) (id peerinfo.NodeID) {
	binary.BigEndian.PutUint32(id[:], n)
	return id
}

func TestParseAddress(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for _, good := range []string{"127.0.0.1:1", "[::1]:9555", "node.example:9555", id + "@127.0.0.1:1", id + "@node.example:9555"} {
		if err := ParseAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "node.example", ":9555", "127.0.0.1:", "@127.0.0.1:1", id[1:] + "@127.0.0.1:1", "x@127.0.0.1:1", id + "@", "::1:9555"} {
		if err := ParseAddress(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// discovering makes a node look for others.
func discovering(nodes ...string) func(o *Options) {
	return func(o *Options) {
		params := *o.Params
		params.Bootstrap.Nodes, params.Bootstrap.DNS = nodes, []string{"seed"}
		o.Params, o.Discover, o.MaxOutbound = &params, true, 2
		o.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, context.DeadlineExceeded }
	}
}

// TestBootstrapIsTriedAgain: nodes that start together, or whose network is down
// for hours, find each other when it is there.
func TestBootstrapIsTriedAgain(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", discovering("seed:1"))
		time.Sleep(time.Minute)
		w.start("seed", nil)
		w.eventually("the node of the network's file", 30*time.Minute, func() bool { return len(n.Peers()) == 1 })
		if n.Peers()[0].Manual {
			t.Error("it counts as the operator's choice")
		}
		w.down()
		time.Sleep(8 * time.Hour) // more than the calls to a dead address take until it is forgotten
		if len(n.Peers()) != 0 {
			t.Fatal("the network is not down")
		}
		w.up()
		w.eventually("the network is back", 30*time.Minute, func() bool { return len(n.Peers()) == 1 })
	})
}

// TestBootstrapBesideCallers: who calls a node does not keep it from looking for
// nodes of its own choice.
func TestBootstrapBesideCallers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", discovering("seed:1"))
		caller := w.stranger(n)
		time.Sleep(time.Minute)
		w.start("seed", nil)
		w.eventually("the node of the network's file", 30*time.Minute, func() bool { return len(n.Peers()) == 2 })
		caller.conn.Close()
	})
}

// learn puts nodes of a world, each at the IP address that is its name, into the book of
// another, as if it had called them.
func (n *testNode) learn(nodes ...*testNode) {
	for _, other := range nodes {
		n.discovery.book.Good(netip.MustParseAddrPort(other.name+":1"), other.NodeID())
	}
}

// inNetworks starts nodes in as many networks.
func (w *world) inNetworks(count int, change func(*Options)) (nodes []*testNode) {
	for i := range count {
		nodes = append(nodes, w.start(fmt.Sprintf("20.%d.0.1", i), change))
	}
	return nodes
}

// outboundOf counts the peers of a node that discovery called.
func outboundOf(n *testNode) (full, blocksOnly int) {
	for _, p := range n.Peers() {
		switch {
		case p.Inbound || p.Manual:
		case p.BlocksOnly:
			blocksOnly++
		default:
			full++
		}
	}
	return full, blocksOnly
}

// TestAddressesOutliveOurNetwork: while nobody at all can be reached, no address is
// forgotten.
func TestAddressesOutliveOurNetwork(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		other := w.start("20.1.0.1", nil)
		n := w.start("n", func(o *Options) { o.Discover, o.MaxOutbound = true, 2 })
		w.down()
		n.learn(other)
		time.Sleep(24 * time.Hour)
		w.up()
		w.eventually("a node that was known before", 30*time.Minute, func() bool { return len(n.Peers()) == 1 })
	})
}

// TestDiscovery: addresses that peers tell are called, up to the limit, and kept
// for the next start.
func TestDiscovery(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		file := filepath.Join(w.dir, "peers.json")
		seed := w.start("seed", nil)
		seed.learn(w.inNetworks(6, nil)...)
		n := w.start("n", func(o *Options) {
			discovering(seed.NodeID().String() + "@seed:1")(o)
			o.File, o.MaxOutbound, o.BlocksOnly = file, 3, 2
		})
		all := func() bool {
			full, blocksOnly := outboundOf(n)
			return full == 3 && blocksOnly == 2
		}
		w.eventually("three peers, and two for blocks alone", 10*time.Second, all)
		time.Sleep(10 * time.Minute)
		if got := len(n.Peers()); got != 5 || !all() {
			t.Errorf("%d peers, want 5", got)
		}
		n.stop()
		seed.stop()
		n = w.start("n", func(o *Options) { discovering()(o); o.File = file })
		w.eventually("peers after a restart, without the first", 5*time.Second, func() bool { return len(n.Peers()) == 2 })
	})
}
