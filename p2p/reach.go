package p2p

import "github.com/karatcoin/karat/p2p/peerinfo"

// Listening returns the addresses at which peers can reach this node, if there are
// any.
func (m *Manager) Listening() []string {
	if m.o.Listener == nil {
		return nil
	}
	return []string{m.o.Listener.Addr().String()}
}

// Reach tells of each network how it is reached.
func (m *Manager) Reach() []peerinfo.Reach { return m.o.Reach() }

// scoreTold is how sure an address of ours is that the operator or a router tells. It is
// Bitcoin Core's.
const scoreTold = 4

// External returns the addresses at which others can reach this node, as far as they are
// known: those that the operator or a router tells, or else those at which peers see us,
// with the number of their networks.
func (m *Manager) External() []peerinfo.External {
	var list []peerinfo.External
	for _, at := range m.o.External() {
		list = append(list, peerinfo.External{At: at, Score: scoreTold})
	}
	if len(list) == 0 {
		for _, own := range m.discovery.seenAt() {
			if peerinfo.Routable(own.at.Addr()) {
				list = append(list, peerinfo.External{At: own.at, Score: own.groups})
			}
		}
	}
	return list
}
