package wallet

import (
	"context"

	"github.com/karatcoin/karat/chain/types"
)

// Codes of the errors of sendrawtransaction, which are Bitcoin Core's.
const (
	codeMissing  = -25 // an input is spent, or was never there
	codeRejected = -26 // by policy, or by a rule that may change its answer
)

// syncPool looks at the transactions that wait for a block.
func (w *Wallet) syncPool(ctx context.Context, r *remote) error {
	txids, err := r.pool(ctx)
	if err != nil {
		return err
	}
	inPool := make(map[types.Hash]bool, len(txids))
	var wanted []types.Hash
	w.mu.Lock()
	for _, txid := range txids {
		inPool[txid] = true
		if _, seen := w.seen[txid]; !seen && len(wanted) < maxPool {
			wanted = append(wanted, txid)
		}
	}
	w.mu.Unlock()
	fetched, err := r.transactions(ctx, wanted)
	if err != nil {
		return err
	}
	if err := w.lookAtPool(fetched, inPool); err != nil {
		return err
	}
	return w.settlePending(ctx, r, inPool)
}

// lookAtPool notes which of the pool's transactions concern the wallet. One may
// stand before the one whose output it spends, so it looks until it finds no
// more.
func (w *Wallet) lookAtPool(fetched map[types.Hash]*types.Tx, inPool map[types.Hash]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for txid := range w.seen {
		if !inPool[txid] {
			delete(w.seen, txid)
		}
	}
	for txid, tx := range fetched {
		w.seen[txid] = spends(tx)
	}
	for again := true; again; {
		again = false
		for txid, tx := range fetched {
			if w.transactions[txid] != nil || !w.concerns(tx) {
				continue
			}
			if _, err := w.noteKeys(tx); err != nil {
				return err
			}
			w.transactions[txid] = &Transaction{Tx: tx, TxID: txid, Time: w.now().Unix()}
			w.ledger = newLedger(w.transactions, w.keys)
			again = true
		}
	}
	if w.late != nil { // an earlier one may have paid a key that is watched only now
		clear(w.seen)
	}
	return nil
}

func spends(tx *types.Tx) []types.OutPoint {
	outPoints := make([]types.OutPoint, len(tx.Inputs))
	for i := range tx.Inputs {
		outPoints[i] = tx.Inputs[i].PreviousOutPoint
	}
	return outPoints
}

// settlePending sees to transactions without a block: those that the node lacks are
// passed on again, and what cannot be confirmed any more is dropped.
func (w *Wallet) settlePending(ctx context.Context, r *remote, inPool map[types.Hash]bool) error {
	w.mu.Lock()
	pending, spentInPool := w.unconfirmed(inPool)
	w.mu.Unlock()
	s := w.db.begin()
	changed := map[types.Hash]*Transaction{}
	for _, t := range pending {
		updated := *t
		updated.Dropped = false
		if !inPool[t.TxID] {
			var err error
			if updated.Dropped, err = r.offer(ctx, t, spentInPool); err != nil {
				return err
			}
		}
		changed[t.TxID] = &updated
		s.putTx(&updated)
	}
	if len(changed) == 0 {
		return nil
	}
	atTip, err := r.isTip(ctx, w.Tip())
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !atTip { // the node is behind, or a block came meanwhile that may have them
		s = w.db.begin()
		for txid, t := range changed {
			t.Dropped = t.Dropped && w.transactions[txid].Dropped
			s.putTx(t)
		}
	}
	s.putLate(w.late)
	if err := s.write(); err != nil {
		return err
	}
	for txid, t := range changed {
		w.transactions[txid] = t
	}
	w.ledger = newLedger(w.transactions, w.keys)
	return nil
}

// unconfirmed returns the transactions without a block, in the order in which they
// count, but for those that were dropped and lost their coins to another of the
// wallet: passed on again they could undo that one. spentInPool is what the pool's
// transactions spend. It assumes mu.
func (w *Wallet) unconfirmed(inPool map[types.Hash]bool) (pending []*Transaction, spentInPool map[types.OutPoint]bool) {
	for _, t := range sorted(w.transactions) {
		if t.confirmed() || t.Tx.IsCoinbase() || t.Dropped && !inPool[t.TxID] && w.ledger.conflictedByOther(t) {
			continue
		}
		pending = append(pending, t)
	}
	spentInPool = map[types.OutPoint]bool{}
	for _, outPoints := range w.seen {
		for _, outPoint := range outPoints {
			spentInPool[outPoint] = true
		}
	}
	return pending, spentInPool
}

// offer gives the node a transaction that it lacks, and reports whether it cannot
// be confirmed any more. A refusal of another kind, such as for its feerate or for
// who asks, changes nothing: other nodes may have it still.
func (r *remote) offer(ctx context.Context, t *Transaction, spentInPool map[types.OutPoint]bool) (dropped bool, err error) {
	err = r.send(ctx, t.Tx)
	switch codeOf(err) {
	case 0:
		return false, err // accepted, or the node did not answer
	case codeMissing:
		return true, nil
	case codeRejected:
		for _, outPoint := range spends(t.Tx) {
			if spentInPool[outPoint] {
				return true, nil
			}
		}
	}
	return t.Dropped, nil
}
