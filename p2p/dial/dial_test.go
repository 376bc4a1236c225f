package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/internal/freeport"
	"github.com/karatcoin/karat/internal/sockstest"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// torProject is an onion address that exists.
const torProject = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"

// refuse makes a Dialer whose machine refuses everything but the proxies.
func refuse(t *testing.T, o Options, proxies ...string) *Dialer {
	o.Direct = func(ctx context.Context, address string) (net.Conn, error) {
		for _, proxy := range proxies {
			if address == proxy {
				return (&net.Dialer{}).DialContext(ctx, "tcp", address)
			}
		}
		t.Errorf("the machine itself called %s", address)
		return nil, errors.New("refused")
	}
	o.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		t.Errorf("the machine itself looked %s up", host)
		return nil, errors.New("refused")
	}
	return New(o)
}

// echo is a proxy that is the other end itself, and tells what it was asked for.
func echo(t *testing.T) (address string, asked chan sockstest.Request) {
	asked = make(chan sockstest.Request, 100)
	return sockstest.Start(t, func(r sockstest.Request) (net.Conn, error) {
		asked <- r
		near, far := net.Pipe()
		go io.Copy(far, far)
		return near, nil
	}), asked
}

func TestProxy(t *testing.T) {
	proxy, asked := echo(t)
	onion, askedOnion := echo(t)
	d := refuse(t, Options{Proxy: proxy, Onion: onion, Isolate: true}, proxy, onion)
	users := map[string]bool{}
	for _, c := range []struct {
		host  string
		asked chan sockstest.Request
	}{
		{"192.0.2.1", asked}, {"2001:db8::1", asked}, {"127.0.0.1", asked}, {"node.example", asked}, {"node.example", asked},
		{torProject, askedOnion}, {"www." + strings.ToUpper(torProject) + ".", askedOnion},
	} {
		conn, err := d.Dial(t.Context(), net.JoinHostPort(c.host, "9555"))
		if err != nil {
			t.Fatalf("%s: %v", c.host, err)
		}
		conn.Write([]byte("x"))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", c.host, err)
		}
		r := <-c.asked
		if r.To != net.JoinHostPort(c.host, "9555") {
			t.Errorf("the proxy was asked for %s, want %s", r.To, c.host)
		}
		if r.User == "" || users[r.User] {
			t.Errorf("%s: the user %q is not a new one", c.host, r.User)
		}
		users[r.User] = true
		conn.Close()
	}
	for _, host := range []string{"seed.example", torProject, "192.0.2.1"} {
		if _, err := d.Resolve(t.Context(), host); !errors.Is(err, ErrByName) {
			t.Errorf("%s: %v", host, err)
		}
		if !d.ByName(host) {
			t.Errorf("%s would be looked up", host)
		}
	}
	shared := refuse(t, Options{Proxy: proxy}, proxy)
	if conn, err := shared.Dial(t.Context(), torProject+":1"); err != nil {
		t.Error(err)
	} else if r := <-asked; r.User != "" || r.To != torProject+":1" {
		t.Errorf("without isolation: %+v", r)
	} else {
		conn.Close()
	}
}

// TestBadProxy: a proxy that refuses, or says nothing, is an error, and nothing goes
// around it.
func TestBadProxy(t *testing.T) {
	refusing := sockstest.Start(t, func(sockstest.Request) (net.Conn, error) { return nil, net.ErrClosed })
	silent := sockstest.Start(t, func(sockstest.Request) (net.Conn, error) {
		<-t.Context().Done()
		return nil, net.ErrClosed
	})
	for _, proxy := range []string{refusing, silent, freeport.At(t, "127.0.0.1")} {
		ctx, cancel := context.WithCancel(t.Context())
		if proxy == silent {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		d := refuse(t, Options{Proxy: proxy, Isolate: true}, proxy)
		if _, err := d.Dial(ctx, "192.0.2.1:9555"); err == nil || !strings.Contains(err.Error(), "by the proxy") {
			t.Errorf("%s: %v", proxy, err)
		}
		cancel()
	}
}

// TestWithoutProxy: names are looked up, but those of Tor never.
func TestWithoutProxy(t *testing.T) {
	var called []string
	d := New(Options{
		Direct: func(_ context.Context, address string) (net.Conn, error) {
			called = append(called, address)
			return nil, nil
		},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			called = append(called, host)
			return nil, nil
		},
	})
	d.Dial(t.Context(), "node.example:9555")
	d.Resolve(t.Context(), "seed.example")
	if _, err := d.Dial(t.Context(), torProject+":9555"); err == nil || !strings.Contains(err.Error(), "--onion") || strings.Contains(err.Error(), "\n") {
		t.Errorf("without a proxy: %v", err)
	}
	if _, err := d.Resolve(t.Context(), "x."+torProject); !errors.Is(err, ErrByName) {
		t.Errorf("without a proxy: %v", err)
	}
	if got := strings.Join(called, " "); got != "node.example:9555 seed.example" {
		t.Errorf("called %s", got)
	}
}

func TestCheck(t *testing.T) {
	d := New(Options{Onion: "127.0.0.1:9050"})
	for _, c := range []struct{ address, want string }{
		{"192.0.2.1:9555", ""}, {"node.example:9555", ""}, {torProject + ":9555", ""}, {"a.b." + torProject + ".:9555", ""},
		{"3" + torProject[1:] + ":9555", "mistyped"},
		{torProject[1:] + ":9555", "want 56"},
		{"expyuzz4wqqyqhjn.onion:9555", "version 2"},
		{"onion:9555", "no onion address"}, {".onion:9555", "want 56"}, {"0189.onion:1", "want 56"},
	} {
		err := d.Check(c.address)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.address, err, c.want)
		}
	}
}

// TestReach: what is told of the networks is how they are dialled.
func TestReach(t *testing.T) {
	for _, c := range []struct {
		o           Options
		ipv4, onion peerinfo.Reach
	}{
		{Options{}, peerinfo.Reach{Reachable: true}, peerinfo.Reach{}},
		{Options{Isolate: true}, peerinfo.Reach{Reachable: true}, peerinfo.Reach{}},
		{Options{Proxy: "p:1", Isolate: true}, peerinfo.Reach{Reachable: true, Proxy: "p:1", Isolated: true}, peerinfo.Reach{Reachable: true, Proxy: "p:1", Isolated: true}},
		{Options{Proxy: "p:1", Onion: "o:2"}, peerinfo.Reach{Reachable: true, Proxy: "p:1"}, peerinfo.Reach{Reachable: true, Proxy: "o:2"}},
		{Options{Onion: "o:2"}, peerinfo.Reach{Reachable: true}, peerinfo.Reach{Reachable: true, Proxy: "o:2"}},
	} {
		got := New(c.o).Reach()
		c.ipv4.Network, c.onion.Network = peerinfo.IPv4, peerinfo.Onion
		if got[0] != c.ipv4 || got[2] != c.onion || got[3].Reachable || len(got) != 5 {
			t.Errorf("%+v: %+v", c.o, got)
		}
	}
}
