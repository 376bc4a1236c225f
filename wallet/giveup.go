package wallet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// Offered is what a node said to a transaction that was passed on again.
type Offered struct {
	TxID  types.Hash
	Error error // why the node refuses it; nil if it has it
}

// Rebroadcast passes the wallet's transactions that wait on again, parents first: all of them,
// or one and its ancestors. One that was given up counts again if the node takes it. Errors:
// ErrNotWaiting, those of the node; what it refuses is no error.
func (w *Wallet) Rebroadcast(ctx context.Context, node Node, only *types.Hash) (offered []Offered, err error) {
	w.mu.Lock()
	var list []*Transaction
	for _, t := range w.ledger().order {
		if !t.confirmed() && !t.Tx.IsCoinbase() && (only == nil && !w.ledger().conflicts[t.TxID] || only != nil && t.TxID == *only) {
			list = append(list, t)
		}
	}
	if only != nil {
		if len(list) == 0 || w.ledger().conflictedByOther(list[0]) {
			_, err = w.waiting(*only)
		} else {
			list = append(w.waitingAncestors(list[0]), list[0])
		}
	}
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r := w.remote(node)
	for _, t := range list {
		err := r.send(ctx, t.Tx)
		if err != nil && codeOf(err) == 0 {
			return offered, err
		}
		offered = append(offered, Offered{t.TxID, err})
		if err == nil && (t.Abandoned || t.Dropped) {
			if err := w.change(t.TxID, func(t *Transaction) { t.Abandoned, t.Dropped = false, false }); err != nil {
				return offered, err
			}
		}
	}
	return offered, nil
}

// waitingAncestors returns what a transaction of the wallet spends that waits too, parents
// first. It assumes mu.
func (w *Wallet) waitingAncestors(of *Transaction) (list []*Transaction) {
	wanted := map[types.Hash]bool{of.TxID: true}
	order := w.ledger().order
	for _, t := range slices.Backward(order) { // children first
		if !wanted[t.TxID] {
			continue
		}
		for i := range t.Tx.Inputs {
			wanted[t.Tx.Inputs[i].PreviousOutPoint.TxID] = true
		}
	}
	for _, t := range order {
		if wanted[t.TxID] && !t.confirmed() && !t.Tx.IsCoinbase() && t != of {
			list = append(list, t)
		}
	}
	return list
}

// ErrHeld is a payment that cannot be given up, since a node would confirm it.
var ErrHeld = errors.New("the node has it in its pool, so a miner may confirm it at any time: karat cancel takes its place with one that pays you back")

// Freed is what giving a payment up would free: its coins that are the wallet's, and what of
// the wallet's goes with it.
type Freed struct {
	Coins    []Coin
	Children []types.Hash
}

// MayAbandon says what giving up a payment would free. It can be given up if the node does
// not hold it, nor takes it: Sync, which comes first, has offered it. Errors: ErrNotWaiting,
// ErrOthersPay, ErrHeld, those of the node.
func (w *Wallet) MayAbandon(ctx context.Context, node Node, txid types.Hash) (*Freed, error) {
	inPool, err := w.remote(node).pool(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.waiting(txid)
	if err != nil {
		return nil, err
	}
	if slices.Contains(inPool, txid) {
		return nil, fmt.Errorf("%s: %w", txid, ErrHeld)
	}
	f := &Freed{}
	for i := range t.Tx.Inputs {
		c, ours := w.outputs.ours[t.Tx.Inputs[i].PreviousOutPoint]
		if !ours {
			return nil, fmt.Errorf("%s: %w", txid, ErrOthersPay)
		}
		f.Coins = append(f.Coins, c)
	}
	gone := map[types.Hash]bool{txid: true}
	for _, child := range w.ledger().order {
		if !child.confirmed() && !w.ledger().conflicts[child.TxID] && child.spends(gone) {
			gone[child.TxID] = true
			f.Children = append(f.Children, child.TxID)
		}
	}
	return f, nil
}

// spends reports whether a transaction spends an output of any of some others.
func (t *Transaction) spends(of map[types.Hash]bool) bool {
	return slices.ContainsFunc(t.Tx.Inputs, func(in types.TxIn) bool { return of[in.PreviousOutPoint.TxID] })
}

// Abandon gives a payment up: its coins are free, and it is not passed on any more. If it is
// met in a pool or a block after all, it counts again.
func (w *Wallet) Abandon(ctx context.Context, node Node, txid types.Hash) error {
	if _, err := w.MayAbandon(ctx, node, txid); err != nil {
		return err
	}
	return w.change(txid, func(t *Transaction) { t.Abandoned = true })
}

// change changes what is noted of a transaction, on the disk first.
func (w *Wallet) change(txid types.Hash, change func(*Transaction)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := *w.transactions[txid]
	change(&changed)
	s := w.db.begin()
	s.putTx(&changed)
	if err := s.write(); err != nil {
		return err
	}
	w.put(&changed)
	return nil
}
