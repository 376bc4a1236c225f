package p2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/p2p/wire"
)

// The times of the relay of transactions.
const (
	relayBatch = 1000
	relayTick  = 100 * time.Millisecond
	relayIdle  = 2 * time.Second // instead, while there is nothing to tell and nothing to ask for
)

// relay passes transactions on. It asks one peer after the other for what was announced,
// gives the pool what comes, and tells all others of what the pool took. Its parts are in
// several files: requests.go decides who is asked for what, orphans.go keeps what came
// before its parents, announce.go tells of what the pool has.
type relay struct {
	pool    Pool
	tree    Headers
	now     func() time.Time
	syncing func() bool                                         // whether what transactions spend is not known yet
	measure func(work func(), idle *atomic.Int64) time.Duration // how long work takes
	worked  func(p *peer, spent time.Duration)                  // is told of work for nothing on what a peer has sent before
	more    poke.Slot                                           // there is something to do again

	mu sync.Mutex
	// Guarded by mu:
	position   uint64 // in the pool, up to which peers are told
	peers      map[*peer]*txPeer
	wanted     map[types.Hash]*want // announced to us, not come
	due        []asking             // that run out, in the order in which they do
	soon       []asking             // of those who called, the same
	unasked    []types.Hash         // wanted, and nobody is asked
	rejected   *rollingFilter
	rejectedAt types.Index // the tip then: another tip may change a verdict
	confirmed  *rollingFilter
	orphans    orphanage
	inboundDue time.Time               // of the next announcement to those who called
	unheard    map[types.Hash]struct{} // of the pool, that nobody else is known to have
	repeatDue  time.Time               // what is unheard is announced again
	renewDue   time.Time               // what should have been mined is announced again
	floor      types.FeeRate           // the lowest that the pool has asked for
}

// txPeer is which transactions a peer knows of, and which are asked of it.
type txPeer struct {
	known     *rollingFilter
	queue     []types.Hash             // to be announced
	again     map[types.Hash]struct{}  // of these, though it may know them
	due       time.Time                // of the next announcement, if we called it
	told      time.Time                // it was last announced to
	backlog   []types.Hash             // it announced, not asked for yet
	parents   map[types.Hash]time.Time // asked of it by transaction id, since when
	flying    int                      // asked of it
	waiting   int                      // in whose others it is
	position  uint64                   // in the pool, when it was last told
	started   bool                     // it was told what the pool had when it came
	filter    types.FeeRate            // that it was told last
	filterDue time.Time                // it is told again
}

func newRelay(o Options, syncing func() bool) *relay {
	return &relay{
		pool: o.Pool, tree: o.Headers, now: o.Now, syncing: syncing, more: poke.NewSlot(),
		peers: map[*peer]*txPeer{}, wanted: map[types.Hash]*want{}, unheard: map[types.Hash]struct{}{},
		rejected: newRollingFilter(maxRejected), confirmed: newRollingFilter(maxConfirmed),
		orphans: newOrphanage(ownerOf, o.Now),
	}
}

// ownerOf is what the orphans of a peer count against: one that we called was our
// choice, and of those who called, where they call from.
func ownerOf(p *peer) string {
	if p.inbound {
		return culprit(p.address, p.id)
	}
	return p.id.String()
}

func (r *relay) join(p *peer) {
	if !p.hello.Relay {
		return
	}
	r.mu.Lock()
	r.peers[p] = &txPeer{
		known: newRollingFilter(maxKnown), again: map[types.Hash]struct{}{}, parents: map[types.Hash]time.Time{},
		due: r.now().Add(delay()),
	}
	r.mu.Unlock()
	r.more.Poke()
	r.tellFilter(p)
}

func (r *relay) leave(p *peer) {
	r.mu.Lock()
	tp := r.peers[p]
	if tp == nil {
		r.orphans.leave(p) // it may have sent what another was asked for
		r.mu.Unlock()
		return
	}
	delete(r.peers, p)
	for wtxid, w := range r.wanted {
		w.others = slices.DeleteFunc(w.others, func(other *peer) bool { return other == p })
		if w.asked == p {
			w.asked = nil
			r.unasked = append(r.unasked, wtxid)
		}
	}
	r.orphans.leave(p)
	r.mu.Unlock()
	p.hold(-len(tp.backlog) * types.HashSize)
}

// run announces what the pool takes, and asks again for what does not come, until
// the context ends.
func (r *relay) run(ctx context.Context) {
	accepted, cancel := r.pool.Subscribe()
	defer cancel()
	_, since := r.pool.Accepted(math.MaxUint64, 0)
	tried := r.tree.Tip() // with which orphans were looked at
	ticker := time.NewTicker(relayTick)
	defer ticker.Stop()
	resting := false
	rest := func(is bool) { // a ticker that is set anew for each message would never tick
		if is == resting {
			return
		}
		resting = is
		every := relayTick
		if is {
			every = relayIdle
		}
		ticker.Reset(every)
	}
	for {
		select {
		case <-r.more:
			rest(false)
		case <-accepted:
			rest(false)
			for {
				wtxids, next := r.pool.Accepted(since, relayBatch)
				since = next
				if len(wtxids) == 0 {
					break
				}
				r.enqueue(wtxids, next)
				r.offerOrphans(ctx, r.childrenOf(wtxids))
			}
		case <-ticker.C:
			r.repeat()
			r.announce()
			r.retry()
			r.renewFilters()
			if tip := r.tree.Tip(); tip != tried { // a parent may be in a block
				tried = tip
				r.offerOrphans(ctx, r.allOrphans())
			}
			rest(r.idle())
		case <-ctx.Done():
			return
		}
	}
}

// idle reports whether there is nothing to tell and nothing to ask for.
func (r *relay) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wanted) > 0 || len(r.orphans.byID) > 0 {
		return false
	}
	for _, tp := range r.peers {
		if !tp.started || tp.position != r.position || len(tp.queue) > 0 || len(tp.backlog) > 0 || len(tp.parents) > 0 {
			return false
		}
	}
	return true
}

// tx takes a transaction that was asked for.
func (r *relay) tx(ctx context.Context, p *peer, raw []byte) error {
	tx, err := types.DecodeTx(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", wire.ErrProtocol, err)
	}
	wtxid := tx.WTxID()
	if !r.awaited(p, tx.TxID(), wtxid) {
		return nil // nobody asked, or not any more
	}
	p.answers++
	err = r.accept(ctx, p, tx, wtxid)
	if errors.Is(err, consensus.ErrLocal) {
		return nil // the chain tells of it
	}
	return err
}

// awaited reports whether a transaction that a peer sends was asked for. It is not any
// more from then on.
func (r *relay) awaited(p *peer, txid, wtxid types.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.wanted[wtxid]
	if w != nil {
		r.forget(wtxid, w)
	}
	parent := false
	if tp := r.peers[p]; tp != nil {
		_, parent = tp.parents[txid]
		delete(tp.parents, txid)
		tp.known.add(wtxid)
	}
	return w != nil || parent
}

// accept gives a transaction to the pool. One that pays too little is taken together
// with a child that pays for both.
func (r *relay) accept(ctx context.Context, p *peer, tx *types.Tx, wtxid types.Hash) error {
	_, err := r.pool.Accept(ctx, tx, 0)
	if err == nil {
		p.lastTx.Store(r.now().UnixNano())
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	var parents []types.Hash
	r.mu.Lock()
	r.forgetRejected()
	switch {
	case errors.Is(err, consensus.ErrLocal):
	case errors.Is(err, errMissingInputs):
		if kept := r.orphans.add(p, tx, wtxid); kept != nil {
			parents = r.parentsToAsk(p, kept)
		}
	default:
		r.rejected.add(wtxid)
	}
	r.mu.Unlock()
	p.getParents(parents)
	if pending.Reconsiderable(err) {
		return r.acceptWithChild(ctx, p, tx)
	}
	return err
}

// acceptWithChild gives the pool a transaction that pays too little, together with an
// orphan that spends it and that the same peer has. So nobody can spoil the pair by a
// child of its own (the idea is Bitcoin Core's 1p1c relay).
// The error is one for which the peer is to blame.
func (r *relay) acceptWithChild(ctx context.Context, p *peer, parent *types.Tx) error {
	r.mu.Lock()
	var pairs []*orphan
	for _, child := range r.orphans.childrenOf([]types.Hash{parent.TxID()}) {
		if slices.Contains(child.owners, p) && len(pairs) < maxPairs && !r.rejected.has(pair(parent, child)) {
			pairs = append(pairs, child)
		}
	}
	r.mu.Unlock()
	for _, child := range pairs {
		_, err := r.pool.AcceptPackage(ctx, []*types.Tx{parent, child.tx}, 0)
		switch {
		case ctx.Err() != nil, errors.Is(err, consensus.ErrLocal):
			return nil
		case err == nil:
			p.lastTx.Store(r.now().UnixNano())
			r.mu.Lock()
			r.orphans.remove(child)
			r.mu.Unlock()
			return nil
		case r.refusePair(p, parent, child, err):
			return err
		}
	}
	return nil
}

// refusePair notes that a parent and a child were refused together. Only this peer
// loses the child: it may have sent another parent of the same id. It reports whether the
// peer has sent what was wrong, and not only told of it.
func (r *relay) refusePair(p *peer, parent *types.Tx, child *orphan, err error) (sent bool) {
	var refusal *pending.Refusal
	r.mu.Lock()
	defer r.mu.Unlock()
	sent = errors.As(err, &refusal) && refusal.Failed == 0 || child.sender == p
	r.rejected.add(pair(parent, child))
	if !errors.Is(err, errMissingInputs) {
		r.orphans.disown(ownerOf(p), child)
	}
	return sent
}

// maxPairs is how many children are tried with a parent.
const maxPairs = 3

// pair names a parent with a child.
func pair(parent *types.Tx, child *orphan) types.Hash {
	wtxid := parent.WTxID()
	return types.DoubleSHA256(append(wtxid[:], child.wtxid[:]...))
}

// errMissingInputs is the reason of a transaction that may have come too early.
var errMissingInputs = consensus.ReasonMissingInputs

// childrenOf returns the orphans that spend transactions that the pool has just taken,
// from whomever they came.
func (r *relay) childrenOf(wtxids []types.Hash) []*orphan {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.orphans.byID) == 0 {
		return nil
	}
	var txids []types.Hash
	for _, wtxid := range wtxids {
		if tx := r.pool.GetByWitness(wtxid); tx != nil {
			txids = append(txids, tx.TxID)
		}
	}
	return r.orphans.childrenOf(txids)
}

func (r *relay) allOrphans() []*orphan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orphans.all()
}

// offerOrphans gives orphans to the pool. Those that spend them come after them by the
// same way. If that brings nothing, the work is on account of who sent the orphan.
func (r *relay) offerOrphans(ctx context.Context, orphans []*orphan) {
	for _, o := range orphans {
		if !r.isOrphan(o) { // its sender was hung up on for the one before, perhaps
			continue
		}
		var err error
		spent := r.measure(func() { _, err = r.pool.Accept(ctx, o.tx, 0) }, nil)
		if ctx.Err() != nil {
			return
		}
		sender := r.offered(o, err)
		if err == nil || sender == nil {
			continue
		}
		r.worked(sender, spent)
		if cost, _ := judge(err); cost != free {
			sender.close(err)
		}
	}
}

func (r *relay) isOrphan(o *orphan) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orphans.byID[o.wtxid] == o
}

// offered notes what the pool has said of an orphan. It returns who sent it, and not those
// who only told of it; nil if that one has gone.
func (r *relay) offered(o *orphan, err error) (sender *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sender = o.sender
	if errors.Is(err, errMissingInputs) || errors.Is(err, consensus.ErrLocal) {
		return sender
	}
	r.orphans.remove(o)
	if err != nil {
		r.rejected.add(o.wtxid)
	}
	return sender
}

// delay is the time to the next announcement: exponentially distributed, so that
// announcements tell little of when a transaction came.
func delay() time.Duration { return time.Duration(rand.ExpFloat64() * float64(meanDelay)) }

// blockConnected notes which transactions are in a new block. Nobody is asked for them
// any more: they would seem to lack what they spend.
func (r *relay) blockConnected(wtxids []types.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, wtxid := range wtxids {
		r.confirmed.add(wtxid)
		if kept := r.orphans.byID[wtxid]; kept != nil {
			r.orphans.remove(kept)
		}
	}
}
