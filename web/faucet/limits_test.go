package faucet

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/karatcoin/karat/web/faucetinfo"
)

func TestLimits(t *testing.T) {
	l := newLimits(3)
	start := time.Unix(1e9, 0)
	group := func(ip string) netip.Prefix { return Group(netip.MustParseAddr(ip)) }
	for i, c := range []struct {
		minute int
		script string
		group  netip.Prefix
		whose  string // empty: it is given
		until  int    // minute
	}{
		{0, "a", group("192.0.2.1"), "", 0},
		{1, "a", group("198.51.100.1"), "this address", 60},
		{2, "b", group("192.0.2.200"), "your network", 60},
		{3, "b", group("192.0.3.1"), "", 0},
		{4, "c", Group(netip.Addr{}), "", 0},
		{5, "d", Group(netip.Addr{}), "everybody together", 60},
		{60, "a", group("192.0.2.1"), "", 0},
		{61, "d", group("2001:db8:1:2::1"), "everybody together", 63},
		{63, "d", group("2001:db8:1:2::1"), "", 0},
		{64, "e", group("2001:db8:1:ffff::2"), "your network", 123},
		{64, "e", group("2001:db8:2::2"), "", 0},
		{124, "f", group("127.0.0.1"), "", 0}, // a proxy's, which does not say for whom
		{125, "g", group("127.0.0.1"), "your network", 184},
	} {
		err := l.take(start.Add(time.Duration(c.minute)*time.Minute), []byte(c.script), c.group, 1)
		var limit *faucetinfo.LimitError
		switch {
		case c.whose == "" && err != nil:
			t.Errorf("step %d: %v", i, err)
		case c.whose != "" && (!errors.As(err, &limit) || limit.What != c.whose || !limit.Until.Equal(start.Add(time.Duration(c.until)*time.Minute))):
			t.Errorf("step %d: %v until %v, want %s until minute %d", i, err, limit, c.whose, c.until)
		}
	}
}

// What is remembered is bounded, and what has passed makes room.
func TestLimitsForget(t *testing.T) {
	l := newLimits(10 * maxKnown)
	now := time.Unix(1e9, 0)
	given := 0
	for i := range 2 * maxKnown {
		if l.take(now, []byte{byte(i), byte(i >> 8), byte(i >> 16)}, netip.Prefix{}, 1) == nil {
			given++
		}
	}
	if given != maxKnown || len(l.scripts) > maxKnown {
		t.Errorf("%d are remembered of %d", len(l.scripts), given)
	}
	if err := l.take(now.Add(period), []byte("new"), netip.Prefix{}, 1); err != nil {
		t.Error(err)
	}
}
