package seed

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/addrbook"
)

const port = 9555

var began = time.Unix(1_800_000_000, 0)

// place is the n-th address of a group.
func place(group, n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + group/250), byte(1 + group%250), byte(n / 250), byte(1 + n%250)}), port)
}

var fullNode = meeting{full: true}

func TestWanted(t *testing.T) {
	public, local := newTable(port, false), newTable(port, true)
	for _, c := range []struct {
		at                      string
		inPublic, inALaboratory bool
	}{
		{"192.0.2.1:9555", true, true}, {"[2001:db8::1]:9555", true, true}, {"192.0.2.1:9556", false, false}, {"192.0.2.1:0", false, false},
		{"127.0.0.1:9555", false, true}, {"10.1.2.3:9555", false, true}, {"[::1]:9555", false, true}, {"100.64.0.1:9555", false, true},
		{"0.0.0.0:9555", false, false}, {"0.1.2.3:9555", false, false}, {"255.255.255.255:9555", false, false}, {"240.0.0.1:9555", false, false},
		{"224.0.0.1:9555", false, false}, {"[ff02::1]:9555", false, false}, {"[fe80::1%eth0]:9555", false, false}, {"[::]:9555", false, false},
	} {
		at := netip.MustParseAddrPort(c.at)
		if public.wanted(at) != c.inPublic || local.wanted(at) != c.inALaboratory {
			t.Errorf("%s: %v, %v", c.at, public.wanted(at), local.wanted(at))
		}
	}
}

// TestGood: one answer makes a new node good, and no short failure makes an old one bad.
func TestGood(t *testing.T) {
	for _, c := range []struct {
		name   string
		visits string // + answered, - not, one every 20 minutes
		good   bool
	}{
		{"never met", "", false},
		{"met once", "+", true},
		{"did not answer", "-", false},
		{"answered late", "-+", true},
		{"failed twice", "-+-", false},
		{"always there", strings.Repeat("+", 100), true},
		{"gone for an hour", strings.Repeat("+", 500) + "---", true},
		{"gone for three days", strings.Repeat("+", 500) + strings.Repeat("-", 3*72), false},
		{"mostly not there", strings.Repeat("+---", 200), false},
		{"mostly there", strings.Repeat("+++-", 200), true},
	} {
		table := newTable(port, false)
		at, now := place(1, 1), began
		table.add([]netip.AddrPort{at}, "source", now)
		for _, visit := range c.visits {
			now = now.Add(20 * time.Minute)
			table.visited(at, fullNode, visit == '+', now)
		}
		if list, _ := table.good(); (len(list) == 1) != c.good {
			t.Errorf("%s: good is %v", c.name, list)
		}
	}
	always := newTable(port, false)
	for n := range 200 { // who always answers is good from the first time on
		always.visited(place(1, 1), fullNode, true, began.Add(time.Duration(n)*20*time.Minute))
		if list, _ := always.good(); len(list) != 1 {
			t.Fatalf("after %d answers: %v", n+1, list)
		}
	}
	table := newTable(port, false)
	table.visited(place(1, 1), meeting{}, true, began) // it has only the last blocks
	if list, changed := table.good(); len(list) != 0 || !changed {
		t.Errorf("good: %v, %v", list, changed)
	}
	if _, changed := table.good(); changed {
		t.Error("nothing has changed")
	}
}

// TestTableIsBounded: one liar, and liars of many groups, take their share and push out
// nobody who answered.
func TestTableIsBounded(t *testing.T) {
	table := newTable(port, false)
	for n := range 100 {
		table.visited(place(2000+n, 1), fullNode, true, began)
	}
	told := func(groups, each int) (list []netip.AddrPort) {
		for g := range groups {
			for n := range each {
				list = append(list, place(g, n))
			}
		}
		return list
	}
	many := told(1500, 20)
	table.add(many, "liar", began)
	if known, answered := table.counts(); known != 100+maxOfSource || answered != 100 {
		t.Errorf("one liar: %d known, %d answered", known, answered)
	}
	table.add(told(1, 20_000), "other liar", began)
	if n := table.groups[addrbook.GroupOf(place(0, 0))]; n != maxOfGroup {
		t.Errorf("%d of one group", n)
	}
	for source := range 100 {
		table.add(many[source*300:][:300], string(rune('A'+source)), began)
	}
	known, answered := table.counts()
	if known != maxNodes || answered != 100 {
		t.Errorf("many liars: %d known, %d answered", known, answered)
	}
	sum := 0
	for _, n := range table.sources {
		sum += n
	}
	if sum != known-answered {
		t.Errorf("sources count %d, want %d", sum, known-answered)
	}
	// A table of those who answered alone makes no room.
	full := newTable(port, false)
	for n := range maxNodes {
		full.visited(place(n/100, n%100), fullNode, true, began)
	}
	full.add([]netip.AddrPort{place(2400, 1)}, "liar", began)
	full.visited(place(2499, 1), fullNode, true, began)
	if known, answered := full.counts(); known != maxNodes || answered != maxNodes {
		t.Errorf("full: %d known, %d answered", known, answered)
	}
}

// TestTurns: those who answered are visited on time, and an honest peer's few addresses
// among a liar's many.
func TestTurns(t *testing.T) {
	table := newTable(port, false)
	for n := range 20 {
		table.visited(place(2000+n, 1), fullNode, true, began)
	}
	for g := range 1000 {
		table.add([]netip.AddrPort{place(g, 1)}, "liar", began)
	}
	table.add([]netip.AddrPort{place(1500, 1), place(1501, 1), place(1502, 1)}, "honest", began)
	now := began.Add(time.Hour)
	seen := map[netip.AddrPort]bool{}
	for round := range 4 {
		list := table.due(now, 10)
		if len(list) != 10 {
			t.Fatalf("round %d: %d visits", round, len(list))
		}
		for _, at := range list {
			if seen[at] {
				t.Errorf("%s is visited twice at once", at)
			}
			seen[at] = true
		}
	}
	known, honest := 0, 0
	for at := range seen {
		switch {
		case table.nodes[at].Answers > 0:
			known++
		case table.nodes[at].source == "honest":
			honest++
		}
	}
	if known != 20 || honest != 3 {
		t.Errorf("%d of those who answered, %d of the honest peer's", known, honest)
	}
}

// TestLeftAlone: an address where nobody is, is called three times and then no more that
// day, however often it is told.
func TestLeftAlone(t *testing.T) {
	table := newTable(port, false)
	at := place(1, 1)
	calls := 0
	for now := began; now.Before(began.Add(12 * time.Hour)); now = now.Add(time.Minute) {
		table.add([]netip.AddrPort{at}, "liar", now)
		for _, due := range table.due(now, 10) {
			calls++
			table.visited(due, meeting{}, false, now)
		}
	}
	if calls != strangerTries {
		t.Errorf("called %d times", calls)
	}
	known := newTable(port, false)
	known.visited(at, fullNode, true, began)
	for now := began; now.Before(began.Add(forgetAfter + 48*time.Hour)); now = now.Add(time.Hour) {
		for _, due := range known.due(now, 10) {
			known.visited(due, meeting{}, false, now)
		}
	}
	if n, _ := known.counts(); n != 0 || len(known.groups) != 0 || len(known.sources) != 0 {
		t.Errorf("who is gone for a month is kept: %v, %v, %v", known.nodes, known.groups, known.sources)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.json")
	table := newTable(port, false)
	if err := table.load(path, began); err != nil {
		t.Errorf("no file: %v", err)
	}
	for n := range 50 {
		table.visited(place(n, 1), meeting{full: n%2 == 0, agent: "/karat/"}, true, began)
	}
	table.add([]netip.AddrPort{place(100, 1)}, "liar", began)
	if err := table.save(path); err != nil {
		t.Fatal(err)
	}
	again := newTable(port, false)
	if err := again.load(path, began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if known, answered := again.counts(); known != 50 || answered != 50 {
		t.Errorf("read back %d, %d", known, answered)
	}
	if list, _ := again.good(); len(list) != 25 {
		t.Errorf("%d are good, want 25", len(list))
	}
	if list := again.due(began.Add(time.Hour), 100); len(list) != 50 {
		t.Errorf("%d are due", len(list))
	}
	// Whatever the file holds, the table is sound, or empty with an error.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", "nonsense", `[null]`, `[{}]`, string(whole[:len(whole)/2]), `[{"address":"192.0.2.1:9555","visits":1,"answers":2}]`,
		`[{"address":"192.0.2.1:9555","visits":1,"answers":1,"visited":1,"answered":1,"scores":[{"reliability":7,"count":1}]}]`,
		`[{"address":"127.0.0.1:9555","visits":1,"answers":1,"visited":1,"answered":1}]`,
		`[{"address":"192.0.2.1:9555","visits":1,"answers":1,"visited":99999999999,"answered":1}]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		damaged := newTable(port, false)
		err := damaged.load(path, began)
		if known, _ := damaged.counts(); known != 0 || err == nil != json.Valid([]byte(text)) && text != "{}" {
			t.Errorf("%q: %d nodes, %v", text, known, err)
		}
	}
}

// TestGroupsAreNotFilled: a liar who fills a network group with addresses where nobody is
// keeps no node of it out, neither one that answers nor one that another tells of.
func TestGroupsAreNotFilled(t *testing.T) {
	table := newTable(port, false)
	var empty []netip.AddrPort
	for n := range maxOfGroup {
		empty = append(empty, place(0, n))
	}
	table.add(empty, "liar", began)
	table.add([]netip.AddrPort{place(0, 1000)}, "honest", began)
	table.visited(place(0, 1001), fullNode, true, began)
	table.add([]netip.AddrPort{place(0, 1002)}, "liar", began)
	for n, want := range map[int]bool{1000: true, 1001: true, 1002: false} {
		if got := table.nodes[place(0, n)] != nil; got != want {
			t.Errorf("%d is known: %v", n, got)
		}
	}
	if n := table.groups[addrbook.GroupOf(place(0, 0))]; n != maxOfGroup {
		t.Errorf("%d of one group", n)
	}
}
