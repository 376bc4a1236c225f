package p2p

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestJudge is the whole policy: what each kind of error costs the peer.
func TestJudge(t *testing.T) {
	rule := func(kind error) error { return &consensus.RuleError{Kind: kind, Reason: "reason"} }
	for _, c := range []struct {
		err  error
		cost cost
		time time.Duration
	}{
		{nil, free, 0},
		{rule(consensus.ErrInvalid), ban, banForInvalid},
		{rule(consensus.ErrMutated), hangUp, 0},
		{rule(consensus.ErrNotYet), free, 0},
		{rule(consensus.ErrPolicy), free, 0},
		{consensus.Local(os.ErrPermission), free, 0},
		{&consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonParentInvalid}, free, 0},
		{&consensus.RuleError{Kind: consensus.ErrInvalid, Reason: consensus.ReasonDuplicateInvalid}, free, 0},
		{consensus.Local(rule(consensus.ErrInvalid)), free, 0}, // whatever else it is
		{fmt.Errorf("%w: too long", wire.ErrProtocol), ban, banForNonsense},
		{errFlood, ban, banForNonsense},
		{errStalled, hangUp, 0},
		{io.EOF, hangUp, 0},
		{errors.New("anything"), hangUp, 0},
	} {
		for _, err := range []error{c.err, fmt.Errorf("block: %w", c.err)} {
			if c.err == nil {
				err = nil
			}
			if cost, how := judge(err); cost != c.cost || how != c.time {
				t.Errorf("%v: cost %d for %s, want %d for %s", err, cost, how, c.cost, c.time)
			}
		}
	}
}

// TestThrottle: a burst passes, then the rate.
func TestThrottle(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := throttle{tokens: messageBurst, at: now}
	for i := range messageBurst {
		if wait := b.take(1, now); wait != 0 {
			t.Fatalf("message %d waits %s", i, wait)
		}
	}
	if wait := b.take(1, now); wait != time.Second/messageRate {
		t.Errorf("the first message after the burst waits %s", wait)
	}
	now = now.Add(time.Hour)
	for i := range messageBurst {
		if wait := b.take(1, now); wait != 0 {
			t.Fatalf("message %d an hour later waits %s", i, wait)
		}
	}
	if b.take(1, now) == 0 {
		t.Error("an hour of silence saves more than a burst")
	}
}

// TestCulprit: on the machine itself an id is refused, elsewhere an address.
func TestCulprit(t *testing.T) {
	for _, c := range []struct {
		address string
		local   bool
	}{
		{"127.0.0.1:5000", true}, {"127.1.2.3:5000", true}, {"[::1]:5000", true}, {"[::ffff:127.0.0.1]:5000", true},
		{"10.0.0.1:5000", false}, {"[2001:db8::1]:5000", false},
	} {
		s := newSlots(Options{MaxInbound: 10, Now: time.Now}, slog.New(slog.DiscardHandler))
		bad := &peer{inbound: true, address: c.address, id: peerinfo.NodeID{1}}
		for range maxStrikes {
			s.strike(bad)
		}
		if err := s.register(bad); err == nil {
			t.Errorf("%s: who offended comes back", c.address)
		}
		other := &peer{inbound: true, address: c.address, id: peerinfo.NodeID{2}}
		if err := s.register(other); (err == nil) != c.local {
			t.Errorf("%s: another id: %v", c.address, err)
		}
		if (s.admit(&lineConn{from: c.address}) != nil) != c.local {
			t.Errorf("%s: calls are admitted: %v", c.address, !c.local)
		}
	}
}
