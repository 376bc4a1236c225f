package p2p

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of what is announced.
const (
	// meanDelay is how long an announcement waits on average. The wait is random, so that
	// the node where a transaction began is hard to find. Those who called us wait
	// together: who calls often would else learn more than who calls once.
	meanDelay     = 400 * time.Millisecond
	maxAnnounce   = wire.MaxInv // transactions that a peer is told of at once
	maxToAnnounce = 20_000      // that wait to be announced to a peer
	maxKnown      = 20_000      // that a peer is known to have, at least
	// repeatLeast and repeatMost are the times after which what nobody is known to have
	// heard of is announced again, as in Bitcoin Core. maxUnheard bounds that.
	repeatLeast = 10 * time.Minute
	repeatMost  = 15 * time.Minute
	maxUnheard  = 5_000
	// renewEvery is when all that a block should have had by now is announced again, on
	// average, whoever it came from: were it our own transactions only, they would be
	// known as ours (the idea is of Bitcoin Core's pull request 21061).
	renewEvery = 45 * time.Minute
	renewAge   = 30 * time.Minute
	maxRenewed = maxAnnounce
	// filterEvery is when a peer is told anew of the lowest feerate, on average.
	// filterSoon is when it is told if that has changed much.
	filterEvery = 10 * time.Minute
	filterSoon  = 5 * time.Minute
	nothing     = types.FeeRate(1 << 62) // to be told of no transaction
)

// around is a random time about a mean one.
func around(mean time.Duration) time.Duration { return mean/2 + rand.N(mean) }

// enqueue has all peers told of transactions, each when its time comes. What nobody has
// told us came from a client of ours. The position is that behind them in the pool.
func (r *relay) enqueue(wtxids []types.Hash, position uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position = position
	for _, wtxid := range wtxids {
		heard := false
		for _, tp := range r.peers {
			if tp.known.has(wtxid) {
				heard = true
			} else if len(tp.queue) < maxToAnnounce {
				tp.queue = append(tp.queue, wtxid)
			}
		}
		if !heard && len(r.unheard) < maxUnheard {
			r.unheard[wtxid] = struct{}{}
		}
	}
}

// announce tells peers whose time has come.
func (r *relay) announce() {
	now := r.now()
	var everything []*pending.Entry
	newcomers := r.newcomer(now)
	if newcomers {
		everything = r.pool.Entries()
	}
	due := map[*peer][]types.Hash{}
	r.mu.Lock()
	inbound := !now.Before(r.inboundDue)
	if inbound {
		r.inboundDue = now.Add(delay())
	}
	for p, tp := range r.peers {
		if p.inbound && !inbound || !p.inbound && now.Before(tp.due) {
			continue
		}
		tp.due, tp.position = now.Add(delay()), r.position
		if newcomers && !tp.started {
			tp.started = true
			for _, tx := range everything[:min(len(everything), maxToAnnounce)] {
				tp.queue = append(tp.queue, tx.WTxID)
			}
		}
		if n := min(len(tp.queue), maxAnnounce); n > 0 {
			due[p] = tp.queue[:n:n]
			tp.queue = tp.queue[n:]
		}
	}
	r.mu.Unlock()
	for p, wtxids := range due {
		r.tell(p, wtxids)
	}
}

// newcomer reports whether there is a peer that was told nothing yet, and whose time
// may have come.
func (r *relay) newcomer(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, tp := range r.peers {
		if !tp.started && (p.inbound && !now.Before(r.inboundDue) || !p.inbound && !now.Before(tp.due)) {
			return true
		}
	}
	return false
}

// tell announces transactions that the peer does not know and that pay what it
// asks for.
func (r *relay) tell(p *peer, wtxids []types.Hash) {
	p.mu.Lock()
	least := p.minRate
	p.mu.Unlock()
	inv := &wire.Inv{}
	r.mu.Lock()
	if tp := r.peers[p]; tp != nil {
		for _, wtxid := range wtxids {
			_, again := tp.again[wtxid]
			delete(tp.again, wtxid)
			if tp.known.has(wtxid) && !again {
				continue
			}
			if rate, there := r.pool.MiningFeeRate(wtxid); there && rate >= least {
				inv.WTxIDs = append(inv.WTxIDs, wtxid)
				tp.known.add(wtxid)
			}
		}
		tp.told = r.now()
	}
	r.mu.Unlock()
	if len(inv.WTxIDs) > 0 {
		p.send(inv)
	}
}

// repeat has all peers told again of what nobody is known to have heard of, and now and
// then of what should have been in a block by now.
func (r *relay) repeat() {
	now := r.now()
	r.mu.Lock()
	first := r.repeatDue.IsZero()
	repeat, renew := !first && now.After(r.repeatDue), !first && now.After(r.renewDue)
	if first || repeat {
		r.repeatDue = now.Add(repeatLeast + rand.N(repeatMost-repeatLeast))
	}
	if first || renew {
		r.renewDue = now.Add(around(renewEvery))
	}
	r.mu.Unlock()
	var wtxids []types.Hash
	if renew {
		wtxids = r.overdueInBlocks(now)
	}
	if !repeat && len(wtxids) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if repeat {
		r.addUnbroadcast()
		for wtxid := range r.unheard {
			if r.pool.GetByWitness(wtxid) == nil {
				delete(r.unheard, wtxid)
			}
		}
		wtxids = slices.AppendSeq(wtxids, maps.Keys(r.unheard))
	}
	for _, tp := range r.peers {
		for _, wtxid := range wtxids {
			if len(tp.queue) < maxToAnnounce {
				tp.queue = append(tp.queue, wtxid)
				tp.again[wtxid] = struct{}{}
			}
		}
	}
}

// overdueInBlocks returns transactions that the next block would take, and that have
// waited so long that others may have lost them.
func (r *relay) overdueInBlocks(now time.Time) (wtxids []types.Hash) {
	best, _ := r.pool.Select(pending.Selection{MaxWeight: types.MaxBlockWeight})
	for _, tx := range best {
		if now.Sub(tx.Time) > renewAge && len(wtxids) < maxRenewed {
			wtxids = append(wtxids, tx.WTxID)
		}
	}
	return wtxids
}

// serve answers a request for transactions. It tells of none before its time: who asks for
// what it was not told of could find out when it came here.
func (r *relay) serve(p *peer, m *wire.GetTxs) {
	r.sendTxs(p, m.WTxIDs, wire.WhatTxs, r.pool.GetByWitness)
}

// serveParents answers a request for what a transaction spends.
func (r *relay) serveParents(p *peer, m *wire.GetParents) {
	r.sendTxs(p, m.TxIDs, wire.WhatParents, r.pool.Get)
}

func (r *relay) sendTxs(p *peer, ids []types.Hash, what wire.What, find func(types.Hash) *pending.Entry) {
	var lacking []types.Hash
	for _, id := range ids {
		tx := find(id)
		if tx == nil || !r.mayKnow(p, tx) {
			lacking = append(lacking, id)
			continue
		}
		if !p.room() {
			return
		}
		p.send(&wire.Tx{Raw: tx.Raw})
	}
	if len(lacking) > 0 {
		p.send(&wire.NotFound{What: what, Hashes: lacking})
	}
}

// mayKnow reports whether a peer may be given a transaction: one that it was told of, or
// that was here when it was last told of any. It asks for it, so others have heard of it.
func (r *relay) mayKnow(p *peer, tx *pending.Entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	tp := r.peers[p]
	if tp == nil || !tp.known.has(tx.WTxID) && !tx.Time.Before(tp.told) {
		return false
	}
	tp.known.add(tx.WTxID)
	delete(r.unheard, tx.WTxID)
	r.pool.Broadcast(tx.WTxID)
	return true
}

// renewFilters tells peers of the lowest feerate when their time has come. It is rounded
// and told at random times: else it would tell two connections of one node apart from
// those of another.
func (r *relay) renewFilters() {
	var due []*peer
	now, rate := r.now(), r.lowest()
	r.mu.Lock()
	for p, tp := range r.peers {
		changed := rate < tp.filter-tp.filter/4 || rate > tp.filter+tp.filter/3
		if changed && tp.filterDue.Sub(now) > filterSoon {
			tp.filterDue = now.Add(rand.N(filterSoon))
		}
		if now.After(tp.filterDue) || tp.filter == nothing && rate != nothing {
			due = append(due, p)
		}
	}
	r.mu.Unlock()
	for _, p := range due {
		r.tellFilter(p)
	}
}

// lowest is the lowest feerate that is of use to us. While blocks are missing no
// transaction is.
func (r *relay) lowest() types.FeeRate {
	if r.syncing() {
		return nothing
	}
	return r.pool.MinFeeRate()
}

// tellFilter asks a peer not to tell of transactions that pay too little.
func (r *relay) tellFilter(p *peer) {
	rate := r.lowest()
	r.mu.Lock()
	if r.floor == 0 || rate < r.floor {
		r.floor = rate
	}
	rate, tp := rounded(rate, r.floor), r.peers[p]
	if tp != nil {
		tp.filter, tp.filterDue = rate, r.now().Add(around(filterEvery))
	}
	r.mu.Unlock()
	if tp != nil {
		p.send(&wire.FeeFilter{MinFeeRate: rate})
	}
}

// rounded lowers a feerate to the next step of a scale that begins with the lowest and has
// steps of a tenth (as Bitcoin Core's FeeFilterRounder).
func rounded(rate, lowest types.FeeRate) types.FeeRate {
	if rate == nothing {
		return rate
	}
	step := lowest
	for next := lowest; next <= rate; next += max(next/10, 1) {
		step = next
	}
	return step
}
