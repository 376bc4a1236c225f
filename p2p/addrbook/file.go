package addrbook

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// fileVersion is the form of the file. Before it, the file was a list of addresses.
const fileVersion = 2

// maxFile is the most bytes of a file that are read. A full book takes two thirds of it.
const maxFile = 16 << 20

// maxEntries is what fits in both tables.
const maxEntries = (newBuckets + triedBuckets) * bucketSize

// savedBook is the file.
type savedBook struct {
	Version   int          `json:"version"`
	Key       string       `json:"key"` // of the buckets
	Addresses []savedEntry `json:"addresses"`
}

// savedEntry is an address in the file. Times are seconds since 1970; 0 is never.
type savedEntry struct {
	ID       string `json:"id,omitempty"`
	Address  string `json:"address"`
	LastSeen int64  `json:"last_seen"`
	Answered int64  `json:"answered,omitempty"`
	Called   int64  `json:"called,omitempty"`
	Failures int    `json:"failures,omitempty"`
	Source   string `json:"source,omitempty"`
	Tried    bool   `json:"tried,omitempty"`
	Buckets  []int  `json:"buckets,omitempty"`
}

// oldEntry is an address in a file of the first form.
type oldEntry struct {
	ID       string `json:"id"`
	Address  string `json:"address"`
	LastSeen int64  `json:"last_seen"`
	Answered bool   `json:"answered"`
}

// Load reads what Save wrote, in the place of what is known. Where there is no file it
// leaves the book as it is, which is no error. The file may hold anything: what is no
// address is left out, and what does not fit as well.
func (b *Book) Load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b.read(data)
}

// read takes the content of a file.
func (b *Book) read(data []byte) error {
	var saved savedBook
	if err := json.Unmarshal(data, &saved); err != nil {
		var old []oldEntry
		if json.Unmarshal(data, &old) != nil {
			return err
		}
		saved = savedBook{Version: fileVersion, Addresses: renewed(old)}
	}
	if saved.Version != fileVersion {
		return fmt.Errorf("a book of addresses of version %d, want %d", saved.Version, fileVersion)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset()
	var key secret
	if n, err := hex.Decode(key[:], []byte(saved.Key)[:min(len(saved.Key), 2*len(key))]); err == nil && n == len(key) {
		b.key = key
	}
	now := b.now()
	for _, s := range saved.Addresses[:min(len(saved.Addresses), maxEntries)] {
		if e, ok := s.entry(now); ok && b.known[e.At] == nil {
			b.restore(e, s, now)
		}
	}
	return nil
}

// renewed is a file of the first form in the new one.
func renewed(old []oldEntry) []savedEntry {
	list := make([]savedEntry, len(old))
	for i, o := range old {
		list[i] = savedEntry{ID: o.ID, Address: o.Address, LastSeen: o.LastSeen}
		if o.Answered {
			list[i].Answered, list[i].Tried = o.LastSeen, true
		}
	}
	return list
}

// entry is the saved address, if it is one. Times in the future are none.
func (s *savedEntry) entry(now time.Time) (*entry, bool) {
	at, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return nil, false
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	var id peerinfo.NodeID
	if s.ID != "" {
		if id, err = peerinfo.ParseNodeID(s.ID); err != nil {
			return nil, false
		}
	}
	if !usable(at) || (s.Tried || s.Answered > 0) && id.IsZero() {
		return nil, false
	}
	past := func(seconds int64) time.Time {
		if when := time.Unix(seconds, 0); seconds > 0 && !when.After(now) {
			return when
		}
		return time.Time{}
	}
	e := &entry{
		Address: peerinfo.Address{ID: id, At: at, LastSeen: past(s.LastSeen)}, group: GroupOf(at), source: Source{Host: s.Source},
		answered: past(s.Answered), called: past(s.Called), failures: min(max(s.Failures, 0), 1000),
	}
	if a := e.source.address(); len(s.Source) > 255 || !a.IsValid() && s.Source == "" {
		e.source = SourceAt(at.Addr())
	}
	if s.Tried && e.answered.IsZero() {
		e.answered = now.Add(-horizon) // it did answer, but nobody knows when
	}
	return e, true
}

// restore puts a saved entry where it was. It assumes mu.
func (b *Book) restore(e *entry, s savedEntry, now time.Time) {
	if s.Tried {
		nth := b.key.triedBucket(e.At, e.group)
		if position := b.key.position("tried", nth, e.At); b.tried.at(nth, position) == nil {
			b.tried.set(nth, position, e)
			e.tried = true
			b.tried.join(e)
			b.known[e.At] = e
			return
		}
	}
	buckets := s.Buckets[:min(len(s.Buckets), maxReferences)]
	if len(buckets) == 0 {
		buckets = []int{b.key.newBucket(e.group, e.source.group())}
	}
	for _, nth := range buckets {
		if nth >= 0 && nth < newBuckets {
			b.placeNew(e, nth, now)
		}
	}
}

// Save writes the file, whole or not at all.
func (b *Book) Save(path string) error {
	saved := b.saved()
	data, err := json.MarshalIndent(saved, "", " ")
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(path, append(data, '\n'))
}

// saved is the book as the file has it.
func (b *Book) saved() savedBook {
	seconds := func(t time.Time) int64 { return max(t.Unix(), 0) }
	b.mu.Lock()
	defer b.mu.Unlock()
	saved := savedBook{Version: fileVersion, Key: hex.EncodeToString(b.key[:]), Addresses: make([]savedEntry, 0, len(b.known))}
	for _, e := range b.entries() {
		s := savedEntry{
			Address: e.At.String(), LastSeen: seconds(e.LastSeen), Answered: seconds(e.answered), Called: seconds(e.called), Failures: e.failures,
			Source: e.source.Host, Tried: e.tried, Buckets: append([]int(nil), e.buckets...),
		}
		if !e.ID.IsZero() {
			s.ID = e.ID.String()
		}
		saved.Addresses = append(saved.Addresses, s)
	}
	return saved
}

// Anchors are the places of the connections for blocks alone, which a node makes again
// when it starts: who makes it restart does not get to choose new ones then (the idea is
// Bitcoin Core's).
type Anchors struct{ path string }

// maxAnchors is how many places are read of a file.
const maxAnchors = 8

// NewAnchors returns the anchors of a file.
func NewAnchors(path string) Anchors { return Anchors{path} }

// Take returns the anchors and removes the file, so that one to which the node cannot
// connect without failing is tried once.
func (a Anchors) Take() ([]Candidate, error) {
	f, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err := errors.Join(err, f.Close(), os.Remove(a.path)); err != nil {
		return nil, err
	}
	var saved []savedEntry
	if err := json.Unmarshal(data, &saved); err != nil {
		return nil, err
	}
	var list []Candidate
	for _, s := range saved[:min(len(saved), maxAnchors)] {
		if e, ok := s.entry(time.Unix(0, 0)); ok && !e.ID.IsZero() {
			list = append(list, Candidate{At: e.At, ID: e.ID, Tried: true})
		}
	}
	return list, nil
}

// Save writes the file.
func (a Anchors) Save(anchors []Candidate) error {
	list := []savedEntry{}
	for _, c := range anchors {
		list = append(list, savedEntry{ID: c.ID.String(), Address: c.At.String()})
	}
	data, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	return wholefile.ReplaceBytes(a.path, append(data, '\n'))
}
