package wallet

import (
	"errors"
	"fmt"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// TestBuildApart: a payment ties as few labels together as it can, and never fails where Build
// does not.
func TestBuildApart(t *testing.T) {
	w := largeWallet(t, 400, 150, 0)()
	defer w.Close()
	w.meta.position.Height = 100_000
	addresses, err := w.Addresses(0, Receive)
	must(t, err)
	const labels = 10
	for i, a := range addresses {
		if i%labels > 0 { // every tenth has none, which counts as one more
			must(t, w.SetLabel(LabelAddress, a.Address, fmt.Sprint("customer ", i%labels)))
		}
	}
	change, err := w.ChangeScript(0)
	must(t, err)
	coins := w.Coins()
	groups := w.groupsOf(coins)
	total, spendable := types.Amount(0), 0
	for _, g := range groups {
		total += g.value
		spendable += len(g.coins)
	}
	if len(groups) != labels || spendable != 1500 {
		t.Fatalf("%d coins in %d groups", spendable, len(groups))
	}
	for _, c := range []struct {
		part        types.Amount // of all, in percent
		least, most int
	}{{1, 1, 1}, {8, 1, 1}, {25, 3, 5}, {60, 6, 9}, {94, 10, 10}, {101, 0, 0}} {
		r := &Request{Outputs: pay(total * c.part / 100), FeeRate: 100, ChangeScript: change, Coins: coins}
		d, err := w.BuildApart(r)
		if _, plain := Build(r); (err == nil) != (plain == nil) {
			t.Fatalf("%d %%: %v, and without labels %v", c.part, err, plain)
		}
		if err != nil {
			if !errors.As(err, new(*ErrFunds)) || c.most > 0 {
				t.Errorf("%d %%: %v", c.part, err)
			}
			continue
		}
		checkDraftPays(t, r, d)
		got := max(len(w.Mixed(d)), 1)
		if got < c.least || got > c.most {
			t.Errorf("%d %% tie %d labels together, want %d to %d", c.part, got, c.least, c.most)
		}
	}
}

// checkDraftPays checks that the receivers get what was asked for, and that the fee is paid.
func checkDraftPays(t *testing.T, r *Request, d *Draft) {
	t.Helper()
	for i := range r.Outputs {
		if got := d.Tx.Outputs[d.Payments[i]]; got.Value != r.Outputs[i].Value || string(got.ScriptPubKey) != string(r.Outputs[i].ScriptPubKey) {
			t.Errorf("payment %d is %+v", i, got)
		}
	}
	must(t, checkDraft(d))
	if d.Fee < r.FeeRate.Fee(withWitness(d.Tx, d.Inputs).VirtualSize()) {
		t.Errorf("a fee of %s", d.Fee)
	}
}
