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

// TestBuildAll: what is too much for one transaction goes into several, each coin into one.
func TestBuildAll(t *testing.T) {
	rng := testRNG(5)
	values := make([]types.Amount, 4000)
	for i := range values {
		values[i] = types.Amount(1000 + rng.Int64N(1<<(1+rng.IntN(30))))
	}
	values[17] = 20 // not worth its fee
	r := &Request{Outputs: append(pay(0), pay(0, 5000)[1]), SendAll: true, FeeRate: 1000, Coins: coinsWith(values...)}
	drafts, err := BuildAll(r)
	must(t, err)
	spent, out, fees := map[types.OutPoint]bool{}, types.Amount(0), types.Amount(0)
	for i, d := range drafts {
		must(t, checkDraft(d))
		for _, c := range d.Inputs {
			if spent[c.OutPoint] {
				t.Errorf("%s is spent twice", c.OutPoint)
			}
			spent[c.OutPoint] = true
		}
		if weight := withWitness(d.Tx, d.Inputs).Weight(); weight > 400_000 || len(d.Tx.Outputs) != max(2-i, 1) {
			t.Errorf("draft %d has a weight of %d and %d outputs", i, weight, len(d.Tx.Outputs))
		}
		for j := range d.Tx.Outputs {
			out += d.Tx.Outputs[j].Value
		}
		fees += d.Fee
	}
	in := types.Amount(0)
	for i, value := range values {
		if spent[r.Coins[i].OutPoint] {
			in += value
		}
	}
	if len(drafts) != 3 || len(spent) != 3999 || in != out+fees {
		t.Errorf("%d drafts of %d coins, %d in, %d out", len(drafts), len(spent), in, out+fees)
	}
}
