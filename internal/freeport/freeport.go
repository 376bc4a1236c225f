// Package freeport gives tests addresses at which nothing listens, and keeps them for the test.
// Only tests import it.
//
// A port that a listener had and gave back may be the next one's, in another process. A test
// that listens there later, or that wants to be refused there, then fails by chance. So ports
// are held until the test ends: the system gives them to nobody who asks for any port, while
// who names one can listen there, as often as it likes.
package freeport

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// At returns host:port for a host that is an IPv4 address of this machine. Nothing listens
// there for as long as the test runs, but what is told to.
func At(t testing.TB, host string) string {
	t.Helper()
	return net.JoinHostPort(host, Of(t, host))
}

// Of returns a port that is kept at several hosts of this machine. A test is skipped where one
// of them is no address of the machine, which happens outside of Linux.
func Of(t testing.TB, hosts ...string) (port string) {
	t.Helper()
	for range 100 {
		if port, held := hold(t, hosts); held {
			return port
		}
	}
	t.Fatalf("no port is free at all of %q", hosts)
	return ""
}

func hold(t testing.TB, hosts []string) (port string, held bool) {
	t.Helper()
	port = "0"
	for _, host := range hosts {
		at, release, err := bind(net.JoinHostPort(host, port))
		switch {
		case err != nil && port == "0":
			t.Skipf("NOT RUN: this machine has no address %s (%v)", host, err)
		case err != nil: // another one has it there
			return "", false
		}
		t.Cleanup(release)
		_, port, _ = net.SplitHostPort(at)
	}
	return port, true
}

// Serve runs a server at an address at which nobody else answers when it is closed.
func Serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", At(t, "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s
}
