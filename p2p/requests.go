package p2p

import (
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of requests for transactions.
const (
	maxTxRequests = 500              // that a peer was asked for and has not sent
	maxBacklog    = 20_000           // that a peer announced and was not asked for yet
	maxWaiting    = 5_000            // that a peer announced while another was asked for them
	txTimeout     = 15 * time.Second // after which another peer is asked
	// preferAfter is when one that we called ourselves is asked, if it has the
	// transaction too and one who called us does not send it.
	preferAfter  = 2 * time.Second
	maxRejected  = 50_000 // that are not asked for again until the next block
	maxConfirmed = 50_000 // that are not asked for, since blocks have them
	maxParents   = 500    // asked of a peer by transaction id
)

// want is a transaction that was announced to us.
type want struct {
	asked  *peer // nil: nobody yet
	since  time.Time
	others []*peer // that announced it too, each once; those whom we called are asked first
}

// asking is a request with the time at which it is looked at again.
type asking struct {
	wtxid types.Hash
	since time.Time // of the request: if it has changed, this one is over
	at    time.Time
}

// inv takes the announcement of transactions.
func (r *relay) inv(p *peer, wtxids []types.Hash) error {
	r.mu.Lock()
	tp := r.peers[p]
	if tp == nil {
		r.mu.Unlock()
		return nil
	}
	r.pool.Broadcast(wtxids...)
	before := len(tp.backlog)
	for _, wtxid := range wtxids {
		tp.known.add(wtxid)
		delete(r.unheard, wtxid)
		if len(tp.backlog) < maxBacklog {
			tp.backlog = append(tp.backlog, wtxid)
		}
	}
	get, parents := r.fetch(p, tp)
	grown := len(tp.backlog) - before
	r.mu.Unlock()
	r.more.Poke()
	p.hold(grown * types.HashSize)
	p.getTxs(get)
	p.getParents(parents)
	return nil
}

// fetch returns what to ask a peer for next of what it announced, and the parents of
// orphans among that. While blocks are missing that is nothing: what transactions spend is
// not known yet. It assumes mu.
func (r *relay) fetch(p *peer, tp *txPeer) (get, parents []types.Hash) {
	if len(tp.backlog) == 0 || r.syncing() {
		return nil, nil
	}
	r.forgetRejected()
	for len(tp.backlog) > 0 && tp.flying < maxTxRequests && tp.waiting < maxWaiting {
		wtxid := tp.backlog[0]
		tp.backlog = tp.backlog[1:]
		if kept := r.orphans.byID[wtxid]; kept != nil {
			r.orphans.own(p, kept)
			parents = append(parents, r.parentsToAsk(p, kept)...)
			continue
		}
		if r.rejected.has(wtxid) || r.confirmed.has(wtxid) || r.pool.GetByWitness(wtxid) != nil {
			continue
		}
		if w := r.wanted[wtxid]; w == nil {
			r.wanted[wtxid] = &want{}
			r.ask(wtxid, r.wanted[wtxid], p, tp)
			get = append(get, wtxid)
		} else if w.asked != p && !slices.Contains(w.others, p) {
			w.others = append(w.others, p)
			tp.waiting++
		}
	}
	return get, parents
}

// ask notes that a peer is asked for a transaction. It assumes mu.
func (r *relay) ask(wtxid types.Hash, w *want, p *peer, tp *txPeer) {
	w.asked, w.since = p, r.now()
	tp.flying++
	if p.inbound {
		r.soon = append(r.soon, asking{wtxid, w.since, w.since.Add(preferAfter)})
	}
	r.due = append(r.due, asking{wtxid, w.since, w.since.Add(txTimeout)})
	r.soon, r.due = r.compact(r.soon), r.compact(r.due)
}

// compact drops requests that are over, when they are the most. It assumes mu.
func (r *relay) compact(list []asking) []asking {
	if len(list) < 1000+2*len(r.wanted) {
		return list
	}
	return slices.DeleteFunc(list, func(a asking) bool {
		w := r.wanted[a.wtxid]
		return w == nil || !w.since.Equal(a.since)
	})
}

// getTxs asks for transactions.
func (p *peer) getTxs(wtxids []types.Hash) {
	for some := range slices.Chunk(wtxids, wire.MaxInv) {
		p.send(&wire.GetTxs{WTxIDs: some})
	}
}

// getParents asks for transactions by their ids.
func (p *peer) getParents(txids []types.Hash) {
	for some := range slices.Chunk(txids, wire.MaxGetParents) {
		p.send(&wire.GetParents{TxIDs: some})
	}
}

// parentsToAsk returns the parents of an orphan that a peer is to be asked for: those that
// the pool does not have, if nobody else was asked a moment ago. It assumes mu.
func (r *relay) parentsToAsk(p *peer, kept *orphan) (txids []types.Hash) {
	tp, now := r.peers[p], r.now()
	if kept.asked > 0 && now.Sub(kept.askedAt) < parentTimeout {
		return nil
	}
	i := slices.Index(kept.owners, p)
	if i < kept.asked {
		return nil // it was asked before: it must not take the turn of another
	}
	kept.owners[i], kept.owners[kept.asked] = kept.owners[kept.asked], kept.owners[i]
	kept.asked++
	if tp == nil || p.version < wire.VersionParents {
		return nil
	}
	kept.askedAt = now
	for _, txid := range kept.parents {
		if _, flying := tp.parents[txid]; flying || len(tp.parents) >= maxParents || r.pool.Get(txid) != nil {
			continue
		}
		tp.parents[txid] = now
		txids = append(txids, txid)
	}
	return txids
}

// forgetRejected lets verdicts go that another tip may change, and when blocks were undone
// also what was in blocks: the pool may not have been able to take it back. It assumes mu.
func (r *relay) forgetRejected() {
	tip := r.tree.Tip()
	if tip == r.rejectedAt {
		return
	}
	if before, known := r.tree.Info(r.rejectedAt.Hash); known && !before.OnBestChain {
		r.confirmed.forget()
	}
	r.rejectedAt = tip
	r.rejected.forget()
}

// retry asks others for what did not come, and for what could not be asked for
// before.
func (r *relay) retry() {
	get, parents, grown := map[*peer][]types.Hash{}, map[*peer][]types.Hash{}, map[*peer]int{}
	r.mu.Lock()
	r.overdue()
	for _, wtxid := range r.unasked {
		w := r.wanted[wtxid]
		if w == nil || w.asked != nil {
			continue
		}
		p := r.nextOf(w)
		if p == nil {
			delete(r.wanted, wtxid)
			continue
		}
		r.ask(wtxid, w, p, r.peers[p])
		get[p] = append(get[p], wtxid)
	}
	r.unasked = r.unasked[:0]
	for p, tp := range r.peers {
		before := len(tp.backlog)
		txs, txids := r.fetch(p, tp)
		get[p], parents[p], grown[p] = append(get[p], txs...), txids, len(tp.backlog)-before
	}
	r.askOthersForParents(parents)
	r.mu.Unlock()
	for p, wtxids := range get {
		p.hold(grown[p] * types.HashSize)
		p.getTxs(wtxids)
		p.getParents(parents[p])
	}
}

// overdue takes back the requests that ran out. It assumes mu.
func (r *relay) overdue() {
	now := r.now()
	for len(r.soon) > 0 && !now.Before(r.soon[0].at) {
		a := r.soon[0]
		r.soon = r.soon[1:]
		if w := r.wanted[a.wtxid]; w != nil && w.since.Equal(a.since) && slices.ContainsFunc(w.others, called) {
			r.takeBack(a.wtxid, w)
		}
	}
	for len(r.due) > 0 && !now.Before(r.due[0].at) {
		a := r.due[0]
		r.due = r.due[1:]
		if w := r.wanted[a.wtxid]; w != nil && w.since.Equal(a.since) {
			r.takeBack(a.wtxid, w)
		}
	}
}

// called reports whether it was we who made the connection.
func called(p *peer) bool { return !p.inbound }

// takeBack lets another be asked for a transaction. It assumes mu.
func (r *relay) takeBack(wtxid types.Hash, w *want) {
	r.landed(w)
	w.asked = nil
	r.unasked = append(r.unasked, wtxid)
}

// askOthersForParents adds to the requests what the next owner of an orphan is asked for,
// when the one before does not send its parents. It also lets old orphans go. It assumes
// mu.
func (r *relay) askOthersForParents(requests map[*peer][]types.Hash) {
	r.orphans.expire()
	now := r.now()
	for _, kept := range r.orphans.byID {
		if kept.asked >= len(kept.owners) || now.Sub(kept.askedAt) < parentTimeout {
			continue
		}
		p := kept.owners[kept.asked]
		requests[p] = append(requests[p], r.parentsToAsk(p, kept)...)
	}
	for _, tp := range r.peers {
		for txid, since := range tp.parents {
			if now.Sub(since) > txTimeout {
				delete(tp.parents, txid)
			}
		}
	}
}

// nextOf takes the peer to ask next out of those that announced a transaction, nil
// if there is none. Who called us may be many, and all of one mind. It assumes mu.
func (r *relay) nextOf(w *want) *peer {
	if len(w.others) == 0 {
		return nil
	}
	next := max(slices.IndexFunc(w.others, called), 0)
	p := w.others[next]
	w.others = slices.Delete(w.others, next, next+1)
	r.peers[p].waiting--
	return p
}

// forget lets a transaction that came go. It assumes mu.
func (r *relay) forget(wtxid types.Hash, w *want) {
	r.landed(w)
	for _, p := range w.others {
		r.peers[p].waiting--
	}
	delete(r.wanted, wtxid)
}

// landed notes that a request is over. It assumes mu.
func (r *relay) landed(w *want) {
	if w.asked != nil {
		if tp := r.peers[w.asked]; tp != nil {
			tp.flying--
		}
	}
}

// notFound notes that a peer does not have what it announced.
func (r *relay) notFound(p *peer, wtxids []types.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, wtxid := range wtxids {
		if w := r.wanted[wtxid]; w != nil && w.asked == p {
			r.takeBack(wtxid, w) // retry goes on
		}
	}
}

// parentsNotFound notes that a peer does not have what an orphan of its spends.
func (r *relay) parentsNotFound(p *peer, txids []types.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tp := r.peers[p]; tp != nil {
		for _, txid := range txids {
			delete(tp.parents, txid)
		}
	}
}
