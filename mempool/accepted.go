package mempool

import "github.com/karatcoin/karat/chain/types"

// acceptedKept is the number of witness ids that acceptedLog keeps at least, once there
// were so many: more than a subscriber falls behind by while it is alive.
const acceptedKept = 1 << 15

// acceptedLog is the end of the list of all accepted transactions. Subscribers each have
// a position in it and pull what has come since, so that the pool need not know them.
type acceptedLog struct {
	first uint64 // the position of the first one in the list
	list  []types.Hash
}

func (l *acceptedLog) add(wtxid types.Hash) {
	if len(l.list) == 2*acceptedKept {
		copy(l.list, l.list[acceptedKept:])
		l.list = l.list[:acceptedKept]
		l.first += acceptedKept
	}
	l.list = append(l.list, wtxid)
}

func (l *acceptedLog) since(position uint64, limit int) ([]types.Hash, uint64) {
	end := l.first + uint64(len(l.list))
	position = min(max(position, l.first), end)
	rest := l.list[position-l.first:]
	rest = rest[:min(len(rest), max(limit, 0))]
	return append([]types.Hash(nil), rest...), position + uint64(len(rest))
}

// Accepted returns the witness ids of transactions in the order in which they
// came, from the position since on, at most limit, and the position to go on
// from. Position 0 is the oldest that is remembered. Some may have left the pool
// meanwhile. Transactions that came back from an undone block are not listed,
// since everybody knows them.
func (p *Pool) Accepted(since uint64, limit int) (wtxids []types.Hash, next uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted.since(since, limit)
}
