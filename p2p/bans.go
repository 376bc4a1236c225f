package p2p

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// The bounds of what is remembered of who misbehaved.
const (
	// maxStrikes is the number of offences within strikeMemory after which nobody
	// may call from their address for banForStrikes.
	maxStrikes    = 3
	strikeMemory  = time.Hour
	banForStrikes = 10 * time.Minute
	// maxBanned bounds what is remembered of offenders, of ids as of addresses, and how
	// many bans the operator may set.
	maxBanned = 10_000
)

// Why somebody is not let in.
var (
	errBannedByOperator = errors.New("the operator has banned it")
	errMisbehaved       = errors.New("it misbehaved lately")
	errAddress          = errors.New("its address misbehaved lately")
)

// bans remembers who may not be a peer for a while: whom the operator names, which is
// kept in a file, and who misbehaved. The second may be as many as strangers like, so
// they never take the place of the first.
type bans struct {
	file   string // of the operator's bans; empty: none
	now    func() time.Time
	log    *slog.Logger
	saving chan struct{} // one slot: who holds it writes the file

	mu sync.Mutex
	// Guarded by mu:
	set     map[peerinfo.Selector]peerinfo.Ban // by the operator
	ids     map[peerinfo.NodeID]peerinfo.Ban   // that sent what breaks a rule
	records map[string]record                  // by culprit
}

// record is what is known of an address that offended, or of an id on this machine.
type record struct {
	strikes int
	first   time.Time // of the strikes
	since   time.Time // it is banned
	until   time.Time
}

func newBans(file string, now func() time.Time, log *slog.Logger) *bans {
	b := &bans{
		file: file, now: now, log: log, saving: make(chan struct{}, 1),
		set: map[peerinfo.Selector]peerinfo.Ban{}, ids: map[peerinfo.NodeID]peerinfo.Ban{}, records: map[string]record{},
	}
	b.load()
	return b
}

// hits says why a peer may not stay or come, if so. Its id or address is left out if it
// is not known yet.
func (b *bans) hits(id peerinfo.NodeID, address string, inbound bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, at := b.now(), ipOf(address)
	for who, ban := range b.set {
		if now.Before(ban.Until) && who.Names(id, at) {
			return errBannedByOperator
		}
	}
	if now.Before(b.ids[id].Until) {
		return errMisbehaved
	}
	if inbound && now.Before(b.records[culprit(address, id)].until) {
		return errAddress
	}
	return nil
}

// add is a ban by the operator. The error is ErrBanned, or that there are too many.
func (b *bans) add(who peerinfo.Selector, until time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.expire(now)
	if !until.After(now) {
		return fmt.Errorf("the ban would end at %s, which is past", until.UTC().Format(time.RFC3339))
	}
	for other := range b.set {
		if other == who || who.Subnet.IsSingleIP() && other.Names(peerinfo.NodeID{}, who.Subnet.Addr()) {
			return peerinfo.ErrBanned
		}
	}
	if len(b.set) >= maxBanned {
		return fmt.Errorf("there are %d bans, which is the limit", maxBanned)
	}
	b.set[who] = peerinfo.Ban{Who: who, Since: now, Until: until}
	return nil
}

// lift ends a ban, whoever set it. The error is ErrNotBanned.
func (b *bans) lift(who peerinfo.Selector) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(b.now())
	before := len(b.set) + len(b.ids) + len(b.records)
	delete(b.set, who)
	if !who.Subnet.IsValid() {
		delete(b.ids, who.ID)
	}
	for culprit, r := range b.records {
		if named, err := peerinfo.ParseSelector(culprit); err == nil && named == who && r.strikes >= maxStrikes {
			delete(b.records, culprit)
		}
	}
	if len(b.set)+len(b.ids)+len(b.records) == before {
		return peerinfo.ErrNotBanned
	}
	return nil
}

// clear forgets all.
func (b *bans) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.set)
	clear(b.ids)
	clear(b.records)
}

// list returns all bans that hold, in the order of whom they name.
func (b *bans) list() []peerinfo.Ban {
	b.mu.Lock()
	b.expire(b.now())
	list := slices.AppendSeq(slices.Collect(maps.Values(b.set)), maps.Values(b.ids))
	for culprit, r := range b.records {
		if who, err := peerinfo.ParseSelector(culprit); err == nil && r.until.After(b.now()) {
			list = append(list, peerinfo.Ban{Who: who, Since: r.since, Until: r.until, Automatic: true})
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(a, b peerinfo.Ban) int { return cmp.Compare(a.Who.String(), b.Who.String()) })
	return list
}

// expire forgets what is over. It assumes mu.
func (b *bans) expire(now time.Time) {
	over := func(ban peerinfo.Ban) bool { return !now.Before(ban.Until) }
	maps.DeleteFunc(b.set, func(_ peerinfo.Selector, ban peerinfo.Ban) bool { return over(ban) })
	maps.DeleteFunc(b.ids, func(_ peerinfo.NodeID, ban peerinfo.Ban) bool { return over(ban) })
	maps.DeleteFunc(b.records, func(_ string, r record) bool { return now.Sub(r.first) > strikeMemory && !now.Before(r.until) })
}

// misbehaved keeps an id out for a time.
func (b *bans) misbehaved(id peerinfo.NodeID, how time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	makeRoom(b.ids, func(ban peerinfo.Ban) bool { return now.After(ban.Until) })
	b.ids[id] = peerinfo.Ban{Who: peerinfo.Selector{ID: id}, Since: now, Until: now.Add(how), Automatic: true}
}

// strike counts an offence against a culprit. It reports whether that was one too many.
func (b *bans) strike(who string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	makeRoom(b.records, func(r record) bool { return now.Sub(r.first) > strikeMemory })
	r := b.records[who]
	if now.Sub(r.first) > strikeMemory {
		r = record{first: now}
	}
	r.strikes++
	if r.strikes >= maxStrikes {
		r.since, r.until = now, now.Add(banForStrikes)
	}
	b.records[who] = r
	return r.strikes >= maxStrikes
}

// culprit is what the offences of a caller count against: its address, since an id
// costs nothing. On the machine itself it is the id. Many nodes may run there, and one
// of them must not keep the others out.
func culprit(address string, id peerinfo.NodeID) string {
	if at := ipOf(address); at.IsLoopback() {
		return id.String()
	}
	return host(address)
}

// makeRoom removes what is over from a list that is full, and if that is little, some of
// the rest, so that it need not look through the list again for each that comes.
func makeRoom[K comparable, V any](list map[K]V, over func(V) bool) {
	if len(list) < maxBanned {
		return
	}
	maps.DeleteFunc(list, func(_ K, value V) bool { return over(value) })
	for key := range list {
		if len(list) <= maxBanned*7/8 {
			break
		}
		delete(list, key)
	}
}
