package main

import (
	"net"
	"slices"
	"testing"
)

func TestCallable(t *testing.T) {
	var machine []net.Addr
	for _, text := range []string{"127.0.0.1/8", "::1/128", "fe80::1/64", "2001:db8::7/64", "192.0.2.7/24", "198.51.100.1/24"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		machine = append(machine, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	for _, c := range []struct {
		listen string
		want   []string
	}{
		{"127.0.0.1:9554", []string{"127.0.0.1:9554"}},
		{"192.0.2.7:9555", []string{"192.0.2.7:9555"}},
		{"[::1]:9555", []string{"[::1]:9555"}},
		{"[::]:9555", []string{"192.0.2.7:9555", "198.51.100.1:9555", "[2001:db8::7]:9555", "127.0.0.1:9555"}},
		{"0.0.0.0:9555", []string{"192.0.2.7:9555", "198.51.100.1:9555", "[2001:db8::7]:9555", "127.0.0.1:9555"}},
		{"somewhere", []string{"somewhere"}},
	} {
		if got := callable(c.listen, machine); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.listen, got, c.want)
		}
	}
	if got := callable("[::]:1", append(machine, machine...)); len(got) != mostShown {
		t.Errorf("%d addresses, want %d", len(got), mostShown)
	}
	if got := webURLs("http://[::]:9580/explorer/", machine[4:5]); !slices.Equal(got, []string{"http://192.0.2.7:9580/explorer/", "http://127.0.0.1:9580/explorer/"}) {
		t.Errorf("pages at %q", got)
	}
	if got := webURLs("", machine); got != nil {
		t.Errorf("no pages are at %q", got)
	}
	if got := hereAt("[::]:9554"); got != "127.0.0.1:9554" {
		t.Errorf("here it is %s", got)
	}
}
