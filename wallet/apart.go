package wallet

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// A payment shows to all who see it that its coins are of one owner. So coins are kept apart by
// their labels, as the owner of "wages" and "from a friend" would: a payment takes coins of one
// label if those suffice. And coins at one address, which are tied together already, are spent
// together where that is cheap: one that is left over would later tie other payments to this.

// CoinLabels returns what is noted of coins: a label of its own, that of its address, or that of
// the transaction which paid it. Change without a label of its own has those of what it is change
// of, since everybody can follow it there.
func (w *Wallet) CoinLabels(coins []Coin) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	labels, known := make([]string, len(coins)), map[types.OutPoint]string{}
	for i := range coins {
		labels[i] = w.coinLabel(&coins[i], known)
	}
	return labels
}

// mixedLabels stands between the labels of change that comes of several.
const mixedLabels = " + "

// coinLabel assumes mu. known are the labels that were found before.
func (w *Wallet) coinLabel(c *Coin, known map[types.OutPoint]string) string {
	if len(w.labels) == 0 {
		return ""
	}
	if text, ok := known[c.OutPoint]; ok {
		return text
	}
	known[c.OutPoint] = "" // a ring cannot be, but a walk should not depend on it
	text := w.labels[labelKey{kind: LabelOutput, ref: c.OutPoint.String()}].Text
	if text == "" {
		if address, err := taproot.EncodeAddress(w.params.HRP, c.ScriptPubKey); err == nil {
			text = w.labels[labelKey{kind: LabelAddress, ref: address}].Text
		}
	}
	t := w.transactions[c.TxID]
	if text == "" && t != nil {
		if c.Key.Branch == Change {
			text = w.labelOfInputs(t, known)
		} else {
			text = w.labels[labelKey{kind: LabelTx, ref: c.TxID.String()}].Text
		}
	}
	known[c.OutPoint] = text
	return text
}

// labelOfInputs assumes mu.
func (w *Wallet) labelOfInputs(t *Transaction, known map[types.OutPoint]string) string {
	all := map[string]bool{}
	for i := range t.Tx.Inputs {
		if c, ours := w.outputs.ours[t.Tx.Inputs[i].PreviousOutPoint]; ours {
			for part := range strings.SplitSeq(w.coinLabel(&c, known), mixedLabels) {
				if part != "" {
					all[part] = true
				}
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(all)), mixedLabels)
}

// coinGroup are the coins of one label.
type coinGroup struct {
	label string
	coins []Coin
	value types.Amount
}

// groupsOf parts coins by their labels, the richest first.
func (w *Wallet) groupsOf(coins []Coin) []*coinGroup {
	byLabel := map[string]*coinGroup{}
	for i, label := range w.CoinLabels(coins) {
		g := byLabel[label]
		if g == nil {
			g = &coinGroup{label: label}
			byLabel[label] = g
		}
		g.coins = append(g.coins, coins[i])
		g.value += coins[i].Value
	}
	return slices.SortedFunc(maps.Values(byLabel), func(a, b *coinGroup) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.label, b.label))
	})
}

// maxGroups is how many labels are tried alone. Each is a choice of coins.
const maxGroups = 16

// BuildApart is Build with coins of as few labels as possible: of one if any suffices, of
// several with the most if not. Coins without a label count as of one more. Errors: those of
// Build.
func (w *Wallet) BuildApart(r *Request) (*Draft, error) {
	d, err := w.buildApart(r)
	if err != nil {
		return nil, err
	}
	return w.withTwins(r, d)
}

// Mixed returns which labels drafts tie together, if any of them spends coins of several; "" is
// for coins without one.
func (w *Wallet) Mixed(drafts ...*Draft) (mixed []string) {
	for _, d := range drafts {
		if labels := slices.Compact(slices.Sorted(slices.Values(w.CoinLabels(d.Inputs)))); len(labels) > 1 {
			mixed = append(mixed, labels...)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(mixed)))
}

func (w *Wallet) buildApart(r *Request) (*Draft, error) {
	groups := w.groupsOf(r.Coins)
	if len(groups) < 2 {
		return Build(r)
	}
	payments, err := sumOutputs(r.Outputs)
	if err != nil {
		return nil, err
	}
	one := *r
	var best *Draft
	tried := 0
	for _, g := range slices.Backward(groups) { // the poorest first, so that the rich stay whole
		if g.value < payments || tried == maxGroups {
			continue
		}
		tried++
		one.Coins = g.coins
		d, err := Build(&one)
		if err == nil && (best == nil || cmp.Or(cmp.Compare(waits(d), waits(best)), cmp.Compare(d.Fee, best.Fee)) < 0) {
			best = d
		}
	}
	if best != nil {
		return best, nil
	}
	// The richest together, until they suffice. Each failure tells how much is lacking.
	one.Coins, tried = nil, 0
	value, goal := types.Amount(0), payments
	for _, g := range groups[:len(groups)-1] {
		one.Coins = append(one.Coins, g.coins...)
		if value += g.value; value < goal || tried == maxGroups {
			continue
		}
		tried++
		d, err := Build(&one)
		var funds *ErrFunds
		if !errors.As(err, &funds) {
			return d, err
		}
		goal = value + funds.Need - funds.Have
	}
	return Build(r)
}

// waits returns how many coins of a draft no block has.
func waits(d *Draft) (n int) {
	for i := range d.Inputs {
		if !d.Inputs[i].confirmed() {
			n++
		}
	}
	return n
}

// twinPart is the part of a payment that it may cost to spend the other coins at its addresses.
const twinPart = 100

// withTwins adds the other coins at the addresses of a draft's coins, if it has change that
// would be tied to them, and if they cost little: no more than what they would cost later, or
// than a hundredth of the payment.
func (w *Wallet) withTwins(r *Request, d *Draft) (*Draft, error) {
	if d.ChangeIndex < 0 {
		return d, nil
	}
	spent, scripts := map[types.OutPoint]bool{}, map[string]bool{}
	for i := range d.Inputs {
		spent[d.Inputs[i].OutPoint] = true
		scripts[string(d.Inputs[i].ScriptPubKey)] = true
	}
	with := *r
	with.Coins, with.Required = nil, slices.Clone(d.Inputs)
	cost := types.Amount(0)
	for _, c := range r.Coins {
		if scripts[string(c.ScriptPubKey)] && !spent[c.OutPoint] && c.Value > c.fee(r.FeeRate, r.witness()) && c.confirmed() {
			with.Required = append(with.Required, c)
			cost += c.fee(r.FeeRate, r.witness())
		}
	}
	payments, err := sumOutputs(r.Outputs)
	if err != nil {
		return nil, err
	}
	if len(with.Required) == len(d.Inputs) || r.FeeRate > longTermFeeRate && cost > payments/twinPart {
		return d, nil
	}
	more, err := Build(&with)
	if errors.Is(err, ErrTooLarge) {
		return d, nil
	}
	return more, err
}
