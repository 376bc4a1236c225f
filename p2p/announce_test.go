package p2p

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// hears reports whether a peer is told of a transaction in time.
func (s *stranger) hears(tx *types.Tx, patience time.Duration) bool {
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		inv := next[*wire.Inv](s, time.Until(end))
		if inv == nil {
			return false
		}
		for _, wtxid := range inv.WTxIDs {
			if wtxid == tx.WTxID() {
				return true
			}
		}
	}
	return false
}

// TestNothingBeforeItsTime: who asks for a transaction of which it was not told does not
// find out whether it is here.
func TestNothingBeforeItsTime(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		spy := w.stranger(n)
		early := 0
		for i := range 4 {
			time.Sleep(5 * time.Second)
			spy.drain()
			tx := n.pay(payment(base[i]))
			spy.send(&wire.GetTxs{WTxIDs: []types.Hash{tx.WTxID()}})
			spy.send(&wire.GetParents{TxIDs: []types.Hash{tx.TxID()}})
			synctest.Wait()
			if next[*wire.Tx](spy, time.Millisecond) != nil {
				early++
			}
			if !spy.hears(tx, time.Minute) {
				t.Fatal("it is never told of the transaction")
			}
			spy.send(&wire.GetTxs{WTxIDs: []types.Hash{tx.WTxID()}})
			if next[*wire.Tx](spy, time.Second) == nil {
				t.Error("what was announced is not given")
			}
		}
		if early > 0 {
			t.Errorf("%d of 4 transactions were given before they were announced", early)
		}
		spy.conn.Close()
	})
}

// TestCallersHearTogether: a second connection of a spy learns nothing more.
func TestCallersHearTogether(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		a, b := w.stranger(n), w.stranger(n)
		time.Sleep(10 * time.Second)
		for i := range 4 {
			tx := n.pay(payment(base[i]))
			if !a.hears(tx, time.Minute) || !b.hears(tx, time.Millisecond) {
				t.Error("two callers hear of a transaction at different times")
			}
			time.Sleep(time.Second)
		}
		a.conn.Close()
		b.conn.Close()
	})
}

// TestUnheardIsRepeated: what nobody asked for is announced again, until somebody does.
func TestUnheardIsRepeated(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		deaf := w.stranger(n)
		time.Sleep(time.Second)
		tx := n.pay(payment(base[0]))
		if !deaf.hears(tx, time.Minute) || !deaf.hears(tx, repeatMost+time.Minute) {
			t.Fatal("it is announced only once")
		}
		deaf.send(&wire.GetTxs{WTxIDs: []types.Hash{tx.WTxID()}})
		if next[*wire.Tx](deaf, time.Second) == nil {
			t.Fatal("it does not come")
		}
		n.txs.mu.Lock()
		if len(n.txs.unheard) > 0 {
			t.Error("it would be announced again though others have it")
		}
		n.txs.mu.Unlock()
		deaf.conn.Close()
	})
}

// TestOverdueIsRenewed: what should have been mined is announced to all again, whoever it
// came from, so that nothing tells which are our own.
func TestOverdueIsRenewed(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		base := n.mine(5)
		s, other := w.stranger(n), w.stranger(n)
		time.Sleep(time.Second)
		own, foreign := n.pay(payment(base[0])), payment(base[1])
		if !other.hears(own, time.Minute) {
			t.Fatal("it is not announced")
		}
		other.send(&wire.GetTxs{WTxIDs: []types.Hash{own.WTxID()}})
		s.offer(foreign)
		if !other.hears(foreign, time.Minute) {
			t.Fatal("it is not announced")
		}
		other.drain()
		inv := next[*wire.Inv](other, renewAge+2*renewEvery)
		if inv == nil || len(inv.WTxIDs) != 2 {
			t.Errorf("announced again: %v", inv)
		}
		s.conn.Close()
		other.conn.Close()
	})
}

// TestFilterTellsLittle: a feerate is rounded, and a node that is behind wants nothing.
func TestFilterTellsLittle(t *testing.T) {
	for _, c := range []struct{ rate, lowest, want types.FeeRate }{
		{1000, 1000, 1000}, {1099, 1000, 1000}, {1100, 1000, 1100}, {5000, 1000, 4588}, {0, 0, 0}, {7, 0, 7}, {nothing, 1000, nothing}, {999, 1000, 1000},
	} {
		if got := rounded(c.rate, c.lowest); got != c.want {
			t.Errorf("%d is rounded to %d, want %d", c.rate, got, c.want)
		}
	}
	simulate(t, func(t *testing.T, w *world) {
		n := w.start("n", nil)
		n.mine(1)
		blocks := w.build(n.chain.TipState(), 5)
		s := w.stranger(n)
		s.send(&wire.Headers{Headers: headersOf(blocks...)})
		if get, _, _ := s.asked(); len(get) == 0 {
			t.Fatalf("asked for %d blocks", len(get))
		}
		late := w.stranger(n)
		if filter := next[*wire.FeeFilter](late, time.Second); filter == nil || filter.MinFeeRate != nothing {
			t.Errorf("a node that is behind wants %v", filter)
		}
		for _, b := range blocks {
			s.send(&wire.Block{Raw: b.AppendTo(nil)})
		}
		if filter := next[*wire.FeeFilter](late, time.Minute); filter == nil || filter.MinFeeRate != n.pool.MinFeeRate() {
			t.Errorf("a node that is not wants %v", filter)
		}
		s.conn.Close()
		late.conn.Close()
	})
}
