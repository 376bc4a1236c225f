package sim

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/poke"
)

// lightPool is a node's pool without scripts and fees: p2p's Pool. It takes what spends
// coins of the beginning, or a transaction that it has.
type lightPool struct {
	ledger *ledger
	bell   poke.Bell
	onTx   func(*pending.Entry)

	mu sync.Mutex
	// Guarded by mu:
	entries  map[types.Hash]*pending.Entry // by witness id
	byTxID   map[types.Hash]*pending.Entry
	mined    map[types.Hash]bool // by id
	accepted []types.Hash        // witness ids, in the order in which they came
}

func newPool(l *ledger, onTx func(*pending.Entry)) *lightPool {
	return &lightPool{
		ledger: l, onTx: onTx, entries: map[types.Hash]*pending.Entry{}, byTxID: map[types.Hash]*pending.Entry{}, mined: map[types.Hash]bool{},
	}
}

// Accept implements p2p.Pool.
func (p *lightPool) Accept(_ context.Context, tx *types.Tx, _ types.FeeRate) (*pending.Entry, error) {
	wtxid, txid := tx.WTxID(), tx.TxID()
	p.mu.Lock()
	there, mined := p.entries[wtxid] != nil, p.mined[txid]
	p.mu.Unlock()
	if there || mined {
		return nil, &consensus.RuleError{Kind: consensus.ErrPolicy, Reason: pending.ReasonConfirmed}
	}
	if err := consensus.CheckTransaction(p.ledger.params, tx); err != nil {
		return nil, err
	}
	for i := range tx.Inputs {
		if at := tx.Inputs[i].PreviousOutPoint; !p.ledger.exists(at) && !p.makes(at) {
			return nil, &consensus.RuleError{Kind: consensus.ErrNotYet, Reason: consensus.ReasonMissingInputs}
		}
	}
	e := p.ledger.entry(tx, wtxid, time.Now())
	p.put(e)
	p.mu.Lock()
	p.accepted = append(p.accepted, wtxid)
	p.mu.Unlock()
	p.onTx(e)
	p.bell.Ring()
	return e, nil
}

// AcceptPackage implements p2p.Pool. No transaction is too cheap by itself here.
func (p *lightPool) AcceptPackage(ctx context.Context, txs []*types.Tx, maxFeeRate types.FeeRate) (pkg pending.Package, err error) {
	for _, tx := range txs {
		e, err := p.Accept(ctx, tx, maxFeeRate)
		if err != nil {
			return pkg, err
		}
		pkg.Verdicts = append(pkg.Verdicts, pending.Verdict{Entry: e})
	}
	return pkg, nil
}

// makes reports whether a transaction of the pool makes a coin.
func (p *lightPool) makes(at types.OutPoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byTxID[at.TxID]
	return e != nil && int(at.Index) < len(e.Tx.Outputs)
}

// has reports whether the node has a transaction, in its pool or in a block.
func (p *lightPool) has(txid types.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mined[txid] || p.byTxID[txid] != nil
}

// put gives the pool a transaction as if it had been there all the time: no peer is
// told of it.
func (p *lightPool) put(entries ...*pending.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		p.entries[e.WTxID], p.byTxID[e.TxID] = e, e
	}
}

// confirm removes what blocks have.
func (p *lightPool) confirm(blocks []*block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range blocks {
		_, txids := p.ledger.bodyOf(b)
		for _, txid := range txids {
			p.mined[txid] = true
			if e := p.byTxID[txid]; e != nil {
				delete(p.byTxID, txid)
				delete(p.entries, e.WTxID)
			}
		}
	}
}

// GetByWitness implements p2p.Pool.
func (p *lightPool) GetByWitness(wtxid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.entries[wtxid]
}

// Get implements p2p.Pool.
func (p *lightPool) Get(txid types.Hash) *pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byTxID[txid]
}

// Entries implements p2p.Pool.
func (p *lightPool) Entries() []*pending.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*pending.Entry, 0, len(p.entries))
	for _, e := range p.entries {
		list = append(list, e)
	}
	return list
}

// Accepted implements p2p.Pool.
func (p *lightPool) Accepted(since uint64, limit int) ([]types.Hash, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := uint64(len(p.accepted))
	if since >= end {
		return nil, end
	}
	next := min(end, since+uint64(limit))
	return p.accepted[since:next:next], next
}

// Unbroadcast implements p2p.Pool. No client brings anything.
func (p *lightPool) Unbroadcast() []types.Hash { return nil }

// Broadcast implements p2p.Pool.
func (p *lightPool) Broadcast(...types.Hash) {}

// MinFeeRate implements p2p.Pool.
func (p *lightPool) MinFeeRate() types.FeeRate { return 0 }

// MiningFeeRate implements p2p.Pool.
func (p *lightPool) MiningFeeRate(wtxid types.Hash) (types.FeeRate, bool) {
	e := p.GetByWitness(wtxid)
	return 0, e != nil
}

// Subscribe implements p2p.Pool.
func (p *lightPool) Subscribe() (<-chan struct{}, func()) { return p.bell.Subscribe() }

// unconfirm takes back what a block had that is no longer part of the chain.
func (p *lightPool) unconfirm(b *block) {
	_, txids := p.ledger.bodyOf(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, txid := range txids {
		delete(p.mined, txid)
		if e := p.ledger.byID(txid); e != nil {
			p.entries[e.WTxID], p.byTxID[txid] = e, e
		}
	}
}

// Select implements p2p.Pool. The order is that of the ids, since fees are all alike.
func (p *lightPool) Select(want pending.Selection) (chosen []*pending.Entry, _ types.Index) {
	for _, e := range p.sorted() {
		if want.MaxWeight -= e.Weight; want.MaxWeight < 0 {
			break
		}
		chosen = append(chosen, e)
	}
	return chosen, types.Index{}
}

// sorted returns the transactions by their ids.
func (p *lightPool) sorted() []*pending.Entry {
	entries := p.Entries()
	slices.SortFunc(entries, func(a, b *pending.Entry) int { return slices.Compare(a.TxID[:], b.TxID[:]) })
	return entries
}
