package mempool

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/header"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/baton"
	"github.com/karatcoin/karat/internal/poke"
	"github.com/karatcoin/karat/mempool/fees"
)

// Chain is what the pool asks of the block chain.
type Chain interface {
	consensus.Ancestry
	Tip() types.Index
	Info(hash types.Hash) (header.Info, bool)
	// Coins looks coins up after the tip, and tells which tip that was.
	Coins(ctx context.Context, outPoints []types.OutPoint) ([]consensus.FetchedCoin, consensus.State, error)
	UpdatesSince(since types.Index, limit int) (reverted, applied []consensus.BlockUpdate, err error)
	poke.Source // pokes after the tip has changed
}

// Options are the choices of New. All but Params and Chain may be left out.
type Options struct {
	Params *consensus.Params
	Chain  Chain

	pending.Policy // the zero value: DefaultPolicy()

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discard
}

// Pool is the memory pool. All methods may be called concurrently.
//
// It has five locks. saving is held by whoever writes the file. following is held by whoever makes the pool follow the chain, for
// as long as disk and scripts take. mu guards the graph and what belongs to it; it is
// held for moments, and nothing under it waits or calls out. It may be taken under
// following, never the other way. verified has a lock of its own, because the chain asks
// it for every transaction of a block, and must not wait for the pool then; estimator has
// one because it computes under it. Neither is taken under mu.
type Pool struct {
	options   Options
	params    *consensus.Params
	chain     Chain
	log       *slog.Logger
	now       func() time.Time
	verified  verifiedSet
	estimator estimator
	changed   poke.Bell // rings after the graph has changed

	saving    baton.Baton // one at a time writes to the file
	following baton.Baton
	followed  followed // guarded by following

	mu         sync.Mutex
	graph      *graph
	position   types.Index // every transaction is valid in the next block on it
	rebuilding bool        // another graph is about to replace this one: nothing may come in
	rolling    rollingFee
	changes    uint64 // transactions that came or went since the start
	accepted   acceptedLog
	journal    changeLog
	marks      uint64                  // changes of deltas, and of what no peer has asked for
	saved      uint64                  // edits() of what was saved last
	local      map[types.Hash]struct{} // ids of transactions from clients of ours, for which no peer has asked
	loaded     bool                    // Load has read its file to the end
}

// New returns an empty pool at the tip of the chain.
func New(o Options) *Pool {
	if o.Policy == (pending.Policy{}) {
		o.Policy = DefaultPolicy()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		options: o, params: o.Params, chain: o.Chain, log: o.Logger, now: o.Now,
		saving: baton.New(), following: baton.New(), local: map[types.Hash]struct{}{}, position: o.Chain.Tip(),
	}
	p.graph, p.followed.at = p.newGraph(), p.position
	p.estimator.restart(p.position, &fees.Histogram{})
	return p
}

// Get returns the transaction with the id, nil if the pool has none.
func (p *Pool) Get(txid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return entryOf(p.graph.byTxID[txid])
}

// GetByWitness returns the transaction with the witness id, nil if the pool has none.
// Peers ask by it, since only this id commits to the witnesses too.
func (p *Pool) GetByWitness(wtxid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return entryOf(p.graph.byWTxID[wtxid])
}

// MiningFeeRate returns the feerate of the chunk with which the transaction with the
// witness id would be mined. It is what peers who ask for a feerate mean: they would take
// it with the child that pays for it, and not with the parent that pays for nothing.
func (p *Pool) MiningFeeRate(wtxid types.Hash) (rate types.FeeRate, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.graph.byWTxID[wtxid]
	if n == nil {
		return 0, false
	}
	var paid types.Amount // without the operator's deltas, of which peers know nothing
	c := n.chunk()
	for _, member := range n.cluster.nodes[c.first:c.end] {
		paid += member.Fee
	}
	return types.NewFeeRate(paid, vsizeOf(c.weight)), true
}

// SpentBy returns the transaction that spends the output, nil if the pool has
// none.
func (p *Pool) SpentBy(outPoint types.OutPoint) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return entryOf(p.graph.spends[outPoint])
}

// entryOf returns a node's entry, nil for none. Nodes stay within the package: they
// change with the graph.
func entryOf(n *txNode) *pending.Entry {
	if n == nil {
		return nil
	}
	return n.Entry
}

// Entries returns all transactions, each after those that it spends.
func (p *Pool) Entries() []*pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.graph.entries()
}

// Listing returns all transactions, each after those that it spends, and the sequence
// number that the next change will have (pending.Change).
func (p *Pool) Listing() (entries []*pending.Entry, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.graph.entries(), p.journal.sequence + 1
}

// Details returns the transaction with the id and its relatives, all of one moment.
func (p *Pool) Details(txid types.Hash) (pending.Details, bool) {
	if all := p.AllDetails([]types.Hash{txid}); len(all) == 1 {
		return all[0], true
	}
	return pending.Details{}, false
}

// AllDetails is Details of many. Transactions that are not there are left out, and those of
// one call are of one moment.
func (p *Pool) AllDetails(txids []types.Hash) []pending.Details {
	all := make([]pending.Details, 0, len(txids))
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range txids {
		if n := p.graph.byTxID[txids[i]]; n != nil {
			d := n.details()
			_, d.Unbroadcast = p.local[txids[i]]
			all = append(all, d)
		}
	}
	return all
}

// Info returns the state of the pool.
func (p *Pool) Info() pending.Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pending.Info{
		Policy: p.options.Policy, Position: p.position, Loaded: p.loaded,
		Count: len(p.graph.byTxID), VSize: p.graph.vsize, Usage: p.graph.usage, TotalFee: p.graph.fees, Unbroadcast: len(p.local),
		MinFeeRate: p.minFeeRate(), Sequence: p.changes,
	}
}

// Subscribe returns a channel that receives a poke after the pool has changed,
// and a function that ends that.
func (p *Pool) Subscribe() (poke <-chan struct{}, cancel func()) { return p.changed.Subscribe() }
