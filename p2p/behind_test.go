package p2p

import (
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestStaysBehind: a peer of discovery whose chain stays behind is asked after a while
// whether it has our tip, and hung up on if it does not tell of what was the tip when it
// was seen to be behind. Who catches up with that stays, though there is a newer tip.
func TestStaysBehind(t *testing.T) {
	at := func(height int) types.Index {
		return types.Index{Height: uint32(height), Hash: types.Hash{byte(height)}}
	}
	told, asked := 5, 0
	d := newDiscovery(discoveryOptions{full: 1, chain: chainView{
		told: func(*peer) types.Index { return at(told) },
		news: func(*peer) time.Time { return time.Time{} },
		work: func(hash types.Hash) (consensus.Uint256, bool) {
			return consensus.Uint256{}.Add(workOfHeight(int(hash[0]))), hash != types.Hash{}
		},
		ask: func(*peer) { asked++ },
	}}, time.Now, slog.New(slog.DiscardHandler))
	near, far := net.Pipe()
	defer far.Close()
	p := &peer{}
	p.open()
	p.conn, p.ended = near, func(error) {}
	o := &outgoing{peer: p}
	d.outgoing[o] = struct{}{}
	now := time.Unix(1_800_000_000, 0)
	look := func(tip int, later time.Duration, wantAsked int, wantClosed bool) {
		t.Helper()
		now = now.Add(later)
		d.look(o, at(tip), now)
		if asked != wantAsked || p.closing.Load() != wantClosed {
			t.Fatalf("tip %d: asked %d times, closed %v", tip, asked, p.closing.Load())
		}
	}
	look(10, 0, 0, false)
	look(10, behindTime-time.Second, 0, false)
	look(10, time.Second, 1, false)
	told = 10
	look(11, behindAnswer, 1, false)
	look(11, behindTime, 2, false)
	look(12, behindAnswer-time.Second, 2, false)
	look(12, time.Second, 2, true)
	if <-p.closed; !errors.Is(p.closeErr, errBehind) {
		t.Error(p.closeErr)
	}
}

// workOfHeight is some work that grows with the height.
func workOfHeight(height int) (work consensus.Uint256) {
	for range height {
		work = work.Add(consensus.BlockWork(0x207fffff))
	}
	return work
}

// TestTold: what we tell a peer is nothing that it told us, it is asked for our tip in a
// way that it can answer, and only a block that nobody told of before is news.
func TestTold(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		s, other := w.stranger(n), w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(base[:3]...)})
		time.Sleep(time.Second)
		s.drain()
		var p *peer
		for _, one := range n.slots.all() {
			if n.sync.told(one).Height == 3 {
				p = one
			}
		}
		if p == nil {
			t.Fatal("what it told of is not known")
		}
		next := n.mine(1)
		time.Sleep(time.Second)
		if told := n.sync.told(p); told.Height != 3 || !n.sync.news(p).IsZero() {
			t.Errorf("it told of %v", told)
		}
		s.drain()
		n.sync.askTip(p)
		time.Sleep(time.Second)
		if get := nextGetHeaders(s); get == nil || get.Locator[0] != tip(base) {
			t.Fatalf("asked for %v", get)
		}
		s.send(&wire.Headers{Headers: headersOf(next...)})
		time.Sleep(time.Second)
		if told := n.sync.told(p); told.Hash != tip(next) || !n.sync.news(p).IsZero() {
			t.Errorf("it told of %v, new to us at %s", told, n.sync.news(p))
		}
		s.send(&wire.Headers{Headers: w.bareHeaders(n.chain.TipState(), 1)})
		time.Sleep(time.Second)
		if n.sync.news(p).IsZero() {
			t.Error("a new block is no news")
		}
		s.conn.Close()
		other.conn.Close()
	})
}

// nextGetHeaders is the next request for headers.
func nextGetHeaders(s *stranger) *wire.GetHeaders { return next[*wire.GetHeaders](s, time.Second) }
