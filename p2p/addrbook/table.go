package addrbook

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// The shape of the two tables. One group fills triedPerGroup buckets of the tried table,
// and all that one source tells fills newPerSource of the new one, however many
// addresses there are.
const (
	bucketSize    = 64
	newBuckets    = 512
	newPerSource  = 32
	maxReferences = 8 // buckets of the new table that hold one address
	triedBuckets  = 128
	triedPerGroup = 8
)

// bucket holds addresses by position.
type bucket [bucketSize]*entry

// table is one of the two tables.
type table struct {
	buckets []*bucket // nil: an empty one
	groups  map[Group]*members
	public  []*members // with addresses
	local   []*members
	size    int // addresses, each counted once
}

// members are the addresses of one group in a table, so that a group can be drawn
// whatever the number of its addresses is.
type members struct {
	group Group
	list  []*entry
	local bool
	index int // in the table's list
}

func newTable(buckets int) table {
	return table{buckets: make([]*bucket, buckets), groups: map[Group]*members{}}
}

func (t *table) at(b, position int) *entry {
	if t.buckets[b] == nil {
		return nil
	}
	return t.buckets[b][position]
}

func (t *table) set(b, position int, e *entry) {
	if t.buckets[b] == nil {
		t.buckets[b] = new(bucket)
	}
	t.buckets[b][position] = e
}

func (t *table) list(local bool) *[]*members {
	if local {
		return &t.local
	}
	return &t.public
}

// join counts an address among its group's.
func (t *table) join(e *entry) {
	m := t.groups[e.group]
	if m == nil {
		m = &members{group: e.group, local: Local(e.At.Addr())}
		list := t.list(m.local)
		m.index = len(*list)
		*list = append(*list, m)
		t.groups[e.group] = m
	}
	e.index = len(m.list)
	m.list = append(m.list, e)
	t.size++
}

// leave is the opposite of join.
func (t *table) leave(e *entry) {
	m := t.groups[e.group]
	last := len(m.list) - 1
	m.list[e.index] = m.list[last]
	m.list[e.index].index = e.index
	m.list[last] = nil
	m.list = m.list[:last]
	t.size--
	if last > 0 {
		return
	}
	delete(t.groups, e.group)
	list := t.list(m.local)
	end := len(*list) - 1
	(*list)[m.index] = (*list)[end]
	(*list)[m.index].index = m.index
	(*list)[end] = nil
	*list = (*list)[:end]
}

// count returns how many groups there are besides some. All local ones count as one.
func (t *table) count(besides map[Group]bool) int {
	n := len(t.public) + min(len(t.local), 1)
	for group := range besides {
		if m := t.groups[group]; m != nil && !m.local {
			n--
		}
	}
	return n
}

// inOrder returns the groups in a random order. All local addresses together weigh as
// much as one public group: whoever could tell us local addresses, each of which is a
// group of its own, would else be all that we call.
func (t *table) inOrder(random *rand.Rand) []*members {
	shuffled := func(list []*members) []*members {
		list = slices.Clone(list)
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	public, local := shuffled(t.public), shuffled(t.local)
	if len(local) > 0 {
		public = slices.Insert(public, random.IntN(len(public)+1), local[0])
		public = append(public, local[1:]...)
	}
	return public
}

// secret is the key by which addresses are dealt to buckets. Who knew it could choose
// addresses that push others out.
type secret [32]byte

// number is a number below n that depends on the key and the parts.
func (s secret) number(n int, parts ...string) int {
	h := sha256.New()
	h.Write(s[:])
	for _, part := range parts {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return int(binary.LittleEndian.Uint64(h.Sum(nil)) % uint64(n))
}

// slot is a number as a part of another.
func slot(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

// newBucket is the bucket of the new table for an address of a group that a source told.
func (s secret) newBucket(group, source Group) int {
	nth := s.number(newPerSource, "new group", string(source), string(group))
	return s.number(newBuckets, "new bucket", string(source), slot(nth))
}

// triedBucket is the bucket of the tried table for a place.
func (s secret) triedBucket(at netip.AddrPort, group Group) int {
	nth := s.number(triedPerGroup, "tried address", at.String())
	return s.number(triedBuckets, "tried bucket", string(group), slot(nth))
}

// position is where in a bucket a place belongs.
func (s secret) position(kind string, bucket int, at netip.AddrPort) int {
	return s.number(bucketSize, kind, slot(bucket), at.String())
}
