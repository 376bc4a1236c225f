package seed_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/seed"
	"github.com/karatcoin/karat/rpc"
)

// laboratory is nodes on addresses of the loopback that all listen at one port.
type laboratory struct {
	port  string
	nodes []*nodetest.Running
	hosts []string
}

// startNodes starts a node, and others that it is connected to.
func startNodes(t *testing.T, others int) *laboratory {
	addresses := []string{"127.0.0.2"}
	for n := range others {
		addresses = append(addresses, fmt.Sprintf("127.0.0.%d", 3+n))
	}
	port := freeport.Of(t, addresses...)
	lab := &laboratory{port: port}
	start := func(host string, connect ...string) {
		lab.hosts = append(lab.hosts, host)
		lab.nodes = append(lab.nodes, nodetest.Dev(t, func(c *node.Config) {
			c.Listen, c.MaxPeers, c.Connect = net.JoinHostPort(host, port), 32, connect
		}))
	}
	var connect []string
	for _, host := range addresses[1:] {
		start(host)
		connect = append(connect, net.JoinHostPort(host, port))
	}
	start("127.0.0.2", connect...)
	t.Cleanup(func() { // all at once, since each waits for its database a while
		var work sync.WaitGroup
		for _, n := range lab.nodes {
			work.Go(n.Stop)
		}
		work.Wait()
	})
	eventually(t, "the first node knows the others", func() bool { return peersOf(t, lab.nodes[others]) == others })
	return lab
}

// peersOf returns how many peers a node has.
func peersOf(t *testing.T, n *nodetest.Running) (peers int) {
	if err := rpc.NewCookieClient("http://"+n.RPC, n.CookieFile).Call(t.Context(), "getconnectioncount", &peers); err != nil {
		t.Fatal(err)
	}
	return peers
}

// startSeed runs a seed that begins with the last node.
func startSeed(t *testing.T, lab *laboratory, file string) (s *seed.Seed, stop func()) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	key, err := noise.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort("127.0.0.1:" + lab.port).Port()
	s, err = seed.Open(seed.Options{
		Params: params, Key: key, UserAgent: "/seed/", Host: "seed.example.org", Nameserver: "ns.example.org", Listen: "127.0.0.1:0",
		Connect: []string{"127.0.0.2:" + lab.port}, Port: port, Local: true, File: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// resolver asks a seed, by UDP or TCP.
func resolver(s *seed.Seed, network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr().String())
	}}
}

// TestSeed: a seed that knows one node finds the others, and a node that knows nobody but
// the seed's name finds the network.
func TestSeed(t *testing.T) {
	lab := startNodes(t, 3)
	file := filepath.Join(t.TempDir(), "seed.json")
	s, stop := startSeed(t, lab, file)
	slices.Sort(lab.hosts)
	eventually(t, "all nodes are met", func() bool { return s.Status().Good4 == len(lab.hosts) })
	var hosts []string
	list, err := resolver(s, "udp").LookupNetIP(t.Context(), "ip4", "seed.example.org")
	for _, ip := range list {
		hosts = append(hosts, ip.Unmap().String())
	}
	if slices.Sort(hosts); err != nil || !slices.Equal(hosts, lab.hosts) {
		t.Errorf("it tells of %v, want %v (%v)", hosts, lab.hosts, err)
	}
	if list, err := resolver(s, "tcp").LookupNetIP(t.Context(), "ip4", "SEED.example.ORG"); err != nil || len(list) != len(lab.hosts) {
		t.Errorf("by TCP: %v, %v", list, err)
	}
	if list, err := resolver(s, "udp").LookupNS(t.Context(), "seed.example.org"); err != nil || list[0].Host != "ns.example.org." {
		t.Errorf("name servers %v, %v", list, err)
	}
	if _, err := resolver(s, "udp").LookupHost(t.Context(), "www.example.org"); err == nil {
		t.Error("it answers for another's name")
	}
	newcomer := nodetest.Dev(t, func(c *node.Config) {
		c.NoDiscovery, c.Params.Bootstrap.DNS = false, []string{"seed.example.org"}
		c.Params.Ports.P2P = netip.MustParseAddrPort("127.0.0.1:" + lab.port).Port()
		c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return resolver(s, "udp").LookupNetIP(ctx, "ip", host)
		}
	})
	eventually(t, "a newcomer finds a node", func() bool { return peersOf(t, newcomer) > 0 })
	stop()
	// What it learnt is there after a restart, and needs nobody to begin with.
	again, _ := startSeed(t, lab, file)
	if status := again.Status(); status.Answered != len(lab.hosts) {
		t.Errorf("after a restart: %+v", status)
	}
}

// TestFloodOfQuestions: who asks without end by UDP gets little, and others get answers
// by TCP meanwhile.
func TestFloodOfQuestions(t *testing.T) {
	s, _ := startSeed(t, &laboratory{port: "1"}, "")
	conn, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packed, err := new(dns.Msg).SetQuestion("seed.example.org.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	whole := 0 // answers that are not only told to ask by TCP
	buf := make([]byte, 4096)
	eventually(t, "the flood is noticed", func() bool {
		for range 50 {
			if _, err := conn.Write(packed); err != nil {
				t.Fatal(err)
			}
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return s.Status().Limited > 500
			}
			var r dns.Msg
			if err := r.Unpack(buf[:n]); err != nil {
				t.Error(err)
			}
			switch {
			case !r.Truncated:
				whole++
			case n > len(packed):
				t.Errorf("%d bytes for %d", n, len(packed))
			}
		}
	})
	if most := 20 + 5*int(time.Since(began).Seconds()+1); whole > most {
		t.Errorf("%d whole answers, want at most %d", whole, most)
	}
	client := &dns.Client{Net: "tcp"}
	if r, _, err := client.Exchange(new(dns.Msg).SetQuestion("seed.example.org.", dns.TypeSOA), s.Addr().String()); err != nil || len(r.Answer) != 1 {
		t.Errorf("by TCP: %v, %v", r, err)
	}
}

func TestBadOptions(t *testing.T) {
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	good := seed.Options{Params: params, Host: "seed.example.org", Nameserver: "ns.example.org", Listen: "127.0.0.1:0"}
	for want, change := range map[string]func(o *seed.Options){
		"is no name":     func(o *seed.Options) { o.Host = "" },
		"such as seed":   func(o *seed.Options) { o.Nameserver = "a..b" },
		"at most 128":    func(o *seed.Options) { o.Host = strings.Repeat("abc.", 40) },
		"is no address":  func(o *seed.Options) { o.Connect = []string{"nowhere"} },
		"listen for DNS": func(o *seed.Options) { o.Listen = "192.0.2.1:53" },
	} {
		o := good
		change(&o)
		if _, err := seed.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}
