package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/web/faucetinfo"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

const gibibyte = 1 << 30

// peer is one that this node has called, and that is at its height.
func peer(n int, height uint32) peerinfo.Info {
	return peerinfo.Info{
		Number: n, ID: peerinfo.NodeID{byte(n + 1)}, Address: fmt.Sprintf("11.0.%d.1:9555", n), Network: peerinfo.IPv4, Full: true, RelayTxs: true,
		MinFeeRate: 100, Best: types.Index{Height: height}, TimeOffset: time.Duration(n%3-1) * time.Second,
	}
}

// well is a node that has run for a day, with eight peers and some callers.
func well() *Facts {
	f := &Facts{
		Inside: &Inside{
			Now: now, Uptime: 24 * time.Hour,
			Chain: Chain{
				Spacing: time.Minute, Tip: types.Index{Height: 100_000}, Headers: types.Index{Height: 100_000}, TipTime: now.Add(-40 * time.Second),
				Unchanged: 30 * time.Second, Size: 2 * gibibyte,
			},
			Network: Network{Wanted: true, Bootstrap: []string{"seed"}, Listening: true, Callers: 12, Budgets: peerinfo.Budgets{Memory: 1 << 20, MaxMemory: 256 << 20}},
			Pool:    pending.Info{Policy: pending.Policy{MaxBytes: 300 << 20, MinRelay: 100}, Position: types.Index{Height: 100_000}, Loaded: true, Count: 50, Usage: 1 << 20, MinFeeRate: 100},
			Indexes: []indexed.State{{Name: indexed.Txs, Synced: true}},
			Clients: Clients{Certificate: now.AddDate(1, 0, 0)},
		},
		Machine: &Machine{
			DataDir: "/data", Memory: Memory{Total: 8 * gibibyte, Available: 4 * gibibyte, Mine: gibibyte / 2},
			Disk:  Disk{Total: 500 * gibibyte, Free: 300 * gibibyte, Inodes: 1 << 20, FreeInodes: 1 << 19},
			Files: Files{Open: 100, Limit: 4096}, Budgets: []Budget{{"--dbcache", 160 << 20}, {"--mempool", 300 << 20}, {"--max-memory", 256 << 20}},
		},
	}
	for n := range 8 {
		f.Inside.Network.Peers = append(f.Inside.Network.Peers, peer(n, 100_000))
	}
	return f
}

// changed is the same node after a change.
func changed(change func(in *Inside, m *Machine)) *Facts {
	f := well()
	change(f.Inside, f.Machine)
	return f
}

func failed(outcome peerinfo.Outcome, target string) peerinfo.Call {
	return peerinfo.Call{Target: target, Manual: true, Outcome: outcome, Problem: "as it was", At: now, Since: now.Add(-time.Hour)}
}

// TestWhyItStopped: of a node that does not run the disk is named first, if that ended it or keeps
// it from starting, and not that it should be started.
func TestWhyItStopped(t *testing.T) {
	for _, c := range []struct {
		want string
		do   func(o *Outside, m *Machine)
	}{
		{"not-running", func(*Outside, *Machine) {}},
		{"disk-full", func(_ *Outside, m *Machine) { m.Disk.Free = 80 << 20 }},
		{"disk-files", func(_ *Outside, m *Machine) { m.Disk.FreeInodes = 0 }},
		{"disk-read-only", func(o *Outside, m *Machine) { m.Disk.ReadOnly, o.Access = true, "read-only file system" }},
		{"datadir-access", func(o *Outside, _ *Machine) { o.Access = "permission denied" }},
		{"file-damaged", func(o *Outside, _ *Machine) { o.BadFile = "node.key is damaged" }},
	} {
		f := &Facts{Outside: &Outside{DataDir: "/data", RPC: "http://127.0.0.1:1", Silent: "refused"}, Machine: well().Machine}
		c.do(f.Outside, f.Machine)
		if got := Diagnose(f); len(got) == 0 || got[0].Code != c.want {
			t.Errorf("%+v, want %s first", got, c.want)
		}
	}
}

// TestFaults: each fault alone is what is named first. Codes are typed here again.
func TestFaults(t *testing.T) {
	named, all := 0, 0
	for _, c := range []struct {
		want string
		do   func(in *Inside, m *Machine)
	}{
		{"chain-fault", func(in *Inside, _ *Machine) { in.Chain.Problem = "input/output error" }},
		{"disk-read-only", func(_ *Inside, m *Machine) { m.Disk.ReadOnly = true }},
		{"disk-full", func(_ *Inside, m *Machine) { m.Disk.Free = 80 << 20 }},
		{"disk-files", func(_ *Inside, m *Machine) { m.Disk.FreeInodes = 12 }},
		{"disk-low", func(_ *Inside, m *Machine) { m.Disk.Free = 600 << 20 }},
		{"memory-low", func(_ *Inside, m *Machine) { m.Memory.Available = 60 << 20 }},
		{"memory-budget", func(_ *Inside, m *Machine) { m.Budgets[0].Bytes = 16 * gibibyte }},
		{"files-low", func(_ *Inside, m *Machine) { m.Files.Open = 4090 }},
		{"clock-mocked", func(in *Inside, _ *Machine) { in.Mocked = true }},
		{"clock-behind", func(in *Inside, _ *Machine) { in.Now = now.Add(-5 * time.Hour) }},
		{"clock-off", func(in *Inside, _ *Machine) { // by 20 minutes, of which peers tell
			for i := range in.Network.Peers {
				in.Network.Peers[i].TimeOffset += 20 * time.Minute
			}
		}},
		{"clock-off", func(in *Inside, _ *Machine) { // the other way, far, so that the tip looks old
			in.Now = now.Add(6 * time.Hour)
			for i := range in.Network.Peers {
				in.Network.Peers[i].TimeOffset -= 6 * time.Hour
			}
		}},
		{"refused-chain", func(in *Inside, _ *Machine) { in.Chain.RefusedAhead = true }},
		{"unknown-rules", func(in *Inside, _ *Machine) { in.Chain.Unknown = []int{5} }},
		{"network-off", func(in *Inside, _ *Machine) {
			in.Network.Off, in.Network.Peers, in.Chain.Unchanged, in.Chain.TipTime = true, nil, 3*time.Hour, now.Add(-3*time.Hour)
		}},
		{"proxy-down", func(in *Inside, _ *Machine) {
			in.Network.Proxy, in.Network.ProxyError, in.Network.Peers = "127.0.0.1:9050", "connection refused", nil
		}},
		{"other-network", func(in *Inside, _ *Machine) {
			in.Network.Peers, in.Network.Calls = nil, []peerinfo.Call{failed(peerinfo.OtherNetwork, "11.0.0.1:9555")}
		}},
		{"peer-other-id", func(in *Inside, _ *Machine) {
			in.Network.Calls = []peerinfo.Call{failed(peerinfo.OtherNode, "ab@11.9.0.1:9555")}
		}},
		{"peer-kept-out", func(in *Inside, _ *Machine) {
			in.Network.Calls = []peerinfo.Call{failed(peerinfo.KeptOut, "11.9.0.1:9555")}
		}},
		{"peer-unreachable", func(in *Inside, _ *Machine) {
			in.Network.Calls = []peerinfo.Call{failed(peerinfo.Unreachable, "11.9.0.1:9555")}
		}},
		{"no-peers", func(in *Inside, _ *Machine) {
			in.Network.Peers, in.Chain.TipTime, in.Chain.Unchanged = nil, now.Add(-24*time.Hour), 23*time.Hour
		}},
		{"key-copied", func(in *Inside, _ *Machine) { in.Network.Twin = "11.9.0.1:9555" }},
		{"key-copied", func(in *Inside, _ *Machine) { // of a node that is called by name
			in.Network.Twin, in.Network.Calls = "11.9.0.1:9555", []peerinfo.Call{failed(peerinfo.KeptOut, "11.9.0.1:9555")}
		}},
		{"not-reachable", func(in *Inside, _ *Machine) {
			in.Network.Callers, in.Network.Announced = 0, []netip.AddrPort{netip.MustParseAddrPort("11.0.0.9:9555")}
		}},
		{"port-not-mapped", func(in *Inside, _ *Machine) { in.Network.MapPort = true }},
		{"peers-memory", func(in *Inside, _ *Machine) { in.Network.Budgets.Memory = 255 << 20 }},
		{"no-full-peers", func(in *Inside, _ *Machine) {
			in.Chain.Tip.Height, in.Chain.Syncing, in.Chain.Unchanged = 50_000, true, time.Hour
			in.Pool.Position.Height = 50_000
			for i := range in.Network.Peers {
				in.Network.Peers[i].Full = false
			}
		}},
		{"stale-tip", func(in *Inside, _ *Machine) {
			in.Chain.Headers.Height, in.Chain.Unchanged, in.Chain.TipTime = 100_030, 40*time.Minute, now.Add(-40*time.Minute)
		}},
		{"template-invalid", func(in *Inside, _ *Machine) { in.Mining.Template = "bad-txns-nonfinal" }},
		{"pool-behind", func(in *Inside, _ *Machine) { in.Mining.Empty, in.Pool.Position.Height = true, 99_000 }},
		{"mining-while-syncing", func(in *Inside, _ *Machine) {
			in.Mining.Mines, in.Chain.Syncing, in.Chain.Headers.Height = true, true, 120_000
		}},
		{"shares-refused", func(in *Inside, _ *Machine) {
			in.Mining.Stratum = &stratuminfo.Info{Connections: 1, Shares: stratuminfo.Shares{Accepted: 60, Rejected: [stratuminfo.Reasons]uint64{stratuminfo.Low: 40}}}
		}},
		{"pool-strict", func(in *Inside, _ *Machine) { in.Pool.MinRelay, in.Pool.MinFeeRate = 5000, 5000 }},
		{"pool-floor", func(in *Inside, _ *Machine) { in.Pool.MinFeeRate, in.Pool.Usage = 2500, 299<<20 }},
		{"index-stopped", func(in *Inside, _ *Machine) { in.Indexes[0].Problem = "no space left on device" }},
		{"rpc-open", func(in *Inside, _ *Machine) { in.Clients.Open = []string{"0.0.0.0:9554"} }},
		{"rpc-certificate", func(in *Inside, _ *Machine) { in.Clients.Certificate = now.Add(-time.Hour) }},
		{"faucet-empty", func(in *Inside, _ *Machine) { in.Faucet = &faucetinfo.Status{Amount: 100} }},
	} {
		all++
		findings := Diagnose(changed(c.do))
		if len(findings) > 0 && findings[0].Code == c.want && findings[0].Severity >= Warning {
			named++
			continue
		}
		t.Errorf("want %s first: %+v", c.want, findings)
	}
	t.Logf("%d of %d faults are named first", named, all)
}

// TestWell: nodes of all kinds that are well. None has an alarm.
func TestWell(t *testing.T) {
	lone := func(in *Inside) {
		in.Network = Network{}
		in.Chain.Tip.Height, in.Chain.Headers.Height, in.Pool.Position.Height, in.Chain.Size = 3, 3, 3, 1000
	}
	for _, c := range []struct {
		name string
		do   func(in *Inside, m *Machine)
	}{
		{"as it should be", func(*Inside, *Machine) {}},
		{"just started, and nobody is connected yet", func(in *Inside, _ *Machine) {
			in.Uptime, in.Network.Peers, in.Chain.Unchanged = time.Minute, nil, time.Minute
		}},
		{"empty", func(in *Inside, _ *Machine) {
			lone(in)
			in.Chain.Tip.Height, in.Chain.Headers.Height, in.Chain.TipTime, in.Chain.Unchanged = 0, 0, now.AddDate(0, -1, 0), time.Second
		}},
		{"lone, for days without a block", func(in *Inside, _ *Machine) {
			lone(in)
			in.Chain.TipTime, in.Chain.Unchanged = now.AddDate(0, 0, -5), 5*24*time.Hour
		}},
		{"of a developer, whose blocks come when he likes", func(in *Inside, _ *Machine) {
			lone(in)
			in.Chain.Fixed, in.Chain.TipTime, in.Chain.Unchanged = true, now.AddDate(0, 0, -30), 24*time.Hour
		}},
		{"mining alone", func(in *Inside, _ *Machine) { lone(in); in.Mining.Mines = true }},
		{"mining with a pool of miners, some shares late", func(in *Inside, _ *Machine) {
			in.Mining.Stratum = &stratuminfo.Info{Connections: 9, Shares: stratuminfo.Shares{Accepted: 1000, Rejected: [stratuminfo.Reasons]uint64{stratuminfo.Stale: 80}}}
		}},
		{"syncing, with blocks that come", func(in *Inside, _ *Machine) {
			in.Chain.Tip.Height, in.Chain.Syncing, in.Chain.TipTime, in.Chain.Unchanged, in.Pool.Position.Height = 40_000, true, now.AddDate(0, -1, 0), time.Second, 39_990
		}},
		{"syncing from a slow line: a block takes minutes", func(in *Inside, _ *Machine) {
			in.Chain.Tip.Height, in.Chain.Syncing, in.Chain.TipTime, in.Chain.Unchanged, in.Pool.Position.Height = 40_000, true, now.AddDate(0, -1, 0), 4*time.Minute, 40_000
		}},
		{"pruned", func(in *Inside, m *Machine) {
			in.Chain.Pruned, in.Chain.Target, in.Chain.Size, m.Disk.Free = true, 2*gibibyte, 2*gibibyte, gibibyte
		}},
		{"behind a proxy, where nobody can call", func(in *Inside, _ *Machine) {
			in.Network.Proxy, in.Network.Listening, in.Network.Callers = "127.0.0.1:9050", false, 0
		}},
		{"at home behind a router, where nobody calls", func(in *Inside, _ *Machine) { in.Network.Callers = 0 }},
		{"of a network that sleeps", func(in *Inside, _ *Machine) {
			in.Chain.TipTime, in.Chain.Unchanged = now.Add(-8*time.Hour), 8*time.Hour
		}},
		{"without a block for a quarter of an hour, by chance", func(in *Inside, _ *Machine) {
			in.Chain.TipTime, in.Chain.Unchanged = now.Add(-15*time.Minute), 15*time.Minute
		}},
		{"with a block on its way", func(in *Inside, _ *Machine) { in.Chain.Headers.Height++; in.Chain.Unchanged = time.Hour }},
		{"with headers of which nobody has sent the blocks yet", func(in *Inside, _ *Machine) { in.Chain.Headers.Height += 3 }},
		{"with one peer, whose clock is a little off", func(in *Inside, _ *Machine) {
			in.Network.Peers = in.Network.Peers[:1]
			in.Network.Peers[0].TimeOffset = 3 * time.Minute
		}},
		{"among liars: those who call have other clocks", func(in *Inside, _ *Machine) {
			for n := range 20 {
				p := peer(100+n, 100_000)
				p.Inbound, p.TimeOffset = true, 10*time.Hour
				in.Network.Peers = append(in.Network.Peers, p)
			}
		}},
		{"on a small machine, within its budgets", func(_ *Inside, m *Machine) {
			m.Memory, m.Disk.Free = Memory{Total: gibibyte, Available: 300 << 20}, 20*gibibyte
			m.Budgets = []Budget{{"--dbcache", 100 << 20}, {"--mempool", 50 << 20}, {"--max-memory", 64 << 20}}
		}},
		{"whose caches of files fill the memory", func(_ *Inside, m *Machine) { m.Memory.Available = 500 << 20 }},
		{"where the system tells nothing of the machine", func(_ *Inside, m *Machine) { m.Memory, m.Disk, m.Files = Memory{}, Disk{}, Files{} }},
		{"with a busy pool", func(in *Inside, _ *Machine) { in.Pool.Count, in.Pool.Usage = 200_000, 200<<20 }},
		{"a relay with a floor of its own", func(in *Inside, _ *Machine) { in.Pool.MinRelay, in.Pool.MinFeeRate = 300, 300 }},
		{"that takes transactions for nothing", func(in *Inside, _ *Machine) { in.Pool.MinRelay, in.Pool.MinFeeRate = 0, 0 }},
		{"whose peer of --connect was away, and is back under its id", func(in *Inside, _ *Machine) {
			in.Network.Calls = []peerinfo.Call{failed(peerinfo.Unreachable, in.Network.Peers[0].ID.String()+"@11.77.0.1:9555")}
		}},
		{"that has called many who were not there", func(in *Inside, _ *Machine) {
			for n := range 60 {
				c := failed([]peerinfo.Outcome{peerinfo.Unreachable, peerinfo.HungUp, peerinfo.OtherNetwork, peerinfo.OtherNode}[n%4], fmt.Sprintf("11.50.0.%d:9555", n))
				c.Manual = false
				in.Network.Calls = append(in.Network.Calls, c)
			}
		}},
		{"of a mapped port", func(in *Inside, _ *Machine) { in.Network.MapPort, in.Network.Mapped = true, true }},
		{"whose indexes are behind while it syncs", func(in *Inside, _ *Machine) { in.Indexes[0].Synced = false }},
		{"with a faucet that has coins", func(in *Inside, _ *Machine) { in.Faucet = &faucetinfo.Status{Amount: 100, Left: 5000} }},
	} {
		for _, f := range Diagnose(changed(c.do)) {
			if f.Severity >= Warning {
				t.Errorf("a node %s: %s: %v", c.name, f.Code, f.Evidence)
			}
		}
	}
}

// TestQuiet: a tip that is old is told apart: a network that sleeps is a notice, and blocks that do
// not come are a fault.
func TestQuiet(t *testing.T) {
	quiet := Diagnose(changed(func(in *Inside, _ *Machine) {
		in.Chain.TipTime, in.Chain.Unchanged = now.Add(-8*time.Hour), 8*time.Hour
	}))
	if len(quiet) != 1 || quiet[0].Code != "quiet-network" || quiet[0].Severity != Notice {
		t.Errorf("%+v", quiet)
	}
}

// TestTransaction: why a transaction is in no block.
func TestTransaction(t *testing.T) {
	const vsize = 200
	waiting := func(fee types.Amount, change func(*Transaction)) *Facts {
		tx := &Transaction{
			TxID: types.Hash{1}, Now: now, TipTime: now.Add(-time.Minute), Spacing: time.Minute, BlockVSize: 1_000_000, BlockMin: 1, Peers: []peerinfo.Info{peer(0, 1)},
			Pending: &pending.Details{
				Entry: &pending.Entry{TxID: types.Hash{1}, VSize: vsize, Time: now.Add(-time.Hour)}, Modified: fee,
				Chunk: pending.Total{Count: 1, VSize: vsize, Fees: fee},
			},
		}
		change(tx)
		return &Facts{Transaction: tx}
	}
	for want, f := range map[string]*Facts{
		"tx-next-block":  waiting(1000, func(t *Transaction) { t.InNext = true }),
		"tx-low-fee":     waiting(200, func(t *Transaction) { t.Ahead, t.NextMin = 3_000_000, 5000 }),
		"tx-not-relayed": waiting(1000, func(t *Transaction) { t.Pending.Unbroadcast = true }),
		"tx-below-floor": waiting(100, func(t *Transaction) { t.BlockMin = 5000 }),
		"tx-parent": waiting(1000, func(t *Transaction) {
			t.Pending.Depends, t.Pending.Chunk = []types.Hash{{2}}, pending.Total{Count: 2, VSize: 10 * vsize, Fees: 1000}
		}),
		"tx-confirmed":      {Transaction: &Transaction{Confirmations: 3}},
		"tx-orphan":         {Transaction: &Transaction{Orphan: &peerinfo.Orphan{}, Missing: []types.OutPoint{{}}}},
		"tx-refused":        {Transaction: &Transaction{Refusal: "dust"}},
		"tx-would-be-taken": {Transaction: &Transaction{WouldAccept: true}},
		"tx-unknown":        {Transaction: &Transaction{NoIndex: true}},
	} {
		if got := Diagnose(f); len(got) != 1 || got[0].Code != want || len(got[0].Evidence) == 0 {
			t.Errorf("want %s: %+v", want, got)
		}
	}
}

// TestOrder: a fault comes before a warning, and a cause before what follows from it; evidence of many things is
// short.
func TestOrder(t *testing.T) {
	f := changed(func(in *Inside, m *Machine) {
		in.Network.Peers, in.Clients.Open, m.Disk.Free = nil, []string{"0.0.0.0:1"}, 0
		for n := range 100 {
			c := failed(peerinfo.Unreachable, fmt.Sprintf("11.50.0.%d:9555", n))
			c.Manual = false
			in.Network.Calls = append(in.Network.Calls, c)
		}
	})
	var codes []string
	for _, finding := range Diagnose(f) {
		codes = append(codes, finding.Code)
		if len(finding.Evidence) > most+2 {
			t.Errorf("%s has %d lines of evidence", finding.Code, len(finding.Evidence))
		}
	}
	if want := []string{"disk-full", "no-peers", "rpc-open"}; !slices.Equal(codes, want) {
		t.Errorf("%v, want %v", codes, want)
	}
}
