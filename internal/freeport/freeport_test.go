package freeport

import (
	"net"
	"testing"
)

// TestHeld: nobody gets the port but who names it, and again after that one has ended.
func TestHeld(t *testing.T) {
	at := At(t, "127.0.0.1")
	if _, err := net.Dial("tcp", at); err == nil {
		t.Error("somebody answers")
	}
	for range 3 {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Close() // first, so that it is this end that lingers
		c.Close()
		l.Close()
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == at {
			t.Error("it was given to another")
		}
	}
}

// TestSameAtSeveral: the port is the same at all addresses.
func TestSameAtSeveral(t *testing.T) {
	hosts := []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"}
	port := Of(t, hosts...)
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
