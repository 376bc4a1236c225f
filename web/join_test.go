package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// at asks for a path as a visitor who knows the node by another name.
func (s *site) at(host, path string, header ...string) string {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		s.t.Fatalf("%s at %s: %s, %v", path, host, a.Status, err)
	}
	return string(body)
}

// TestJoinFile: who has found the pages gets a file by which the node is found, too. What a
// visitor's Host says goes nowhere else, and must be a host.
func TestJoinFile(t *testing.T) {
	listens := "0.0.0.0:0"
	peers := func(s *site, host string, header ...string) string {
		t.Helper()
		p, err := network.Unpack([]byte(s.at(host, "/network.json", header...)))
		if err != nil || p.Identity() != s.params.Identity() {
			t.Fatal(err)
		}
		var hosts []string
		for _, peer := range p.Bootstrap.Nodes {
			if err := node.CheckPeer(peer); err != nil {
				t.Error(err)
			}
			id, at, _ := strings.Cut(peer, "@")
			host, _, _ := strings.Cut(at, ":")
			if len(id) != 64 {
				t.Errorf("%s has no id", peer)
			}
			hosts = append(hosts, host)
		}
		return strings.Join(hosts, " ")
	}
	s := newSite(t, func(c *node.Config) { c.Listen = listens })
	for _, test := range [][]string{
		{"node.example.org:19580", "node.example.org"},
		{"192.0.2.7", "192.0.2.7"},
		{"127.0.0.1:19580", "127.0.0.1"},
		{"localhost:19580", "127.0.0.1"},
		{"node.example.org", "node.example.org", "X-Forwarded-For", "192.0.2.9"},
		{"127.0.0.1:19580", "", "X-Forwarded-For", "192.0.2.9"}, // a proxy's own way
		{"a@b", ""},
		{"evil\"><x", ""},
		{strings.Repeat("a", 254), ""},
	} {
		if got := peers(s, test[0], test[2:]...); got != test[1] {
			t.Errorf("%v: %q", test, got)
		}
	}
	// The page says how, by the address that the visitor has.
	s = newSite(t, func(c *node.Config) { c.Listen = listens; p := *c.Params; p.InitialSubsidy--; c.Params = &p })
	for _, test := range [][]string{
		{"node.example.org:19580", "karatd network join http://node.example.org:19580</pre>"},
		{"node.example.org", "karatd network join https://node.example.org</pre>", "Via", "proxy"},
		{"evil\"><x", "karatd network join dev.json</pre>"},
	} {
		if page := s.at(test[0], "/about", test[2:]...); !strings.Contains(page, test[1]) || strings.Contains(page, "><x") {
			t.Errorf("%s: no %s", test[0], test[1])
		}
	}
	// An address that the operator has told is better than any.
	known := newSite(t, func(c *node.Config) {
		c.Listen, c.External = listens, []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:7")}
	})
	if got := peers(known, "192.0.2.7"); got != "198.51.100.1" {
		t.Errorf("%q", got)
	}
	// Where nobody outside can call the node, nobody outside is told to.
	closed := newSite(t, func(c *node.Config) { c.Listen = "127.0.0.1:0" })
	if got, here := peers(closed, "192.0.2.7"), peers(closed, "localhost"); got != "" || here != "127.0.0.1" {
		t.Errorf("%q, %q", got, here)
	}
}

// TestFaucetForPrograms: a program asks as the form does.
func TestFaucetForPrograms(t *testing.T) {
	if s := newSite(t, nil); s.ask("/api/faucet").StatusCode != http.StatusNotFound {
		t.Error("there is a faucet")
	}
	s := newSite(t, func(c *node.Config) { c.Faucet, c.FaucetAmount, c.FaucetPerHour = true, 2, 5 })
	var is struct {
		Network, Address, Challenge string
		Amount, Bits                int
	}
	a := s.ask("/api/faucet")
	if err := json.Unmarshal([]byte(a.body), &is); err != nil || is.Bits != faucetinfo.WorkBits || is.Amount != 2 || is.Network != s.params.Identity().String() {
		t.Fatalf("%v: %s", err, a.body)
	}
	post := func(address, nonce string) (status int, body string) {
		r, err := client.PostForm(s.url+"/api/faucet", url.Values{"address": {address}, "challenge": {is.Challenge}, "nonce": {nonce}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	person := "krtd1pfewlxm8meyyvgjydfu7v8j4ej64symj6ut8sf66h9germp94qgzs5euz4j"
	n := 0
	for !faucetinfo.Proves(is.Challenge, person, strconv.Itoa(n)) {
		n++
	}
	for _, test := range []struct {
		address, nonce string
		status         int
		want           string
	}{
		{"nobody", "1", 400, "nobody"},
		{person, "x", 400, "proof of work"},
		{person, strconv.Itoa(n), 400, "a faucet pays to"}, // less than dust
	} {
		if status, body := post(test.address, test.nonce); status != test.status || !strings.Contains(body, test.want) || strings.Count(body, "\n") != 1 {
			t.Errorf("%s: %d, %s", test.address, status, body)
		}
	}
}
