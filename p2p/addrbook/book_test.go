package addrbook

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// clock is a time that stands still until it is moved.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func newTestBook() (*Book, *clock) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	return New(c.now, [32]byte{1}), c
}

func id(n uint32) (id peerinfo.NodeID) {
	binary.BigEndian.PutUint32(id[:], n+1)
	return id
}

// place is the nth place of a group of public addresses: of 20.0.0.0/16 and so on.
func place(group, n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(20 + group/256), byte(group), byte(n / 256), byte(n)}), 9555)
}

func (c *clock) told(at netip.AddrPort, n uint32) peerinfo.Address {
	return peerinfo.Address{ID: id(n), At: at, LastSeen: c.at}
}

// check fails if the tables, the groups and the map do not tell the same.
func (b *Book) check(t *testing.T) {
	t.Helper()
	places := map[netip.AddrPort]int{}
	for kind, table := range []*table{&b.new, &b.tried} {
		seen := map[*entry]bool{}
		for nth, of := range table.buckets {
			for position := 0; of != nil && position < bucketSize; position++ {
				e := of[position]
				if e == nil {
					continue
				}
				seen[e] = true
				places[e.At]++
				if b.known[e.At] != e || e.tried != (kind == 1) || b.key.position([]string{"new", "tried"}[kind], nth, e.At) != position {
					t.Fatalf("%s is at the wrong place", e.At)
				}
			}
		}
		count := 0
		for group, m := range table.groups {
			for i, e := range m.list {
				if e.index != i || e.group != group || !seen[e] {
					t.Fatalf("%s is not where its group has it", e.At)
				}
				count++
			}
			if (*table.list(m.local))[m.index] != m {
				t.Fatalf("the group %s is lost", group)
			}
		}
		if len(seen) != count || count != table.size || len(table.public)+len(table.local) != len(table.groups) {
			t.Fatalf("table %d: %d entries in buckets, %d in groups, %d counted", kind, len(seen), count, table.size)
		}
	}
	for at, e := range b.known {
		want := max(len(e.buckets), 1)
		if places[at] != want || e.tried == (len(e.buckets) > 0) {
			t.Fatalf("%s is in %d places, want %d (tried: %v)", at, places[at], want, e.tried)
		}
	}
	if len(b.known) != b.new.size+b.tried.size || len(b.contested) > maxContested {
		t.Fatalf("%d known, %d + %d in tables, %d contested", len(b.known), b.new.size, b.tried.size, len(b.contested))
	}
}

func TestAddRefuses(t *testing.T) {
	b, c := newTestBook()
	stranger := SourceAt(netip.MustParseAddr("20.1.0.1"))
	for _, text := range []string{
		"0.0.0.0:1", "0.1.2.3:1", "224.0.0.1:1", "255.255.255.255:1", "240.0.0.1:1", "20.0.2.1:0", "[::]:1", "[ff02::1]:1", "[fe80::1]:1",
		"127.0.0.1:1", "10.0.0.1:1", "192.168.0.1:1", "172.16.0.1:1", "100.64.0.1:1", "169.254.0.1:1", "[::1]:1", "[fd00::1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:10.0.0.1]:1",
	} {
		if b.Add([]peerinfo.Address{c.told(netip.MustParseAddrPort(text), 1)}, stranger) != 0 {
			t.Errorf("%s was taken from a stranger", text)
		}
	}
	if b.Add([]peerinfo.Address{{At: netip.AddrPort{}, LastSeen: c.at}, {At: place(1, 1), LastSeen: c.at.Add(-31 * 24 * time.Hour)}}, stranger) != 0 {
		t.Error("no address, or a stale one, was taken")
	}
	local := SourceAt(netip.MustParseAddr("127.0.0.1"))
	if b.Add([]peerinfo.Address{c.told(netip.MustParseAddrPort("127.0.0.1:1"), 1), c.told(netip.MustParseAddrPort("10.0.0.1:1"), 1)}, local) != 2 {
		t.Error("nodes of our own network cannot tell of each other")
	}
	b.Add([]peerinfo.Address{{At: place(2, 1), LastSeen: c.at.Add(time.Hour)}, {At: place(3, 1), LastSeen: time.Unix(-1<<62, 0)}}, stranger)
	for _, a := range b.All() {
		if a.LastSeen.After(c.at) {
			t.Errorf("%s was seen in the future", a.At)
		}
	}
	b.check(t)
}

// TestGroups: what one owner has is one group, and the nodes of a laboratory are many.
func TestGroups(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"20.1.0.1:1", "20.1.255.255:2", true},
		{"20.1.0.1:1", "20.2.0.1:1", false},
		{"[2a00:1::1]:1", "[2a00:1:ffff::2]:1", true},
		{"[2a00:1::1]:1", "[2a00:2::1]:1", false},
		{"20.1.0.1:1", "[::ffff:20.1.9.9]:1", true},
		{"20.1.0.1:1", "[2002:1401::1]:1", true},
		{"20.1.0.1:1", "[64:ff9b::20.1.0.9]:1", true},
		{"20.1.0.1:1", "[2001:0:5ef5:79fd:0:0:ebfe:fffe]:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"10.0.0.1:1", "10.0.0.2:1", false},
		{"node.example:1", "node.example:2", true},
		{"node.example:1", "other.example:1", false},
	} {
		if got := GroupOfHost(test.a) == GroupOfHost(test.b); got != test.same {
			t.Errorf("%s and %s are one group: %v", test.a, test.b, got)
		}
	}
}

// TestNobodyRedirects: nothing that is told changes a place at which a node answered,
// also after it failed, nor the id with which others are called.
func TestNobodyRedirects(t *testing.T) {
	b, c := newTestBook()
	at := place(1, 1)
	b.Good(at, id(1))
	b.Failed(at, true)
	liar := SourceAt(netip.MustParseAddr("66.6.6.6"))
	b.Add([]peerinfo.Address{c.told(at, 2), c.told(place(6, 6), 1)}, liar)
	c.pass(time.Hour)
	for range 100 {
		got, ok := b.Select(Wanted{})
		if !ok {
			t.Fatal("nothing to call")
		}
		switch got.At {
		case at:
			if got.ID != id(1) || !got.Tried {
				t.Fatalf("the node that answered became %+v", got)
			}
		case place(6, 6):
			if !got.ID.IsZero() {
				t.Fatal("a told id would be asked for")
			}
		}
		c.pass(time.Hour)
	}
	b.check(t)
}

// TestCallersStayNew: who called and was found where it said may be told to others, and
// gets into the tried table when it is drawn.
func TestCallersStayNew(t *testing.T) {
	b, _ := newTestBook()
	if !b.Met(place(1, 1), id(1)) || b.Met(place(1, 1), id(1)) {
		t.Error("it is met for the first time twice, or never")
	}
	if got := b.Counts()[peerinfo.IPv4]; got != (peerinfo.BookCount{New: 1}) {
		t.Errorf("%+v", got)
	}
	if got := b.Answer(netip.MustParseAddr("20.9.0.1")); len(got) != 1 {
		t.Errorf("%d are told", len(got))
	}
	if b.Good(place(1, 1), id(1)) || b.Counts()[peerinfo.IPv4] != (peerinfo.BookCount{Tried: 1}) {
		t.Error("it is not tried when it was drawn")
	}
	b.check(t)
}

// TestTestBeforeEvict: a tried place goes to another only if nobody answers there.
func TestTestBeforeEvict(t *testing.T) {
	for _, alive := range []bool{true, false} {
		b, c := newTestBook()
		first := place(1, 0)
		b.Good(first, id(0))
		nth := b.key.triedBucket(first, GroupOf(first))
		var rival netip.AddrPort
		for n := 2; ; n++ {
			at := place(n%64, n/64)
			if b.key.triedBucket(at, GroupOf(at)) == nth && b.key.position("tried", nth, at) == b.key.position("tried", nth, first) {
				rival = at
				break
			}
		}
		c.pass(5 * time.Hour)
		b.Good(rival, id(1))
		b.check(t)
		if b.Counts()[peerinfo.IPv4] != (peerinfo.BookCount{New: 1, Tried: 1}) || !b.known[first].tried {
			t.Fatal("the first lost its place at once")
		}
		got, ok := b.Contested()
		if !ok || got.At != first || got.ID != id(0) {
			t.Fatalf("%+v is to be called, want %s", got, first)
		}
		if alive {
			b.Good(first, id(0))
		} else {
			b.Failed(first, true)
		}
		c.pass(2 * time.Minute)
		if _, ok := b.Contested(); ok {
			t.Error("it is still open")
		}
		if b.known[first].tried != alive || b.known[rival].tried == alive {
			t.Errorf("alive: %v; tried: %v, %v", alive, b.known[first].tried, b.known[rival].tried)
		}
		b.check(t)
	}
}

// TestModel does what may happen in any order, and checks the tables all the time.
func TestModel(t *testing.T) {
	b, c := newTestBook()
	random := rand.New(rand.NewPCG(1, 2))
	at := func() netip.AddrPort { return place(random.IntN(40), random.IntN(100)) }
	for step := range 30_000 {
		a := at()
		switch random.IntN(9) {
		case 0, 1, 2, 3:
			b.Add([]peerinfo.Address{c.told(a, random.Uint32N(1000))}, SourceAt(at().Addr()))
		case 4:
			if id := id(random.Uint32N(1000)); random.IntN(3) == 0 {
				b.Met(a, id)
			} else {
				b.Good(a, id)
			}
		case 5:
			b.Failed(a, random.IntN(2) == 0)
		case 6:
			if got, ok := b.Select(Wanted{NewOnly: random.IntN(2) == 0}); ok && random.IntN(2) == 0 {
				b.Good(got.At, id(7))
			}
		case 7:
			if got, ok := b.Contested(); ok {
				b.Failed(got.At, true)
			}
		case 8:
			b.Seen(a)
			if random.IntN(4) == 0 {
				b.Forget(a)
			}
		}
		c.pass(time.Duration(random.IntN(600)) * time.Second)
		if step%1000 == 0 {
			b.check(t)
		}
	}
	b.check(t)
}

// TestBounded: the book holds no more than its tables, however much is told, and one
// source no more than its part.
func TestBounded(t *testing.T) {
	b, c := newTestBook()
	for n := range 20_000 {
		b.Add([]peerinfo.Address{c.told(place(n%200, n/200), 1)}, SourceAt(netip.MustParseAddr("66.6.0.1")))
	}
	if most := newPerSource * bucketSize; b.new.size > most {
		t.Errorf("one source told %d, more than %d", b.new.size, most)
	}
	b.check(t)
}

// TestSelect: of what was called lately nothing is called again, the longer the more
// often it was in vain; groups, places and ids can be ruled out.
func TestSelect(t *testing.T) {
	b, c := newTestBook()
	at := place(1, 1)
	b.Add([]peerinfo.Address{c.told(at, 1)}, SourceAt(at.Addr()))
	for failure := range 6 {
		if got, ok := b.Select(Wanted{}); !ok || got.At != at {
			t.Fatalf("after %d failures: %v", failure, got)
		}
		b.Failed(at, false)
		c.pass(firstWait<<min(failure+1, maxWaits) - time.Second)
		if _, ok := b.Select(Wanted{}); ok {
			t.Fatalf("called too early after failure %d", failure+1)
		}
		c.pass(time.Second)
	}
	for range maxRetries { // of which each counts
		b.Failed(at, true)
	}
	c.pass(time.Hour)
	if _, ok := b.Select(Wanted{}); ok {
		t.Error("what never answers is called for ever")
	}
	b.Good(at, id(1))
	c.pass(time.Hour)
	for _, w := range []Wanted{
		{Groups: map[Group]bool{GroupOf(at): true}}, {Places: map[netip.AddrPort]bool{at: true}}, {IDs: map[peerinfo.NodeID]bool{id(1): true}}, {NewOnly: true},
	} {
		if got, ok := b.Select(w); ok {
			t.Errorf("%+v brought %v", w, got)
		}
	}
	if _, ok := b.Select(Wanted{}); !ok {
		t.Error("nothing is called")
	}
}

// TestLocalWeighsLittle: local places, each a group of its own, are not all that is
// called when there are others.
func TestLocalWeighsLittle(t *testing.T) {
	b, c := newTestBook()
	for n := range 500 {
		at := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1000+n))
		b.Add([]peerinfo.Address{c.told(at, 1)}, SourceAt(at.Addr()))
	}
	for n := range 20 {
		b.Add([]peerinfo.Address{c.told(place(n, 1), 1)}, SourceAt(place(n, 1).Addr()))
	}
	local := 0
	for range 200 {
		got, ok := b.Select(Wanted{})
		if !ok {
			t.Fatal("nothing to call")
		}
		if Local(got.At.Addr()) {
			local++
		}
		c.pass(time.Hour)
	}
	if local > 40 {
		t.Errorf("%d of 200 calls went to local places", local)
	}
}

// TestAnswer: one answer a day for each kind of strangers, a part of the book, of what
// answered, to the day. A short one grows, until it is long enough.
func TestAnswer(t *testing.T) {
	b, c := newTestBook()
	v4, other, v6 := netip.MustParseAddr("20.1.0.1"), netip.MustParseAddr("30.1.0.1"), netip.MustParseAddr("2a00::1")
	if got := b.Answer(v4); len(got) != 0 {
		t.Errorf("an empty book tells %v", got)
	}
	for n := range 1000 {
		b.Add([]peerinfo.Address{c.told(place(n%200, n/200), uint32(n))}, SourceAt(place(n, 0).Addr()))
	}
	if got := b.Answer(v4); len(got) != 0 {
		t.Errorf("%d places are told at which nobody has answered", len(got))
	}
	b.Good(netip.MustParseAddrPort("10.0.0.1:1"), id(5000))
	b.Good(place(0, 0), id(0))
	if got := b.Answer(v4); len(got) != 1 {
		t.Errorf("a short answer did not grow: %v", got)
	}
	for n := range 500 {
		b.Good(place(n%200, n/200), id(uint32(n)))
	}
	if got := b.Answer(v4); len(got) != answerLeast {
		t.Errorf("an answer grew to %d", len(got))
	}
	got := b.Answer(v6)
	tried := b.tried.size
	if len(got) > (tried+maxContested)*answerPercent/100+1 || len(got) < answerLeast {
		t.Errorf("%d of %d are told", len(got), tried)
	}
	for _, a := range got {
		if !a.LastSeen.Equal(a.LastSeen.Truncate(24 * time.Hour)) {
			t.Errorf("%s is told with the time %s", a.At, a.LastSeen)
		}
		if Local(a.At.Addr()) {
			t.Errorf("a stranger is told of %s", a.At)
		}
	}
	if fmt.Sprint(b.Answer(v4)) != fmt.Sprint(b.Answer(other)) || fmt.Sprint(b.Answer(v6)) != fmt.Sprint(got) {
		t.Error("strangers of one kind are told different things")
	}
	c.pass(28 * time.Hour)
	if fmt.Sprint(b.Answer(v6)) == fmt.Sprint(got) {
		t.Error("the answer is for ever")
	}
}

func TestPlaces(t *testing.T) {
	b, c := newTestBook()
	b.Add([]peerinfo.Address{c.told(place(1, 1), 1)}, SourceAt(place(2, 2).Addr()))
	b.Add([]peerinfo.Address{c.told(place(3, 1), 1)}, Source{Host: "seed.example"})
	b.Good(place(4, 1), id(4))
	places := b.Places()
	if len(places) != 3 {
		t.Fatalf("%d places", len(places))
	}
	for _, p := range places {
		if p.Tried != (p.At == place(4, 1)) || p.Source.IsValid() == (p.At == place(3, 1)) {
			t.Errorf("%+v", p)
		}
	}
}
