package wallet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// What a payment has to outbid, or to pay for, stands in the node's pool. The wallet asks for
// all of the pool, as it does when it syncs, so that the node does not learn which payment
// is stuck. What the node says of fees cannot be checked. It can only make a payment dearer,
// and what it will cost is shown before anything is signed.

// poolEntry is what a node says of a transaction in its pool.
type poolEntry struct {
	size    int          // in virtual bytes
	fee     types.Amount // of itself
	rate    types.FeeRate
	depends []types.Hash // those in the pool that it spends
	spentBy []types.Hash
}

// poolView is a node's pool.
type poolView map[types.Hash]*poolEntry

// poolView asks for what waits, with fees.
func (r *remote) poolView(ctx context.Context) (poolView, error) {
	var answer map[types.Hash]struct {
		VSize       int    `json:"vsize"`
		ChunkWeight int    `json:"chunkweight"`
		Depends     hashes `json:"depends"`
		SpentBy     hashes `json:"spentby"`
		Fees        struct {
			Base  json.Number `json:"base"`
			Chunk json.Number `json:"chunk"`
		} `json:"fees"`
	}
	if err := r.node.Call(ctx, "getrawmempool", &answer, true); err != nil {
		return nil, err
	}
	view := make(poolView, len(answer))
	for txid, e := range answer {
		fee, err := types.ParseAmount(e.Fees.Base.String())
		if err != nil || fee < 0 || fee > maxSum || e.VSize < 1 || e.VSize > maxAncestors {
			return nil, lying("a waiting transaction of %d virtual bytes with a fee of %.40q", e.VSize, e.Fees.Base)
		}
		entry := &poolEntry{size: e.VSize, fee: fee, rate: types.NewFeeRate(fee, e.VSize), depends: e.Depends, spentBy: e.SpentBy}
		// A node of another make may not tell of chunks.
		if chunk, err := types.ParseAmount(e.Fees.Chunk.String()); err == nil && chunk >= 0 && e.ChunkWeight > 0 {
			entry.rate = max(entry.rate, types.NewFeeRate(chunk, virtualSize(e.ChunkWeight)))
		}
		view[txid] = entry
	}
	return view, nil
}

// reach returns a transaction and all that is reached from it by links, each once.
func (v poolView) reach(from types.Hash, links func(*poolEntry) []types.Hash) []types.Hash {
	found, seen := []types.Hash{from}, map[types.Hash]bool{from: true}
	for i := 0; i < len(found); i++ {
		if e := v[found[i]]; e != nil {
			for _, next := range links(e) {
				if !seen[next] {
					seen[next] = true
					found = append(found, next)
				}
			}
		}
	}
	return found
}

func (v poolView) descendants(txid types.Hash) []types.Hash {
	return v.reach(txid, func(e *poolEntry) []types.Hash { return e.spentBy })
}

func (v poolView) ancestors(txid types.Hash) []types.Hash {
	return v.reach(txid, func(e *poolEntry) []types.Hash { return e.depends })
}

// owed returns what a child of some transactions has to pay for, besides itself, so that it and
// its ancestors are confirmed as what pays a feerate: these transactions and theirs, but for those
// that miners take for that feerate without the child. They are found as a miner finds them:
// as long as some transaction pays the feerate with its ancestors, all of these are taken.
func (v poolView) owed(rate types.FeeRate, parents ...types.Hash) (o Owed, err error) {
	left := map[types.Hash]bool{}
	for _, parent := range parents {
		for _, id := range v.ancestors(parent) {
			if v[id] != nil {
				left[id] = true
			}
		}
	}
	if len(left) > maxFamily*max(len(parents), 1) {
		return o, lying("a family of %d waiting transactions", len(left))
	}
	sum := func(ids []types.Hash) (o Owed) {
		for _, id := range ids {
			if left[id] {
				o.AncestorSize += v[id].size
				o.AncestorFee += v[id].fee
			}
		}
		return o
	}
	for taken := true; taken; {
		taken = false
		for id := range left {
			if family := v.ancestors(id); sum(family).satisfied(rate) {
				for _, id := range family {
					delete(left, id)
				}
				taken = true
				break
			}
		}
	}
	for id := range left {
		o.AncestorSize += v[id].size
		o.AncestorFee += v[id].fee
	}
	if o.AncestorSize > maxFamilySize {
		return o, lying("a family of %d virtual bytes", o.AncestorSize)
	}
	return o, nil
}

// BuildPaying builds a request, and lets it pay for what it spends that waits: change of a
// payment with a lower feerate would keep this one waiting too. Confirmed coins are added where
// that takes more. A payment that may have gone wrong before spends a coin of its first try.
func (w *Wallet) BuildPaying(ctx context.Context, node Node, r *Request, build func(*Request) (*Draft, error)) (*Draft, error) {
	r = w.tied(r)
	d, err := build(r)
	if err != nil || waits(d) == 0 {
		return d, err
	}
	view, err := w.remote(node).poolView(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.addOwn(view, types.Hash{})
	w.mu.Unlock()
	var parents []types.Hash
	spent := map[types.OutPoint]bool{}
	for i := range d.Inputs {
		c := &d.Inputs[i]
		if spent[c.OutPoint] = true; !c.confirmed() && !slices.Contains(parents, c.TxID) {
			parents = append(parents, c.TxID)
		}
	}
	owed, err := view.owed(r.FeeRate, parents...)
	if err != nil || owed == (Owed{}) {
		return d, err
	}
	paying := *r
	paying.Owed, paying.Required = owed, slices.Clone(d.Inputs)
	paying.Coins = slices.DeleteFunc(slices.Clone(r.Coins), func(c Coin) bool { return spent[c.OutPoint] || !c.confirmed() || r.SendAll })
	return Build(&paying)
}

// maxFamilySize is how many virtual bytes one fee may pay for besides its own transaction. Nodes
// let 101,000 wait in one family; several times that is no true answer.
const maxFamilySize = 500_000

// satisfied reports whether ancestors pay a feerate by themselves.
func (o Owed) satisfied(rate types.FeeRate) bool { return o.AncestorFee >= rate.Fee(o.AncestorSize) }

// addOwn puts waiting transactions of the wallet that the node lacks into the view, as if the
// node had them: all that count, and one in any case. It assumes mu.
func (w *Wallet) addOwn(v poolView, also types.Hash) {
	for txid, t := range w.transactions {
		if t.confirmed() || v[txid] != nil || w.ledger().conflicts[txid] && txid != also {
			continue
		}
		size := t.Tx.VirtualSize()
		e := &poolEntry{size: size, fee: w.ledger().entry(t, 0, 0, w.keys).Fee}
		e.rate = types.NewFeeRate(e.fee, size)
		for i := range t.Tx.Inputs {
			parent := t.Tx.Inputs[i].PreviousOutPoint.TxID
			if p := w.transactions[parent]; p != nil && !p.confirmed() || v[parent] != nil {
				e.depends = append(e.depends, parent)
			}
		}
		v[txid] = e
	}
	for txid, t := range w.transactions {
		if e := v[txid]; e != nil {
			w.correct(e, t, v)
			for _, parent := range e.depends {
				if p := v[parent]; p != nil && !slices.Contains(p.spentBy, txid) {
					p.spentBy = append(p.spentBy, txid)
				}
			}
		}
	}
}

// correct replaces what a node says of a transaction by what the wallet knows of it itself: its
// size, what it can depend on and, if it spends nothing but the wallet's coins, its fee. A node
// that lied about these would have a child pay for them once more. It assumes mu.
func (w *Wallet) correct(e *poolEntry, t *Transaction, v poolView) {
	e.size = t.Tx.VirtualSize()
	_, own, _ := w.prevouts(t.Tx)
	if own {
		e.fee = w.ledger().entry(t, 0, 0, w.keys).Fee
		e.rate = max(e.rate, types.NewFeeRate(e.fee, e.size))
	}
	said := e.depends
	e.depends = nil
	for i := range t.Tx.Inputs {
		parent := t.Tx.Inputs[i].PreviousOutPoint.TxID
		known := w.transactions[parent]
		waits := known != nil && !known.confirmed() || known == nil && !own && slices.Contains(said, parent)
		if waits && v[parent] != nil && !slices.Contains(e.depends, parent) {
			e.depends = append(e.depends, parent)
		}
	}
}

// ExpectedBlocks returns within how many blocks a node expects what pays a feerate to be
// confirmed, 0 if it does not expect it within a week of Bitcoin's blocks.
func ExpectedBlocks(ctx context.Context, node Node, rate types.FeeRate) (int, error) {
	for _, blocks := range []int{1, 2, 3, 6, 12, 24, 48, 144, 504, 1008} {
		asked, err := FeeRate(ctx, node, blocks)
		if err != nil {
			return 0, fmt.Errorf("when to expect a payment: %w", err)
		}
		if asked <= rate {
			return blocks, nil
		}
	}
	return 0, nil
}
