package peerinfo

import "testing"

// TestNetworkOf: addresses are of the networks that Bitcoin Core would name.
func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"1.2.3.4": IPv4, "1.2.3.4:5": IPv4, "[::ffff:1.2.3.4]:5": IPv4, "172.15.0.1:1": IPv4, "172.32.0.1:1": IPv4,
		"2a00::1": IPv6, "[2a00::1]:5": IPv6, "[2a00::1]": IPv6, "2002:102:304::1": IPv4, "[2001::1]:9": IPv4, "64:ff9b::102:304": IPv4,
		"127.0.0.1:9": Unroutable, "[::1]:9": Unroutable, "10.1.2.3:4": Unroutable, "192.168.0.6": Unroutable, "172.16.0.1:1": Unroutable,
		"169.254.1.1:1": Unroutable, "100.64.0.1:1": Unroutable, "198.18.0.1:1": Unroutable, "203.0.113.5:1": Unroutable, "0.1.2.3:4": Unroutable,
		"[fe80::1%eth0]:1": Unroutable, "[fc00::1]:1": Unroutable, "[2001:db8::1]:1": Unroutable, "[2001:10::1]:1": Unroutable, "224.0.0.1:1": Unroutable,
		"255.255.255.255:1": Unroutable, "[::]:1": Unroutable, "node.example:1": Unroutable, "": Unroutable, "pipe": Unroutable,
		"abc.onion:1": Onion, "ABC.ONION": Onion, "abc.b32.i2p:0": I2P,
	} {
		if got := NetworkOf(address); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}
