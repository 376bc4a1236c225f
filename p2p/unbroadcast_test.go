package p2p

import (
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// TestUnbroadcast: what the pool says that no peer has is announced again and again, also
// to those who were told of it, until one asks for it or tells of it.
func TestUnbroadcast(t *testing.T) {
	for _, how := range []string{"asks", "tells"} {
		t.Run(how, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				pool := newListPool()
				tx := someTx(1)
				_, _ = pool.Accept(t.Context(), tx, 0)
				pool.list[0].Time = time.Now().Add(24 * time.Hour) // too young to be announced for another reason
				pool.local = []types.Hash{tx.WTxID(), {1}}         // of which one has left
				n := w.start("n", func(o *Options) { o.Pool = pool })
				time.Sleep(time.Second)
				deaf := w.stranger(n)
				if !deaf.hears(tx, time.Minute) {
					t.Fatal("a newcomer is not told of it")
				}
				for range 3 {
					if deaf.hears(tx, repeatLeast-2*time.Minute) || !deaf.hears(tx, repeatMost-repeatLeast+3*time.Minute) {
						t.Fatal("it is not announced again, or too early")
					}
				}
				n.Advance(repeatMost)
				if !deaf.hears(tx, time.Minute) {
					t.Fatal("time cannot be made to pass")
				}
				if how == "asks" {
					deaf.send(&wire.GetTxs{WTxIDs: []types.Hash{tx.WTxID()}})
				} else {
					deaf.send(&wire.Inv{WTxIDs: []types.Hash{tx.WTxID()}})
				}
				time.Sleep(time.Second)
				if slices.Contains(pool.Unbroadcast(), tx.WTxID()) {
					t.Fatal("a peer has it, and the pool is not told")
				}
				deaf.drain()
				if deaf.hears(tx, repeatMost+time.Minute) {
					t.Error("it is announced again though others have it")
				}
				deaf.conn.Close()
			})
		})
	}
}
