package addrbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestFile: a book is read back as it was, to the place in its bucket.
func TestFile(t *testing.T) {
	b, c := newTestBook()
	path := filepath.Join(t.TempDir(), "peers.json")
	if err := b.Load(path); err != nil {
		t.Errorf("no file: %v", err)
	}
	for n := range 2000 {
		b.Add([]peerinfo.Address{c.told(place(n%100, n/100), uint32(n))}, SourceAt(place(n%7, 1).Addr()))
		if n%3 == 0 {
			b.Good(place(n%100, n/100), id(uint32(n)))
		}
	}
	b.Add([]peerinfo.Address{{At: netip.MustParseAddrPort("[2a00::1]:5"), LastSeen: c.at}}, Source{Host: "seed.example"})
	b.Failed(place(1, 0), true)
	before := b.Changes()
	if err := b.Save(path); err != nil {
		t.Fatal(err)
	}
	if b.Changes() != before {
		t.Error("saving is a change")
	}
	again := New(c.now, [32]byte{2})
	if err := again.Load(path); err != nil {
		t.Fatal(err)
	}
	again.check(t)
	if !reflect.DeepEqual(again.saved(), b.saved()) || !reflect.DeepEqual(again.Places(), b.Places()) {
		t.Error("it was read back as another")
	}
}

// TestOldFile: a file of the first form is read. Those that had answered are tried.
func TestOldFile(t *testing.T) {
	b, c := newTestBook()
	text := fmt.Sprintf(`[
  {"id": "x", "address": "20.0.2.1:1"},
  {"id": "%s", "address": "20.0.2.2:1", "last_seen": %d, "answered": true},
  {"id": "%s", "address": "20.0.2.3:1", "last_seen": %d}]`, id(2), c.at.Unix()-100, id(3), c.at.Unix()-200)
	if err := b.read([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b.check(t)
	if got := b.Counts()[peerinfo.IPv4]; got != (peerinfo.BookCount{New: 1, Tried: 1}) {
		t.Errorf("%+v", got)
	}
	if !b.Answered(netip.MustParseAddrPort("20.0.2.2:1"), id(2)) {
		t.Error("it had answered")
	}
}

// TestBadFile: what cannot be read leaves the book as it is.
func TestBadFile(t *testing.T) {
	b, _ := newTestBook()
	b.Good(place(1, 1), id(1))
	path := filepath.Join(t.TempDir(), "peers.json")
	for _, bad := range []string{"", "{", `{"version":3}`, `[5]`, "\x00\xff", `{"version":2,"addresses":5}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.Load(path); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte(" "), maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Load(path); err == nil {
		t.Error("a huge file was read")
	}
	if b.Counts()[peerinfo.IPv4].Tried != 1 {
		t.Error("the book was emptied")
	}
}

// TestFullFile: a full book can be saved and read.
func TestFullFile(t *testing.T) {
	entry := savedEntry{
		ID: id(1).String(), Address: "[2a00:1234:1234:1234:1234:1234:1234:1234]:65535", LastSeen: 1_800_000_000, Answered: 1_800_000_000, Called: 1_800_000_000,
		Failures: 10, Source: "2a00:1234:1234:1234:1234:1234:1234:1234", Tried: true,
	}
	one, err := json.MarshalIndent(savedBook{Addresses: []savedEntry{entry}}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if full := len(one) * maxEntries; full > maxFile {
		t.Errorf("a full book takes %d bytes, more than are read", full)
	}
}

func TestAnchors(t *testing.T) {
	a := NewAnchors(filepath.Join(t.TempDir(), "anchors.json"))
	if got, err := a.Take(); err != nil || got != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
	want := []Candidate{{At: place(1, 1), ID: id(1), Tried: true}, {At: netip.MustParseAddrPort("127.0.0.1:5"), ID: id(2), Tried: true}}
	if err := a.Save(want); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Take(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := a.Take(); err != nil || got != nil {
		t.Errorf("taken twice: %v, %v", got, err)
	}
	for _, bad := range []string{"", "{", `[{"address":"x"}]`, `[{"id":"00","address":"1.2.3.4:5"}]`} {
		if err := os.WriteFile(a.path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := a.Take(); len(got) != 0 {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// FuzzFile reads any bytes as a book. Whatever comes of them is in order, and is read
// back as it is.
func FuzzFile(f *testing.F) {
	b, c := newTestBook()
	for n := range 20 {
		b.Add([]peerinfo.Address{c.told(place(n%5, n), uint32(n))}, SourceAt(place(n%3, 1).Addr()))
		if n%3 == 0 {
			b.Good(place(n%5, n), id(uint32(n)))
		}
	}
	whole, err := json.Marshal(b.saved())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`[{"id":"` + id(3).String() + `","address":"20.0.2.3:1","last_seen":1800000000,"answered":true}]`))
	f.Add([]byte(`{"version":2,"key":"00","addresses":[{"address":"10.0.0.1:1","last_seen":-5,"buckets":[-1,512,3,3,3]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, c := newTestBook()
		if b.read(data) != nil {
			return
		}
		b.check(t)
		b.Answer(netip.MustParseAddr("20.0.0.1"))
		for range 5 {
			if got, ok := b.Select(Wanted{}); ok {
				b.Good(got.At, id(1))
			}
			c.pass(time.Hour)
			b.Contested()
		}
		b.check(t)
		saved, err := json.Marshal(b.saved())
		if err != nil {
			t.Fatal(err)
		}
		again := New(c.now, [32]byte{3})
		if err := again.read(saved); err != nil {
			t.Fatal(err)
		}
		again.check(t)
	})
}

// FuzzAnchors: whatever a file holds, a few places come of it that can be called, and the
// file is gone.
func FuzzAnchors(f *testing.F) {
	f.Add([]byte(`[{"id":"` + id(3).String() + `","address":"20.0.2.3:1"},{"id":"` + id(4).String() + `","address":"[::ffff:1.2.3.4]:9"}]`))
	f.Add([]byte(`[{"address":"20.0.2.3:1"},null,{"id":"00","address":"20.0.2.3:0"}]`))
	a := NewAnchors(filepath.Join(f.TempDir(), "anchors.json"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(a.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := a.Take()
		if err != nil && got != nil || len(got) > maxAnchors {
			t.Errorf("%d anchors, %v", len(got), err)
		}
		if _, err := os.Stat(a.path); !os.IsNotExist(err) {
			t.Errorf("the file is left: %v", err)
		}
		for _, c := range got {
			if !usable(c.At) || c.At.Addr().Is4In6() || c.ID.IsZero() {
				t.Errorf("an anchor at %s of %s", c.At, c.ID)
			}
		}
	})
}
