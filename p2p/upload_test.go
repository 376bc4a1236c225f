package p2p

import (
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestUploadTarget: the day's target leaves room for the blocks to come, as many as there
// are in what is left of the day, and is counted anew after it.
func TestUploadTarget(t *testing.T) {
	const block = 4_000_000
	now := time.Unix(1_800_000_000, 0)
	params := &consensus.Params{TargetSpacing: 600, MaxBlockWeight: block}
	u := newUploads(800_000_000, params, func() time.Time { return now })
	check := func(what string, serves, reached bool, left uint64, timeLeft time.Duration) {
		t.Helper()
		s := u.state()
		if s.ServesHistory != serves || s.Reached != reached || s.BytesLeft != left || s.TimeLeft != timeLeft || s.Target != 800_000_000 || s.Timeframe != 24*time.Hour {
			t.Errorf("%s: %+v", what, s)
		}
	}
	// Room for 144 blocks of 4 MB is 576 MB, and half of the target is less.
	check("at the beginning", true, false, 800_000_000, 24*time.Hour)
	u.count(399_999_999)
	check("nearly half", true, false, 400_000_001, 24*time.Hour)
	u.count(1)
	check("half", false, false, 400_000_000, 24*time.Hour)
	now = now.Add(12 * time.Hour) // 72 blocks are 288 MB
	check("half of the day later", true, false, 400_000_000, 12*time.Hour)
	u.count(112_000_000)
	check("room for 72 blocks", false, false, 288_000_000, 12*time.Hour)
	u.count(288_000_001)
	check("all", false, true, 0, 12*time.Hour)
	now = now.Add(12*time.Hour + time.Second)
	check("a day later", true, false, 800_000_000, 24*time.Hour)
	u.count(5)
	check("counted anew", true, false, 799_999_995, 24*time.Hour)

	u = newUploads(0, params, func() time.Time { return now })
	u.count(block)
	if s := u.state(); s.Reached || !s.ServesHistory || s.BytesLeft != 0 || s.TimeLeft != 0 {
		t.Errorf("without a target: %+v", s)
	}
}

// oldChain gives a node blocks of many bytes that are older than a week, and as many new
// ones that the old ones are no recent ones.
func (w *world) oldChain(n *testNode, count int) (old, young []*types.Block) {
	for range count {
		b := w.fat(w.build(n.chain.TipState(), 1)[0], 100)
		n.add(b)
		old = append(old, b)
	}
	for i := range uint32(recent + 1) {
		b := w.build(n.chain.TipState(), 1)[0]
		b.Header.Timestamp = uint32(time.Now().Unix()) + i
		n.add(chaintest.Mine(b))
		young = append(young, b)
	}
	return old, young
}

// draw asks for a block again and again, and returns how often it came before the node
// hung up.
func (s *stranger) draw(hash types.Hash, times int) (got int) {
	for range times {
		if s.send(&wire.GetBlocks{Hashes: []types.Hash{hash}}) != nil || next[*wire.Block](s, time.Minute) == nil {
			break
		}
		got++
	}
	return got
}

// TestHistoryHasATarget: who draws old blocks is hung up on when the day's target would be
// missed, and not banned. Recent blocks are sent to all, and those that the operator
// chose get all they ask for.
func TestHistoryHasATarget(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", func(o *Options) { o.MaxUpload = 20 << 20 })
		old, young := w.oldChain(n, 2)
		greedy := w.stranger(n)
		if got := greedy.draw(old[0].Hash(), 100); got < 10 || got > 13 {
			t.Errorf("%d MB of old blocks are sent, want about half of the target", got)
		}
		greedy.expect(hungUpOn, "who draws old blocks", time.Minute)
		if state := n.UploadTarget(); state.ServesHistory || state.Reached || state.BytesLeft == 0 {
			t.Errorf("%+v", state)
		}
		modest := w.stranger(n)
		if got := modest.draw(tip(young), 5); got != 5 {
			t.Errorf("a recent block is sent %d times", got)
		}
		modest.expect(stays, "who asks for recent blocks", time.Second)
		modest.conn.Close()
		friend := w.start("friend", nil)
		if err := n.AddNode("friend:1"); err != nil {
			t.Fatal(err)
		}
		w.agree("the chain, at whom the operator chose", tip(young), friend)
		time.Sleep(uploadCycle)
		if got := w.stranger(n).draw(old[0].Hash(), 1); got != 1 {
			t.Error("no old block is sent on the next day")
		}
	})
}

// TestHistoryIsShared: a stranger who draws old blocks as quickly as its line can, from
// many ids at one address, gets no more than one node can use, and a neighbour at another
// address is served as if nobody else were there.
func TestHistoryIsShared(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		old, _ := w.oldChain(n, 1)
		const ids, each = 4, 30
		size, began := old[0].Size(), time.Now()
		done := make(chan int, ids)
		for range ids {
			greedy := w.strangerFrom("greedy", "n", newKey(t))
			go func() { done <- greedy.draw(old[0].Hash(), each) }()
		}
		time.Sleep(100 * time.Millisecond) // of the world, in which reading takes none
		honest := w.strangerFrom("honest", "n", newKey(t))
		before := time.Now()
		if got := honest.draw(old[0].Hash(), 3); got != 3 || time.Since(before) > 100*time.Millisecond {
			t.Errorf("%d blocks in %s", got, time.Since(before))
		}
		drawn := 0
		for range ids {
			drawn += size * <-done
		}
		if drawn != ids*each*size {
			t.Errorf("%d bytes are sent, of %d", drawn, ids*each*size)
		}
		least := time.Duration(float64(drawn-historyBurst-(ids+1)*size) / historyRate * float64(time.Second))
		if took := time.Since(began); took < least {
			t.Errorf("%d bytes are drawn in %s, want at least %s", drawn, took, least)
		}
	})
}

// TestDrains: addresses are forgotten once they may draw as much as a new one.
func TestDrains(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	u := newUploads(0, &consensus.Params{}, func() time.Time { return now })
	for i := range 100 * maxDrains {
		now = now.Add(100 * time.Millisecond)
		if wait := u.draw(string(rune(i)), historyBurst); wait != 0 {
			t.Fatalf("a new address waits for %s", wait)
		}
	}
	if len(u.drains) > maxDrains {
		t.Errorf("%d addresses are remembered", len(u.drains))
	}
}
