package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// testBans is what remembers offenders, alone, on a clock that the test moves.
func testBans(file string) (b *bans, now *time.Time) {
	now = new(time.Unix(1_800_000_000, 0))
	return newBans(file, func() time.Time { return *now }, slog.New(slog.DiscardHandler)), now
}

func selector(t *testing.T, text string) peerinfo.Selector {
	t.Helper()
	s, err := peerinfo.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBans: whom a ban hits, for how long, and that it can be lifted.
func TestBans(t *testing.T) {
	id, other := testID(1), testID(2)
	for _, c := range []struct {
		ban        string
		hit, spare string // addresses
		id         bool   // the id is hit
	}{
		{"192.0.2.7", "192.0.2.7:5", "192.0.2.8:5", false},
		{"192.0.2.0/24", "192.0.2.200:5", "192.0.3.1:5", false},
		{"192.0.2.7", "[::ffff:192.0.2.7]:5", "[::ffff:192.0.2.8]:5", false},
		{"2001:db8::/32", "[2001:db8:9::1]:5", "[2001:db9::1]:5", false},
		{id.String(), "", "name:5", true},
		{"127.0.0.1", "127.0.0.1:5", "127.0.0.2:5", false},
	} {
		b, now := testBans("")
		who := selector(t, c.ban)
		if err := b.add(who, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := b.add(who, now.Add(2*time.Hour)); !errors.Is(err, peerinfo.ErrBanned) {
			t.Errorf("%s: twice: %v", c.ban, err)
		}
		hit := func() bool { return b.hits(other, c.hit, false) != nil || c.id && b.hits(id, c.spare, true) != nil }
		if !hit() || b.hits(other, c.spare, true) != nil {
			t.Errorf("%s hits others than it names", c.ban)
		}
		if list := b.list(); len(list) != 1 || list[0].Who != who || !list[0].Since.Equal(*now) || list[0].Automatic {
			t.Errorf("%s: listed as %+v", c.ban, list)
		}
		*now = now.Add(time.Hour)
		if hit() || len(b.list()) != 0 {
			t.Errorf("%s outlives its time", c.ban)
		}
		if err := b.add(who, *now); err == nil {
			t.Errorf("%s: a ban that is over at once", c.ban)
		}
		if err := b.add(who, now.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if err := b.lift(who); err != nil || hit() {
			t.Errorf("%s is not lifted: %v", c.ban, err)
		}
		if err := b.lift(who); !errors.Is(err, peerinfo.ErrNotBanned) {
			t.Errorf("%s: lifted twice: %v", c.ban, err)
		}
	}
}

// TestEarnedBans: bans that a peer has earned are listed and can be lifted, and however
// many there are, those of the operator stay.
func TestEarnedBans(t *testing.T) {
	b, now := testBans("")
	if err := b.add(selector(t, "192.0.2.0/24"), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.misbehaved(testID(1), time.Hour)
	for range maxStrikes {
		b.strike("198.51.100.1")
	}
	list := b.list()
	if len(list) != 3 {
		t.Fatalf("listed: %+v", list)
	}
	for _, ban := range list {
		if ban.Automatic == (ban.Who.String() == "192.0.2.0/24") {
			t.Errorf("%s is automatic: %v", ban.Who, ban.Automatic)
		}
		if err := b.lift(ban.Who); err != nil {
			t.Errorf("%s: %v", ban.Who, err)
		}
	}
	if b.hits(testID(1), "198.51.100.1:5", true) != nil || len(b.list()) != 0 {
		t.Error("something stays")
	}
	if err := b.add(selector(t, "192.0.2.0/24"), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(2 * maxBanned) {
		b.misbehaved(testID(i), time.Hour)
		b.strike(fmt.Sprint("host", i))
	}
	if len(b.ids) > maxBanned || len(b.records) > maxBanned {
		t.Errorf("%d ids and %d addresses are remembered", len(b.ids), len(b.records))
	}
	if b.hits(testID(0), "192.0.2.1:5", false) == nil {
		t.Error("strangers have pushed out a ban of the operator")
	}
}

// TestBanFile: bans of the operator outlive the node; what strangers earn does not reach
// the disk; a file that cannot be read is set aside.
func TestBanFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "banlist.json")
	b, now := testBans(file)
	for i, text := range []string{"192.0.2.0/24", "2001:db8::1", testID(7).String()} {
		if err := b.add(selector(t, text), now.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	b.misbehaved(testID(1), time.Hour)
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	again, later := testBans(file)
	if list := again.list(); len(list) != 3 || again.hits(testID(7), "", false) == nil || again.hits(testID(1), "", false) != nil {
		t.Errorf("read: %+v", list)
	}
	*later = later.Add(90 * time.Minute)
	if list := again.list(); len(list) != 2 {
		t.Errorf("an hour and a half later: %+v", list)
	}
	for _, bad := range []string{"{", "[]", string(make([]byte, maxBanFile+1))} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, _ := testBans(file); len(b.list()) != 0 {
			t.Error("bans out of nothing")
		}
		if kept, err := os.ReadFile(file + ".bad"); err != nil || string(kept) != bad {
			t.Errorf("it is not set aside: %v", err)
		}
	}
}

// FuzzBans: whatever is in the file, what is read of it is valid and can be written.
func FuzzBans(f *testing.F) {
	f.Add([]byte(`{"banned_nets":[{"version":1,"ban_created":1,"banned_until":2000000000,"address":"192.0.2.0/24"}]}`))
	f.Add([]byte(`{"banned_nets":[{"version":1,"ban_created":-1,"banned_until":9223372036854775807,"address":"::/0"},{}]}`))
	f.Add([]byte(`{"banned_nets":[{"version":2,"address":"7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _, err := decodeBans(data)
		if err != nil {
			return
		}
		encoded, err := encodeBans(list)
		if err != nil {
			t.Fatal(err)
		}
		again, left, err := decodeBans(encoded)
		if err != nil || left != 0 || len(again) != len(list) {
			t.Fatalf("%d bans are read again as %d, %d left out: %v", len(list), len(again), left, err)
		}
		for i := range list {
			if again[i].Who != list[i].Who || !again[i].Until.Equal(list[i].Until) {
				t.Errorf("%+v is read again as %+v", list[i], again[i])
			}
		}
	})
}

// TestBanHangsUp: a ban hits who is connected at once, lets nobody in whom it names, is
// there after a restart, and ends.
func TestBanHangsUp(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		file := filepath.Join(w.dir, "banlist.json")
		withFile := func(o *Options) { o.BanFile = file }
		n := w.start("n", withFile)
		evil, honest := w.strangerFrom("192.0.2.7", "n", newKey(t)), w.strangerFrom("198.51.100.1", "n", newKey(t))
		if err := n.SetBan(selector(t, "192.0.2.0/24"), time.Now().Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if peers := n.Peers(); len(peers) != 1 || peers[0].ID != honest.key.ID() {
			t.Fatalf("connected: %+v", peers)
		}
		<-evil.Closed
		honest.conn.Close()
		n.stop()
		n = w.start("n", withFile)
		if s := w.strangerFrom("192.0.2.200", "n", newKey(t)); s != nil && s.fate(time.Second) == stays {
			t.Error("the ban is forgotten")
		}
		if err := n.SetBan(selector(t, honest.key.ID().String()), time.Now().Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if s := w.strangerFrom("203.0.113.1", "n", honest.key); s != nil && s.fate(time.Second) == stays {
			t.Error("a banned id comes from elsewhere")
		}
		time.Sleep(24 * time.Hour)
		s := w.strangerFrom("192.0.2.7", "n", newKey(t))
		if s == nil || s.fate(time.Second) != stays {
			t.Error("the ban does not end")
		}
		s.conn.Close()
	})
}

// TestBannedManualPeer: the operator's ban also holds for whom the operator has added.
func TestBannedManualPeer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		other := w.start("other", nil)
		n := w.start("n", nil, "other")
		w.eventually("a connection", time.Minute, func() bool { return len(n.Peers()) == 1 })
		who := selector(t, other.NodeID().String())
		if err := n.SetBan(who, time.Now().Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			time.Sleep(10 * time.Second)
			if len(n.Peers()) != 0 {
				t.Fatal("it is connected all the same")
			}
		}
		if err := n.LiftBan(who); err != nil {
			t.Fatal(err)
		}
		w.eventually("a connection again", 2*time.Minute, func() bool { return len(n.Peers()) == 1 })
		if err := n.ClearBans(); err != nil || len(n.Bans()) != 0 {
			t.Errorf("%v, %+v", err, n.Bans())
		}
	})
}

// TestInactive: while the network is off there is no connection, and afterwards all is
// as before.
func TestInactive(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.start("other", nil)
		n := w.start("n", nil, "other")
		s := w.stranger(n)
		w.eventually("two connections", time.Minute, func() bool { return len(n.Peers()) == 2 })
		n.SetActive(false)
		<-s.Closed
		for range 60 {
			time.Sleep(10 * time.Second)
			if len(n.Peers()) != 0 || n.Active() {
				t.Fatal("it is not off")
			}
		}
		if s := w.strangerWith("n", newKey(t)); s != nil && s.fate(time.Second) == stays {
			t.Error("a call is taken")
		}
		n.SetActive(true)
		s = w.stranger(n)
		w.eventually("two connections again", 2*time.Minute, func() bool { return len(n.Peers()) == 2 && n.Active() })
		s.conn.Close()
	})
}
