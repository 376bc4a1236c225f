package mempool

import (
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// changesKept is the number of changes that are kept at least, once there were so many.
// A change takes a hundred bytes.
const changesKept = 1 << 15

// changeLog is the end of the list of all changes. Subscribers each have a position in it
// and pull what has come since, so that the pool need not know them.
type changeLog struct {
	first    uint64 // the position of the first one in the list
	list     []pending.Change
	sequence uint64 // the sequence number of the next change, less one
}

func (l *changeLog) end() uint64 { return l.first + uint64(len(l.list)) }

func (l *changeLog) add(e *pending.Entry, left pending.Departure) {
	l.sequence++
	l.append(pending.Change{Sequence: l.sequence, TxID: e.TxID, WTxID: e.WTxID, Added: left == "", Left: left})
}

// addBlock notes that the pool has followed the chain to a block.
func (l *changeLog) addBlock(at types.Index) {
	l.append(pending.Change{Sequence: l.sequence, Block: &at})
}

func (l *changeLog) append(c pending.Change) {
	if len(l.list) == 2*changesKept {
		copy(l.list, l.list[changesKept:])
		l.list = l.list[:changesKept]
		l.first += changesKept
	}
	l.list = append(l.list, c)
}

// ChangesSince returns the changes from a position on, in their order, at most limit, and
// the position to go on from. It reports false if it does not remember them all, or if
// the position is none.
func (p *Pool) ChangesSince(position uint64, limit int) (changes []pending.Change, next uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &p.journal
	if position < l.first || position > l.end() {
		return nil, position, false
	}
	rest := l.list[position-l.first:]
	rest = rest[:min(len(rest), max(limit, 0))]
	return slices.Clone(rest), position + uint64(len(rest)), true
}

// Changes returns the position behind the last change.
func (p *Pool) Changes() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.journal.end()
}

// Snapshot returns all transactions, each after those that it spends, and the position
// of the changes that follow on it.
func (p *Pool) Snapshot() (entries []*pending.Entry, position uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.graph.entries(), p.journal.end()
}

// noteReplaced notes the difference between the graph that was and the one that replaces
// it, for which the chain has moved. It assumes mu, and that p.graph is still the old one.
func (p *Pool) noteReplaced(fresh *graph, at types.Index, confirmed map[types.Hash]struct{}) {
	for _, e := range slices.Backward(p.graph.entries()) { // children first, as they leave otherwise
		if fresh.byWTxID[e.WTxID] != nil {
			continue
		}
		left := pending.LeftReorg
		if _, in := confirmed[e.TxID]; in {
			left = pending.LeftBlock
		}
		p.journal.add(e, left)
	}
	p.journal.addBlock(at)
	for _, e := range fresh.entries() {
		if p.graph.byWTxID[e.WTxID] == nil {
			p.journal.add(e, "")
		}
	}
}

// noteConfirmed remembers which of the pool's transactions a block has that is connected
// while the graph waits to be made anew. It assumes the baton.
func (p *Pool) noteConfirmed(u *consensus.BlockUpdate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, txid := range u.Block.TxIDs[1:] {
		if p.graph.byTxID[txid] != nil {
			if p.followed.confirmed == nil {
				p.followed.confirmed = map[types.Hash]struct{}{}
			}
			p.followed.confirmed[txid] = struct{}{}
		}
	}
}
