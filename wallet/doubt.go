package wallet

import (
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// A node that refuses a payment may keep it all the same, and pass it on later; an answer may be
// lost on its way. So every payment is noted before a node sees it, as one that was given up: its
// coins are free, and if it turns up it counts. Whoever then pays the same receiver again spends a
// coin of the first with the second, so that only one of them can be confirmed.

// noteOffered notes a payment that a node is about to see, unless it is between others alone.
func (w *Wallet) noteOffered(tx *types.Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &Transaction{Tx: tx, TxID: tx.TxID(), Time: w.now().Unix(), Abandoned: true}
	if w.transactions[t.TxID] != nil || !w.concerns(tx) {
		return nil
	}
	s := w.db.begin()
	s.putTx(t)
	if err := s.write(); err != nil {
		return err
	}
	w.put(t)
	_, err := w.notePaid(tx)
	return err
}

// doubtful returns the payments that were given up, or refused, could still be confirmed, and
// pay a script of others that some outputs pay too. It assumes mu.
func (w *Wallet) doubtful(outputs []types.TxOut) (list []*Transaction) {
	paid := map[string]bool{}
	for i := range outputs {
		script := outputs[i].ScriptPubKey
		if _, own := w.keys[string(script)]; !own && consensus.IsSpendable(script) {
			paid[string(script)] = true
		}
	}
	l := w.ledger()
	for _, t := range l.order {
		_, own, _ := w.prevouts(t.Tx)
		again := slices.ContainsFunc(t.Tx.Outputs, func(out types.TxOut) bool { return paid[string(out.ScriptPubKey)] })
		if again && own && !t.confirmed() && (t.Abandoned || t.Dropped) && !l.conflictedByOther(t) {
			list = append(list, t)
		}
	}
	return list
}

// tied returns a request that spends a coin of each doubtful payment to the same receivers, the
// largest that it may choose from.
func (w *Wallet) tied(r *Request) *Request {
	w.mu.Lock()
	list := w.doubtful(r.Outputs)
	w.mu.Unlock()
	tied := *r
	for _, t := range list {
		best := -1
		for i := range tied.Coins {
			if t.takes(tied.Coins[i].OutPoint) && (best < 0 || tied.Coins[i].Value > tied.Coins[best].Value) {
				best = i
			}
		}
		if best >= 0 && !slices.ContainsFunc(tied.Required, func(c Coin) bool { return t.takes(c.OutPoint) }) {
			tied.Required = append(slices.Clone(tied.Required), tied.Coins[best])
			tied.Coins = slices.Delete(slices.Clone(tied.Coins), best, best+1)
		}
	}
	return &tied
}

// takes reports whether a transaction spends a coin.
func (t *Transaction) takes(coin types.OutPoint) bool {
	return slices.ContainsFunc(t.Tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint == coin })
}

// Doubts are earlier payments to the same receivers that no node said to have.
type Doubts struct {
	Excluded []types.Hash // cannot be confirmed beside it, since it spends a coin of theirs
	Beside   []types.Hash // could be confirmed beside it
}

// Doubts returns which earlier payments the receivers of drafts may still get.
func (w *Wallet) Doubts(drafts ...*Draft) (d Doubts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var outputs []types.TxOut
	for _, draft := range drafts {
		outputs = append(outputs, draft.Tx.Outputs...)
	}
	for _, t := range w.doubtful(outputs) {
		if slices.ContainsFunc(drafts, func(draft *Draft) bool { return draft.Tx.TxID() == t.TxID }) { // it is sent again
			continue
		}
		if slices.ContainsFunc(drafts, func(draft *Draft) bool { return conflicting(draft.Tx, t.Tx) }) {
			d.Excluded = append(d.Excluded, t.TxID)
		} else {
			d.Beside = append(d.Beside, t.TxID)
		}
	}
	return d
}
