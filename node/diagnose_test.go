package node

import (
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/internal/sockstest"
	"github.com/karatcoin/karat/node/doctor"
)

// patient is a node whose clock a test moves, and which is asked what is wrong with it.
type patient struct {
	*running
	t     *testing.T
	later atomic.Int64 // nanoseconds that its clock is ahead
}

// admit runs a node of the dev network after a change of its configuration.
func admit(t *testing.T, change func(*Config)) *patient {
	t.Helper()
	params, err := karat.LoadNetwork("dev")
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{t: t}
	config := Config{
		DataDir: t.TempDir(), Params: params, CacheBytes: 8 << 20, Listen: "127.0.0.1:0", NoDiscovery: true, MaxPeers: 8,
		Now: func() time.Time { return time.Now().Add(time.Duration(p.later.Load())) },
	}
	change(&config)
	n, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	p.running = runAsIs(t, n)
	return p
}

func (p *patient) at() string { return p.Node.running.Load().peerListener.Addr().String() }
func (p *patient) id() string { return p.Node.running.Load().peers.NodeID().String() }

func (p *patient) call(method string, params ...any) {
	p.t.Helper()
	if err := p.client.Call(p.t.Context(), method, nil, params...); err != nil {
		p.t.Fatal(err)
	}
}

// diagnosed asks what is wrong.
func (p *patient) diagnosed(params ...any) []doctor.Finding {
	p.t.Helper()
	var told struct {
		Healthy  bool
		Findings []doctor.Finding
	}
	if err := p.client.Call(p.t.Context(), "doctor", &told, params...); err != nil {
		p.t.Fatal(err)
	}
	if told.Healthy != (doctor.Worst(told.Findings) < doctor.Warning) {
		p.t.Errorf("healthy %t: %v", told.Healthy, told.Findings)
	}
	// The machine is the one that runs the test, and may have little left of anything.
	return slices.DeleteFunc(told.Findings, func(f doctor.Finding) bool {
		return strings.HasPrefix(f.Code, "disk-") || strings.HasPrefix(f.Code, "memory-") || strings.HasPrefix(f.Code, "files-")
	})
}

func plain(*Config) {}

func connectTo(address string) func(*Config) {
	return func(c *Config) { c.Connect = []string{address} }
}

// TestDoctorOfFaults: what is done to a node that runs is what it names first.
func TestDoctorOfFaults(t *testing.T) {
	for _, c := range []struct {
		want string
		make func(t *testing.T) *patient
	}{
		{"network-off", func(t *testing.T) *patient {
			p := admit(t, plain)
			p.call("setnetworkactive", false)
			return p
		}},
		{"clock-mocked", func(t *testing.T) *patient {
			p := admit(t, plain)
			p.call("setmocktime", time.Now().Unix())
			return p
		}},
		{"clock-behind", func(t *testing.T) *patient {
			p := admit(t, plain)
			p.later.Store(int64(5 * time.Hour))
			p.mine(1)
			p.later.Store(0)
			return p
		}},
		{"clock-off", func(t *testing.T) *patient {
			ahead := admit(t, plain)
			ahead.later.Store(int64(20 * time.Minute))
			p := admit(t, connectTo(ahead.at()))
			return p
		}},
		{"peer-unreachable", func(t *testing.T) *patient {
			p := admit(t, connectTo(freeport.At(t, "127.0.0.1")))
			p.until("it has called", func() bool { return len(p.Node.running.Load().peers.Calls()) > 0 })
			p.later.Store(int64(time.Hour))
			return p
		}},
		{"other-network", func(t *testing.T) *patient {
			other := admit(t, func(c *Config) {
				params := *c.Params
				params.Name, params.TargetSpacing = "other", params.TargetSpacing+1
				c.Params = &params
			})
			return admit(t, connectTo(other.at()))
		}},
		{"peer-other-id", func(t *testing.T) *patient {
			return admit(t, connectTo(strings.Repeat("ab", 32)+"@"+admit(t, plain).at()))
		}},
		{"peer-kept-out", func(t *testing.T) *patient {
			other := admit(t, plain)
			p := admit(t, plain)
			p.call("setban", "127.0.0.1", "add")
			p.call("addnode", other.at(), "add")
			return p
		}},
		{"peer-kept-out", func(t *testing.T) *patient { // by the list of those who are let in
			other := admit(t, plain)
			return admit(t, func(c *Config) { c.Connect, c.AllowPeers = []string{other.at()}, []string{strings.Repeat("ab", 32)} })
		}},
		{"proxy-down", func(t *testing.T) *patient {
			return admit(t, func(c *Config) { c.Proxy, c.Listen = freeport.At(t, "127.0.0.1"), "" })
		}},
		{"no-peers", func(t *testing.T) *patient {
			p := admit(t, func(c *Config) {
				params := *c.Params
				params.Bootstrap = consensus.Bootstrap{Nodes: []string{strings.Repeat("ab", 32) + "@" + freeport.At(t, "127.0.0.1")}}
				c.Params, c.NoDiscovery = &params, false
			})
			p.later.Store(int64(time.Hour))
			return p
		}},
		{"faucet-empty", func(t *testing.T) *patient {
			return admit(t, func(c *Config) {
				c.Web, c.Faucet, c.FaucetAmount, c.FaucetPerHour = "127.0.0.1:0", true, types.GrainsPerCoin, 10*types.GrainsPerCoin
			})
		}},
	} {
		t.Run(c.want, func(t *testing.T) {
			p := c.make(t)
			var last []doctor.Finding
			p.until(c.want, func() bool {
				last = p.diagnosed()
				return len(last) > 0 && last[0].Code == c.want
			})
			if last[0].Severity < doctor.Warning || len(last[0].Evidence) == 0 {
				t.Errorf("%+v", last[0])
			}
		})
	}
}

// until waits for something that takes a moment.
func (p *patient) until(what string, is func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("it never came to %s: %+v", what, p.diagnosed())
		}
	}
}

func (p *patient) mine(blocks int) {
	p.t.Helper()
	address, err := taproot.EncodeAddress(p.config.Params.HRP, chaintest.Anchor)
	if err != nil {
		p.t.Fatal(err)
	}
	p.call("generatetoaddress", blocks, address)
}

// TestDoctorOfTheWell: nodes of several kinds that are well have no alarm.
func TestDoctorOfTheWell(t *testing.T) {
	usual := proxyPatience
	t.Cleanup(func() { proxyPatience = usual })
	proxyPatience = time.Minute // this machine may have other things to do
	for name, c := range map[string]func(t *testing.T) *patient{
		"empty":         func(t *testing.T) *patient { return admit(t, plain) },
		"listens never": func(t *testing.T) *patient { return admit(t, func(c *Config) { c.Listen = "" }) },
		"pruned":        func(t *testing.T) *patient { return admit(t, func(c *Config) { c.PruneBytes = 600 << 20 }) },
		"with blocks, days later": func(t *testing.T) *patient {
			p := admit(t, plain)
			p.mine(20)
			p.later.Store(int64(72 * time.Hour))
			return p
		},
		"mining": func(t *testing.T) *patient {
			return admit(t, func(c *Config) { c.Mine, c.MineTo, c.MineInterval = true, chaintest.Anchor, 10*time.Millisecond })
		},
		"with a Stratum server": func(t *testing.T) *patient { return admit(t, func(c *Config) { c.Stratum = "127.0.0.1:0" }) },
		"with a peer": func(t *testing.T) *patient {
			other := admit(t, plain)
			other.mine(5)
			p := admit(t, connectTo(other.id()+"@"+other.at()))
			p.until("the same tip", func() bool { return p.chain.Tip() == other.chain.Tip() })
			return p
		},
		"behind a proxy": func(t *testing.T) *patient {
			other := admit(t, plain)
			proxy := sockstest.Start(t, func(r sockstest.Request) (net.Conn, error) { return net.Dial("tcp", r.To) })
			p := admit(t, func(c *Config) { c.Proxy, c.Listen, c.Connect = proxy, "", []string{other.at()} })
			p.until("a peer", func() bool { return len(p.Node.running.Load().peers.Peers()) == 1 })
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			if found := c(t).diagnosed(); doctor.Worst(found) >= doctor.Warning {
				t.Errorf("%+v", found)
			}
		})
	}
}

// TestDoctorOfTransactions: what a node says of a transaction by its id, and of one that is given.
func TestDoctorOfTransactions(t *testing.T) {
	p := admit(t, plain)
	p.mine(3)
	raw, err := p.chain.Block(p.chain.Tip().Hash)
	if err != nil {
		t.Fatal(err)
	}
	block, err := types.DecodeBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	confirmed := block.Txs[0].TxID()
	spends := types.Tx{Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{9}}}}, Outputs: []types.TxOut{{Value: 1000, ScriptPubKey: chaintest.Anchor}}}
	for _, c := range []struct{ tx, want string }{
		{confirmed.String(), "tx-confirmed"}, {strings.Repeat("ab", 32), "tx-unknown"}, {hex.EncodeToString(spends.AppendTo(nil)), "tx-refused"},
	} {
		if found := p.diagnosed(c.tx); len(found) != 1 || found[0].Code != c.want {
			t.Errorf("%.20s: %+v, want %s", c.tx, found, c.want)
		}
	}
	for _, bad := range []string{"x", "00", strings.Repeat("zz", 32)} {
		if err := p.client.Call(t.Context(), "doctor", nil, bad); err == nil {
			t.Errorf("%.20q is a transaction", bad)
		}
	}
}
