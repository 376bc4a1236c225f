package faucet

import (
	"net/netip"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/web/faucetinfo"
)

const (
	period = time.Hour
	// maxKnown is how many addresses and networks are remembered. With more in an hour
	// nobody gets anything, until some are forgotten.
	maxKnown = 20_000
)

// limits know who got something in the last hour.
type limits struct {
	perHour types.Amount
	scripts map[string]time.Time
	groups  map[netip.Prefix]time.Time
	given   []gift // in the order of time
	sum     types.Amount
}

type gift struct {
	at     time.Time
	amount types.Amount
	script string
	group  netip.Prefix
}

func newLimits(perHour types.Amount) limits {
	return limits{perHour: perHour, scripts: map[string]time.Time{}, groups: map[netip.Prefix]time.Time{}}
}

// left returns what may still be given, and forgets what was given longer ago.
func (l *limits) left(now time.Time) types.Amount {
	for len(l.given) > 0 && now.Sub(l.given[0].at) >= period {
		g := &l.given[0]
		l.sum -= g.amount
		if l.scripts[g.script].Equal(g.at) {
			delete(l.scripts, g.script)
		}
		if l.groups[g.group].Equal(g.at) {
			delete(l.groups, g.group)
		}
		l.given = l.given[1:]
	}
	return l.perHour - l.sum
}

// take counts a gift, or says why there is none. An invalid group has no limit of its own.
func (l *limits) take(now time.Time, script []byte, group netip.Prefix, amount types.Amount) error {
	if at, ok := l.scripts[string(script)]; ok && now.Sub(at) < period {
		return &faucetinfo.LimitError{What: "this address", Until: at.Add(period)}
	}
	if at, ok := l.groups[group]; ok && now.Sub(at) < period && group.IsValid() {
		return &faucetinfo.LimitError{What: "your network", Until: at.Add(period)}
	}
	if l.left(now) < amount {
		return &faucetinfo.LimitError{What: "everybody together", Until: l.given[0].at.Add(period)}
	}
	if len(l.given) >= maxKnown {
		return &faucetinfo.LimitError{What: "everybody together", Until: l.given[0].at.Add(period)}
	}
	l.note(gift{now, amount, string(script), group})
	return nil
}

// note counts a gift.
func (l *limits) note(g gift) {
	l.scripts[g.script] = g.at
	if g.group.IsValid() {
		l.groups[g.group] = g.at
	}
	l.given = append(l.given, g)
	l.sum += g.amount
}

// Group is the network that an address is counted by: 256 addresses of IPv4, or what a
// customer gets of IPv6. This machine's own visitors, who have the zero address, have none; a
// loopback address is that of a proxy that does not say for whom it asks.
func Group(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() {
		return netip.Prefix{}
	}
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	group, _ := ip.Prefix(bits)
	return group
}
