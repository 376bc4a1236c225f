package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/miner/stratuminfo"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The thresholds. Each is far beyond what happens to a node that is well.
const (
	fewPeers      = 3                // less say nothing certain of a clock
	clockNoticed  = time.Minute      // that clocks differ
	clockWrong    = 10 * time.Minute // as in Bitcoin Core, which warns then
	graceAtStart  = 2 * time.Minute  // in which a node may look for peers
	peerPatience  = time.Minute      // for a peer that was asked for
	callersTime   = time.Hour        // in which somebody should have called
	stuckTime     = 10 * time.Minute // without a block that is known to exist
	stuckBlocks   = 5                // and so many spacings
	quietBlocks   = 20               // spacings without a block: chance does it once in 500 million
	blocksKept    = 288              // by nodes that prune
	leastShares   = 50               // that say something
	floorTimes    = 5                // as much as peers take, and as is usual
	usualFloor    = 100              // grains per 1000 virtual bytes
	memoryShare   = 0.95             // of what peers may
	certificateIn = 14 * 24 * time.Hour
)

func (d *diagnosis) inside(in *Inside) {
	c := &in.Chain
	if c.Problem != "" {
		d.add("chain-fault", c.Problem)
	}
	d.clock(in)
	if c.RefusedAhead {
		d.add("refused-chain", fmt.Sprintf("the tip is at height %d, and a chain that is more than 6 blocks longer was found invalid", c.Tip.Height))
	}
	if len(c.Unknown) > 0 {
		d.add("unknown-rules", fmt.Sprintf("bits of the version: %v", c.Unknown))
	}
	d.network(in)
	d.tip(in)
	d.mining(in)
	d.pool(in)
	for _, index := range in.Indexes {
		if index.Problem != "" {
			d.add("index-stopped", fmt.Sprintf("%s, at height %d: %s", index.Name, index.At.Height, index.Problem))
		}
	}
	d.clients(in)
	if in.Faucet != nil && in.Faucet.Left < in.Faucet.Amount {
		d.add("faucet-empty", fmt.Sprintf("it has %s coins and gives %s", in.Faucet.Left, in.Faucet.Amount), "its address is "+in.Faucet.Address)
	}
}

// clock compares clocks. Those who call may say what they like, so the peers that this node
// called count.
func (d *diagnosis) clock(in *Inside) {
	if in.Mocked {
		d.add("clock-mocked", "it says "+in.Now.UTC().Format(time.RFC3339))
	}
	if ahead := in.Chain.TipTime.Sub(in.Now); ahead > consensus.MaxFutureSeconds*time.Second {
		d.add("clock-behind", fmt.Sprintf("the clock says %s, the best block %s", in.Now.UTC().Format(time.RFC3339), in.Chain.TipTime.UTC().Format(time.RFC3339)))
		return
	}
	var offsets []time.Duration
	for i := range in.Network.Peers {
		if !in.Network.Peers[i].Inbound {
			offsets = append(offsets, in.Network.Peers[i].TimeOffset)
		}
	}
	if len(offsets) == 0 {
		return
	}
	slices.Sort(offsets)
	middle := offsets[len(offsets)/2]
	way := "behind"
	if middle < 0 {
		way = "ahead of"
	}
	evidence := fmt.Sprintf("the clock is %s %s that of %s that this node called (the middle one)", span(middle), way, plural(len(offsets), "peer"))
	switch {
	case middle.Abs() >= clockWrong && len(offsets) >= fewPeers:
		d.add("clock-off", evidence).Severity = Fault
	case middle.Abs() >= clockWrong, middle.Abs() >= clockNoticed && len(offsets) >= fewPeers:
		d.add("clock-off", evidence)
	}
}

// network looks for why nobody is connected, or somebody is not.
func (d *diagnosis) network(in *Inside) {
	n := &in.Network
	switch {
	case n.Off:
		d.add("network-off", "it was switched off by setnetworkactive")
		return
	case n.ProxyError != "":
		d.add("proxy-down", n.Proxy+": "+n.ProxyError)
		return
	}
	d.calls(in)
	alone := len(n.Peers) == 0
	if alone && n.Wanted && in.Uptime >= graceAtStart && !d.has("other-network", "peer-other-id", "peer-kept-out", "peer-unreachable") {
		d.add("no-peers", noPeers(n)...)
	}
	if n.Twin != "" {
		d.add("key-copied", "it was met at "+n.Twin)
	}
	d.reach(in)
	if n.Upload.Target > 0 && n.Upload.Reached {
		d.add("upload-reached", fmt.Sprintf("of %s a day %s are left, for %s", size(n.Upload.Target), size(n.Upload.BytesLeft), span(n.Upload.TimeLeft)))
	}
	if b := n.Budgets; b.MaxMemory > 0 && float64(b.Memory) > memoryShare*float64(b.MaxMemory) {
		d.add("peers-memory", fmt.Sprintf("%s of %s", size(uint64(b.Memory)), size(uint64(b.MaxMemory))))
	}
}

// noPeers says what was tried.
func noPeers(n *Network) []string {
	var list []string
	for _, c := range n.Calls {
		if c.Outcome != peerinfo.Answered {
			list = append(list, fmt.Sprintf("%s: %s", c.Target, c.Problem))
		}
	}
	if len(list) == 0 {
		return []string{"nobody was called: no address is known, or no name could be looked up"}
	}
	return some(list)
}

// calls looks at the last call to each node that the operator, or the network's file, named, and
// at all of them if none had an answer.
func (d *diagnosis) calls(in *Inside) {
	n := &in.Network
	named := func(c *peerinfo.Call) bool { return c.Manual || slices.Contains(n.Bootstrap, c.Target) }
	found := map[peerinfo.Outcome][]string{}
	strangers := 0
	for i := range n.Calls {
		c := &n.Calls[i]
		connected := slices.ContainsFunc(n.Peers, func(p peerinfo.Info) bool {
			id, address, withID := strings.Cut(c.Target, "@")
			return p.Address == c.Target || withID && (p.Address == address || p.ID.String() == id)
		})
		failed := c.At.Sub(c.Since)
		switch {
		case c.Since.IsZero() || connected:
			continue
		case c.Outcome == peerinfo.KeptOut && n.Twin != "" && (c.Target == n.Twin || strings.HasSuffix(c.Target, "@"+n.Twin)):
			continue // it has this node's key: that is told
		case !named(c):
			if c.Outcome == peerinfo.OtherNetwork {
				strangers++
			}
			continue
		case (c.Outcome == peerinfo.Unreachable || c.Outcome == peerinfo.HungUp) && (!c.Manual || failed < peerPatience):
			continue
		}
		found[c.Outcome] = append(found[c.Outcome], fmt.Sprintf("%s: %s", c.Target, c.Problem))
	}
	if list := found[peerinfo.OtherNetwork]; len(list) > 0 {
		f := d.add("other-network", some(list)...)
		if len(n.Peers) > 0 {
			f.Severity = Warning
		}
	} else if strangers >= fewPeers && len(n.Peers) == 0 {
		d.add("other-network", fmt.Sprintf("%d nodes that were told of answered so, and none otherwise", strangers))
	}
	for _, c := range []struct {
		code     string
		outcomes []peerinfo.Outcome
	}{
		{"peer-other-id", []peerinfo.Outcome{peerinfo.OtherNode}}, {"peer-kept-out", []peerinfo.Outcome{peerinfo.KeptOut}},
		{"peer-unreachable", []peerinfo.Outcome{peerinfo.Unreachable, peerinfo.HungUp}},
	} {
		var list []string
		for _, outcome := range c.outcomes {
			list = append(list, found[outcome]...)
		}
		if len(list) > 0 {
			f := d.add(c.code, some(list)...)
			if len(n.Peers) == 0 && in.Uptime >= graceAtStart {
				f.Severity = Fault
				f.Evidence = append(f.Evidence, "no peer is connected")
			}
		}
	}
}

// reach looks whether others can call.
func (d *diagnosis) reach(in *Inside) {
	n := &in.Network
	if n.MapPort && !n.Mapped && in.Uptime >= graceAtStart {
		d.add("port-not-mapped", "no answer came by NAT-PMP or UPnP")
		return
	}
	outside := 0 // peers elsewhere, who tell others of this node
	for i := range n.Peers {
		if p := &n.Peers[i]; !p.Inbound && p.Network != peerinfo.Unroutable {
			outside++
		}
	}
	if !n.Listening || n.Callers > 0 || in.Uptime < callersTime || outside == 0 {
		return
	}
	evidence := fmt.Sprintf("in %s nobody has called; this node called %s", span(in.Uptime), plural(outside, "peer"))
	if len(n.Announced) > 0 {
		d.add("not-reachable", evidence, fmt.Sprint("it is announced as ", n.Announced[0]))
		return
	}
	d.add("no-callers", evidence)
}

// tip tells a chain that stands still from a network that does.
func (d *diagnosis) tip(in *Inside) {
	c, n := &in.Chain, &in.Network
	missing := int64(c.Headers.Height) - int64(c.Tip.Height)
	patience := max(stuckTime, stuckBlocks*c.Spacing)
	if missing > blocksKept && len(n.Peers) > 0 && !slices.ContainsFunc(n.Peers, func(p peerinfo.Info) bool { return p.Full }) {
		d.add("no-full-peers", fmt.Sprintf("%s are missing; of %s none keeps more than the last %d", plural(int(missing), "block"), plural(len(n.Peers), "peer"), blocksKept))
		return
	}
	if missing > 1 && c.Unchanged > patience {
		if !d.has("no-peers", "network-off", "proxy-down") {
			d.add("stale-tip", fmt.Sprintf("the tip at height %d has been the same for %s; headers go up to height %d", c.Tip.Height, span(c.Unchanged), c.Headers.Height))
		}
		return
	}
	age := in.Now.Sub(c.TipTime)
	if c.Fixed || c.Spacing <= 0 || age < quietBlocks*c.Spacing || c.Unchanged < min(quietBlocks*c.Spacing, time.Hour) || d.has("no-peers", "network-off", "proxy-down", "other-network", "clock-off") {
		return
	}
	evidence := []string{fmt.Sprintf("the best block is %s old; one should come every %s", span(age), span(c.Spacing))}
	same := 0
	for i := range n.Peers {
		if n.Peers[i].Best.Height <= c.Tip.Height {
			same++
		}
	}
	if len(n.Peers) > 0 {
		evidence = append(evidence, fmt.Sprintf("of %s %d know nothing better", plural(len(n.Peers), "peer"), same))
	}
	d.add("quiet-network", evidence...)
}

// mining looks at what is made of blocks here.
func (d *diagnosis) mining(in *Inside) {
	m := &in.Mining
	if m.Template != "" {
		d.add("template-invalid", fmt.Sprintf("a block on height %d: %s", in.Chain.Tip.Height, m.Template))
	}
	working := m.Stratum != nil && m.Stratum.Connections > 0
	if in.Chain.Syncing && (m.Mines || working) {
		d.add("mining-while-syncing", fmt.Sprintf("height %d of %d", in.Chain.Tip.Height, in.Chain.Headers.Height))
	}
	if m.Stratum == nil {
		return
	}
	s, refused := &m.Stratum.Shares, uint64(0)
	var why []string
	for reason, n := range s.Rejected {
		if refused += n; n > 0 {
			why = append(why, fmt.Sprintf("%s: %d", stratuminfo.Reason(reason), n))
		}
	}
	if all := s.Accepted + refused; all >= leastShares && refused*5 > all {
		d.add("shares-refused", append([]string{fmt.Sprintf("%d of %d", refused, all)}, why...)...)
	}
}

// pool looks at what the pool takes.
func (d *diagnosis) pool(in *Inside) {
	p := &in.Pool
	if in.Mining.Empty && in.Chain.Tip.Height > p.Position.Height+1 {
		d.add("pool-behind", fmt.Sprintf("the pool is at height %d, the tip at %d", p.Position.Height, in.Chain.Tip.Height))
	}
	if len(in.Network.Peers) >= fewPeers && p.MinRelay > 0 {
		rates := make([]int64, 0, len(in.Network.Peers))
		for i := range in.Network.Peers {
			rates = append(rates, int64(in.Network.Peers[i].MinFeeRate))
		}
		slices.Sort(rates)
		if middle := max(rates[len(rates)/2], 1); int64(p.MinRelay) >= floorTimes*middle && int64(p.MinRelay) >= floorTimes*usualFloor {
			d.add("pool-strict", fmt.Sprintf("this node takes %s grains per virtual byte and more; the middle one of %s takes %s",
				p.MinRelay, plural(len(rates), "peer"), types.FeeRate(middle)))
			return
		}
	}
	if p.MinFeeRate > p.MinRelay && p.MinFeeRate > 0 {
		d.add("pool-floor", fmt.Sprintf("%s grains per virtual byte are the least now, instead of %s", p.MinFeeRate, p.MinRelay),
			fmt.Sprintf("%s take %s of %s", plural(p.Count, "transaction"), size(uint64(p.Usage)), size(uint64(p.MaxBytes))))
	}
	if p.Unbroadcast > 0 && len(in.Network.Peers) > 0 && in.Uptime > graceAtStart {
		d.add("not-relayed", plural(p.Unbroadcast, "transaction"))
	}
}

// clients looks at who may call, and how.
func (d *diagnosis) clients(in *Inside) {
	c := &in.Clients
	if len(c.Open) > 0 {
		d.add("rpc-open", some(c.Open)...)
	}
	if left := c.Certificate.Sub(in.Now); !c.Certificate.IsZero() && left < certificateIn {
		f := d.add("rpc-certificate", "it is good until "+c.Certificate.UTC().Format("2006-01-02"))
		if left < 0 {
			f.Severity = Fault
			f.Summary = "The certificate for RPC has ended, and clients refuse it."
		}
	}
	if len(c.Locked) > 0 {
		d.add("rpc-locked", "users: "+strings.Join(some(c.Locked), " "))
	}
}
