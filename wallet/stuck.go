package wallet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// A payment that waits too long can be replaced by one that pays more (BIP125), with the same
// recipients or with none, or a child can pay for it. All of this ends in a Draft, which is
// signed and sent like any other, and counts from then on. Which of two that spend the same
// coins is confirmed is decided by a miner alone.

var (
	// ErrNotWaiting is wrapped by the errors about a payment for which nothing can or need
	// be done, since it is confirmed, replaced or unknown.
	ErrNotWaiting = errors.New("it does not wait")
	// ErrOthersPay is a transaction that spends coins of others, who would have to sign
	// again.
	ErrOthersPay = errors.New("it spends coins of others: only they can replace it; karat cpfp lets a child pay for it")
	// ErrFeeTooLow is a feerate that no node takes for what was asked.
	ErrFeeTooLow = errors.New("the feerate is too low")
)

// Remedy is a way out for a payment that waits: a draft, and what a person has to know
// before it is signed.
type Remedy struct {
	*Draft
	Of      types.Hash
	OldFee  types.Amount // of the payment; 0 if it is not known
	OldSize int
	// Evicted are transactions of the wallet that are replaced besides the payment, since
	// they spend its outputs; EvictedOthers is how many of others there are.
	Evicted       []types.Hash
	EvictedOthers int
	Added         []Coin // that the payment did not spend
	// Parents are what nodes do not have, so that it has to be given to them with the child.
	Parents []*types.Tx
}

// stuck is a payment of the wallet that waits, and what stands around it.
type stuck struct {
	*Transaction
	entry       Entry
	coins       []Coin        // that it spends, if all are the wallet's
	change      int           // the output that comes back, -1 if there is none
	descendants []types.Hash  // of the wallet
	others      int           // descendants that are not
	least       types.FeeRate // of all that would be replaced
	owed        types.Amount  // what would be replaced pays
	view        poolView
}

// findStuck looks a waiting transaction up. It assumes that the wallet has just synced. With
// refused it takes one of others that the node refuses, too.
func (w *Wallet) findStuck(ctx context.Context, node Node, txid types.Hash, refused bool) (*stuck, error) {
	view, err := w.remote(node).poolView(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.transactions[txid]
	if _, err := w.waiting(txid); err != nil && !(refused && t != nil && !t.confirmed() && !t.Tx.IsCoinbase() && t.Dropped && !w.ledger().conflictedByOther(t)) {
		return nil, err
	}
	w.addOwn(view, txid)
	s := &stuck{Transaction: t, view: view, change: -1}
	s.entry = w.ledger().entry(t, w.meta.position.Height, w.params.CoinbaseMaturity, w.keys)
	for i := range t.Tx.Inputs {
		if c, ours := w.outputs.ours[t.Tx.Inputs[i].PreviousOutPoint]; ours {
			s.coins = append(s.coins, w.weighed(c))
		}
	}
	s.change = w.changeOf(t.Tx)
	for _, id := range view.descendants(txid) {
		if e := view[id]; e != nil {
			s.owed += e.fee
			s.least = max(s.least, e.rate)
		}
		switch {
		case id == txid:
		case w.transactions[id] != nil:
			s.descendants = append(s.descendants, id)
		default:
			s.others++
		}
	}
	s.owed = max(s.owed, s.entry.Fee)
	if s.owed > maxSum {
		return nil, lying("fees of %s in its pool", s.owed)
	}
	return s, nil
}

// waiting returns a transaction that waits for a block. It assumes mu.
func (w *Wallet) waiting(txid types.Hash) (*Transaction, error) {
	t := w.transactions[txid]
	switch {
	case t == nil:
		return nil, fmt.Errorf("%w: the wallet knows no transaction %s", ErrNotWaiting, txid)
	case t.confirmed():
		return nil, fmt.Errorf("%w: %s is confirmed in block %d", ErrNotWaiting, txid, t.Height)
	case t.Tx.IsCoinbase():
		return nil, fmt.Errorf("%w: the block of %s was undone", ErrNotWaiting, txid)
	case !w.ledger().conflicts[txid]:
		return t, nil
	}
	for i := range t.Tx.Inputs {
		if other := w.ledger().spentBy[t.Tx.Inputs[i].PreviousOutPoint]; other != nil {
			return nil, fmt.Errorf("%w: %s has taken the place of %s", ErrNotWaiting, other.TxID, txid)
		}
	}
	return nil, fmt.Errorf("%w: %s was given up", ErrNotWaiting, txid)
}

// changeOf returns the output of a payment from which a higher fee is taken, -1 if there is
// none: what goes to a change key, or else the largest if all comes back to the wallet. It
// assumes mu.
func (w *Wallet) changeOf(tx *types.Tx) int {
	largest, all := -1, true
	for i := range tx.Outputs {
		out := &tx.Outputs[i]
		key, ours := w.keys[string(out.ScriptPubKey)]
		if ours { // more will be paid there than was: see scripts.go
			made, err := w.accounts[key.Account].account.Script(key.Branch, key.Index)
			ours = err == nil && bytes.Equal(made, out.ScriptPubKey)
		}
		switch {
		case ours && key.Branch == Change:
			return i
		case ours && (largest < 0 || out.Value > tx.Outputs[largest].Value):
			largest = i
		case !ours && consensus.IsSpendable(out.ScriptPubKey):
			all = false
		}
	}
	if !all {
		return -1
	}
	return largest
}

// Bump drafts a replacement of a payment that waits, with the same recipients, which get the
// same. The fee comes out of the change, and of confirmed coins of the wallet if that does not
// suffice; with subtract the recipients pay what it costs more. A feerate of 0 is the node's
// estimate. Sync comes first. Errors: ErrNotWaiting, ErrOthersPay, ErrFeeTooLow, those of
// Build and of the node.
func (w *Wallet) Bump(ctx context.Context, node Node, txid types.Hash, rate types.FeeRate, subtract bool) (*Remedy, error) {
	s, err := w.replaceable(ctx, node, txid)
	if err != nil {
		return nil, err
	}
	r, err := w.replacement(ctx, node, s, &rate)
	if err != nil {
		return nil, err
	}
	r.Outputs = slices.Clone(s.Tx.Outputs)
	if s.change >= 0 {
		r.ChangeScript = r.Outputs[s.change].ScriptPubKey
		r.Outputs = slices.Delete(r.Outputs, s.change, s.change+1)
	}
	if r.SubtractFee = subtract; subtract {
		// Build takes the whole fee from the recipients, who have paid none, or less.
		if err := giveBack(r.Outputs, s.entry.Fee); err != nil {
			return nil, err
		}
		r.Coins = nil
	}
	if len(r.Outputs) == 0 { // all of it comes back, and pays the fee
		r.Outputs, r.SendAll, r.Coins = []types.TxOut{{ScriptPubKey: r.ChangeScript}}, true, nil
	}
	return s.remedy(r, rate)
}

// giveBack adds a fee to the outputs that Build takes it from, in the same parts.
func giveBack(outputs []types.TxOut, fee types.Amount) error {
	d := &Draft{Tx: &types.Tx{Outputs: outputs}}
	return d.subtract(-fee, len(outputs))
}

// Cancel drafts a replacement of a payment that waits which pays everything back to the
// wallet. It may come too late, whenever it is sent. Otherwise it is like Bump.
func (w *Wallet) Cancel(ctx context.Context, node Node, txid types.Hash, rate types.FeeRate) (*Remedy, error) {
	s, err := w.replaceable(ctx, node, txid)
	if err != nil {
		return nil, err
	}
	r, err := w.replacement(ctx, node, s, &rate)
	if err != nil {
		return nil, err
	}
	if s.change >= 0 {
		r.ChangeScript = s.Tx.Outputs[s.change].ScriptPubKey
	}
	r.Outputs, r.SendAll, r.Coins = []types.TxOut{{ScriptPubKey: r.ChangeScript}}, true, nil
	return s.remedy(r, rate)
}

// replaceable looks a payment up that the wallet can replace.
func (w *Wallet) replaceable(ctx context.Context, node Node, txid types.Hash) (*stuck, error) {
	s, err := w.findStuck(ctx, node, txid, false)
	if err != nil {
		return nil, err
	}
	if len(s.coins) != len(s.Tx.Inputs) {
		return nil, fmt.Errorf("%s: %w", txid, ErrOthersPay)
	}
	return s, nil
}

// replacement begins a request that takes the place of a payment. It must pay more than all
// that it replaces, and at a better feerate than the best of it, so that the pool is better
// for a miner afterwards. A rate of 0 is set to the node's estimate.
func (w *Wallet) replacement(ctx context.Context, node Node, s *stuck, rate *types.FeeRate) (*Request, error) {
	r := &Request{FeeRate: *rate, Required: s.coins, Owed: Owed{Replaced: max(s.owed, 1)}, LockTime: w.Position().Height}
	if *rate == 0 {
		estimate, err := FeeRate(ctx, node, defaultTarget)
		if err != nil {
			return nil, err
		}
		r.FeeRate = max(estimate, s.least+1)
	} else if *rate <= s.least {
		return nil, fmt.Errorf("%w: what it replaces pays %s grains per virtual byte, and it has to pay more", ErrFeeTooLow, s.least)
	}
	account := s.coins[0].Key.Account
	r.Coins = w.confirmedCoins(account)
	var err error
	r.ChangeScript, err = w.ChangeScript(account)
	return r, err
}

// confirmedCoins returns the coins of an account that nobody can take back.
func (w *Wallet) confirmedCoins(account uint32) []Coin {
	return slices.DeleteFunc(w.Coins(), func(c Coin) bool { return !c.confirmed() || c.Key.Account != account })
}

// defaultTarget is within how many blocks a payment should be confirmed if nobody says.
const defaultTarget = 6

// remedy builds the replacement. A feerate that somebody chose must suffice for what has to be
// paid: to pay more in silence is not what was asked for.
func (s *stuck) remedy(r *Request, chosen types.FeeRate) (*Remedy, error) {
	d, err := Build(r)
	if err != nil {
		return nil, err
	}
	if least := r.fee(d.VirtualSize); chosen > 0 && chosen.Fee(d.VirtualSize) < least {
		return nil, fmt.Errorf("%w: it has to pay %s, %s grains per virtual byte, to take the place of what pays %s", ErrFeeTooLow, least, types.NewFeeRate(least, d.VirtualSize)+1, s.owed)
	}
	if chosen == 0 && d.FeeRate() > maxEstimate { // the node may have made up what is to be outbid
		return nil, fmt.Errorf("%w: to outbid what it says would take %s grains per virtual byte", ErrFeeRate, d.FeeRate())
	}
	if r.SendAll { // all of it comes back
		d.ChangeIndex = slices.IndexFunc(d.Tx.Outputs, func(out types.TxOut) bool { return bytes.Equal(out.ScriptPubKey, r.ChangeScript) })
	}
	m := &Remedy{Draft: d, Of: s.TxID, OldFee: s.entry.Fee, OldSize: s.Tx.VirtualSize()}
	m.Evicted, m.EvictedOthers = s.descendants, s.others
	for i := range d.Inputs {
		if !slices.ContainsFunc(s.coins, func(c Coin) bool { return c.OutPoint == d.Inputs[i].OutPoint }) {
			m.Added = append(m.Added, d.Inputs[i])
		}
	}
	return m, nil
}
