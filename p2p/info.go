package p2p

import (
	"cmp"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// Peers returns what is known of all connections, the oldest first.
func (m *Manager) Peers() []peerinfo.Info {
	var list []peerinfo.Info
	for _, p := range m.slots.all() {
		info := p.info()
		m.sync.describe(p, &info)
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b peerinfo.Info) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func (p *peer) info() peerinfo.Info {
	at := func(nanoseconds int64) time.Time {
		if nanoseconds == 0 {
			return time.Time{}
		}
		return time.Unix(0, nanoseconds)
	}
	info := peerinfo.Info{
		Number: p.number, ID: p.id, Address: p.address, LocalAddress: p.conn.LocalAddr().String(), Inbound: p.inbound, Manual: p.manual,
		Version: p.version, UserAgent: p.hello.UserAgent, Full: p.hello.Services&wire.ServiceNetwork != 0, RelayTxs: p.hello.Relay,
		Since: p.since, TimeOffset: p.offset, StartingHeight: p.hello.Height,
		LastSend: at(p.lastSend.Load()), LastRecv: at(p.lastRecv.Load()), LastBlock: at(p.lastBlock.Load()), LastTx: at(p.lastTx.Load()),
		BytesSent: p.sent.Load(), BytesRecv: p.received.Load(),
	}
	p.mu.Lock()
	info.Ping, info.MinPing, info.WantsCompact, info.MinFeeRate = p.pingTime, p.minPing, p.compact, p.minRate
	p.mu.Unlock()
	return info
}

// describe adds what is known of a peer's chain.
func (s *syncer) describe(p *peer, info *peerinfo.Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		info.Best = sp.best
		for _, f := range sp.flying {
			info.InFlight = append(info.InFlight, f.at.Height)
		}
	}
}

// Listening returns the addresses at which peers can reach this node, if there are
// any.
func (m *Manager) Listening() []string {
	if m.o.Listener == nil {
		return nil
	}
	return []string{m.o.Listener.Addr().String()}
}
