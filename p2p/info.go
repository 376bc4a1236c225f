package p2p

import (
	"cmp"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// Peers returns what is known of all connections, the oldest first.
func (m *Manager) Peers() []peerinfo.Info {
	var list []peerinfo.Info
	for _, p := range m.slots.all() {
		info := p.info()
		m.sync.describe(p, &info)
		m.txs.describe(p, &info)
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b peerinfo.Info) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// Budgets returns what all peers together take.
func (m *Manager) Budgets() peerinfo.Budgets {
	return peerinfo.Budgets{
		Memory: m.budget.held.Load(), MaxMemory: m.budget.most, Processors: m.slots.processor.busy(), MaxProcessors: m.slots.processor.share,
		Handshakes: m.slots.calls.count(), MaxHandshakes: maxCalls,
	}
}

func (p *peer) info() peerinfo.Info {
	at := timeOf
	info := peerinfo.Info{
		Number: p.number, ID: p.id, Address: p.address, LocalAddress: p.conn.LocalAddr().String(), Inbound: p.inbound, Manual: p.manual, BlocksOnly: p.blocksOnly,
		Version: p.version, UserAgent: p.hello.UserAgent, Full: p.hello.Services&wire.ServiceNetwork != 0, RelayTxs: p.hello.Relay,
		Since: p.since, TimeOffset: p.offset, StartingHeight: p.hello.Height,
		LastSend: at(p.lastSend.Load()), LastRecv: at(p.lastRecv.Load()), LastBlock: at(p.lastBlock.Load()), LastTx: at(p.lastTx.Load()),
		BytesSent: p.sent.Load(), BytesRecv: p.received.Load(), SentByType: p.sentTypes.list(), RecvByType: p.recvTypes.list(),
		Session: p.session, Network: p.network(), Memory: p.held.Load() + p.parts.Load(), Processor: time.Duration(p.cost.Load()), GivesCompact: true,
		SeenAs: p.hello.Seen, AddressesTaken: p.addressesTaken.Load(), AddressesLeft: p.addressesLeft.Load(),
	}
	if p.trusted {
		info.Permissions = []string{"noban"}
	}
	p.mu.Lock()
	info.Ping, info.MinPing, info.WantsCompact, info.MinFeeRate = p.pingTime, p.shortestPing(), p.compact, p.minRate
	if p.nonce != 0 {
		info.PingWait = p.now().Sub(p.pinged)
	}
	info.SharesAddresses = p.gossip.asked || !p.inbound && !p.blocksOnly
	p.mu.Unlock()
	return info
}

// network is the network of the address that was called. Of a name it is that of the
// address that it stands for.
func (p *peer) network() string {
	if network := peerinfo.NetworkOf(p.address); network != peerinfo.Unroutable {
		return network
	}
	return peerinfo.NetworkOf(p.conn.RemoteAddr().String())
}

// describe adds what is known of a peer's chain.
func (s *syncer) describe(p *peer, info *peerinfo.Info) {
	s.mu.Lock()
	info.Common, info.Presynced = -1, -1
	if sp := s.peers[p]; sp != nil {
		info.Best = sp.best
		for _, f := range sp.flying {
			info.InFlight = append(info.InFlight, f.at.Height)
		}
		if sp.presync != nil {
			info.Presynced = int(sp.presync.height)
		}
	}
	s.mu.Unlock()
	slices.Sort(info.InFlight)
	info.Common = s.common(info.Best)
}

// common returns the height of the last block that is on our chain, and on that of which
// a peer has told. Branches that have much less work than ours are not searched.
func (s *syncer) common(best types.Index) int {
	info, ok := s.tree.Info(best.Hash)
	if !ok {
		return -1
	}
	if missing := s.blocks.MissingTowards(best.Hash, 1); len(missing) > 0 {
		info, _ = s.tree.Info(missing[0].Hash)
		info, ok = s.tree.Info(info.Header.PrevBlock)
	}
	for range 2 * workMargin {
		if !ok || info.OnBestChain {
			break
		}
		info, ok = s.tree.Info(info.Header.PrevBlock)
	}
	if !ok || !info.OnBestChain {
		return -1
	}
	return int(info.Height)
}

// describe adds which transactions a peer is told of.
func (r *relay) describe(p *peer, info *peerinfo.Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tp := r.peers[p]; tp != nil {
		info.ToAnnounce, info.LastAnnounced = len(tp.queue), tp.position
	}
}
