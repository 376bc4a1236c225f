package mempool

import (
	"testing"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// told is the pool as one knows it who hears of its changes alone.
type told struct {
	position, sequence uint64
	txs                map[types.Hash]bool // by witness id
}

// follow takes the changes, and compares what comes of them with the pool.
func (k *told) follow(t *testing.T, p *Pool, counts map[string]int) {
	t.Helper()
	for {
		changes, next, ok := p.ChangesSince(k.position, 3)
		if !ok {
			t.Fatalf("changes from %d on are forgotten", k.position)
		}
		for _, c := range changes {
			if c.Block != nil {
				if c.Sequence != k.sequence {
					t.Fatalf("change %+v after %d", c, k.sequence)
				}
				counts["block told"]++
				continue
			}
			if k.txs[c.WTxID] == c.Added || c.Added != (c.Left == "") || c.Sequence != k.sequence+1 {
				t.Fatalf("change %+v after %d, it is there: %v", c, k.sequence, k.txs[c.WTxID])
			}
			if c.Added {
				k.txs[c.WTxID] = true
			} else {
				delete(k.txs, c.WTxID)
				counts["left: "+string(c.Left)]++
			}
			k.sequence++
		}
		k.position = next
		if len(changes) == 0 {
			break
		}
	}
	entries, position := p.Snapshot()
	if position != k.position || len(entries) != len(k.txs) {
		t.Fatalf("%d transactions at %d, told of %d up to %d", len(entries), position, len(k.txs), k.position)
	}
	for _, e := range entries {
		if !k.txs[e.WTxID] {
			t.Fatalf("%s was not told", e.WTxID)
		}
	}
	if _, sequence := p.Listing(); sequence != k.sequence+1 {
		t.Fatalf("the next change is number %d, want %d", sequence, k.sequence+1)
	}
}

// TestForgottenChanges: the list of changes has an end, and whoever is behind it is told so.
func TestForgottenChanges(t *testing.T) {
	var l changeLog
	e := &pending.Entry{}
	for range 3 * changesKept {
		l.add(e, "")
	}
	p := &Pool{journal: l}
	if l.first != changesKept || l.end() != 3*changesKept {
		t.Errorf("it has %d to %d", l.first, l.end())
	}
	for _, at := range []uint64{changesKept - 1, 3*changesKept + 1} {
		if _, _, ok := p.ChangesSince(at, 1); ok {
			t.Errorf("it knows what came after %d", at)
		}
	}
	if list, next, ok := p.ChangesSince(changesKept, 5); !ok || len(list) != 5 || next != changesKept+5 || list[0].Sequence != changesKept+1 {
		t.Errorf("it knows %v, %d, %v", list, next, ok)
	}
}
