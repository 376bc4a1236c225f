package peerinfo

import (
	"net/netip"
	"strings"
	"testing"
)

// TestSelector: every way to name peers, and what is none.
func TestSelector(t *testing.T) {
	id := NodeID{1, 2, 3}
	for _, c := range []struct{ text, want string }{
		{id.String(), id.String()},
		{"192.0.2.7", "192.0.2.7/32"},
		{"192.0.2.7/24", "192.0.2.0/24"},
		{"192.0.2.7/255.255.0.0", "192.0.0.0/16"},
		{"192.0.2.7/0.0.0.0", "0.0.0.0/0"},
		{"::ffff:192.0.2.7", "192.0.2.7/32"},
		{"::ffff:192.0.2.7/120", "192.0.2.0/24"},
		{"2001:db8:1::1", "2001:db8:1::1/128"},
		{"2001:db8:1::1/32", "2001:db8::/32"},
	} {
		s, err := ParseSelector(c.text)
		if err != nil || s.String() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.text, s, err, c.want)
		}
		if again, err := ParseSelector(s.String()); err != nil || again != s {
			t.Errorf("%s: read again as %v, %v", s, again, err)
		}
	}
	for _, text := range []string{
		"", "x", "192.0.2", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/255.0.255.0", "192.0.2.0/::", "::1/255.0.0.0", "fe80::1%eth0",
		"::ffff:192.0.2.7/64", "192.0.2.0/24/8", "192.0.2.7:8333", strings.Repeat("1", 1000), strings.ToUpper(NodeID{0xab}.String()), NodeID{}.String(),
	} {
		if s, err := ParseSelector(text); err == nil {
			t.Errorf("%q is read as %s", text, s)
		} else if len(err.Error()) > 200 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

// TestSelectorNames: an id names one peer, wherever it is; a subnet all in it.
func TestSelectorNames(t *testing.T) {
	id, other := NodeID{1}, NodeID{2}
	in, out, mapped := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("192.0.3.9"), netip.MustParseAddr("::ffff:192.0.2.1")
	byID := Selector{ID: id}
	if !byID.Names(id, out) || !byID.Names(id, netip.Addr{}) || byID.Names(other, in) {
		t.Error("an id names another")
	}
	subnet, err := ParseSelector("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if !subnet.Names(id, in) || !subnet.Names(NodeID{}, mapped) || subnet.Names(id, out) || subnet.Names(NodeID{}, netip.Addr{}) {
		t.Error("a subnet names others")
	}
}
