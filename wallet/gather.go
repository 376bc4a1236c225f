package wallet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/karatcoin/karat/chain/types"
)

// A transaction that nodes relay has room for some 1,700 coins. What spends more is made of
// several transactions that do not depend on each other, so that each can be confirmed by
// itself.

// BuildAll drafts transactions that send everything to the first output of a request, as many
// as it takes. The other outputs are paid by the first. Errors: those of Build.
func BuildAll(r *Request) ([]*Draft, error) {
	payments, err := checkRequest(r)
	if err != nil {
		return nil, err
	}
	all := newProblem(r, payments, everyCoin)
	if len(r.Required) > 0 || all.room() >= len(all.coins) {
		d, err := Build(r)
		if err != nil {
			return nil, err
		}
		return []*Draft{d}, nil
	}
	var drafts []*Draft
	for i, coins := range deal(copyCoins(all.coins), all.room()) {
		part := *r
		if part.Coins = coins; i > 0 {
			part.Outputs = r.Outputs[:1]
		}
		d, err := Build(&part)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, d)
	}
	return drafts, nil
}

// deal parts coins that stand in descending order into equal hands of no more than so many,
// each with coins of all sizes.
func deal(coins []Coin, most int) [][]Coin {
	hands := make([][]Coin, (len(coins)+most-1)/most)
	for i, c := range coins {
		hands[i%len(hands)] = append(hands[i%len(hands)], c)
	}
	return hands
}

// maxConsolidations is how many transactions one Consolidate makes. Each takes a change key, and
// a restore looks only GapLimit keys ahead.
const maxConsolidations = GapLimit / 2

// Consolidated is what joins coins of one label.
type Consolidated struct {
	*Draft
	Label string
}

// Consolidate drafts transactions that join the confirmed coins of an account, so that later
// payments need fewer: at most so many coins (0: all), the smallest first, and none that costs
// more to spend than it holds. Coins of different labels are not joined with each other, unless
// mix is set. More is left out if it would take many transactions; another Consolidate does
// the rest. Errors: ErrFunds if there is nothing to join.
func (w *Wallet) Consolidate(account uint32, rate types.FeeRate, most int, mix bool) ([]Consolidated, error) {
	coins := slices.DeleteFunc(w.confirmedCoins(account), func(c Coin) bool { return c.Value <= c.fee(rate, witnessWeight) })
	slices.SortFunc(coins, func(a, b Coin) int {
		return cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.OutPoint.String(), b.OutPoint.String()))
	})
	if most > 0 {
		coins = coins[:min(most, len(coins))]
	}
	groups := []*coinGroup{{coins: coins}}
	if !mix {
		groups = w.groupsOf(coins)
	}
	scripts, err := w.changeScripts(account, maxConsolidations)
	if err != nil {
		return nil, err
	}
	var all []Consolidated
	for _, g := range groups {
		slices.SortStableFunc(g.coins, func(a, b Coin) int { return cmp.Compare(b.Value, a.Value) })
		r := &Request{
			Outputs: []types.TxOut{{ScriptPubKey: scripts[0]}}, SendAll: true, FeeRate: rate, Coins: g.coins,
			LockTime: w.Position().Height,
		}
		for _, hand := range deal(g.coins, max(newProblem(r, 0, everyCoin).room(), 1)) {
			if len(hand) < 2 || len(all) == maxConsolidations {
				continue
			}
			part := *r
			part.Outputs, part.Coins = []types.TxOut{{ScriptPubKey: scripts[len(all)]}}, hand
			d, err := Build(&part)
			if err != nil {
				return nil, err
			}
			d.ChangeIndex = 0
			all = append(all, Consolidated{d, g.label})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is nothing to join: no two coins that are confirmed, of one label, and worth more than they cost")
	}
	return all, nil
}

// changeScripts returns the next scripts of change, as ChangeScript does, made anew. An
// account that has fewer gives its last one again.
func (w *Wallet) changeScripts(account uint32, n uint32) (scripts [][]byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.accounts[account].account
	branch := a.changeBranch()
	from := w.changeIndex(account, branch)
	if err := w.watch(account, branch, from+n+w.gap); err != nil {
		return nil, err
	}
	for i := range n {
		script, err := w.script(KeyID{account, branch, min(from+i, a.end(branch)-1)})
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, script)
	}
	return scripts, nil
}

// Spendable returns coins that somebody has named, or says why one cannot be spent.
func (w *Wallet) Spendable(named []types.OutPoint) ([]Coin, error) {
	can := map[types.OutPoint]Coin{}
	for _, c := range w.Coins() {
		can[c.OutPoint] = c
	}
	var coins []Coin
	for _, at := range named {
		if c, ok := can[at]; ok {
			coins = append(coins, c)
			continue
		}
		return nil, w.whyNot(at)
	}
	return coins, nil
}

func (w *Wallet) whyNot(at types.OutPoint) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, unspent := w.ledger().coins[at]
	switch {
	case w.ledger().spentBy[at] != nil:
		return fmt.Errorf("coin %s is spent by %s", at, w.ledger().spentBy[at].TxID)
	case !unspent:
		return fmt.Errorf("the wallet has no coin %s", at)
	case w.isLocked(at):
		return fmt.Errorf("coin %s is locked: karat coins unlock frees it", at)
	case !c.confirmed():
		return fmt.Errorf("coin %s was sent by others, and is in no block yet", at)
	}
	return fmt.Errorf("coin %s was mined too recently: it can be spent after block %d", at, matures(&c, w.params.CoinbaseMaturity))
}
