package addrbook

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The bounds of what callers say of themselves.
const (
	maxCallers     = 256         // addresses that wait
	maxPerGroup    = 4           // of them from one group of callers
	groupEvery     = time.Minute // at most one address of a group is called in
	maxGroupsKnown = 1024        // that were called lately
)

// Callers holds the addresses at which callers say that they can be called, until they
// were. Nothing of them is in the Book before a node has answered there. A group of
// callers has a few places, and no more calls than another: ten thousand callers from one
// address do no more than four. All methods may be called concurrently.
type Callers struct {
	now func() time.Time

	mu sync.Mutex
	// Guarded by mu:
	random  *rand.Rand
	waiting map[Group][]peerinfo.Address
	groups  []Group // of waiting
	size    int
	last    map[Group]time.Time // one of the group was called
}

// NewCallers returns an empty list. The seed is as New's.
func NewCallers(now func() time.Time, seed [32]byte) *Callers {
	return &Callers{now: now, random: rand.New(rand.NewChaCha8(seed)), waiting: map[Group][]peerinfo.Address{}, last: map[Group]time.Time{}}
}

// Add takes what a caller from a source says of itself. If there is no room, another
// makes way, of the caller's own group if that has its share.
func (c *Callers) Add(a peerinfo.Address, source Source) {
	a.At = netip.AddrPortFrom(a.At.Addr().Unmap(), a.At.Port())
	if !usable(a.At) || Local(a.At.Addr()) && !source.Local {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	group := source.group()
	if Local(a.At.Addr()) {
		group = GroupOf(a.At) // many nodes of a laboratory share an address
	}
	list := c.waiting[group]
	for i := range list {
		if list[i].At == a.At {
			list[i] = a
			return
		}
	}
	if len(list) == maxPerGroup {
		list[c.random.IntN(maxPerGroup)] = a
		return
	}
	if c.size == maxCallers {
		c.take(c.random.IntN(len(c.groups)))
		list = c.waiting[group]
	}
	if len(list) == 0 {
		c.groups = append(c.groups, group)
	}
	c.waiting[group] = append(list, a)
	c.size++
}

// take removes one address of the nth group.
func (c *Callers) take(nth int) peerinfo.Address {
	group := c.groups[nth]
	list := c.waiting[group]
	i := c.random.IntN(len(list))
	taken := list[i]
	list[i] = list[len(list)-1]
	c.waiting[group] = list[:len(list)-1]
	c.size--
	if len(list) == 1 {
		delete(c.waiting, group)
		c.groups[nth] = c.groups[len(c.groups)-1]
		c.groups = c.groups[:len(c.groups)-1]
	}
	return taken
}

// Next removes and returns an address to call: of a random group, of which none was
// called in the last minute.
func (c *Callers) Next() (peerinfo.Address, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.last) >= maxGroupsKnown {
		for group, when := range c.last {
			if now.Sub(when) >= groupEvery || len(c.last) >= maxGroupsKnown {
				delete(c.last, group)
			}
		}
	}
	start := 0
	if len(c.groups) > 0 {
		start = c.random.IntN(len(c.groups))
	}
	for i := range c.groups {
		nth := (start + i) % len(c.groups)
		group := c.groups[nth]
		if when, called := c.last[group]; called && now.Sub(when) < groupEvery {
			continue
		}
		c.last[group] = now
		return c.take(nth), true
	}
	return peerinfo.Address{}, false
}
