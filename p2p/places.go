package p2p

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// trusts reports whether the operator trusts a peer: it has a place of its own and is
// not banned. The id is zero before the handshake.
func (s *slots) trusts(id peerinfo.NodeID, address string) bool {
	at := ipOf(address)
	return slices.ContainsFunc(s.lists.Load().trusted, func(who peerinfo.Selector) bool { return who.Names(id, at) })
}

// isStranger reports whether a peer called us and is not the operator's choice, and so
// shares places with others.
func (s *slots) isStranger(p *peer) bool {
	return p.inbound && !p.trusted && !slices.Contains(s.lists.Load().only, p.id)
}

// makePlace finds a place for a stranger: a free one, or that of another who gives way,
// first among those from its address if they are many, then among those from its network,
// then among all. It assumes mu.
func (s *slots) makePlace(p *peer) (victim *peer, err error) {
	address, group := host(p.address), netgroup(p.address)
	perAddress, perGroup := s.shares(p.address)
	for _, circle := range []struct {
		most int
		in   func(other *peer) bool
	}{
		{perAddress, func(other *peer) bool { return host(other.address) == address }},
		{perGroup, func(other *peer) bool { return netgroup(other.address) == group }},
		{s.maxInbound, func(*peer) bool { return true }},
	} {
		among := s.strangers(func(other *peer) bool { return other.id != p.id && circle.in(other) })
		if len(among) < circle.most {
			continue
		}
		if victim = s.evictee(among); victim == nil {
			return nil, errFull
		}
		return victim, nil
	}
	return nil, nil
}

// shares returns how many places strangers may have from one address, and from one
// network. On our own network many nodes may be at one address, but it may also be a proxy
// that lets strangers call: so half is for others.
func (s *slots) shares(address string) (perAddress, perGroup int) {
	local := isLocal(address)
	switch perAddress = s.maxPerAddress; {
	case perAddress == 0 && local:
		perAddress = max(s.maxInbound/2, DefaultMaxPerAddress)
	case perAddress == 0:
		perAddress = DefaultMaxPerAddress
	}
	if local {
		return perAddress, s.maxInbound // its group is the address
	}
	return perAddress, max(s.maxInbound/4, perAddress)
}

// strangers returns those of a circle. It assumes mu.
func (s *slots) strangers(in func(*peer) bool) (list []*peer) {
	for _, p := range s.peers {
		if s.isStranger(p) && in(p) {
			list = append(list, p)
		}
	}
	return list
}

// evictee chooses one who gives way, nil if all are protected. It assumes mu.
func (s *slots) evictee(among []*peer) *peer {
	now := s.now()
	list := make([]candidate, len(among))
	for i, p := range among {
		list[i] = p.candidate(i, s.seed, now)
	}
	if i, ok := evict(list); ok {
		return among[i]
	}
	return nil
}

// candidate says what evict asks of a peer.
func (p *peer) candidate(number int, seed maphash.Seed, now time.Time) candidate {
	ping := p.shortestPing()
	return candidate{
		number: number, group: maphash.String(seed, netgroup(p.address)), network: peerinfo.NetworkOf(p.address),
		since: p.since, ping: ping, lastTx: timeOf(p.lastTx.Load()), lastBlock: timeOf(p.lastBlock.Load()),
		full: p.hello.Services&wire.ServiceNetwork != 0, relaysTxs: p.hello.Relay,
		unwanted: ping == 0 && now.Sub(p.since) > unwantedFor || now.Sub(timeOf(p.waited.Load())) < unwantedFor,
	}
}

// timeOf is a time in nanoseconds since 1970, of which 0 is never.
func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}
