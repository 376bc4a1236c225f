package p2p

import (
	"maps"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/types"
)

// The bounds of orphans.
const (
	maxOrphans     = 1000    // that owners hold, together
	maxOrphanBytes = 8 << 20 // of these
	orphanLife     = 5 * time.Minute
	maxOwners      = 8                // of one orphan
	parentTimeout  = 10 * time.Second // after which another owner is asked for the parents
)

// orphan is a transaction of which a parent has not come. That is nobody's fault: parents
// and children are asked of different peers.
type orphan struct {
	tx      *types.Tx
	wtxid   types.Hash
	size    int
	till    time.Time
	parents []types.Hash // ids of what it spends, each once
	sender  *peer        // who sent it; nil: that one has gone
	owners  []*peer      // that have it, in the order in which they told of it
	asked   int          // owners that were asked for its parents
	askedAt time.Time
}

// orphanage keeps orphans until their parents come. An orphan counts against everybody
// who has it, and by where they call from. When there is no more room, who holds most
// loses its oldest one. So whoever sends orphans without end pushes out its own, and an
// orphan that an honest peer has as well stays. It has no lock.
type orphanage struct {
	owner func(*peer) string // what the orphans of a peer count against
	now   func() time.Time
	byID  map[types.Hash]*orphan          // witness id
	spend map[types.Hash]map[*orphan]bool // by the id of a parent
	held  map[string]*holding             // by owner
	count int                             // of all holdings
	bytes int                             // of all holdings
}

// holding is the orphans of an owner.
type holding struct {
	list  []*orphan // the oldest first
	bytes int
}

func newOrphanage(owner func(*peer) string, now func() time.Time) orphanage {
	return orphanage{owner: owner, now: now, byID: map[types.Hash]*orphan{}, spend: map[types.Hash]map[*orphan]bool{}, held: map[string]*holding{}}
}

// add keeps an orphan that a peer has sent, and returns it. It may be that there is no room for
// it: then nothing is returned.
func (o *orphanage) add(p *peer, tx *types.Tx, wtxid types.Hash) *orphan {
	kept := o.byID[wtxid]
	if kept == nil {
		kept = &orphan{tx: tx, wtxid: wtxid, size: tx.Size(), till: o.now().Add(orphanLife), parents: parentsOf(tx), sender: p}
		o.byID[wtxid] = kept
		for _, parent := range kept.parents {
			if o.spend[parent] == nil {
				o.spend[parent] = map[*orphan]bool{}
			}
			o.spend[parent][kept] = true
		}
	}
	o.own(p, kept)
	return o.byID[wtxid]
}

// parentsOf returns the ids of what a transaction spends, each once.
func parentsOf(tx *types.Tx) []types.Hash {
	seen := make(map[types.Hash]bool, len(tx.Inputs))
	var ids []types.Hash
	for i := range tx.Inputs {
		if id := tx.Inputs[i].PreviousOutPoint.TxID; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// own notes that a peer has an orphan as well.
func (o *orphanage) own(p *peer, kept *orphan) {
	if slices.Contains(kept.owners, p) {
		return
	}
	name := o.owner(p)
	there := slices.ContainsFunc(kept.owners, func(other *peer) bool { return o.owner(other) == name })
	if len(kept.owners) >= maxOwners && (there || !o.giveWay(p, kept)) {
		return
	}
	kept.owners = append(kept.owners, p)
	if there {
		return
	}
	if o.held[name] == nil {
		o.held[name] = &holding{}
	}
	h := o.held[name]
	h.list = append(h.list, kept)
	h.bytes += kept.size
	o.count++
	o.bytes += kept.size
	for o.count > maxOrphans || o.bytes > maxOrphanBytes {
		o.evict()
	}
}

// giveWay takes one of the owners of an orphan off for another peer: one of an address that
// has several, or a caller for a peer of our own choice.
func (o *orphanage) giveWay(p *peer, kept *orphan) bool {
	seen := map[string]bool{}
	for i, other := range kept.owners {
		name := o.owner(other)
		if seen[name] { // it still counts against the one before
			o.removeOwner(kept, i)
			return true
		}
		seen[name] = true
	}
	if p.inbound {
		return false
	}
	for _, other := range slices.Backward(kept.owners) {
		if other.inbound {
			o.disown(o.owner(other), kept)
			return true
		}
	}
	return false
}

// removeOwner takes off one of several peers of an owner.
func (o *orphanage) removeOwner(kept *orphan, i int) {
	if kept.sender == kept.owners[i] {
		kept.sender = nil
	}
	kept.owners = slices.Delete(kept.owners, i, i+1)
	if i < kept.asked {
		kept.asked--
	}
}

// evict takes the oldest orphan from the owner that holds most.
func (o *orphanage) evict() {
	var worst string
	most := -1.0
	for name, h := range o.held {
		share := max(float64(len(h.list))/maxOrphans, float64(h.bytes)/maxOrphanBytes)
		if share > most {
			worst, most = name, share
		}
	}
	o.disown(worst, o.held[worst].list[0])
}

// disown takes an orphan from an owner. One that nobody has is let go.
func (o *orphanage) disown(name string, kept *orphan) {
	h := o.held[name]
	if h == nil || !slices.Contains(h.list, kept) {
		return
	}
	for i := len(kept.owners) - 1; i >= 0; i-- {
		if o.owner(kept.owners[i]) == name {
			o.removeOwner(kept, i)
		}
	}
	h.list = slices.DeleteFunc(h.list, func(other *orphan) bool { return other == kept })
	h.bytes -= kept.size
	o.count--
	o.bytes -= kept.size
	if len(h.list) == 0 {
		delete(o.held, name)
	}
	if len(kept.owners) == 0 {
		o.remove(kept)
	}
}

// remove lets an orphan go.
func (o *orphanage) remove(kept *orphan) {
	if o.byID[kept.wtxid] != kept {
		return
	}
	delete(o.byID, kept.wtxid)
	for _, parent := range kept.parents {
		if delete(o.spend[parent], kept); len(o.spend[parent]) == 0 {
			delete(o.spend, parent)
		}
	}
	for _, p := range slices.Clone(kept.owners) {
		o.disown(o.owner(p), kept)
	}
}

// leave lets the orphans go that only a peer has had.
func (o *orphanage) leave(p *peer) {
	name := o.owner(p)
	h := o.held[name]
	if h == nil {
		return
	}
	for _, kept := range slices.Clone(h.list) {
		i := slices.Index(kept.owners, p)
		if i < 0 {
			continue
		}
		if slices.ContainsFunc(kept.owners, func(other *peer) bool { return other != p && o.owner(other) == name }) {
			o.removeOwner(kept, i)
			continue
		}
		o.disown(name, kept)
	}
}

// expire lets old orphans go.
func (o *orphanage) expire() {
	now := o.now()
	for _, kept := range o.byID {
		if now.After(kept.till) {
			o.remove(kept)
		}
	}
}

// childrenOf returns the orphans that spend one of the transactions, the oldest first.
func (o *orphanage) childrenOf(txids []types.Hash) []*orphan {
	found := map[*orphan]bool{}
	for _, txid := range txids {
		maps.Copy(found, o.spend[txid])
	}
	return slices.SortedFunc(maps.Keys(found), byAge)
}

// all returns every orphan, the oldest first.
func (o *orphanage) all() []*orphan { return slices.SortedFunc(maps.Values(o.byID), byAge) }

func byAge(a, b *orphan) int { return a.till.Compare(b.till) }
