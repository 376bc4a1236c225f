package web

import (
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

const (
	maxReplaced = 2000 // replacements that are remembered
	maxArrived  = 12   // transactions that came last
)

// Replacement is a transaction that left the pool for another one.
type Replacement struct {
	Old, New types.Hash
	Seen     time.Time
}

// changeLog remembers what was replaced by what, and what came last.
type changeLog struct {
	journal Journal
	now     func() time.Time

	mu sync.Mutex
	// Guarded by mu:
	position uint64
	waiting  []types.Hash  // that were replaced, of which it is not told yet by what
	list     []Replacement // the last one at the end
	byOld    map[types.Hash]types.Hash
	arrived  []types.Hash // the last one at the end
}

// follow reads what has changed. In the pool's sequence those that are replaced come
// before the one that replaces them, and both are there at once. Whoever asks follows before,
// since a page is kept under the pool's state of then.
func (l *changeLog) follow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for {
		list, next, ok := l.journal.ChangesSince(l.position, 500)
		if !ok { // what lies between was forgotten
			l.waiting, l.position = nil, l.journal.Changes()
			return
		}
		l.position = next
		for i := range list {
			l.take(&list[i], now)
		}
		if len(list) == 0 {
			return
		}
	}
}

func (l *changeLog) take(c *pending.Change, now time.Time) {
	switch {
	case c.Left == pending.LeftReplaced:
		l.waiting = append(l.waiting, c.TxID)
	case c.Added:
		for _, old := range l.waiting {
			if l.byOld == nil {
				l.byOld = map[types.Hash]types.Hash{}
			}
			l.byOld[old] = c.TxID
			l.list = append(l.list, Replacement{old, c.TxID, now})
		}
		l.waiting = nil
		for len(l.list) > maxReplaced {
			delete(l.byOld, l.list[0].Old)
			l.list = l.list[1:]
		}
		if l.arrived = append(l.arrived, c.TxID); len(l.arrived) > maxArrived {
			l.arrived = append([]types.Hash(nil), l.arrived[1:]...)
		}
	}
}

// replacedBy returns what came in the place of a transaction.
func (l *changeLog) replacedBy(txid types.Hash) (types.Hash, bool) {
	l.follow()
	l.mu.Lock()
	defer l.mu.Unlock()
	by, ok := l.byOld[txid]
	return by, ok
}

// newest returns the transactions that came last, the last one first.
func (l *changeLog) newest() (list []types.Hash) {
	l.follow()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.arrived) - 1; i >= 0; i-- {
		list = append(list, l.arrived[i])
	}
	return list
}

// replaced returns the last replacements, the last one first.
func (l *changeLog) replaced(most int) (list []Replacement) {
	l.follow()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.list) - 1; i >= 0 && len(list) < most; i-- {
		list = append(list, l.list[i])
	}
	return list
}
