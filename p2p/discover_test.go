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

	"github.com/karatcoin/karat/internal/hostile"
	"github.com/karatcoin/karat/p2p/addrbook"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
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
	time.Sleep(time.Minute) // in which nobody is called who was called just now
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

// answerAt makes somebody with the key answer calls at an address, and no more: it
// proves its id, says hello, and keeps the connection.
func (w *world) answerAt(address string, key noise.Key) {
	l := w.net.Listen(address)
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			w.t.Cleanup(func() { raw.Close() })
			go func() {
				conn, err := noise.Server(context.Background(), raw, key, w.params.Identity())
				if err != nil {
					raw.Close()
					return
				}
				s := &stranger{hostile.Drive(conn, w.params.MaxBlockWeight, true), w, "", key, conn}
				s.hello()
			}()
		}
	}()
}

// introduce calls a node from an address, says where it can be called, and hangs up.
func (w *world) introduce(from, to string, key noise.Key, port uint16) {
	raw, err := w.dial(from, to+":1")
	if err != nil {
		return
	}
	defer raw.Close()
	conn, err := noise.Client(w.t.Context(), raw, key, w.params.Identity(), nil)
	if err != nil {
		return // it has no place for us
	}
	s := &stranger{hostile.Drive(conn, w.params.MaxBlockWeight, true), w, to, key, conn}
	_ = s.send(&wire.Hello{
		Version: wire.Version, Services: wire.ServiceNetwork, UserAgent: "/introduced/", Tip: w.params.GenesisBlock().Hash,
		Time: time.Now().Unix(), ListenPort: port,
	})
	time.Sleep(10 * time.Millisecond)
}

// TestEclipseByCallers: an attacker makes 1,900 handshakes from one address, each with an
// id and a port of its own where it answers, and then has the node start again. None of
// the node's connections is the attacker's, and nothing that it knew is forgotten.
func TestEclipseByCallers(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		file := filepath.Join(w.dir, "peers.json")
		options := func(o *Options) {
			discovering()(o)
			o.File, o.MaxOutbound, o.BlocksOnly = file, 4, 1
		}
		honest := w.inNetworks(6, nil)
		n := w.start("n", options)
		n.learn(honest...)
		w.eventually("peers", 10*time.Second, func() bool { full, only := outboundOf(n); return full == 4 && only == 1 })
		calls := 1900
		if testing.Short() {
			calls = 300
		}
		for i := range calls {
			key, err := noise.GenerateKey()
			if err != nil {
				t.Fatal(err)
			}
			port := uint16(1000 + i)
			if i%100 == 0 { // a goroutine for each would only make the test slow
				w.answerAt(fmt.Sprint("66.6.6.6:", port), key)
			}
			w.introduce("66.6.6.6", "n", key, port)
		}
		time.Sleep(10 * time.Minute)
		known := map[string]bool{}
		hostile := 0
		for _, a := range n.KnownAddresses(10_000) {
			known[a.At.String()] = true
			if strings.HasPrefix(a.At.String(), "66.6.") {
				hostile++
			}
		}
		if hostile > 10 {
			t.Errorf("%d addresses of the attacker are in the book", hostile)
		}
		for _, h := range honest {
			if !known[h.name+":1"] {
				t.Errorf("%s is forgotten", h.name)
			}
		}
		n.stop()
		n = w.start("n", options)
		w.eventually("peers after the restart", 10*time.Second, func() bool { full, only := outboundOf(n); return full == 4 && only == 1 })
		captured := 0
		for _, p := range n.Peers() {
			if strings.HasPrefix(p.Address, "66.6.") {
				captured++
			}
		}
		t.Logf("after %d calls from one address %d of its places were in the book, and %d of 5 connections its own", calls, hostile, captured)
		if captured > 1 {
			t.Errorf("%d of 5 connections are the attacker's", captured)
		}
	})
}

// TestCallersAreCalledBack: who calls is in the book once a node answered where it says,
// and what it says of others is left.
func TestCallersAreCalledBack(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", discovering())
		key, other := newKey(t), newKey(t)
		w.answerAt("20.7.0.1:7", key)
		w.answerAt("20.8.0.1:8", other)
		w.introduce("20.7.0.1", "n", key, 7)
		w.introduce("20.9.0.1", "n", other, 9) // where nobody answers
		s := w.strangerFrom("20.10.0.1", "n", newKey(t))
		told := wire.PeerAddress{ID: other.ID(), Addr: netip.MustParseAddrPort("20.8.0.1:8"), LastSeen: time.Now().Unix()}
		s.send(&wire.Peers{Peers: []wire.PeerAddress{told}})
		s.expect(stays, "who tells of another", time.Minute)
		if got := n.KnownAddresses(10); len(got) != 1 || got[0].At.String() != "20.7.0.1:7" || got[0].ID != key.ID() {
			t.Errorf("known: %v", got)
		}
		told.ID, told.Addr = s.key.ID(), netip.MustParseAddrPort("20.8.0.1:8") // where it says it can be called itself
		s.send(&wire.Peers{Peers: []wire.PeerAddress{told}})
		s.expect(stays, "who tells of itself", 2*time.Minute)
		if got := n.KnownAddresses(10); len(got) != 2 {
			t.Errorf("known: %v", got)
		}
		s.conn.Close()
	})
}

// TestOneAnswer: who asks for addresses is answered once, and who asks under another id
// is told the same.
func TestOneAnswer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		for i := range 40 {
			n.discovery.book.Good(netip.MustParseAddrPort(fmt.Sprintf("20.%d.0.1:1", i)), testID(uint32(i+1)))
		}
		var first string
		for i := range 3 {
			s := w.strangerFrom(fmt.Sprintf("30.%d.0.1", i), "n", newKey(t))
			for range 3 {
				s.send(&wire.GetPeers{})
			}
			var answers []string
			for got := next[*wire.Peers](s, time.Minute); got != nil; got = next[*wire.Peers](s, time.Minute) {
				answers = append(answers, fmt.Sprint(got.Peers))
				if len(got.Peers) > 20 {
					t.Errorf("%d of 40 addresses are told", len(got.Peers))
				}
			}
			if i == 0 {
				first = strings.Join(answers, "\n")
			}
			if len(answers) != 1 || answers[0] != first {
				t.Errorf("stranger %d got %d answers, or others than the first", i, len(answers))
			}
			s.conn.Close()
		}
	})
}

// TestSpread: an address at which a node answered goes through the network by those who
// call each other; one that somebody only tells goes no further than who is told.
func TestSpread(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a := w.start("20.1.0.1", discovering())
		b := w.start("20.2.0.1", func(o *Options) { discovering()(o); o.MaxOutbound = 1 })
		b.learn(a)
		w.eventually("b calls a", 10*time.Second, func() bool { return len(a.Peers()) == 1 })
		time.Sleep(time.Minute)
		key := newKey(t)
		w.answerAt("20.3.0.1:3", key)
		a.discovery.book.Add([]peerinfo.Address{
			{ID: testID(9), At: netip.MustParseAddrPort("20.4.0.1:4"), LastSeen: time.Now()}, // where nobody is
		}, addrbook.SourceAt(netip.MustParseAddr("20.5.0.1")))
		w.introduce("20.3.0.1", "20.1.0.1", key, 3)
		knows := func(at string) bool {
			for _, known := range b.KnownAddresses(100) {
				if known.At.String() == at {
					return true
				}
			}
			return false
		}
		w.eventually("b hears of who called a", 2*time.Minute, func() bool { return knows("20.3.0.1:3") })
		time.Sleep(time.Hour)
		if knows("20.4.0.1:4") {
			t.Error("an address at which nobody answered was passed on")
		}
	})
}

// TestBlocksOnly: peers for blocks alone bring blocks, and hear and tell of no
// transactions and addresses.
func TestBlocksOnly(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		other := w.start("20.1.0.1", nil)
		n := w.start("n", func(o *Options) { discovering()(o); o.MaxOutbound, o.BlocksOnly = 1, 1 })
		full := w.start("20.2.0.1", nil)
		n.learn(full, other)
		w.eventually("both kinds", 20*time.Second, func() bool { f, only := outboundOf(n); return f == 1 && only == 1 })
		only := other
		for _, p := range n.Peers() {
			if p.BlocksOnly && p.ID == full.NodeID() {
				only = full
			}
		}
		blocks := only.mine(5)
		w.agree("blocks", tip(blocks), n)
		tx := only.pay(payment(blocks[0]))
		time.Sleep(10 * time.Minute)
		if n.has(tx) {
			t.Error("a transaction came from a peer for blocks alone")
		}
		for _, p := range only.Peers() {
			if p.RelayTxs || p.SharesAddresses {
				t.Errorf("it was asked for more than blocks: %+v", p)
			}
		}
	})
}

// TestAnchors: the peers for blocks alone are called first after a restart, whatever the
// book says by then.
func TestAnchors(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		options := func(o *Options) {
			discovering()(o)
			o.MaxOutbound, o.BlocksOnly, o.File = 1, 2, filepath.Join(w.dir, "peers.json")
		}
		anchors := func(n *testNode) map[peerinfo.NodeID]bool {
			ids := map[peerinfo.NodeID]bool{}
			for _, p := range n.Peers() {
				if p.BlocksOnly {
					ids[p.ID] = true
				}
			}
			return ids
		}
		n := w.start("n", options)
		n.learn(w.inNetworks(8, nil)...)
		w.eventually("anchors", 20*time.Second, func() bool { return len(anchors(n)) == 2 })
		before := anchors(n)
		time.Sleep(2 * saveEvery)
		for range 3 {
			n.stop()
			n = w.start("n", options)
			w.eventually("anchors again", 20*time.Second, func() bool { return len(anchors(n)) == 2 })
			if got := anchors(n); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("anchors: %v, want %v", got, before)
			}
			time.Sleep(2 * saveEvery)
		}
	})
}

// TestOldTip: when no block has come for long there is one more peer for a while, and
// who has told of no block goes.
func TestOldTip(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		nodes := w.inNetworks(3, nil)
		n := w.start("n", discovering())
		n.learn(nodes...)
		w.eventually("two peers", 10*time.Second, func() bool { full, _ := outboundOf(n); return full == 2 })
		most := 0
		for range 600 {
			time.Sleep(10 * time.Second)
			full, _ := outboundOf(n)
			most = max(most, full)
		}
		if most != 3 {
			t.Errorf("%d peers at most, want one more than two", most)
		}
		// The third has the blocks that the others keep from us.
		var third *testNode
		there := map[peerinfo.NodeID]bool{}
		for _, p := range n.Peers() {
			there[p.ID] = true
		}
		for _, other := range nodes {
			if !there[other.NodeID()] {
				third = other
			}
		}
		if third == nil {
			t.Skip("the extra peer is just there")
		}
		w.agree("the blocks", tip(third.mine(3)), n)
	})
}

// TestBehind: a peer whose chain has less work than ours makes room after a while, if all
// places are taken.
func TestBehind(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		key := newKey(t)
		w.answerAt("20.9.0.1:1", key)
		good := w.start("20.1.0.1", nil)
		n := w.start("n", func(o *Options) { discovering()(o); o.MaxOutbound = 1 })
		n.mine(3)
		n.discovery.book.Good(netip.MustParseAddrPort("20.9.0.1:1"), key.ID())
		w.eventually("the bad peer", 2*time.Minute, func() bool { return len(n.Peers()) == 1 })
		n.learn(good)
		// It may be called again by chance, each time for some 20 minutes.
		w.eventually("another peer", 12*time.Hour, func() bool { return len(n.Peers()) == 1 && n.Peers()[0].ID == good.NodeID() })
	})
}

// TestOwnAddress: where this node can be called is believed when peers in three networks
// see it there, and callers are not asked.
func TestOwnAddress(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		nodes := w.inNetworks(4, nil)
		n := w.start("20.99.0.1", func(o *Options) { discovering()(o); o.ListenPort, o.MaxOutbound = 77, 2 })
		for i := range 5 {
			s := w.strangerFrom(fmt.Sprintf("30.%d.0.1", i), n.name, newKey(t))
			defer s.conn.Close()
		}
		n.learn(nodes...)
		w.eventually("two peers", 10*time.Second, func() bool { full, _ := outboundOf(n); return full == 2 })
		time.Sleep(time.Second)
		if at, ok := n.discovery.own(); ok {
			t.Errorf("two peers are enough for %s", at)
		}
		if err := n.TryNode(nodes[0].name + ":1"); err != nil {
			t.Fatal(err)
		}
		for _, other := range nodes {
			if err := n.TryNode(other.name + ":1"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		if at, ok := n.discovery.own(); !ok || at.String() != "20.99.0.1:77" {
			t.Errorf("own address %s, %v", at, ok)
		}
	})
}

// TestToldAtARate: unasked addresses are taken one in ten seconds, those that were asked
// for at once.
func TestToldAtARate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var g gossip
	if got := g.take(100, now); got != 1 {
		t.Errorf("%d at first", got)
	}
	now = now.Add(100 * time.Second)
	if got := g.take(100, now); got != 10 {
		t.Errorf("%d after 100 seconds", got)
	}
	g.tokens += addressBurst
	if got := g.take(1000, now); got != 1000 {
		t.Errorf("%d of those asked for", got)
	}
	now = now.Add(1000 * time.Hour)
	if got := g.take(5000, now); got != addressBurst {
		t.Errorf("%d after weeks", got)
	}
}
