package mempool

import (
	"maps"

	"github.com/karatcoin/karat/chain/types"
)

// MarkUnbroadcast notes that a transaction came from a client of ours: until a peer asks
// for it, nobody else may have it. One that is not in the pool is passed over. The idea is
// Bitcoin Core's.
func (p *Pool) MarkUnbroadcast(txid types.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.graph.byTxID[txid] != nil {
		p.local[txid] = struct{}{}
		p.marks++
	}
}

// Broadcast notes that peers have transactions, or have asked for them.
func (p *Pool) Broadcast(wtxids ...types.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.local) == 0 {
		return
	}
	for _, wtxid := range wtxids {
		if n := p.graph.byWTxID[wtxid]; n != nil {
			delete(p.local, n.TxID)
			p.marks++
		}
	}
}

// Unbroadcast returns the witness ids of the transactions that clients of ours brought and
// that no peer has asked for, in no order.
func (p *Pool) Unbroadcast() []types.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	wtxids := make([]types.Hash, 0, len(p.local))
	for txid := range p.local {
		wtxids = append(wtxids, p.graph.byTxID[txid].WTxID)
	}
	return wtxids
}

// keepLocal forgets which transactions are ours of those that are not in a graph that takes
// the old one's place. It assumes mu.
func (p *Pool) keepLocal(fresh *graph) {
	maps.DeleteFunc(p.local, func(txid types.Hash, _ struct{}) bool { return fresh.byTxID[txid] == nil })
}
