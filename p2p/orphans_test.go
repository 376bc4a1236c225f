package p2p

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// orphansOf is an orphanage in which a peer's address is what its orphans count against.
func orphansOf() orphanage {
	return newOrphanage(func(p *peer) string { return p.address }, func() time.Time { return time.Unix(1_700_000_000, 0) })
}

// check finds out whether an orphanage counts right.
func (o *orphanage) check(t *testing.T) {
	t.Helper()
	count, bytes := 0, 0
	for name, h := range o.held {
		own := 0
		for _, kept := range h.list {
			own += kept.size
			if o.byID[kept.wtxid] != kept {
				t.Errorf("%s holds one that is gone", name)
			}
		}
		if own != h.bytes || len(h.list) == 0 {
			t.Errorf("%s: %d orphans of %d bytes, counted %d", name, len(h.list), own, h.bytes)
		}
		count, bytes = count+len(h.list), bytes+own
	}
	if count != o.count || bytes != o.bytes || count > maxOrphans || bytes > maxOrphanBytes {
		t.Errorf("%d orphans of %d bytes, counted %d of %d", count, bytes, o.count, o.bytes)
	}
	for _, kept := range o.byID {
		if len(kept.owners) == 0 || len(kept.owners) > maxOwners || kept.asked > len(kept.owners) {
			t.Errorf("%d owners, %d asked", len(kept.owners), kept.asked)
		}
		if kept.sender != nil && !slices.Contains(kept.owners, kept.sender) {
			t.Error("the sender is no owner")
		}
		for _, parent := range kept.parents {
			if !o.spend[parent][kept] {
				t.Error("a parent does not lead to its child")
			}
		}
	}
}

// TestOrphansOfOthersStay: a flood from some addresses pushes out its own orphans. Those of
// others stay, and so does one that both have.
func TestOrphansOfOthersStay(t *testing.T) {
	o := orphansOf()
	honest := &peer{address: "honest"}
	shared, own := someTx(1), someTx(2)
	evil := make([]*peer, 40)
	for i := range evil {
		evil[i] = &peer{address: string(rune('a' + i%4))} // ten ids of each address
	}
	o.add(evil[0], shared, shared.WTxID())
	o.add(honest, shared, shared.WTxID())
	o.add(honest, own, own.WTxID())
	for i := range 5 * maxOrphans {
		tx := someTx(10 + i)
		o.add(evil[i%len(evil)], tx, tx.WTxID())
	}
	o.check(t)
	if o.byID[shared.WTxID()] == nil || o.byID[own.WTxID()] == nil {
		t.Error("an honest peer's orphans are gone")
	}
	if o.count < maxOrphans/2 {
		t.Errorf("%d orphans", o.count)
	}
	for _, p := range evil {
		o.leave(p)
	}
	o.check(t)
	if len(o.byID) != 2 || o.count != 2 {
		t.Errorf("%d orphans are left", len(o.byID))
	}
}

// TestOrphansCount: whatever comes and goes, the counts are true.
func TestOrphansCount(t *testing.T) {
	o := orphansOf()
	peers := make([]*peer, 12)
	for i := range peers {
		peers[i] = &peer{address: string(rune('a' + i%10)), inbound: i%3 > 0}
	}
	for range 20_000 {
		p, tx := peers[rand.IntN(len(peers))], someTx(rand.IntN(2500))
		switch rand.IntN(40) {
		case 0:
			o.leave(p)
		case 1, 2, 3:
			if kept := o.byID[tx.WTxID()]; kept != nil {
				o.remove(kept)
			}
		default:
			o.add(p, tx, tx.WTxID())
		}
	}
	o.check(t)
	for _, p := range peers {
		o.leave(p)
	}
	if o.check(t); len(o.byID) != 0 || o.count != 0 {
		t.Errorf("%d orphans are left", len(o.byID))
	}
}

// TestOrphansOfManyBytes: a few large ones leave no room for more of the same peer.
func TestOrphansOfManyBytes(t *testing.T) {
	o := orphansOf()
	small := someTx(1)
	o.add(&peer{address: "honest"}, small, small.WTxID())
	for i := range 100 {
		tx := someTx(10 + i)
		tx.Inputs[0].Witness = [][]byte{make([]byte, 390_000)}
		o.add(&peer{address: "evil"}, tx, tx.WTxID())
	}
	o.check(t)
	if o.byID[small.WTxID()] == nil || o.bytes < maxOrphanBytes-400_000 {
		t.Errorf("%d bytes, the small one: %v", o.bytes, o.byID[small.WTxID()] != nil)
	}
}

// TestParentsOf: each once.
func TestParentsOf(t *testing.T) {
	tx := &types.Tx{Inputs: []types.TxIn{
		{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}, {PreviousOutPoint: types.OutPoint{TxID: types.Hash{2}}},
		{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}, Index: 7}},
	}}
	if got := parentsOf(tx); len(got) != 2 || got[0] != (types.Hash{1}) || got[1] != (types.Hash{2}) {
		t.Errorf("%v", got)
	}
}
