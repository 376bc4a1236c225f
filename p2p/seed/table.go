package seed

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/karatcoin/karat/p2p/addrbook"
)

// The bounds of the table.
const (
	maxNodes      = 20_000
	maxOfGroup    = 256  // addresses of one network group
	maxOfSource   = 1000 // addresses that nobody met, of one group of those who told
	maxToldByName = 64   // addresses of one name
	maxPushes     = 16   // addresses told at once that may take others' places in full groups
	forgetAfter   = 30 * 24 * time.Hour
	goneAfter     = 12 * time.Hour // who has not answered for so long is not told of
	strangerTries = 3              // of an address that never answered; it is then left alone for a day
)

// The times between visits of one node.
const (
	visitGood  = 20 * time.Minute
	retryFirst = 10 * time.Minute
	retryMost  = 24 * time.Hour
)

// score is how often a node answers, over about a time.
type score struct {
	Reliability float64 `json:"reliability"` // 0 to Weight
	Weight      float64 `json:"weight"`      // 0 to 1: how much of the time is known
	Count       float64 `json:"count"`       // of visits, the old ones weighing less
}

// update notes a visit, so long after the one before.
func (s *score) update(answered bool, after, over time.Duration) {
	keep := math.Exp(-float64(after) / float64(over))
	s.Reliability *= keep
	s.Weight = s.Weight*keep + 1 - keep
	if answered {
		s.Reliability += 1 - keep
	}
	s.Count = s.Count*keep + 1
}

// windows are the times over which answers are counted, and what is enough. Who was met
// for long may fail for longer. The figures are those of bitcoin-seeder; but what is not known counts neither
// way, or else a new network's seed would tell of nobody for hours.
var windows = [...]struct {
	over               time.Duration
	reliability, count float64
}{
	{2 * time.Hour, 0.85, 2},
	{8 * time.Hour, 0.70, 4},
	{24 * time.Hour, 0.55, 8},
	{7 * 24 * time.Hour, 0.45, 16},
	{30 * 24 * time.Hour, 0.35, 32},
}

// node is an address, and how it went there.
type node struct {
	At       netip.AddrPort      `json:"address"`
	Full     bool                `json:"full"` // it says that it has all blocks
	Agent    string              `json:"agent,omitempty"`
	Visits   int                 `json:"visits"`
	Answers  int                 `json:"answers"`
	Failures int                 `json:"failures"` // in a row
	Visited  int64               `json:"visited"`  // seconds since 1970; 0: never
	Answered int64               `json:"answered"` // when it last did
	Scores   [len(windows)]score `json:"scores"`

	source string         // who told of it; only of those that never answered
	group  addrbook.Group // of At, once it is in the table
	next   time.Time
}

// good reports whether to tell of the node.
func (n *node) good() bool {
	if !n.Full || n.Answers == 0 || n.Visited-n.Answered > int64(goneAfter/time.Second) {
		return false
	}
	if n.Visits <= 3 {
		return n.Answers*2 >= n.Visits
	}
	for i, w := range windows {
		if n.Scores[i].Reliability > w.reliability*n.Scores[i].Weight && n.Scores[i].Count > w.count {
			return true
		}
	}
	return false
}

// table is the nodes that are known. An id costs nothing, so a node is an address.
type table struct {
	port  uint16
	local bool

	mu sync.Mutex
	// Guarded by mu:
	nodes   map[netip.AddrPort]*node
	groups  map[addrbook.Group]int // nodes of each
	sources map[string]int         // nodes that never answered, of each
	changed bool                   // since good was last called
	pushes  int                    // looks for room in a full group that are left for who tells now: each goes over the table
}

func newTable(port uint16, local bool) *table {
	return &table{port: port, local: local, nodes: map[netip.AddrPort]*node{}, groups: map[addrbook.Group]int{}, sources: map[string]int{}, changed: true}
}

// sourceOf is whom what a node tells counts against.
func sourceOf(at netip.AddrPort) string { return string(addrbook.GroupOf(at)) }

// wanted reports whether nodes at an address are of use. Another port cannot be told by
// DNS, and looking at whatever port a stranger names would be scanning for it.
func (t *table) wanted(at netip.AddrPort) bool {
	a := at.Addr()
	if at.Port() != t.port || !a.IsValid() || a.Zone() != "" || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	if addrbook.Local(a) {
		return t.local
	}
	reserved := a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240)
	return a.IsGlobalUnicast() && !reserved
}

// add takes what somebody told, as far as there is room for it.
func (t *table) add(told []netip.AddrPort, source string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pushes = maxPushes
	for _, at := range told {
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		if !t.wanted(at) || t.nodes[at] != nil || t.sources[source] >= maxOfSource {
			continue
		}
		t.insert(&node{At: at, source: source, next: now})
	}
}

// insert takes a node in if there is room in its group and in the table. It assumes mu.
func (t *table) insert(n *node) bool {
	n.group = addrbook.GroupOf(n.At)
	if t.groups[n.group] >= maxOfGroup && !t.makeRoomInGroup(n) || len(t.nodes) >= maxNodes && !t.makeRoom() {
		return false
	}
	t.nodes[n.At] = n
	t.groups[n.group]++
	if n.Answers == 0 {
		t.sources[n.source]++
	}
	return true
}

// remove forgets a node. It assumes mu.
func (t *table) remove(n *node) {
	delete(t.nodes, n.At)
	subtract(t.groups, n.group)
	if n.Answers == 0 {
		subtract(t.sources, n.source)
	}
}

func subtract[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// makeRoomInGroup forgets an address of a node's group that never answered, of whoever told
// of most: for a node that has answered, or one of a source that told of fewer. So
// nobody can fill a group with what is not there. It assumes mu.
func (t *table) makeRoomInGroup(n *node) bool {
	if n.Answers == 0 {
		if t.pushes == 0 {
			return false
		}
		t.pushes--
	}
	var victim *node
	for _, other := range t.nodes {
		if other.Answers == 0 && other.group == n.group && (victim == nil || t.sources[other.source] > t.sources[victim.source]) {
			victim = other
		}
	}
	if victim == nil || n.Answers == 0 && t.sources[victim.source] <= t.sources[n.source]+1 {
		return false
	}
	t.remove(victim)
	return true
}

// makeRoom forgets an address that never answered, of whoever told of most among a few.
// One that answered makes room for nobody. It assumes mu.
func (t *table) makeRoom() bool {
	var victim *node
	looked := 0
	for _, n := range t.nodes { // in random order
		if n.Answers == 0 && (victim == nil || t.sources[n.source] > t.sources[victim.source]) {
			victim = n
		}
		if looked++; looked >= 64 { // and not all, for a peer can ask for room a thousand times
			break
		}
	}
	if victim == nil {
		return false
	}
	t.remove(victim)
	return true
}

// due returns nodes to visit now, at most so many: half of them such as answered before,
// if there are, and of the others one of each source before a second of any.
func (t *table) due(now time.Time, most int) (list []netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var known, strange []*node
	for _, n := range t.nodes { // in random order
		if n.next.After(now) {
			continue
		}
		if n.Answers > 0 {
			known = append(known, n)
		} else {
			strange = append(strange, n)
		}
	}
	strange = mixed(strange, most)
	forKnown := min(len(known), max(most-len(strange), most/2))
	for _, n := range append(known[:forKnown], strange...) {
		if len(list) >= most {
			break
		}
		n.next = now.Add(visitTime + tick) // until it is known how it went
		list = append(list, n.At)
	}
	return list
}

// mixed returns at most so many nodes, one of each source, then another.
func mixed(nodes []*node, most int) (list []*node) {
	for round := 1; len(list) < most && len(nodes) > 0; round++ {
		taken := map[string]bool{}
		var rest []*node
		for _, n := range nodes {
			if len(list) >= most {
				return list
			}
			if taken[n.source] {
				rest = append(rest, n)
				continue
			}
			taken[n.source] = true
			list = append(list, n)
		}
		nodes = rest
	}
	return list
}

// visited notes how a visit went. Who answers without having been told of, as a node that
// one began with, is taken in.
func (t *table) visited(at netip.AddrPort, found meeting, answered bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[at]
	if n == nil {
		if n = (&node{At: at}); !answered || !t.wanted(at) || !t.insert(n) {
			return
		}
	}
	t.changed = true
	after := now.Sub(time.Unix(n.Visited, 0))
	if n.Visited == 0 || after < 0 {
		after = visitGood
	}
	for i := range n.Scores {
		n.Scores[i].update(answered, after, windows[i].over)
	}
	n.Visits++
	n.Visited = now.Unix()
	if !answered {
		t.failed(n, now)
		return
	}
	if n.Answers == 0 {
		subtract(t.sources, n.source)
		n.source = ""
	}
	n.Answers++
	n.Answered, n.Failures, n.Full, n.Agent = now.Unix(), 0, found.full, found.agent
	n.next = now.Add(visitGood/2 + rand.N(visitGood))
}

// failed notes that a node did not answer. Nobody is called for ever because somebody
// told of it. It assumes mu.
func (t *table) failed(n *node, now time.Time) {
	n.Failures++
	wait := min(retryFirst<<min(n.Failures-1, 10), retryMost)
	switch {
	case n.Answers == 0 && n.Failures > strangerTries, n.Answers > 0 && now.Sub(time.Unix(n.Answered, 0)) > forgetAfter:
		t.remove(n)
		return
	case n.Answers == 0 && n.Failures == strangerTries:
		wait = retryMost
	}
	n.next = now.Add(wait/2 + rand.N(wait))
}

// counts returns how many nodes are known, and how many ever answered.
func (t *table) counts() (known, answered int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		if n.Answers > 0 {
			answered++
		}
	}
	return len(t.nodes), answered
}

// good returns the nodes to tell of, and whether that may have changed since the last
// call.
func (t *table) good() (list []netip.AddrPort, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.changed {
		return nil, false
	}
	t.changed = false
	for _, n := range t.nodes {
		if n.good() {
			list = append(list, n.At)
		}
	}
	return list, true
}
