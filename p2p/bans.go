package p2p

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The bounds of what is remembered of who misbehaved.
const (
	// maxStrikes is the number of offences within strikeMemory after which nobody
	// may call from their address for banForStrikes.
	maxStrikes    = 3
	strikeMemory  = time.Hour
	banForStrikes = 10 * time.Minute
	// maxBanned bounds what is remembered of offenders, of ids as of addresses.
	maxBanned = 10_000
)

// punish bans a peer if the error asks for it, and counts what it did against its
// address. Manual peers are the operator's choice and only lose the connection.
func (s *slots) punish(p *peer, err error) {
	if p.manual {
		return
	}
	if what, how := judge(err); what == ban {
		if other := s.ban(p, how); other != nil {
			other.close(errors.New("another connection of it misbehaved"))
		}
		s.log.Warn("a peer misbehaved", "peer", p, "err", err, "banned_for", how)
	}
	if offends(err) && s.strike(p) {
		s.log.Warn("an address misbehaved again and again", "address", culprit(p.address, p.id), "err", err, "banned_for", banForStrikes)
	}
}

// ban keeps a peer's id out for a time. It returns another connection of that id,
// if there is one.
func (s *slots) ban(p *peer, how time.Duration) (other *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	makeRoom(s.banned, func(until time.Time) bool { return now.After(until) })
	s.banned[p.id] = now.Add(how)
	if other = s.peers[p.id]; other == p || other != nil && other.manual {
		return nil
	}
	return other
}

// record is what is known of an address that offended, or of an id on this machine.
type record struct {
	strikes int
	first   time.Time // of the strikes
	until   time.Time // it is banned
}

// strike counts an offence against the culprit of a peer that called. It reports
// whether that was one too many.
func (s *slots) strike(p *peer) bool {
	if !p.inbound {
		return false // we chose the address, and can choose others
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	makeRoom(s.records, func(r record) bool { return now.Sub(r.first) > strikeMemory })
	who := culprit(p.address, p.id)
	r := s.records[who]
	if now.Sub(r.first) > strikeMemory {
		r = record{first: now}
	}
	r.strikes++
	if r.strikes >= maxStrikes {
		r.until = now.Add(banForStrikes)
	}
	s.records[who] = r
	return r.strikes >= maxStrikes
}

// unwelcome reports whether a culprit may not call. It assumes mu.
func (s *slots) unwelcome(culprit string) bool {
	return s.now().Before(s.records[culprit].until)
}

// culprit is what the offences of a caller count against: its address, since an id
// costs nothing. On the machine itself it is the id. Many nodes may run there, and one
// of them must not keep the others out.
func culprit(address string, id peerinfo.NodeID) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Unmap().IsLoopback() {
		return id.String()
	}
	return host(address)
}

// makeRoom removes what is over, and what else there is too much of.
func makeRoom[K comparable, V any](list map[K]V, over func(V) bool) {
	if len(list) < maxBanned {
		return
	}
	for key, value := range list {
		if over(value) || len(list) >= maxBanned {
			delete(list, key)
		}
	}
}

// host is the part of an address that costs something: of an IPv6 address the
// network that one customer has.
func host(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil { // a name
		name, _, _ := net.SplitHostPort(address)
		return name
	}
	ip := at.Addr().Unmap()
	if ip.Is6() {
		network, _ := ip.Prefix(64)
		return network.String()
	}
	return ip.String()
}
