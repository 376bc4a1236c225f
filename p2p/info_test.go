package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/p2p/peerinfo"
)

// TestPeerInfo: both ends of a connection tell the same of it, and what they tell is what
// went over it.
func TestPeerInfo(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		a := w.start("a", nil)
		blocks := a.mine(5)
		b := w.start("b", nil, "a")
		w.agree("the chain", blocks[4].Hash(), b)
		a.pay(payment(blocks[0]))
		w.eventually("the payment", time.Minute, func() bool { return len(b.pool.Entries()) == 1 })
		b.Ping()
		time.Sleep(20 * time.Second)
		here, there := a.Peers()[0], b.Peers()[0]
		if here.Session != there.Session || here.Session.IsZero() || !here.Inbound || there.Inbound || here.Network != peerinfo.Unroutable {
			t.Errorf("%+v\n%+v", here, there)
		}
		if here.Common != 0 || there.Common != 5 || here.Presynced != -1 || here.ToAnnounce != 0 || here.LastAnnounced != 1 || here.PingWait != 0 {
			t.Errorf("%+v", here)
		}
		for _, name := range []string{"hello", "ping", "pong", "headers", "getblocks", "inv", "tx"} {
			if here.SentByType[name] != there.RecvByType[name] || here.RecvByType[name] != there.SentByType[name] || here.SentByType[name]+here.RecvByType[name] == 0 {
				t.Errorf("%s: %d sent and %d received, at the other end %d and %d", name, here.SentByType[name], here.RecvByType[name], there.RecvByType[name], there.SentByType[name])
			}
		}
		if here.SentByType["tx"] == 0 || here.SentByType["tx"] >= here.BytesSent {
			t.Errorf("%d bytes of transactions, %d in all", here.SentByType["tx"], here.BytesSent)
		}
	})
}

// TestPeerTypesWithoutName: messages of types that are not known are counted together.
func TestPeerTypesWithoutName(t *testing.T) {
	var counts traffic
	counts.add(2, 10)
	counts.add(200, 3)
	counts.add(255, 4)
	if got := counts.list(); len(got) != 2 || got["ping"] != 10 || got[otherTypes] != 7 {
		t.Errorf("%v", got)
	}
}

// TestUnansweredPing: a ping that has no answer yet is told of.
func TestUnansweredPing(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		s := w.stranger(n)
		release := s.Hold() // it cannot answer
		n.Ping()
		time.Sleep(30 * time.Second)
		info := n.Peers()[0]
		release()
		if info.PingWait != 30*time.Second {
			t.Errorf("%v", info.PingWait)
		}
	})
}
