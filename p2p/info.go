package p2p

import (
	"cmp"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/wire"
)

// PeerInfo is what is known of a connection.
type PeerInfo struct {
	Number         int // counts connections
	ID             noise.ID
	Address        string
	LocalAddress   string
	Inbound        bool
	Manual         bool // it was asked for by --connect or addnode
	Version        uint32
	UserAgent      string
	Services       wire.Services
	Relay          bool
	Since          time.Time
	Offset         time.Duration // of its clock to ours
	LastSend       time.Time     // zero: never
	LastRecv       time.Time
	LastBlock      time.Time
	LastTx         time.Time
	BytesSent      uint64
	BytesReceived  uint64
	Ping, MinPing  time.Duration // 0: not known
	StartingHeight uint32
	Best           types.Index // the highest block that it is known to have
	Flying         []uint32    // heights of the blocks that were asked of it
	WantsCompact   bool
	MinFeeRate     types.FeeRate
}

// Peers returns what is known of all connections, the oldest first.
func (m *Manager) Peers() []PeerInfo {
	var list []PeerInfo
	for _, p := range m.all() {
		list = append(list, p.info())
	}
	slices.SortFunc(list, func(a, b PeerInfo) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func (p *peer) info() PeerInfo {
	at := func(nanoseconds int64) time.Time {
		if nanoseconds == 0 {
			return time.Time{}
		}
		return time.Unix(0, nanoseconds)
	}
	info := PeerInfo{
		Number: p.number, ID: p.id, Address: p.address, LocalAddress: p.conn.LocalAddr().String(), Inbound: p.inbound, Manual: p.manual,
		Version: p.version, UserAgent: p.hello.UserAgent, Services: p.hello.Services, Relay: p.hello.Relay,
		Since: p.since, Offset: p.offset, StartingHeight: p.hello.Height,
		LastSend: at(p.lastSend.Load()), LastRecv: at(p.lastRecv.Load()), LastBlock: at(p.lastBlock.Load()), LastTx: at(p.lastTx.Load()),
		BytesSent: p.sent.Load(), BytesReceived: p.received.Load(),
	}
	p.mu.Lock()
	info.Ping, info.MinPing, info.WantsCompact, info.MinFeeRate = p.pingTime, p.minPing, p.compact, p.minRate
	p.mu.Unlock()
	s := p.m.sync
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.peers[p]; sp != nil {
		info.Best = sp.best
		for _, f := range sp.flying {
			info.Flying = append(info.Flying, f.at.Height)
		}
	}
	return info
}
