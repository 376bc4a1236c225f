package p2p

import (
	"errors"
	"fmt"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// errInactive is for connections while the operator has switched the network off.
var errInactive = errors.New("the operator has switched the network off")

// SetBan keeps those whom a selector names from being peers until a time, and hangs up
// on them. The ban outlives the node if there is a file for it. It holds for everybody:
// also for peers that the node stays connected to. A peer that was called by a name and not
// by an address is only hit by its id. An error is peerinfo.ErrBanned, or says what is
// wrong; if it is that the file could not be written, the ban holds as long as the
// node runs.
func (m *Manager) SetBan(who peerinfo.Selector, until time.Time) error {
	if err := m.slots.bans.add(who, until); err != nil {
		return err
	}
	m.log.Info("banned", "peers", who, "until", until)
	for _, p := range m.slots.all() {
		if who.Names(p.id, ipOf(p.address)) {
			p.close(errBannedByOperator)
		}
	}
	return m.saveBans()
}

// LiftBan ends a ban, also one that a peer or its address has earned. The error is
// peerinfo.ErrNotBanned if there is none, or that the file could not be written.
func (m *Manager) LiftBan(who peerinfo.Selector) error {
	if err := m.slots.bans.lift(who); err != nil {
		return err
	}
	return m.saveBans()
}

// ClearBans ends all bans. The error is that the file could not be written.
func (m *Manager) ClearBans() error {
	m.slots.bans.clear()
	return m.saveBans()
}

func (m *Manager) saveBans() error {
	if err := m.slots.bans.save(); err != nil {
		return fmt.Errorf("the bans could not be saved: %w", err)
	}
	return nil
}

// ReloadBans reads the file of bans again, which takes the place of what the operator has banned,
// and hangs up on those who are in it. With an error nothing changes.
func (m *Manager) ReloadBans() error {
	if err := m.slots.bans.reload(); err != nil {
		return fmt.Errorf("the bans could not be read again: %w", err)
	}
	for _, p := range m.slots.all() {
		if err := m.slots.bans.hits(p.id, p.address, p.inbound); err != nil {
			p.close(err)
		}
	}
	return nil
}

// SetLists replaces whom the operator lets in alone, and whom he trusts. Peers who are not let in
// any more are hung up on; of those who are there, trust stays as it was when they came.
func (m *Manager) SetLists(allow []peerinfo.NodeID, trust []peerinfo.Selector) {
	m.slots.lists.Store(&choice{allow, trust})
	for _, p := range m.slots.all() {
		if !m.slots.allowed(p.id) {
			p.close(errNotAllowed)
		}
	}
}

// Bans returns the bans that hold, in the order of whom they name.
func (m *Manager) Bans() []peerinfo.Ban { return m.slots.bans.list() }

// SetActive switches the network on or off. While it is off there are no connections:
// all are hung up on, nobody is called, and no calls are taken.
func (m *Manager) SetActive(active bool) {
	if m.slots.setActive(active) {
		m.log.Info("the network is switched", "on", active)
	}
	if active {
		return
	}
	for _, p := range m.slots.all() {
		p.close(errInactive)
	}
}

// Active reports whether the network is switched on, as it is at first.
func (m *Manager) Active() bool { return m.slots.isActive() }

// Disconnect hangs up on a peer, by its address or its id.
func (m *Manager) Disconnect(addressOrID string) error {
	for _, p := range m.slots.all() {
		if p.address == addressOrID || p.id.String() == addressOrID {
			p.close(errors.New("disconnected by the operator"))
			return nil
		}
	}
	return fmt.Errorf("there is no peer %.100q", addressOrID)
}
