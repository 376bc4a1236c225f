package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/sockstest"
	"github.com/karatcoin/karat/p2p"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

const onionHost = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

// TestNothingLeaksAroundTheProxy: a node behind a proxy reaches peers of all kinds, and
// the network's seeds, by the proxy alone. It looks no name up, each connection is
// another user's, and it does not tell where it is.
func TestNothingLeaksAroundTheProxy(t *testing.T) {
	start := func(change func(c *Config)) *p2p.Manager {
		n := openNode(t, t.TempDir(), "dev", 0)
		t.Cleanup(func() { closeNode(t, n) })
		n.config.Listen = "127.0.0.1:0"
		change(&n.config)
		return runAsIs(t, n).running.Load().peers
	}
	far := start(func(c *Config) { c.NoDiscovery, c.MaxPeers = true, 8 })
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	network := params.Identity()
	hellos := make(chan *wire.Hello, 100) // one for each call
	var mu sync.Mutex
	asked, users := map[string]int{}, map[string]bool{}
	proxy := sockstest.Start(t, func(r sockstest.Request) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.To]++
		if r.User == "" || users[r.User] {
			t.Errorf("%s: the user %q is not a new one", r.To, r.User)
		}
		users[r.User] = true
		switch r.To {
		case "node.example:1":
			return net.Dial("tcp", far.Listening()[0])
		case "curious.example:6":
			near, other := net.Pipe()
			go func() { hellos <- helloOf(t.Context(), other, network) }()
			return near, nil
		}
		return nil, errors.New("refused")
	})
	// Nothing else of the process may ask either.
	usual := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = usual })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		t.Errorf("a name server was asked: %s", address)
		return nil, errors.New("refused")
	}}
	hidden := start(func(c *Config) {
		c.Proxy = proxy
		c.Connect = []string{"node.example:1", "192.0.2.1:2", onionHost + ":3", "curious.example:6"}
		c.Params.Bootstrap.DNS = []string{"seed.example"}
		c.Params.Bootstrap.Nodes = []string{strings.Repeat("0a", 32) + "@192.0.2.2:4", "other.example:5"}
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			if address != proxy {
				t.Errorf("the machine itself called %s", address)
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
		c.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			t.Errorf("the machine itself looked %s up", host)
			return nil, errors.New("refused")
		}
	})
	want := []string{"node.example:1", "192.0.2.1:2", onionHost + ":3", "192.0.2.2:4", "other.example:5", "seed.example:19555"}
	deadline := time.Now().Add(time.Minute)
	for done := false; !done; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the proxy was asked for %v, want %v; %d peers", asked, want, len(far.Peers()))
		}
		mu.Lock()
		done = !slices.ContainsFunc(want, func(to string) bool { return asked[to] == 0 }) && len(far.Peers()) == 1
		mu.Unlock()
	}
	// The other side must learn no address of the hidden node. It would put the port that
	// it is told to the proxy's address.
	if hello := <-hellos; hello == nil || hello.ListenPort != 0 {
		t.Errorf("it says %+v of itself", hello)
	}
	if known := far.KnownAddresses(10); len(known) != 0 {
		t.Errorf("the other side knows %v", known)
	}
	if hidden.NodeID() != far.Peers()[0].ID {
		t.Error("it is another node")
	}
}

// helloOf greets who calls as a node does, hangs up, and returns what it said of itself,
// or nil.
func helloOf(ctx context.Context, c net.Conn, network types.Hash) *wire.Hello {
	defer c.Close()
	key, err := noise.GenerateKey()
	if err != nil {
		return nil
	}
	conn, err := noise.Server(ctx, c, key, network)
	if err != nil {
		return nil
	}
	f, err := wire.ReadFragment(conn, make([]byte, wire.MaxFragmentSize))
	if err != nil {
		return nil
	}
	message, _, _ := wire.NewAssembler(0).Push(f)
	hello, _ := message.(*wire.Hello)
	return hello
}

// TestOnionWithoutProxy: who asks for a Tor address without a way to it is told at once
// what to do.
func TestOnionWithoutProxy(t *testing.T) {
	n := openNode(t, t.TempDir(), "dev", 0)
	t.Cleanup(func() { closeNode(t, n) })
	peers := run(t, n).running.Load().peers
	for _, do := range []func(string) error{peers.AddNode, peers.TryNode} {
		if err := do(onionHost + ":9555"); err == nil || !strings.Contains(err.Error(), "--onion") {
			t.Errorf("got %v", err)
		}
	}
}
