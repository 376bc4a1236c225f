package p2p

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The places of callers in their handshake. A handshake costs us more than it costs the
// caller, and nothing but the address is known before it ends.
const (
	maxCalls         = 64
	maxCallsAddress  = 8
	maxCallsGroup    = 16
	maxCallsLocal    = 32 // from one address of our own network
	pressedHandshake = 5 * time.Second
)

// call is a caller whose handshake is not over.
type call struct {
	conn    net.Conn
	address string // that costs something, as host returns it
	group   string
	since   time.Time
	trusted bool
	heard   atomic.Bool // something has come from it
}

// calls has the places of callers in their handshake. Whoever comes gets one. When there
// are too many, of all, of a network or of one address, the idle and the oldest gives way,
// of the address that has most: so nobody keeps others out who only holds places.
type calls struct {
	now func() time.Time

	mu sync.Mutex
	// Guarded by mu:
	list map[*call]struct{}
}

func newCalls(now func() time.Time) *calls { return &calls{now: now, list: map[*call]struct{}{}} }

// begin gives a caller a place. Trusted callers take nobody's place, and nobody takes theirs.
func (c *calls) begin(conn net.Conn, trusted bool) *call {
	address := conn.RemoteAddr().String()
	one := &call{conn: conn, address: host(address), group: netgroup(address), since: c.now(), trusted: trusted}
	for _, gone := range c.enter(one) {
		gone.conn.Close()
	}
	return one
}

// end gives the place back. It does no harm if another has it already.
func (c *calls) end(one *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.list, one)
}

// count returns how many there are.
func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

// enter puts a call on the list, and returns those that it takes off for it.
func (c *calls) enter(one *call) (gone []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list[one] = struct{}{}
	if one.trusted {
		return nil
	}
	gone = c.overdue(one.since)
	perAddress, perGroup := maxCallsAddress, maxCallsGroup
	if isLocal(one.conn.RemoteAddr().String()) {
		perAddress, perGroup = maxCallsLocal, maxCallsLocal
	}
	for _, circle := range []struct {
		most int
		in   func(*call) bool
	}{
		{perAddress, func(o *call) bool { return o.address == one.address }},
		{perGroup, func(o *call) bool { return o.group == one.group }},
		{maxCalls, func(*call) bool { return true }},
	} {
		if victim := c.crowded(circle.most, one, circle.in); victim != nil {
			delete(c.list, victim)
			return append(gone, victim)
		}
	}
	return gone
}

// overdue takes off those that are long about it while places are scarce. It assumes mu.
func (c *calls) overdue(now time.Time) (gone []*call) {
	if len(c.list) <= maxCalls/2 {
		return nil
	}
	for other := range c.list {
		if !other.trusted && now.Sub(other.since) >= pressedHandshake {
			delete(c.list, other)
			gone = append(gone, other)
		}
	}
	return gone
}

// crowded returns who gives way to a newcomer of a circle that has more than so many, nil
// if it has not. It assumes mu.
func (c *calls) crowded(most int, newcomer *call, in func(*call) bool) *call {
	var circle []*call
	groups, addresses := map[string]int{}, map[string]int{}
	for other := range c.list {
		if !other.trusted && in(other) {
			circle = append(circle, other)
			groups[other.group]++
			addresses[other.address]++
		}
	}
	if len(circle) <= most {
		return nil
	}
	return slices.MinFunc(circle, func(a, b *call) int {
		return cmp.Or(
			compareBool(a == newcomer, b == newcomer),
			cmp.Compare(groups[b.group], groups[a.group]), cmp.Compare(addresses[b.address], addresses[a.address]),
			compareBool(a.heard.Load(), b.heard.Load()), a.since.Compare(b.since),
		)
	})
}
