package p2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/p2p/wire"
)

// The bounds of the relay of transactions.
const (
	// meanDelay is how long an announcement waits on average. The wait is random, so that
	// the node where a transaction began is hard to find.
	meanDelay      = 400 * time.Millisecond
	maxAnnounce    = wire.MaxInv      // transactions that a peer is told of at once
	maxToAnnounce  = 20_000           // that wait to be announced to a peer
	maxKnown       = 20_000           // that a peer is known to have
	maxTxRequests  = 2_000            // that a peer was asked for and has not sent
	maxBacklog     = 20_000           // that a peer announced and was not asked for yet
	txTimeout      = 15 * time.Second // after which another peer is asked
	maxWaiting     = 5_000            // that a peer announced while another was asked for them
	maxRejected    = 20_000           // that are not asked for again until the next block
	maxOrphans     = 100
	maxOrphanBytes = 5 << 20
	orphanLife     = 5 * time.Minute
	relayBatch     = 1000
	relayTick      = 100 * time.Millisecond
)

// relay passes transactions on. It asks one peer after the other for what was announced,
// gives the pool what comes, and tells all others of what the pool took.
type relay struct {
	pool    Pool
	tree    Headers
	now     func() time.Time
	syncing func() bool // whether what transactions spend is not known yet

	mu sync.Mutex
	// Guarded by mu:
	position    uint64 // in the pool, up to which peers are told
	peers       map[*peer]*txPeer
	wanted      map[types.Hash]*want // announced to us, not come
	rejected    map[types.Hash]struct{}
	rejectedAt  types.Index // the tip then: another tip may change a verdict
	orphans     map[types.Hash]*orphan
	orphanBytes int
}

// txPeer is which transactions a peer knows of, and which are asked of it.
type txPeer struct {
	known    map[types.Hash]struct{}
	queue    []types.Hash // to be announced
	due      time.Time    // of the next announcement
	position uint64       // in the pool, when it was last told
	backlog  []types.Hash // it announced, not asked for yet
	flying   int          // asked of it
	waiting  int          // in whose others it is
	started  bool         // it was told what the pool had when it came
}

// want is a transaction that was announced to us.
type want struct {
	asked  *peer // nil: nobody yet
	since  time.Time
	others []*peer // that announced it too, each once; those whom we called are asked first
}

// orphan is a transaction of which a parent has not come. That is nobody's fault: parents
// and children are asked of different peers.
type orphan struct {
	tx   *types.Tx
	from *peer
	size int
	till time.Time
}

func newRelay(o Options, syncing func() bool) *relay {
	return &relay{
		pool: o.Pool, tree: o.Headers, now: o.Now, syncing: syncing,
		peers: map[*peer]*txPeer{}, wanted: map[types.Hash]*want{}, rejected: map[types.Hash]struct{}{},
		orphans: map[types.Hash]*orphan{},
	}
}

func (r *relay) join(p *peer) {
	if !p.hello.Relay {
		return
	}
	r.mu.Lock()
	r.peers[p] = &txPeer{known: map[types.Hash]struct{}{}, due: r.now().Add(delay())}
	r.mu.Unlock()
}

func (r *relay) leave(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.peers, p)
	for _, w := range r.wanted {
		if w.asked == p {
			w.asked = nil
		}
		w.others = slices.DeleteFunc(w.others, func(other *peer) bool { return other == p })
	}
}

// delay is the time to the next announcement: exponentially distributed, so that
// announcements tell little of when a transaction came.
func delay() time.Duration { return time.Duration(rand.ExpFloat64() * float64(meanDelay)) }

// run announces what the pool takes, and asks again for what does not come, until
// the context ends.
func (r *relay) run(ctx context.Context) {
	poke, cancel := r.pool.Subscribe()
	defer cancel()
	_, since := r.pool.Accepted(math.MaxUint64, 0)
	tried := r.tree.Tip() // with which orphans were looked at
	ticker := time.NewTicker(relayTick)
	defer ticker.Stop()
	for {
		select {
		case <-poke:
			for {
				wtxids, next := r.pool.Accepted(since, relayBatch)
				since = next
				if len(wtxids) == 0 {
					break
				}
				r.enqueue(wtxids, next)
				r.offerOrphans(ctx, r.takeOrphans(r.childOf(wtxids)))
			}
		case <-ticker.C:
			r.announce()
			r.retry()
			if tip := r.tree.Tip(); tip != tried { // a parent may be in a block
				tried = tip
				r.offerOrphans(ctx, r.takeOrphans(func(*orphan) bool { return true }))
			}
		case <-ctx.Done():
			return
		}
	}
}

// enqueue has all peers told of transactions, each when its time comes. The position is
// that behind them in the pool.
func (r *relay) enqueue(wtxids []types.Hash, position uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position = position
	for _, tp := range r.peers {
		for _, wtxid := range wtxids {
			if _, known := tp.known[wtxid]; !known && len(tp.queue) < maxToAnnounce {
				tp.queue = append(tp.queue, wtxid)
			}
		}
	}
}

// announce tells peers whose time has come.
func (r *relay) announce() {
	now := r.now()
	type batch struct {
		p      *peer
		wtxids []types.Hash
	}
	var due []batch
	var everything []*pending.Entry
	newcomers := r.newcomer(now)
	if newcomers {
		everything = r.pool.Entries()
	}
	r.mu.Lock()
	for p, tp := range r.peers {
		if now.Before(tp.due) {
			continue
		}
		tp.due, tp.position = now.Add(delay()), r.position
		if newcomers && !tp.started {
			tp.started = true
			for _, tx := range everything[:min(len(everything), maxToAnnounce)] {
				tp.queue = append(tp.queue, tx.WTxID)
			}
		}
		n := min(len(tp.queue), maxAnnounce)
		if n > 0 {
			due = append(due, batch{p, tp.queue[:n:n]})
			tp.queue = tp.queue[n:]
		}
	}
	r.mu.Unlock()
	for _, b := range due {
		r.tell(b.p, b.wtxids)
	}
}

// newcomer reports whether the time has come of a peer that was told nothing yet.
func (r *relay) newcomer(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tp := range r.peers {
		if !tp.started && !now.Before(tp.due) {
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
	for _, wtxid := range wtxids {
		if tx := r.pool.GetByWitness(wtxid); tx != nil && tx.FeeRate() >= least {
			inv.WTxIDs = append(inv.WTxIDs, wtxid)
		}
	}
	r.mu.Lock()
	if tp := r.peers[p]; tp != nil {
		fresh := inv.WTxIDs[:0]
		for _, wtxid := range inv.WTxIDs {
			if _, known := tp.known[wtxid]; !known {
				fresh = append(fresh, wtxid)
				tp.learn(wtxid)
			}
		}
		inv.WTxIDs = fresh
	}
	r.mu.Unlock()
	if len(inv.WTxIDs) > 0 {
		p.send(inv)
	}
}

// learn notes that the peer has a transaction.
func (t *txPeer) learn(wtxid types.Hash) {
	if len(t.known) >= maxKnown {
		for old := range t.known { // any
			delete(t.known, old)
			break
		}
	}
	t.known[wtxid] = struct{}{}
}

// inv takes the announcement of transactions.
func (r *relay) inv(p *peer, wtxids []types.Hash) error {
	r.mu.Lock()
	tp := r.peers[p]
	if tp == nil {
		r.mu.Unlock()
		return nil
	}
	for _, wtxid := range wtxids {
		tp.learn(wtxid)
		if len(tp.backlog) < maxBacklog {
			tp.backlog = append(tp.backlog, wtxid)
		}
	}
	get := r.fetch(p, tp, r.now())
	r.mu.Unlock()
	p.getTxs(get)
	return nil
}

// fetch returns what to ask a peer for next of what it announced. While blocks are
// missing that is nothing: what transactions spend is not known yet. It assumes mu.
func (r *relay) fetch(p *peer, tp *txPeer, now time.Time) (get []types.Hash) {
	if len(tp.backlog) == 0 || r.syncing() {
		return nil
	}
	r.forgetRejected()
	for len(tp.backlog) > 0 && tp.flying < maxTxRequests && tp.waiting < maxWaiting {
		wtxid := tp.backlog[0]
		tp.backlog = tp.backlog[1:]
		_, rejected := r.rejected[wtxid]
		if rejected || r.orphans[wtxid] != nil || r.pool.GetByWitness(wtxid) != nil {
			continue
		}
		if w := r.wanted[wtxid]; w == nil {
			r.wanted[wtxid] = &want{asked: p, since: now}
			tp.flying++
			get = append(get, wtxid)
		} else if w.asked != p && !slices.Contains(w.others, p) {
			w.others = append(w.others, p)
			tp.waiting++
		}
	}
	return get
}

// getTxs asks for transactions.
func (p *peer) getTxs(wtxids []types.Hash) {
	for some := range slices.Chunk(wtxids, wire.MaxInv) {
		p.send(&wire.GetTxs{WTxIDs: some})
	}
}

// forgetRejected lets verdicts go that another tip may change. It assumes mu.
func (r *relay) forgetRejected() {
	if tip := r.tree.Tip(); tip != r.rejectedAt {
		r.rejectedAt = tip
		clear(r.rejected)
	}
}

// retry asks others for what did not come, and for what could not be asked for
// before.
func (r *relay) retry() {
	now := r.now()
	requests := map[*peer][]types.Hash{}
	r.mu.Lock()
	for wtxid, w := range r.wanted {
		if w.asked != nil && now.Sub(w.since) < txTimeout {
			continue
		}
		r.landed(w)
		if w.asked = r.nextOf(w); w.asked == nil {
			delete(r.wanted, wtxid)
			continue
		}
		w.since = now
		r.peers[w.asked].flying++
		requests[w.asked] = append(requests[w.asked], wtxid)
	}
	for p, tp := range r.peers {
		requests[p] = append(requests[p], r.fetch(p, tp, now)...)
	}
	for wtxid, o := range r.orphans {
		if now.After(o.till) {
			r.dropOrphan(wtxid)
		}
	}
	r.mu.Unlock()
	for p, wtxids := range requests {
		p.getTxs(wtxids)
	}
}

// nextOf takes the peer to ask next out of those that announced a transaction, nil
// if there is none. Who called us may be many, and all of one mind. It assumes mu.
func (r *relay) nextOf(w *want) *peer {
	next := slices.IndexFunc(w.others, func(p *peer) bool { return !p.inbound })
	if next = max(next, 0); len(w.others) == 0 {
		return nil
	}
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
			r.landed(w)
			w.asked = nil // retry goes on
		}
	}
}

// tx takes a transaction that was asked for.
func (r *relay) tx(ctx context.Context, p *peer, raw []byte) error {
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", wire.ErrProtocol, err)
	}
	wtxid := tx.WTxID()
	p.lastTx.Store(r.now().UnixNano())
	r.mu.Lock()
	w := r.wanted[wtxid]
	if w != nil {
		r.forget(wtxid, w)
	}
	r.mu.Unlock()
	if w == nil {
		return nil // nobody asked, or not any more
	}
	p.answers++
	err = r.accept(ctx, p, tx, wtxid)
	if errors.Is(err, consensus.ErrLocal) {
		return nil // the chain tells of it
	}
	return err
}

// accept gives a transaction to the pool.
func (r *relay) accept(ctx context.Context, p *peer, tx *types.Tx, wtxid types.Hash) error {
	_, err := r.pool.Accept(ctx, tx, 0)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetRejected()
	switch {
	case errors.Is(err, errMissingInputs):
		r.addOrphan(p, tx, wtxid)
	case len(r.rejected) < maxRejected:
		r.rejected[wtxid] = struct{}{}
	}
	return err
}

// errMissingInputs is the reason of a transaction that may have come too early.
var errMissingInputs = consensus.ReasonMissingInputs

// addOrphan keeps a transaction until its parents come. It assumes mu.
func (r *relay) addOrphan(p *peer, tx *types.Tx, wtxid types.Hash) {
	r.keepOrphan(wtxid, &orphan{tx: tx, from: p, size: tx.Size(), till: r.now().Add(orphanLife)})
}

// keepOrphan makes room for an orphan. It assumes mu.
func (r *relay) keepOrphan(wtxid types.Hash, o *orphan) {
	r.dropOrphan(wtxid)            // two peers may have sent it at once
	for wtxid := range r.orphans { // any
		if len(r.orphans) < maxOrphans && r.orphanBytes+o.size <= maxOrphanBytes {
			break
		}
		r.dropOrphan(wtxid)
	}
	r.orphans[wtxid] = o
	r.orphanBytes += o.size
}

// dropOrphan assumes mu.
func (r *relay) dropOrphan(wtxid types.Hash) {
	if o := r.orphans[wtxid]; o != nil {
		r.orphanBytes -= o.size
		delete(r.orphans, wtxid)
	}
}

// takeOrphans takes the orphans out of which what they wait for may have come.
func (r *relay) takeOrphans(due func(*orphan) bool) (taken []*orphan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for wtxid, o := range r.orphans {
		if due(o) {
			taken = append(taken, o)
			r.dropOrphan(wtxid)
		}
	}
	return taken
}

// childOf tells whether an orphan spends one of the transactions that the pool has
// just taken, from whomever they came.
func (r *relay) childOf(wtxids []types.Hash) func(*orphan) bool {
	parents := map[types.Hash]bool{} // by txid
	return func(o *orphan) bool {
		if len(parents) == 0 { // not before there is an orphan
			for _, wtxid := range wtxids {
				if tx := r.pool.GetByWitness(wtxid); tx != nil {
					parents[tx.TxID] = true
				}
			}
		}
		return slices.ContainsFunc(o.tx.Inputs, func(in types.TxIn) bool { return parents[in.PreviousOutPoint.TxID] })
	}
}

// offerOrphans gives orphans to the pool. Those that spend them come after them by the
// same way.
func (r *relay) offerOrphans(ctx context.Context, orphans []*orphan) {
	for _, o := range orphans {
		switch _, err := r.pool.Accept(ctx, o.tx, 0); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errMissingInputs):
			r.mu.Lock()
			r.keepOrphan(o.tx.WTxID(), o)
			r.mu.Unlock()
		default:
			if cost, _ := judge(err); cost != free {
				o.from.close(err)
			}
		}
	}
}

// serve answers a request for transactions.
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
		if tx == nil {
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
