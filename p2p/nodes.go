package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// target is whom to call. If the id is given, whoever answers must prove it.
type target struct {
	address string           // HOST:PORT
	id      *peerinfo.NodeID // nil: whoever answers

	blocksOnly bool                // it is to be asked for blocks alone
	enter      func(p *peer) error // is asked whether who answered may stay; nil: it may
}

func (t target) String() string {
	if t.id == nil {
		return t.address
	}
	return t.id.String() + "@" + t.address
}

// parseTarget reads [ID@]HOST:PORT.
func parseTarget(s string) (target, error) {
	for i := range s {
		if s[i] != '@' {
			continue
		}
		id, err := peerinfo.ParseNodeID(s[:i])
		if err != nil {
			return target{}, err
		}
		t, err := parseTarget(s[i+1:])
		t.id = &id
		return t, err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return target{}, fmt.Errorf("%.200q is no address: want [ID@]HOST:PORT", s)
	}
	return target{address: s}, nil
}

// ParseAddress checks the form [ID@]HOST:PORT of a peer's address.
func ParseAddress(s string) error {
	_, err := parseTarget(s)
	return err
}

// reachable reads [ID@]HOST:PORT of a peer that there is a way to.
func (m *Manager) reachable(address string) (target, error) {
	t, err := parseTarget(address)
	if err != nil {
		return target{}, err
	}
	return t, m.o.Check(t.address)
}

// AddNode stays connected to the peer at [ID@]HOST:PORT from now on.
func (m *Manager) AddNode(address string) error {
	t, err := m.reachable(address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.manual[address] != nil {
		return fmt.Errorf("%s was added before", address)
	}
	if m.ctx == nil {
		return errors.New("the node does not run")
	}
	ctx, cancel := context.WithCancel(m.ctx)
	m.manual[address] = cancel
	m.work.Go(func() { m.stayConnected(ctx, t) })
	return nil
}

// RemoveNode ends what AddNode began.
func (m *Manager) RemoveNode(address string) error {
	m.mu.Lock()
	cancel := m.manual[address]
	delete(m.manual, address)
	m.mu.Unlock()
	if cancel == nil {
		return fmt.Errorf("%s was not added", address)
	}
	cancel()
	return nil
}

// AddedNodes returns the addresses of AddNode.
func (m *Manager) AddedNodes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]string, 0, len(m.manual))
	for address := range m.manual {
		list = append(list, address)
	}
	return list
}

// TryNode connects to a peer once.
func (m *Manager) TryNode(address string) error {
	t, err := m.reachable(address)
	if err != nil {
		return err
	}
	m.begin(func(ctx context.Context) { _ = m.call(ctx, t, true) })
	return nil
}

// stayConnected calls a peer again and again, in growing intervals.
func (m *Manager) stayConnected(ctx context.Context, t target) {
	wait := redialFirst
	for ctx.Err() == nil {
		began := m.o.Now()
		err := m.call(ctx, t, true)
		if m.o.Now().Sub(began) > redialMost {
			wait = redialFirst // it was a connection
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errConnected) && !errors.Is(err, errInactive) {
			m.log.Info("a peer cannot be reached", "peer", t, "err", err, "again_in", wait)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, redialMost)
	}
}

// call connects to a peer and stays until the connection ends. The error is nil
// if there was one.
func (m *Manager) call(ctx context.Context, t target, manual bool) error {
	if t.id != nil && m.slots.connected(*t.id) {
		return nil
	}
	err := m.connect(ctx, t, manual)
	m.called.note(ctx, t, manual, m.o.Now(), err)
	return err
}

func (m *Manager) connect(ctx context.Context, t target, manual bool) error {
	if err := m.slots.mayCall(t); err != nil {
		return err
	}
	dial, cancel := context.WithTimeout(ctx, handshakeTimeout)
	conn, err := m.o.Dial(dial, t.address)
	cancel()
	if err != nil {
		return &dialError{err}
	}
	return m.connection(ctx, conn, t, nil, manual)
}
