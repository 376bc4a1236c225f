package event_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// world is a chain of which a test says what UpdatesSince tells, and a pool.
type world struct {
	tip     uint32
	fault   error
	entries []*pending.Entry
	changes []pending.Change
	first   uint64 // position of the first change that is remembered
}

func at(height uint32) types.Index {
	return types.Index{Height: height, Hash: types.Hash{byte(height), 1}}
}

func update(height uint32) consensus.BlockUpdate {
	return consensus.BlockUpdate{Update: &consensus.Update{Block: at(height), Parent: at(height - 1)}}
}

// UpdatesSince implements event.Blocks: above the tip blocks are reverted, below it they are applied.
func (w *world) UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error) {
	if w.fault != nil {
		return nil, nil, w.fault
	}
	height := since.Height
	for ; height > w.tip && len(reverted) < limit; height-- {
		reverted = append(reverted, update(height))
	}
	for ; height < w.tip && len(reverted)+len(applied) < limit; height++ {
		applied = append(applied, update(height+1))
	}
	return reverted, applied, nil
}

// ChangesSince implements event.Pool.
func (w *world) ChangesSince(position uint64, limit int) ([]pending.Change, uint64, bool) {
	if position < w.first || position > w.end() {
		return nil, position, false
	}
	list := w.changes[position-w.first:]
	list = slices.Clone(list[:min(limit, len(list))])
	return list, position + uint64(len(list)), true
}

func (w *world) end() uint64 { return w.first + uint64(len(w.changes)) }

// Snapshot implements event.Pool.
func (w *world) Snapshot() ([]*pending.Entry, uint64) { return slices.Clone(w.entries), w.end() }

// GetByWitness implements event.Pool.
func (w *world) GetByWitness(wtxid types.Hash) *pending.Entry {
	for _, e := range w.entries {
		if e.WTxID == wtxid {
			return e
		}
	}
	return nil
}

func (w *world) add(n byte) {
	w.entries = append(w.entries, &pending.Entry{TxID: types.Hash{n}, WTxID: types.Hash{n}})
	w.changes = append(w.changes, pending.Change{TxID: types.Hash{n}, WTxID: types.Hash{n}, Added: true})
}

func (w *world) remove(n byte) {
	w.entries = slices.DeleteFunc(w.entries, func(e *pending.Entry) bool { return e.TxID == types.Hash{n} })
	w.changes = append(w.changes, pending.Change{TxID: types.Hash{n}, WTxID: types.Hash{n}, Left: pending.LeftReplaced})
}

// all takes events to their end, and returns them in short.
func all(t *testing.T, s *event.Stream) (list []string) {
	t.Helper()
	for {
		events, err := s.Next(2)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return list
		}
		for _, e := range events {
			switch e.Kind {
			case event.BlockApplied, event.BlockReverted:
				list = append(list, fmt.Sprint(e.Kind, e.Block.Update.Block.Height))
			case event.PoolReset:
				list = append(list, string(e.Kind))
			default:
				list = append(list, fmt.Sprint(e.Kind, e.Change.TxID[0]))
			}
		}
		if events[len(events)-1].Cursor != s.At {
			t.Fatalf("the last event has %+v, the stream goes on at %+v", events[len(events)-1].Cursor, s.At)
		}
	}
}

func wantAll(t *testing.T, s *event.Stream, want ...string) {
	t.Helper()
	if got := all(t, s); !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestStream: blocks first, then the pool; from each cursor the rest follows.
func TestStream(t *testing.T) {
	w := &world{tip: 3}
	w.add(1)
	w.add(2)
	s := &event.Stream{Blocks: w, Pool: w, Run: 7, At: event.Cursor{Block: at(1)}}
	wantAll(t, s, "blockapplied2", "blockapplied3", "mempoolreset", "txadded1", "txadded2")
	w.tip = 1
	w.remove(1)
	w.add(3)
	w.add(4)
	w.remove(4) // it was gone before it could be told
	wantAll(t, s, "blockreverted3", "blockreverted2", "txremoved1", "txadded3", "txremoved4")
	kept := s.At
	w.add(5)
	wantAll(t, &event.Stream{Blocks: w, Pool: w, Run: 7, At: kept}, "txadded5")
	wantAll(t, &event.Stream{Blocks: w, At: kept})
	// Another run of the node, or a list that is forgotten: all that is there is told again.
	wantAll(t, &event.Stream{Blocks: w, Pool: w, Run: 8, At: kept}, "mempoolreset", "txadded2", "txadded3", "txadded5")
	w.first, w.changes = w.end()-1, w.changes[len(w.changes)-1:]
	kept.Pool--
	wantAll(t, &event.Stream{Blocks: w, Pool: w, Run: 7, At: kept}, "mempoolreset", "txadded2", "txadded3", "txadded5")
	wantAll(t, &event.Stream{Blocks: w, Pool: &world{}, Run: 9, At: kept}, "mempoolreset")
	w.fault = errors.New("pruned")
	if events, err := s.Next(2); len(events) > 0 || !errors.Is(err, w.fault) {
		t.Errorf("%v, %v", events, err)
	}
}

// TestBrokenList: a list of the pool that was not told to its end begins anew, and every
// event of it says so.
func TestBrokenList(t *testing.T) {
	w := &world{}
	for n := range 1200 {
		w.entries = append(w.entries, &pending.Entry{TxID: types.Hash{byte(n), byte(n >> 8)}, WTxID: types.Hash{byte(n), byte(n >> 8)}})
	}
	s := &event.Stream{Blocks: w, Pool: w, Run: 7, At: event.Cursor{Block: at(0)}}
	told := 0
	for s.At.Run == 0 {
		events, err := s.Next(2)
		if err != nil || len(events) == 0 {
			t.Fatal(events, err)
		}
		told += len(events)
		if s.At.Run != 0 {
			break
		}
		if got := all(t, &event.Stream{Blocks: w, Pool: w, Run: 7, At: s.At}); len(got) != 1201 {
			t.Errorf("after %d events of the list, %d follow", told, len(got))
		}
	}
	if told != 1201 || s.At.Run != 7 || s.Held() != 0 {
		t.Errorf("%d events, the last of run %d; %d bytes are held", told, s.At.Run, s.Held())
	}
}

// TestPassedOver: what has left before it could be told does not stop the stream.
func TestPassedOver(t *testing.T) {
	w := &world{}
	for n := range 1200 {
		w.entries = append(w.entries, &pending.Entry{TxID: types.Hash{1, byte(n), byte(n >> 8)}, WTxID: types.Hash{1, byte(n), byte(n >> 8)}})
	}
	s := &event.Stream{Blocks: w, Pool: w, Run: 7, At: event.Cursor{Block: at(0)}}
	if events, err := s.Next(2); err != nil || len(events) != 501 || s.Held() != 1200*types.HashSize {
		t.Fatalf("%d events, %d bytes, %v", len(events), s.Held(), err)
	}
	w.entries = nil
	for range 1100 {
		w.changes = append(w.changes, pending.Change{WTxID: types.Hash{9}, Added: true})
	}
	w.add(8)
	wantAll(t, s, "txadded8")
}
