package wallet

import (
	"context"
	"encoding/json"

	"github.com/karatcoin/karat/chain/types"
)

// Part is a number of coins with their sum.
type Part struct {
	Coins int
	Value types.Amount
}

func (p *Part) add(c *Coin) {
	p.Coins++
	p.Value += c.Value
}

// Staying is what a payment leaves in its account, by the reason why.
type Staying struct {
	Pending  Part // others sent it, and no block has it
	Immature Part // mined too recently
	Locked   Part // by its owner
	Dust     Part // costs more to spend than it holds
}

// Staying returns why coins of an account stay that drafts which were to spend everything do not
// spend.
func (w *Wallet) Staying(account uint32, drafts ...*Draft) (s Staying) {
	spent := map[types.OutPoint]bool{}
	for _, d := range drafts {
		for i := range d.Inputs {
			spent[d.Inputs[i].OutPoint] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.ledger().coins {
		switch {
		case spent[c.OutPoint] || c.Key.Account != account:
		case !c.confirmed() && !w.ledger().entry(w.transactions[c.TxID], 0, 0, w.keys).Sent:
			s.Pending.add(&c)
		case w.meta.position.Height < matures(&c, w.params.CoinbaseMaturity):
			s.Immature.add(&c)
		case w.isLocked(c.OutPoint):
			s.Locked.add(&c)
		default:
			s.Dust.add(&c)
		}
	}
	return s
}

// LeastFeeRate returns the feerate below which a node takes no payment now.
func LeastFeeRate(ctx context.Context, node Node) (types.FeeRate, error) {
	var answer struct {
		Least json.Number `json:"mempoolminfee"` // in coins for 1000 virtual bytes
	}
	d := &answer
	if err := node.Call(ctx, "getmempoolinfo", d); err != nil {
		return 0, err
	}
	rate, err := types.ParseAmount(answer.Least.String())
	if err != nil || rate < 0 {
		return 0, lying("a least feerate of %.40q", answer.Least)
	}
	return types.FeeRate(rate), nil
}

// CheckLabel refuses a text that can be no label. Errors: ErrLabel.
func CheckLabel(text string) error { return checkLabelText(text) }

// Confirmations returns how many blocks confirm a transaction of the wallet, as far as it has
// synced, and its state. It is StatusConflicted if the wallet does not know it.
func (w *Wallet) Confirmations(txid types.Hash) (uint32, Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.transactions[txid]
	if t == nil {
		return 0, StatusConflicted
	}
	e := w.ledger().entry(t, w.meta.position.Height, w.params.CoinbaseMaturity, w.keys)
	return e.Confirmations, e.Status
}
