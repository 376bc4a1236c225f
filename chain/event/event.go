// Package event makes one sequence of what happens to the chain and the pool, for all who
// tell it to others: subscriptions of RPC clients, and whatever else leaves the node.
//
// The sequence is not stored. It is made from a cursor, the last block that somebody was
// told of: from there the chain knows the way to its tip, back and forth. So who was
// away misses nothing and hears nothing twice, whoever of the two was stopped.
//
//	s := event.Stream{Blocks: chain, Pool: pool, Run: run, At: cursor}
//	events, err := s.Next(2) // none: all is told
//	… // tell them; keep the cursor of each with what it has changed
//
// The pool forgets what it had when the node ends, and so there are two kinds of events of
// it: what came and left, and that a list of all begins anew.
package event

import (
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// Kind is what happened.
type Kind string

// The kinds.
const (
	BlockReverted Kind = "blockreverted" // the tip is its parent now
	BlockApplied  Kind = "blockapplied"
	PoolReset     Kind = "mempoolreset" // the pool is as if empty: TxAdded follow for all that is there
	TxAdded       Kind = "txadded"      // the pool has it now
	TxRemoved     Kind = "txremoved"    // the pool has it no more
)

// Cursor is a place in the sequence. Who keeps the cursor of the last event that it has
// worked in can go on behind it.
type Cursor struct {
	Sequence uint64 // the number of the event, counted by whoever tells it
	Block    types.Index
	// Run is the run of the node that Pool is of; 0: the pool was not told, or not to its end.
	Run  uint64
	Pool uint64 // position among the pool's changes
}

// Event is something that happened.
type Event struct {
	Kind   Kind
	Cursor Cursor                 // behind it
	Block  *consensus.BlockUpdate // of BlockReverted and BlockApplied
	Entry  *pending.Entry         // of TxAdded
	Change pending.Change         // of TxAdded and TxRemoved
}

// Blocks is the chain.
type Blocks interface {
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
}

// Pool is the pool.
type Pool interface {
	ChangesSince(position uint64, limit int) (changes []pending.Change, next uint64, ok bool)
	Snapshot() (entries []*pending.Entry, position uint64)
	GetByWitness(wtxid types.Hash) *pending.Entry
}

// changesAtOnce is how many changes of the pool are looked at in a step.
const changesAtOnce = 500

// Stream makes the sequence from a cursor on.
type Stream struct {
	Blocks Blocks
	Pool   Pool   // nil: of blocks alone
	Run    uint64 // of the node; not 0
	At     Cursor // behind the last event of Next

	// Of a list of all that is not told to its end. Ids do not keep what has left the pool
	// in memory.
	listing []types.Hash // the witness ids that are not told yet
	listed  uint64       // the position behind it
	held    int          // bytes of the whole list
}

// Held is how many bytes the stream keeps: those of a list of all that waits, until it is
// told to its end.
func (s *Stream) Held() int { return s.held }

// Next returns what comes next, of at most so many blocks, and moves on. Blocks come
// before the pool. An error is that of Blocks. Of a transaction that has left the pool
// before it could be told, only that is told.
func (s *Stream) Next(blocks int) (events []Event, err error) {
	reverted, applied, err := s.Blocks.UpdatesSince(s.At.Block, blocks)
	for i := range reverted {
		s.At.Block = reverted[i].Update.Parent
		events = append(events, Event{Kind: BlockReverted, Cursor: s.At, Block: &reverted[i]})
	}
	for i := range applied {
		s.At.Block = applied[i].Update.Block
		events = append(events, Event{Kind: BlockApplied, Cursor: s.At, Block: &applied[i]})
	}
	if len(events) > 0 || err != nil || s.Pool == nil {
		return events, err
	}
	for more := true; more && len(events) == 0; {
		from, left := s.At, len(s.listing)
		events = s.pool()
		more = s.At != from || len(s.listing) != left // what left meanwhile is passed over
	}
	return events, nil
}

// pool returns the next events of the pool. There may be none although it has moved on.
func (s *Stream) pool() (events []Event) {
	if s.At.Run == s.Run {
		changes, next, ok := s.Pool.ChangesSince(s.At.Pool, changesAtOnce)
		if ok {
			return s.changes(changes, next)
		}
	}
	if s.listing == nil {
		s.At.Run, s.At.Pool = 0, 0 // a list that breaks off begins anew
		var entries []*pending.Entry
		entries, s.listed = s.Pool.Snapshot()
		s.listing = make([]types.Hash, len(entries))
		for i, e := range entries {
			s.listing[i] = e.WTxID
		}
		s.held = len(entries) * types.HashSize
		events = append(events, Event{Kind: PoolReset, Cursor: s.At})
	}
	part := s.listing[:min(len(s.listing), changesAtOnce)]
	s.listing = s.listing[len(part):]
	for _, wtxid := range part {
		e := s.Pool.GetByWitness(wtxid)
		if e == nil {
			continue // it has left meanwhile
		}
		events = append(events, Event{
			Kind: TxAdded, Cursor: s.At, Entry: e, Change: pending.Change{TxID: e.TxID, WTxID: e.WTxID, Added: true},
		})
	}
	if len(s.listing) == 0 {
		s.listing, s.held, s.At.Run, s.At.Pool = nil, 0, s.Run, s.listed
		if len(events) > 0 {
			events[len(events)-1].Cursor = s.At
		}
	}
	return events
}

func (s *Stream) changes(changes []pending.Change, next uint64) (events []Event) {
	first := next - uint64(len(changes))
	for i, c := range changes {
		s.At.Pool = first + uint64(i) + 1
		if c.Block != nil { // it is of the chain, which is told by itself
			continue
		}
		e := Event{Kind: TxRemoved, Cursor: s.At, Change: c}
		if c.Added {
			if e.Entry = s.Pool.GetByWitness(c.WTxID); e.Entry == nil {
				continue // it has left meanwhile
			}
			e.Kind = TxAdded
		}
		events = append(events, e)
	}
	return events
}
