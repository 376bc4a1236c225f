package seed

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestPortOfBoth: a port that is free for UDP and taken for TCP is not given up at.
func TestPortOfBoth(t *testing.T) {
	for range 200 { // of which some meet taken ports
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
	}
	for range 50 {
		s, err := listen("127.0.0.1:0", zone{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if at := netip.MustParseAddrPort(s.tcp.Addr().String()); at != s.addr || s.udp.LocalAddr().String() != s.addr.String() {
			t.Errorf("%s, %s and %s", at, s.addr, s.udp.LocalAddr())
		}
		s.udp.Close()
		s.tcp.Close()
	}
}
