package p2p

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/p2p/noise"
	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestCalls: what came of calls is sorted by what can be done about it, failures in a row have their
// beginning, and those whom the operator named are the last that are forgotten.
func TestCalls(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := &Manager{}
	note := func(address string, manual bool, err error) {
		now = now.Add(time.Second)
		m.called.note(context.Background(), target{address: address}, manual, now, err)
	}
	for want, err := range map[peerinfo.Outcome]error{
		peerinfo.Unreachable: &dialError{errors.New("refused")}, peerinfo.OtherNetwork: noise.ErrWrongNetwork, peerinfo.OtherNode: fmt.Errorf("%w: x", noise.ErrWrongID),
		peerinfo.KeptOut: errBannedByOperator, peerinfo.HungUp: errors.New("reset"), peerinfo.Answered: nil,
	} {
		note("a:1", true, err)
		if got := m.Calls(); len(got) != 1 || got[0].Outcome != want || (got[0].Problem == "") != (err == nil) {
			t.Errorf("%v: %+v", err, got)
		}
	}
	note("a:1", true, nil)
	note("a:1", true, errors.New("reset"))
	began := now
	note("a:1", true, errConnected) // says nothing of it
	note("a:1", true, &dialError{errors.New("refused")})
	if got := m.Calls()[0]; got.Since != began || got.At != now || got.Outcome != peerinfo.Unreachable {
		t.Errorf("%+v, since %s", got, began)
	}
	for i := range 3 * maxCalled {
		note(fmt.Sprintf("b:%d", i), false, errors.New("reset"))
	}
	list := m.Calls()
	if len(list) != maxCalled || list[0].Target != fmt.Sprintf("b:%d", 3*maxCalled-1) || list[len(list)-1].Target != "a:1" {
		t.Errorf("%d calls, from %s to %s", len(list), list[0].Target, list[len(list)-1].Target)
	}
}

// TestListsChange: whom a list leaves out is hung up on when it is replaced, and so is who is banned in the
// file when that is read again; a file that is none changes nothing.
func TestListsChange(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		file := filepath.Join(w.dir, "banlist.json")
		n := w.start("n", func(o *Options) { o.BanFile = file })
		friend := w.strangerFrom("192.0.2.7", "n", newKey(t))
		w.strangerFrom("198.51.100.1", "n", newKey(t))
		synctest.Wait()
		if len(n.Peers()) != 2 {
			t.Fatalf("%d peers", len(n.Peers()))
		}
		n.SetLists([]peerinfo.NodeID{friend.key.ID()}, nil)
		synctest.Wait()
		if peers := n.Peers(); len(peers) != 1 || peers[0].ID != friend.key.ID() {
			t.Fatalf("connected: %+v", peers)
		}
		write := func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, bad := range []string{"{", `{"banned_nets":[{"version":1,"banned_until":1,"address":"nobody"}]}`} {
			write(bad)
			if err := n.ReloadBans(); err == nil || len(n.Bans()) != 0 {
				t.Errorf("%s: %v, %v", bad, err, n.Bans())
			}
		}
		write(fmt.Sprintf(`{"banned_nets":[{"version":1,"ban_created":1,"banned_until":%d,"address":"192.0.2.0/24"}]}`, time.Now().Add(time.Hour).Unix()))
		if err := n.ReloadBans(); err != nil || len(n.Bans()) != 1 {
			t.Fatal(err, n.Bans())
		}
		synctest.Wait()
		if len(n.Peers()) != 0 {
			t.Error("who is banned stays")
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := n.ReloadBans(); err != nil || len(n.Bans()) != 0 {
			t.Error(err, n.Bans())
		}
	})
}
