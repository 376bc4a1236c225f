package web

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// crowd is a pool of payments to one script, and its journal.
type crowd struct {
	Pool
	Blocks
	Journal
	entries []*pending.Entry
	byTxID  map[types.Hash]*pending.Entry
	changes []pending.Change
}

func (c *crowd) Get(txid types.Hash) *pending.Entry { return c.byTxID[txid] }
func (c *crowd) Snapshot() ([]*pending.Entry, uint64) {
	return c.entries, uint64(len(c.changes))
}
func (c *crowd) ChangesSince(at uint64, most int) ([]pending.Change, uint64, bool) {
	end := min(at+uint64(most), uint64(len(c.changes)))
	return c.changes[at:end], end, true
}
func (c *crowd) Coins(_ context.Context, o []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error) {
	return make([]consensus.FetchedCoin, len(o)), consensus.State{}, nil
}

func (c *crowd) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

// TestCrowd: of very many payments to one script each that leaves is found at once, and the
// rest is right.
func TestCrowd(t *testing.T) {
	const all = 40_000
	script := []byte{0x52, 2, 1, 2}
	c := &crowd{byTxID: map[types.Hash]*pending.Entry{}}
	for n := range all {
		e := &pending.Entry{Tx: &types.Tx{Inputs: make([]types.TxIn, 1), Outputs: []types.TxOut{{Value: 1, ScriptPubKey: script}}}, Time: time.Unix(int64(n), 0)}
		binary.BigEndian.PutUint32(e.TxID[:], uint32(n))
		c.entries, c.byTxID[e.TxID] = append(c.entries, e), e
	}
	w := newWaitingScripts(&Options{Journal: c, Pool: c, Blocks: c})
	count := func(want int) {
		t.Helper()
		list, err := w.of(t.Context(), indexed.HashScript(script))
		if err != nil || len(list) != want {
			t.Fatalf("%d wait, want %d: %v", len(list), want, err)
		}
		for i, waits := range list {
			if waits.entry != c.byTxID[waits.txid] || i > 0 && !waits.entry.Time.After(list[i-1].entry.Time) {
				t.Fatalf("the transaction at %d is out of order, or another one's", i)
			}
		}
	}
	count(all)
	for n := range all {
		if e := c.entries[n]; n%4 != 0 {
			delete(c.byTxID, e.TxID)
			c.changes = append(c.changes, pending.Change{TxID: e.TxID})
		}
	}
	count(all / 4)
	for n := 0; n < all; n += 4 {
		delete(c.byTxID, c.entries[n].TxID)
		c.changes = append(c.changes, pending.Change{TxID: c.entries[n].TxID})
	}
	count(0)
	if len(w.scripts) != 0 || len(w.touches) != 0 {
		t.Errorf("%d scripts and %d transactions stay behind", len(w.scripts), len(w.touches))
	}
}
