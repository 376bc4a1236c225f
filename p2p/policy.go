package p2p

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// errFlood is for a peer that asks for more than it takes.
var errFlood = errors.New("it asks for more than can be answered")

// errStalled is for a peer that does not send the blocks that it said it had.
var errStalled = errors.New("it does not send the blocks that were asked for")

// errDeceived is for a peer whose compact blocks are often others than they say.
var errDeceived = errors.New("its compact blocks are not what they say")

// errUnchecked is for what a peer may pass on before it has run its scripts.
var errUnchecked = errors.New("it was a compact block")

// cost is what an error costs the peer that brought it about.
type cost int

const (
	free   cost = iota // nothing: it is not the peer's fault, or may not be
	hangUp             // the connection
	ban                // the connection, and new ones for a time
)

// How long a peer stays banned.
const (
	banForNonsense = 10 * time.Minute
	banForInvalid  = 24 * time.Hour
	// maxStrikes is the number of offences within strikeMemory after which nobody
	// may call from their address for banForStrikes.
	maxStrikes    = 3
	strikeMemory  = time.Hour
	banForStrikes = 10 * time.Minute
)

// maxBanned bounds what is remembered of offenders, of ids as of addresses.
const maxBanned = 10_000

// judge is the policy: it alone decides what each kind of error costs. Who sends what
// breaks a rule knew it, or should have known. A missing parent, a time in the future, a
// fee that is too low and a fault of our own are nobody's guilt.
func judge(err error) (cost, time.Duration) {
	switch {
	case err == nil, errors.Is(err, consensus.ErrLocal), errors.Is(err, errUnchecked):
		return free, 0
	case errors.Is(err, consensus.ErrNotYet), errors.Is(err, consensus.ErrPolicy):
		return free, 0
	case errors.Is(err, consensus.ReasonParentInvalid), errors.Is(err, consensus.ReasonDuplicateInvalid):
		// The peer may follow other rules, or our operator may have ruled a block out.
		return free, 0
	case errors.Is(err, consensus.ErrMutated):
		// Who passed it on may have been deceived by a compact block, but whole
		// blocks are checked before they are passed on.
		return hangUp, 0
	case errors.Is(err, consensus.ErrInvalid):
		return ban, banForInvalid
	case errors.Is(err, wire.ErrProtocol), errors.Is(err, errFlood):
		return ban, banForNonsense
	}
	return hangUp, 0
}

// offends reports whether an error counts against the address that a peer called
// from. An id costs nothing, so that of offences which only cost the connection, or
// the id, there would be no end.
func offends(err error) bool {
	what, _ := judge(err)
	return what == ban || errors.Is(err, consensus.ErrMutated)
}

// punish bans a peer if the error asks for it, and counts what it did against its
// address. Manual peers are the operator's choice and only lose the connection.
func (m *Manager) punish(p *peer, err error) {
	if p.manual {
		return
	}
	if what, how := judge(err); what == ban {
		if other := m.ban(p, how); other != nil {
			other.close(errors.New("another connection of it misbehaved"))
		}
		m.log.Warn("a peer misbehaved", "peer", p, "err", err, "banned_for", how)
	}
	if offends(err) && m.strike(p) {
		m.log.Warn("an address misbehaved again and again", "address", culprit(p.address, p.id), "err", err, "banned_for", banForStrikes)
	}
}

// ban keeps a peer's id out for a time. It returns another connection of that id,
// if there is one.
func (m *Manager) ban(p *peer, how time.Duration) (other *peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.o.Now()
	makeRoom(m.banned, func(until time.Time) bool { return now.After(until) })
	m.banned[p.id] = now.Add(how)
	if other = m.peers[p.id]; other == p || other != nil && other.manual {
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
func (m *Manager) strike(p *peer) bool {
	if !p.inbound {
		return false // we chose the address, and can choose others
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.o.Now()
	makeRoom(m.records, func(r record) bool { return now.Sub(r.first) > strikeMemory })
	who := culprit(p.address, p.id)
	r := m.records[who]
	if now.Sub(r.first) > strikeMemory {
		r = record{first: now}
	}
	r.strikes++
	if r.strikes >= maxStrikes {
		r.until = now.Add(banForStrikes)
	}
	m.records[who] = r
	return r.strikes >= maxStrikes
}

// unwelcome reports whether a culprit may not call. It assumes mu.
func (m *Manager) unwelcome(culprit string) bool {
	return m.o.Now().Before(m.records[culprit].until)
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
