package p2p

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/peerinfo"
	"github.com/karatcoin/karat/p2p/wire"
)

// ourLine is one over which so many bytes a second come, for all connections together.
type ourLine struct {
	rate int
	turn chan time.Time // one slot: when it is free
}

// slowConn is a connection over a line.
type slowConn struct {
	net.Conn
	line *ourLine
}

// Read implements net.Conn.
func (c slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 1024)])
	free := <-c.line.turn
	if now := time.Now(); free.Before(now) {
		free = now
	}
	free = free.Add(time.Duration(n) * time.Second / time.Duration(c.line.rate))
	c.line.turn <- free
	time.Sleep(time.Until(free))
	return n, err
}

// TestOurLineIsSlow: when our own line is slow, all peers are. None is hung up on or called
// again, and what they send is not sent twice.
func TestOurLineIsSlow(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		slow := &ourLine{8 << 10, make(chan time.Time, 1)}
		slow.turn <- time.Now()
		var blocks []*types.Block
		for state := w.params.GenesisState(); len(blocks) < 30; state = after(state, blocks[len(blocks)-1]) {
			blocks = append(blocks, w.fat(w.build(state, 1)[0], 5))
		}
		size := 0
		for _, b := range blocks {
			size += b.Size()
		}
		names := []string{"a", "b", "c"}
		for _, name := range names {
			w.start(name, nil).add(blocks...)
		}
		n := w.start("n", func(o *Options) {
			o.Dial = func(_ context.Context, address string) (net.Conn, error) {
				conn, err := w.dial("n", address)
				return slowConn{conn, slow}, err
			}
		}, names...)
		w.agree("the chain", tip(blocks), n)
		received, _ := n.Totals()
		t.Logf("%d bytes for %d", received, size)
		if int(received) > size*5/4 {
			t.Errorf("%d bytes came, the blocks have %d", received, size)
		}
		for _, name := range names {
			w.mu.Lock()
			if calls := len(w.calls[name+":1"]); calls != 1 {
				t.Errorf("%s was called %d times", name, calls)
			}
			w.mu.Unlock()
		}
	})
}

// TestStallersAreRemembered: an id that brought nothing is asked for little when it comes
// back, and other ids of its address come after those of others, for a while.
func TestStallersAreRemembered(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		blocks := w.build(w.params.GenesisState(), 6)
		key := newKey(t)
		for i, want := range []int{firstCaller, 1} {
			s := w.strangerFrom("evil", "n", key)
			s.tell(blocks)
			if got, _, _ := s.asked(); len(got) != want {
				t.Errorf("call %d: %d blocks are asked for, want %d", i, len(got), want)
			}
			s.conn.Close()
			time.Sleep(time.Second)
		}
		same := w.strangerFrom("evil", "n", newKey(t))
		same.tell(blocks[:3]) // one of a branch is asked for first
		if got, _, _ := same.asked(); len(got) != 3 {
			t.Errorf("an address is kept out: %d blocks are asked for", len(got))
		}
		same.conn.Close()
		time.Sleep(time.Second)
		evil, other := w.strangerFrom("evil", "n", newKey(t)), w.strangerFrom("other", "n", newKey(t))
		evil.tell(blocks)
		other.tell(blocks)
		go other.serve(blocks...)
		w.agree("the chain", tip(blocks), n)
		evil.conn.Close()
		other.conn.Close()
	})
}

// TestStallMemory: what is remembered of stallers is bounded, counts less with time, and
// ends for an id that delivers.
func TestStallMemory(t *testing.T) {
	s := stallers{map[string]stalls{}}
	now := time.Unix(1_800_000_000, 0)
	of := func(i int, address string) *peer {
		return &peer{id: peerinfo.NodeID{byte(i), byte(i >> 8)}, address: address}
	}
	for i := range 3 * maxBanned {
		s.note(of(i, fmt.Sprintf("192.0.2.%d:1", i%7)), now)
	}
	if len(s.by) > maxBanned+1 {
		t.Errorf("%d are remembered", len(s.by))
	}
	s = stallers{map[string]stalls{}}
	for range 4 {
		s.note(of(1, "192.0.2.1:1"), now)
	}
	other := of(2, "192.0.2.1:7")
	if !s.knows(of(1, "192.0.2.9:1"), now) || s.knows(other, now) || s.near(other, now) != 4 || s.near(of(1, "192.0.2.9:1"), now) != 0 {
		t.Error("ids and addresses are taken for each other")
	}
	if s.near(other, now.Add(stallMemory)) != 2 || s.near(other, now.Add(100*stallMemory)) != 0 || s.knows(of(1, ""), now.Add(100*stallMemory)) {
		t.Error("it counts for ever")
	}
	s.forgive(of(1, ""))
	if s.knows(of(1, ""), now) {
		t.Error("who delivers is not forgiven")
	}
}

// TestSyncGoesOn: a node that syncs serves what it has to others, and does not ask for it
// again after a restart.
func TestSyncGoesOn(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		blocks := w.build(w.params.GenesisState(), 40)
		n := w.start("n", nil)
		s := w.stranger(n)
		s.tell(blocks)
		go s.serve(blocks[:20]...)
		w.agree("half", blocks[19].Hash(), n)
		other := w.start("other", nil, "n")
		w.together("half, from a node that syncs", blocks[19].Hash(), other)
		if !n.Syncing() {
			t.Error("it does not sync any more")
		}
		s.conn.Close()
		n.stop()
		n = w.start("n", nil)
		s = w.stranger(n)
		s.tell(blocks)
		asked := map[types.Hash]bool{}
		for n.chain.Tip().Hash != tip(blocks) {
			get := next[*wire.GetBlocks](s, time.Minute)
			if get == nil {
				t.Fatal("nothing is asked for")
			}
			for _, hash := range get.Hashes {
				asked[hash] = true
			}
			s.sendBlocks(get.Hashes, blocks)
			time.Sleep(time.Second)
		}
		for _, b := range blocks[:20] {
			if asked[b.Hash()] {
				t.Error("a block is asked for again")
			}
		}
		if len(asked) != 20 {
			t.Errorf("%d blocks are asked for", len(asked))
		}
		w.agree("the chain", tip(blocks), other)
		s.conn.Close()
	})
}

// drip sends a block without end, a fragment every ten seconds.
func drip(s *stranger, blocks []*types.Block) {
	s.tell(blocks)
	if next[*wire.GetBlocks](s, time.Hour) == nil {
		return
	}
	part := wire.Fragment{Lane: wire.Bulk, Type: wire.TypeBlock, Total: 900_000, Data: make([]byte, wire.MaxFragmentData)}
	for range 50 {
		if _, err := s.conn.Write(wire.AppendFragment(nil, part)); err != nil {
			return
		}
		time.Sleep(10 * time.Second)
	}
}

// TestSlowBlock: while a block comes from a peer of our own choice, a node syncs, but not
// for ever, and not for callers.
func TestSlowBlock(t *testing.T) {
	for _, ours := range []bool{true, false} {
		t.Run(fmt.Sprint(ours), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				n := w.start("n", nil)
				blocks := w.build(w.params.GenesisState(), 5)
				if ours {
					w.hostStranger("called", func(s *stranger) { drip(s, blocks) })
					if err := n.AddNode("called:1"); err != nil {
						t.Fatal(err)
					}
				} else {
					s := w.stranger(n)
					go drip(s, blocks)
				}
				time.Sleep(2 * time.Minute)
				if n.Syncing() != ours {
					t.Errorf("it syncs: %v", n.Syncing())
				}
				time.Sleep(slowBlock)
				if n.Syncing() {
					t.Error("it syncs for ever")
				}
				n.stop()
				time.Sleep(11 * time.Second) // the drip ends
			})
		})
	}
}

// TestGivesNothing: a peer that discovery called and that has brought no block for a long
// time is hung up on once others bring them, and not while nobody does.
func TestGivesNothing(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		name                   string
		inbound, manual, brief bool
		took                   time.Duration
		want                   bool
	}{
		{name: "called", want: true}, {name: "caller", inbound: true}, {name: "manual", manual: true}, {name: "brief", brief: true}, {name: "slow", took: time.Hour},
	} {
		since := now.Add(-2 * slowTimeout)
		if c.brief {
			since = now.Add(-time.Minute)
		}
		sp := &syncPeer{took: c.took, late: map[types.Hash]*flight{{1}: {since: since}}}
		if got := (&syncer{}).givesNothing(&peer{inbound: c.inbound, manual: c.manual}, sp, now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.brief != (len(sp.late) == 1) {
			t.Errorf("%s: %d are late", c.name, len(sp.late))
		}
	}
}

// TestPresyncMemory: what is kept of headers that are not stored yet is bounded for all
// callers together. Who has most begins anew, and never a peer of our own choice.
func TestPresyncMemory(t *testing.T) {
	s := &syncer{peers: map[*peer]*syncPeer{}}
	add := func(inbound bool, marks int) *syncPeer {
		sp := &syncPeer{presync: &presync{marks: make([]types.Hash, marks)}}
		s.peers[&peer{inbound: inbound}] = sp
		return sp
	}
	ours, small := add(false, maxMarks), add(true, 10)
	for range 2 * maxAllMarks / maxMarks {
		add(true, maxMarks)
		s.boundMarks()
		total := 0
		for p, sp := range s.peers {
			if p.inbound && sp.presync != nil {
				total += len(sp.presync.marks)
			}
		}
		if total > maxAllMarks {
			t.Fatalf("%d are kept", total)
		}
	}
	if ours.presync == nil || small.presync == nil {
		t.Error("who has few has to begin anew")
	}
}
