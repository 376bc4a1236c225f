package p2p

import (
	"cmp"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/addrbook"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of what is told of addresses. Most are Bitcoin Core's.
const (
	addressRate   = 0.1           // unasked addresses a second that are taken of a peer
	addressBurst  = wire.MaxPeers // that it may tell at once, such as when it was asked
	spreadTo      = 2             // peers that are told of an address at which a node answered for the first time
	agreeingPeers = 3             // groups of peers that must see us at an address before we believe it
)

// gossip is what is known of what a peer tells of addresses. The peer's mu guards it.
type gossip struct {
	asked  bool // it asked for addresses, which is answered once
	tokens float64
	at     time.Time
}

// take returns how many of n addresses are looked at.
func (g *gossip) take(n int, now time.Time) int {
	if g.at.IsZero() {
		g.tokens++
	} else {
		g.tokens = min(g.tokens+now.Sub(g.at).Seconds()*addressRate, max(g.tokens, addressBurst))
	}
	g.at = now
	taken := min(n, int(g.tokens))
	g.tokens -= float64(taken)
	return taken
}

// source is who a peer is, when it tells of addresses. Behind a proxy nobody is of our
// own network: whoever calls an onion service comes from this machine.
func (d *discovery) source(p *peer) addrbook.Source {
	if at, err := netip.ParseAddrPort(p.address); err == nil {
		source := addrbook.SourceAt(at.Addr())
		source.Local = source.Local && !d.o.byName(source.Host)
		return source
	}
	host, _, _ := net.SplitHostPort(p.address)
	source := addrbook.Source{Host: host}
	// The other end of a connection through a proxy is the proxy.
	if at, err := netip.ParseAddrPort(p.conn.RemoteAddr().String()); err == nil && !d.o.byName(host) {
		source.Local = addrbook.Local(at.Addr())
	}
	return source
}

// join asks a peer for addresses, if we chose it and it is not for blocks alone, and
// tells it where we can be called, if it cannot see that.
func (d *discovery) join(p *peer) {
	if p.inbound || p.blocksOnly {
		if at, ok := p.listenAddress(); ok && p.inbound {
			d.callers.Add(peerinfo.Address{ID: p.id, At: at, LastSeen: d.now()}, d.source(p))
		}
		return
	}
	p.mu.Lock()
	p.gossip.tokens += addressBurst
	p.mu.Unlock()
	p.send(&wire.GetPeers{})
	if own, ok := d.own(); ok && own.Addr() != p.hello.Seen.Addr() && addrbook.Local(own.Addr()) == d.source(p).Local {
		p.send(&wire.Peers{Peers: []wire.PeerAddress{{ID: d.o.self, Addr: own, LastSeen: d.now().Unix()}}})
	}
}

// told takes addresses that a peer tells. Of who calls us that is its own address alone,
// which is believed once a node answered there: who calls us shall not choose whom we
// call. Of those that we call it is what they found, a little at a time.
func (d *discovery) told(p *peer, told []wire.PeerAddress) {
	now := d.now()
	p.mu.Lock()
	n := p.gossip.take(len(told), now)
	p.mu.Unlock()
	if p.blocksOnly || p.inbound && (len(told) != 1 || told[0].ID != p.id) {
		n = 0
	}
	p.addressesTaken.Add(uint64(n))
	p.addressesLeft.Add(uint64(len(told) - n))
	if n == 0 {
		return
	}
	if p.inbound {
		d.callers.Add(peerinfo.Address{ID: p.id, At: told[0].Addr, LastSeen: now}, d.source(p))
		return
	}
	list := make([]peerinfo.Address, 0, n)
	for _, i := range rand.Perm(len(told))[:n] {
		if told[i].ID != d.o.self {
			list = append(list, peerinfo.Address{ID: told[i].ID, At: told[i].Addr, LastSeen: time.Unix(told[i].LastSeen, 0)})
		}
	}
	d.book.Add(list, d.source(p))
}

// tell answers a caller that asks for addresses, once. Those that we call do not need
// any of us: they could find out by the answer who it is that calls them.
func (d *discovery) tell(p *peer) {
	p.mu.Lock()
	again := p.gossip.asked
	p.gossip.asked = true
	p.mu.Unlock()
	if again || !p.inbound {
		return
	}
	var stranger netip.Addr // not valid: of nowhere in particular
	if at, err := netip.ParseAddrPort(p.address); err == nil && addrbook.Local(at.Addr()) == d.source(p).Local {
		stranger = at.Addr()
	}
	p.send(&wire.Peers{Peers: toWire(d.book.Answer(stranger))})
}

func toWire(list []peerinfo.Address) []wire.PeerAddress {
	told := make([]wire.PeerAddress, len(list))
	for i, a := range list {
		told[i] = wire.PeerAddress{ID: a.ID, Addr: a.At, LastSeen: a.LastSeen.Unix()}
	}
	return told
}

// answered notes that a node answered at a place that we chose to call.
func (d *discovery) answered(at netip.AddrPort, id peerinfo.NodeID) {
	if d.book.Good(at, id) {
		d.spread(peerinfo.Address{ID: id, At: at, LastSeen: d.now()})
	}
}

// spread tells a few callers of an address at which a node has answered for the first
// time. They have called us and asked for addresses, so they take it; and they pass it
// on only once a node has answered them there. So an address at which there is nobody
// goes no further than one step.
func (d *discovery) spread(a peerinfo.Address) {
	var to []*peer
	for _, p := range d.o.peers() {
		p.mu.Lock()
		wants := p.inbound && p.gossip.asked
		p.mu.Unlock()
		if wants && p.id != a.ID && (!addrbook.Local(a.At.Addr()) || d.source(p).Local) {
			to = append(to, p)
		}
	}
	rand.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
	for _, p := range to[:min(len(to), spreadTo)] {
		p.send(&wire.Peers{Peers: toWire([]peerinfo.Address{a})})
	}
}

// own is where others can call this node: as the operator or a router says, or else
// where peers in several networks see us. Who calls us is not asked: it could say
// anything under many ids.
func (d *discovery) own() (netip.AddrPort, bool) {
	if told := d.o.external(); len(told) > 0 {
		return told[0], true
	}
	for _, e := range d.seenAt() {
		if e.groups >= agreeingPeers {
			return e.at, true
		}
	}
	return netip.AddrPort{}, false
}

// ownAddress is where peers see us, and in how many networks they are.
type ownAddress struct {
	at     netip.AddrPort
	groups int
}

// seenAt returns the addresses at which the peers that we called see us, with the port
// at which we listen, the one that most see first.
func (d *discovery) seenAt() []ownAddress {
	port := d.o.listenPort()
	if port == 0 {
		return nil
	}
	seen := map[netip.Addr]map[addrbook.Group]bool{}
	for _, p := range d.o.peers() {
		if at := p.hello.Seen.Addr(); !p.inbound && at.IsValid() && !at.IsUnspecified() {
			if seen[at] == nil {
				seen[at] = map[addrbook.Group]bool{}
			}
			seen[at][addrbook.GroupOfHost(p.address)] = true
		}
	}
	var list []ownAddress
	for at, groups := range seen {
		list = append(list, ownAddress{netip.AddrPortFrom(at, port), len(groups)})
	}
	slices.SortFunc(list, func(a, b ownAddress) int { return cmp.Or(b.groups-a.groups, a.at.Compare(b.at)) })
	return list
}
