package wallet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// ErrNothingToSpend is a transaction with no output of the wallet that a child could spend.
var ErrNothingToSpend = errors.New("it has no output of this wallet that is unspent and not locked, so no child can pay for it")

// maxFamily is how many transactions that wait one fee may pay for. Nodes let 64 wait in one
// family; more than twice that is no true answer.
const maxFamily = 128

// ChildPays drafts a child of a transaction that waits, sent or received, which pays for both:
// it spends the wallet's outputs of it to the wallet, with a fee that lets the child and all its
// ancestors together pay the feerate. Confirmed coins are added if the outputs do not suffice.
// What the node lacks of the ancestors is in Parents, for SendPackage. A feerate of 0 is the
// node's estimate. Sync comes first. Errors: ErrNotWaiting, ErrNothingToSpend, ErrFeeTooLow,
// those of Build and of the node.
func (w *Wallet) ChildPays(ctx context.Context, node Node, txid types.Hash, rate types.FeeRate) (*Remedy, error) {
	s, err := w.findStuck(ctx, node, txid, true)
	if err != nil {
		return nil, err
	}
	r := &Request{FeeRate: rate, LockTime: w.Position().Height, SendAll: true}
	if rate == 0 {
		if r.FeeRate, err = FeeRate(ctx, node, defaultTarget); err != nil {
			return nil, err
		}
	}
	if r.Owed, err = s.view.owed(r.FeeRate, txid); err != nil {
		return nil, err
	}
	if r.Owed == (Owed{}) {
		return nil, fmt.Errorf("%w: %s pays %s grains per virtual byte already: choose more with --feerate", ErrFeeTooLow, txid, s.view[txid].rate)
	}
	if r.Required = w.unspentOf(s.Transaction); len(r.Required) == 0 {
		return nil, fmt.Errorf("%s: %w", txid, ErrNothingToSpend)
	}
	account := r.Required[0].Key.Account
	script, err := w.ChangeScript(account)
	if err != nil {
		return nil, err
	}
	r.Outputs = []types.TxOut{{ScriptPubKey: script}}
	d, err := fund(r, w.confirmedCoins(account))
	if err != nil {
		return nil, err
	}
	d.ChangeIndex = 0
	m := &Remedy{Draft: d, Of: txid, OldFee: s.entry.Fee, OldSize: s.Tx.VirtualSize()}
	if e := s.view[txid]; e != nil && m.OldFee == 0 {
		m.OldFee = e.fee
	}
	for i := range d.Inputs {
		if d.Inputs[i].TxID != txid {
			m.Added = append(m.Added, d.Inputs[i])
		}
	}
	if m.Parents, err = w.missingParents(ctx, node, d.Tx); err != nil {
		return nil, err
	}
	return m, nil
}

// unspentOf returns the outputs of a transaction that are of one account of the wallet, unspent
// and not locked. One that the node refuses has some too, although they are not counted.
func (w *Wallet) unspentOf(t *Transaction) []Coin {
	w.mu.Lock()
	defer w.mu.Unlock()
	coins := slices.DeleteFunc(coinsOf(t, w.keys), func(c Coin) bool { return w.ledger().spentBy[c.OutPoint] != nil || w.isLocked(c.OutPoint) })
	coins = slices.DeleteFunc(coins, func(c Coin) bool { return c.Key.Account != coins[0].Key.Account })
	for i := range coins {
		coins[i] = w.weighed(coins[i])
	}
	return coins
}

// fund builds a request that sends everything back, with as few of some coins as it needs to
// pay its fee: the smallest that suffices, or else the largest, and so on.
func fund(r *Request, coins []Coin) (*Draft, error) {
	slices.SortFunc(coins, func(a, b Coin) int { return int(min(max(a.Value-b.Value, -1), 1)) })
	for {
		d, err := Build(r)
		var funds *ErrFunds
		if !errors.As(err, &funds) || len(coins) == 0 {
			return d, err
		}
		at := slices.IndexFunc(coins, func(c Coin) bool { return c.Value > funds.Need-funds.Have+c.fee(r.FeeRate, r.witness()) })
		if at < 0 {
			at = len(coins) - 1
		}
		r.Required = append(r.Required, coins[at])
		coins = slices.Delete(coins, at, at+1)
	}
}

// missingParents returns the parents of a child that the node does not have in its pool.
func (w *Wallet) missingParents(ctx context.Context, node Node, child *types.Tx) (parents []*types.Tx, err error) {
	txids, err := w.remote(node).pool(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range child.Inputs {
		txid := child.Inputs[i].PreviousOutPoint.TxID
		t := w.transactions[txid]
		if t != nil && !t.confirmed() && !slices.Contains(txids, txid) && !slices.Contains(parents, t.Tx) {
			parents = append(parents, t.Tx)
		}
	}
	return parents, nil
}

// SendRemedy gives a signed remedy to a node, with the parents that the node lacks, and notes
// it, as Send does.
func (w *Wallet) SendRemedy(ctx context.Context, node Node, m *Remedy) error {
	if len(m.Parents) == 0 {
		return w.Send(ctx, node, m.Draft)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.noteOffered(m.Tx); err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	if err := w.remote(node).sendPackage(ctx, append(slices.Clone(m.Parents), m.Tx)); codeOf(err) != 0 || errors.Is(err, errPackage) {
		return fmt.Errorf("the node refuses the payment: %w", err)
	} else if err != nil {
		return fmt.Errorf("%w: %w: sync, and look whether %s waits then, before you pay again", ErrUnsure, err, m.Tx.TxID())
	}
	// What the node refused alone it has taken now.
	err := w.change(m.Of, func(t *Transaction) { t.Dropped = false })
	if err == nil {
		err = w.Record(m.Tx)
	}
	if err != nil {
		return fmt.Errorf("payment %s was sent, but could not be noted: %w", m.Tx.TxID(), err)
	}
	return nil
}

// errPackage is a package that a node did not take.
var errPackage = errors.New("it does not take the package")

// sendPackage gives the node parents and their child, which comes last, at once.
func (r *remote) sendPackage(ctx context.Context, txs []*types.Tx) error {
	texts := make([]string, len(txs))
	for i, tx := range txs {
		texts[i] = hex.EncodeToString(tx.AppendTo(nil))
	}
	var answer struct {
		Message string `json:"package_msg"`
		Results map[string]struct {
			TxID  types.Hash `json:"txid"`
			Error string     `json:"error"`
		} `json:"tx-results"`
	}
	var raw json.RawMessage
	if err := r.node.Call(ctx, "submitpackage", &raw, texts); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return lying("an answer about a package in no known form")
	}
	if answer.Message == "success" {
		return nil
	}
	for _, result := range answer.Results {
		if result.Error != "" {
			return fmt.Errorf("%w: %.200q: %s: %.200q", errPackage, answer.Message, result.TxID, result.Error)
		}
	}
	return fmt.Errorf("%w: %.200q", errPackage, answer.Message)
}
