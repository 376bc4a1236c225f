package p2p

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

var bookTime = time.Unix(1_800_000_000, 0)

func testID(n uint32) (id peerinfo.NodeID) {
	binary.BigEndian.PutUint32(id[:], n)
	return id
}

func known(n uint32, address string, ago time.Duration) wire.PeerAddress {
	return wire.PeerAddress{ID: testID(n), Addr: netip.MustParseAddrPort(address), LastSeen: bookTime.Add(-ago).Unix()}
}

func TestParseAddress(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for _, good := range []string{"127.0.0.1:1", "[::1]:9555", "node.example:9555", id + "@127.0.0.1:1", id + "@node.example:9555"} {
		if err := ParseAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "node.example", ":9555", "127.0.0.1:", "@127.0.0.1:1", id[1:] + "@127.0.0.1:1", "x@127.0.0.1:1", id + "@", "::1:9555"} {
		if err := ParseAddress(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestAddressesOfPeers: what peers tell is bounded and not believed too much.
func TestAddressesOfPeers(t *testing.T) {
	b := newAddressBook()
	b.add([]wire.PeerAddress{
		known(1, "192.0.2.1:9555", time.Hour),
		known(2, "192.0.2.2:9555", addressHorizon+time.Hour), // long gone
		known(3, "192.0.2.3:0", time.Hour),
		known(4, "0.0.0.0:9555", time.Hour),
		known(5, "224.0.0.1:9555", time.Hour),
		known(6, "192.0.2.6:9555", -100*time.Hour), // in the future
		{ID: testID(7), LastSeen: bookTime.Unix()},
	}, bookTime)
	if len(b.known) != 2 || b.known[testID(1)] == nil || b.known[testID(6)] == nil {
		t.Fatalf("known: %v", b.known)
	}
	if seen := b.known[testID(6)].LastSeen; seen.After(bookTime) {
		t.Errorf("seen in the future: %s", seen)
	}
	// Nobody can move a node that answers to another place.
	b.good(testID(1), "192.0.2.1:9555", bookTime)
	b.add([]wire.PeerAddress{known(1, "198.51.100.1:9555", 0)}, bookTime)
	if got := b.known[testID(1)].At.String(); got != "192.0.2.1:9555" {
		t.Errorf("moved to %s", got)
	}
	for n := range uint32(maxAddresses + 500) {
		b.add([]wire.PeerAddress{known(100+n, "203.0.113.1:9555", time.Hour)}, bookTime)
	}
	if len(b.known) != maxAddresses {
		t.Errorf("%d addresses are held", len(b.known))
	}
	if got := len(b.sample(wire.MaxPeers)); got != wire.MaxPeers {
		t.Errorf("%d addresses are told", got)
	}
}

// TestToldDoesNotReplaceMet: however many addresses are told, those of nodes that
// answered stay, also over a restart.
func TestToldDoesNotReplaceMet(t *testing.T) {
	b := newAddressBook()
	path := filepath.Join(t.TempDir(), "peers.json")
	const met = 20
	for n := range uint32(met) {
		b.good(testID(n), "192.0.2.1:9555", bookTime)
	}
	for round := range uint32(2) {
		for n := range uint32(2 * maxAddresses) {
			b.add([]wire.PeerAddress{known(1000+round*3*maxAddresses+n, "203.0.113.1:9555", time.Hour)}, bookTime)
		}
		for n := range uint32(met) {
			if b.known[testID(n)] == nil {
				t.Fatalf("round %d: node %d, which answered, is forgotten", round, n)
			}
		}
		if err := b.save(path); err != nil {
			t.Fatal(err)
		}
		b = newAddressBook()
		if err := b.load(path); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint32(maxAddresses + 10) { // and they are bounded as well
		b.good(testID(n), "192.0.2.1:9555", bookTime)
	}
	if len(b.known) != maxAddresses {
		t.Errorf("%d addresses are held", len(b.known))
	}
}

// TestCalls: an address that does not answer is called less and less, and then
// forgotten.
func TestCalls(t *testing.T) {
	b := newAddressBook()
	b.add([]wire.PeerAddress{known(1, "192.0.2.1:9555", time.Hour)}, bookTime)
	nobody := func(peerinfo.NodeID) bool { return false }
	now := bookTime
	for failures := range maxFailures {
		target, ok := b.choose(now, nobody)
		if !ok || target.String() != testID(1).String()+"@192.0.2.1:9555" {
			t.Fatalf("after %d failures: %s, %v", failures, target, ok)
		}
		if _, ok := b.choose(now, nobody); ok {
			t.Fatalf("called twice at once after %d failures", failures)
		}
		b.failed(testID(1), false)
		if failures > 0 && failures < maxFailures-1 {
			if _, ok := b.choose(now.Add(time.Minute), nobody); ok {
				t.Errorf("called a minute after failure %d", failures+1)
			}
			if len(b.sample(10)) != 0 {
				t.Error("an address that fails is told to others")
			}
		}
		now = now.Add(24 * time.Hour)
	}
	if len(b.known) != 0 {
		t.Error("an address that never answers is kept")
	}
	b.add([]wire.PeerAddress{known(1, "192.0.2.1:9555", time.Hour)}, bookTime)
	if _, ok := b.choose(now, func(peerinfo.NodeID) bool { return true }); ok {
		t.Error("called somebody unwanted")
	}
}

func TestAddressFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	b := newAddressBook()
	if err := b.load(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	b.add([]wire.PeerAddress{known(1, "192.0.2.1:9555", time.Hour), known(2, "[2001:db8::1]:9555", 2*time.Hour)}, bookTime)
	b.failed(testID(2), false) // which may be our own network's fault
	if err := b.save(path); err != nil {
		t.Fatal(err)
	}
	again := newAddressBook()
	if err := again.load(path); err != nil {
		t.Fatal(err)
	}
	for id, k := range b.known {
		got := again.known[id]
		if got == nil || got.Address != k.Address || !got.LastSeen.Equal(k.LastSeen) {
			t.Errorf("%v was read back as %v", k, got)
		}
	}
	for _, damaged := range []string{"", "{", `{"id":1}`, `[5]`, "\x00\xff"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newAddressBook()
		if err := b.load(path); err == nil || len(b.known) != 0 {
			t.Errorf("%q: %v, %d addresses", damaged, err, len(b.known))
		}
	}
	if err := os.WriteFile(path, []byte(`[{"id":"x","address":"192.0.2.1:1"},{"id":"`+testID(3).String()+`","address":"192.0.2.3:1","last_seen":1800000000}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	b = newAddressBook()
	if err := b.load(path); err != nil || len(b.known) != 1 {
		t.Errorf("a bad line among good ones: %v, %d addresses", err, len(b.known))
	}
}
