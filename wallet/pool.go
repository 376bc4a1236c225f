package wallet

import (
	"cmp"
	"context"
	"maps"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// Codes of the errors of sendrawtransaction, which are Bitcoin Core's.
const (
	codeMissing  = -25 // an input is spent, or was never there
	codeRejected = -26 // by policy, or by a rule that may change its answer
)

// syncPool looks at the transactions that wait for a block. It fetches all of them that it
// has not seen, since to ask for some would tell which are the wallet's. What one node hides
// another may tell.
func (s *session) syncPool(ctx context.Context) error {
	w := s.w
	inPool, fetched := map[types.Hash]bool{}, map[types.Hash]*types.Tx{}
	height := w.Tip().Height
	for _, r := range s.usable(height) {
		if err := r.readPool(ctx, w, inPool, fetched); err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return err
			}
		}
	}
	if len(s.usable(height)) == 0 {
		return s.nobody()
	}
	if err := w.scanPool(fetched, inPool); err != nil {
		return err
	}
	return s.reviewPending(ctx, inPool)
}

// readPool adds what waits at a node to what waits elsewhere.
func (r *remote) readPool(ctx context.Context, w *Wallet, inPool map[types.Hash]bool, fetched map[types.Hash]*types.Tx) error {
	txids, err := r.pool(ctx)
	if err != nil {
		return err
	}
	r.waiting = make(map[types.Hash]bool, len(txids))
	var wanted []types.Hash
	w.mu.Lock()
	for _, txid := range txids {
		r.waiting[txid], inPool[txid] = true, true
		if !w.seen[txid] && fetched[txid] == nil && len(wanted)+len(fetched) < maxPool {
			wanted = append(wanted, txid)
		}
	}
	w.mu.Unlock()
	room := maxPoolSize
	for _, tx := range fetched {
		room -= tx.Size()
	}
	got, err := r.transactions(ctx, wanted, room)
	maps.Copy(fetched, got)
	return err
}

// scanPool notes which of the pool's transactions concern the wallet. One may stand before
// the one whose output it spends, so it looks until it finds no more. Nothing is stored here:
// reviewPending does that once the node was asked about them.
func (w *Wallet) scanPool(fetched map[types.Hash]*types.Tx, inPool map[types.Hash]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for txid := range w.seen { // what has left the pool is forgotten, so that this stays small
		if !inPool[txid] {
			delete(w.seen, txid)
		}
	}
	for txid := range fetched {
		w.seen[txid] = true
	}
	for again := true; again; {
		again = false
		for txid, tx := range fetched {
			if w.transactions[txid] != nil || !w.concerns(tx) || w.forged(tx) {
				continue
			}
			if _, err := w.notePaid(tx); err != nil {
				return err
			}
			w.put(&Transaction{Tx: tx, TxID: txid, Time: w.now().Unix()})
			again = true
		}
	}
	if w.late != nil { // an earlier one may have paid a key that is watched only now
		clear(w.seen)
	}
	return nil
}

// prevouts returns the outputs that a transaction spends, empty ones for those that do not pay
// to the wallet, and whether all of them do, and whether any does. It assumes mu.
func (w *Wallet) prevouts(tx *types.Tx) (outputs []types.TxOut, all, any bool) {
	all = true
	for i := range tx.Inputs {
		c, ours := w.outputs.ours[tx.Inputs[i].PreviousOutPoint]
		any, all = any || ours, all && ours
		outputs = append(outputs, types.TxOut{Value: c.Value, ScriptPubKey: c.ScriptPubKey})
	}
	return outputs, all, any
}

// forged reports whether a transaction that no block vouches for spends a coin of the wallet
// without being signed for all that it spends: a node that lies could make it up to lock the
// coin. Signatures can only be checked if all coins are known, since each covers the amounts
// of all (BIP341). So what also spends coins of others counts as forged until it is in a
// block; no wallet of ours makes such. It assumes mu.
func (w *Wallet) forged(tx *types.Tx) bool {
	prevouts, all, any := w.prevouts(tx)
	if !all {
		return any
	}
	ctx := taproot.NewContext(tx, prevouts)
	for i := range tx.Inputs {
		if ctx.VerifyInput(i, taproot.Standard, nil) != nil {
			return true
		}
	}
	return false
}

// reviewPending sees to transactions without a block: nodes that lack them are given them
// again, and what cannot be confirmed any more is dropped. Nodes forget what waits too long,
// so a payment would otherwise depend on one of them.
func (s *session) reviewPending(ctx context.Context, inPool map[types.Hash]bool) error {
	w := s.w
	w.mu.Lock()
	pending := w.unconfirmed(inPool)
	w.mu.Unlock()
	step := w.db.begin()
	changed := map[types.Hash]*Transaction{}
	for _, t := range pending {
		updated := *t
		updated.Abandoned = t.Abandoned && !inPool[t.TxID]
		code, err := s.offer(ctx, t)
		if err != nil {
			return err
		}
		updated.Dropped = code != 0 && w.givenUp(t, code, inPool) // or gets another chance
		changed[t.TxID] = &updated
		step.putTx(&updated)
	}
	if len(changed) == 0 {
		return nil
	}
	// After the transactions were offered: a block that came before would explain refusals.
	same, err := s.sameTip(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !same { // a node is behind, or a block came meanwhile that may have them
		step = w.db.begin()
		for txid, t := range changed {
			t.Dropped = t.Dropped && w.transactions[txid].Dropped
			step.putTx(t)
		}
	}
	step.putLate(w.late)
	if err := step.write(); err != nil {
		return err
	}
	for _, t := range changed {
		w.put(t)
	}
	return nil
}

// offer gives a transaction to all nodes that lack it. It returns the code of a refusal if no
// node has it in the end, else 0.
func (s *session) offer(ctx context.Context, t *Transaction) (code int, err error) {
	height, taken := s.w.Tip().Height, false
	for _, r := range s.usable(height) {
		if r.waiting[t.TxID] {
			taken = true
			continue
		}
		refused, err := r.offer(ctx, t.Tx)
		if err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return 0, err
			}
			continue
		}
		taken = taken || refused == 0
		code = cmp.Or(code, refused)
	}
	switch {
	case len(s.usable(height)) == 0:
		return 0, s.nobody()
	case taken:
		return 0, nil
	}
	return code, nil
}

// sameTip reports whether all nodes have the wallet's tip.
func (s *session) sameTip(ctx context.Context) (same bool, err error) {
	tip := s.w.Tip()
	same = true
	for _, r := range s.usable(tip.Height) {
		hash, _, err := r.tip(ctx)
		if err != nil {
			if err := s.drop(ctx, r, err); err != nil {
				return false, err
			}
			continue
		}
		same = same && hash == tip.Hash
	}
	if len(s.usable(tip.Height)) == 0 {
		return false, s.nobody()
	}
	return same, nil
}

// unconfirmed returns the transactions without a block, parents first, but for those that
// were dropped and lost their coins to another of the wallet: passed on again they could
// undo that one. What was abandoned is not passed on either, nor looked at unless the node
// has it. Coinbases cannot wait for a block. It assumes mu.
func (w *Wallet) unconfirmed(inPool map[types.Hash]bool) (pending []*Transaction) {
	for _, t := range w.ledger().order {
		waits := inPool[t.TxID] || !t.Abandoned && (!t.Dropped || !w.ledger().conflictedByOther(t))
		if waits && !t.confirmed() && !t.Tx.IsCoinbase() {
			pending = append(pending, t)
		}
	}
	return pending
}

// givenUp reports whether a transaction that the node refuses with a code waits no more. A
// node that lies about a payment of the wallet must not free its coins: to pay again with
// them could be to pay twice. So such a payment waits until another that was signed here
// takes its coins; the ledger knows what blocks spend. Of what others sent only the node can
// tell, and if it is wrong nothing is lost, since it is not counted on.
func (w *Wallet) givenUp(t *Transaction, code int, inPool map[types.Hash]bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, own, _ := w.prevouts(t.Tx); !own {
		return t.Dropped || code == codeMissing || code == codeRejected
	}
	for txid, other := range w.transactions {
		if txid != t.TxID && inPool[txid] && conflicting(t.Tx, other.Tx) {
			return true
		}
	}
	return t.Dropped
}

// conflicting reports whether two transactions spend the same coin.
func conflicting(a, b *types.Tx) bool {
	for i := range a.Inputs {
		for j := range b.Inputs {
			if a.Inputs[i].PreviousOutPoint == b.Inputs[j].PreviousOutPoint {
				return true
			}
		}
	}
	return false
}
