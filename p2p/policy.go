package p2p

import (
	"errors"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/p2p/wire"
)

// errFlood is for a peer that asks for more than it takes.
var errFlood = errors.New("it asks for more than can be answered")

// errStalled is for a peer that does not send the blocks that it said it had.
var errStalled = errors.New("it does not send the blocks that were asked for")

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
)

// judge is the policy: it alone decides what each kind of error costs. Who sends
// what breaks a rule knew or should have known; a missing parent, a time in the
// future, a fee that is too low or a fault of our own is nobody's guilt.
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

// punish bans a peer if the error asks for it. Manual peers are the operator's
// choice and only lose the connection.
func (m *Manager) punish(p *peer, err error) {
	what, how := judge(err)
	if what != ban || p.manual {
		return
	}
	if other := m.ban(p, how); other != nil {
		other.close(errors.New("another connection of it misbehaved"))
	}
	m.log.Warn("a peer misbehaved", "peer", p, "err", err, "banned_for", how)
}

// ban keeps a peer's id out for a time. It returns another connection of that id,
// if there is one.
func (m *Manager) ban(p *peer, how time.Duration) (other *peer) {
	const maxBanned = 10_000
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.o.Now()
	if len(m.banned) >= maxBanned {
		for id, until := range m.banned {
			if now.After(until) || len(m.banned) >= maxBanned {
				delete(m.banned, id)
			}
		}
	}
	m.banned[p.id] = now.Add(how)
	if other = m.peers[p.id]; other == p || other != nil && other.manual {
		return nil
	}
	return other
}
