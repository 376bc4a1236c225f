package wallet_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestNoPaymentTwice: a node that says that it refuses a payment, or says nothing, keeps it. The
// second try to pay the same receiver cannot be confirmed beside the first, whatever coins there
// are.
func TestNoPaymentTwice(t *testing.T) {
	for name, answer := range map[string]error{"refused": refusal(-26), "no answer": io.EOF} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t)
			w, to := n.wallet(someWords).earn().earn().earn(), n.wallet(otherWords).address()
			liar := over(n)
			var kept []any // what it holds back
			liar.answer["sendrawtransaction"] = func(params []any) (any, error) {
				kept = params
				return nil, answer
			}
			build := func(rate types.FeeRate) *wallet.Draft {
				r := w.request(to, coin, rate, w.Coins())
				d, err := w.BuildPaying(t.Context(), n, r, wallet.Build)
				if err != nil {
					t.Fatal(err)
				}
				w.signDraft(d)
				return d
			}
			first := build(1000)
			err := w.Send(t.Context(), liar, first)
			if unsure := errors.Is(err, wallet.ErrUnsure); err == nil || unsure != errors.Is(answer, io.EOF) {
				t.Fatal(err)
			}
			if got := w.Doubts(first); len(got.Excluded)+len(got.Beside) > 0 {
				t.Errorf("the same once more: %+v", got)
			}
			w.sync() // with a node that shows nothing of it
			if e := w.History()[0]; e.TxID != first.Tx.TxID() && w.status(first.Tx.TxID()) != wallet.StatusConflicted {
				t.Errorf("the history has %+v", w.History())
			}
			second := build(1500) // else it may be the same once more
			if !spendsACoinOf(second.Tx, first.Tx) {
				t.Fatal("both payments could be confirmed")
			}
			if got := w.Doubts(second); !slices.Equal(got.Excluded, []types.Hash{first.Tx.TxID()}) || len(got.Beside) > 0 {
				t.Errorf("%+v", got)
			}
			apart := *w.request(to, coin, 1000, nil)
			for _, c := range w.Coins() {
				if !slices.ContainsFunc(first.Tx.Inputs, func(in types.TxIn) bool { return in.PreviousOutPoint == c.OutPoint }) {
					apart.Required = append(apart.Required, c)
				}
			}
			beside, err := w.BuildPaying(t.Context(), n, &apart, wallet.Build)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.Doubts(beside); !slices.Equal(got.Beside, []types.Hash{first.Tx.TxID()}) || len(got.Excluded) > 0 {
				t.Errorf("coins that its owner chose: %+v", got)
			}
			elsewhere := w.request(n.wallet(wordsOf(t, 2)).address(), coin, 1000, w.Coins())
			if d, err := w.BuildPaying(t.Context(), n, elsewhere, wallet.Build); err != nil || len(w.Doubts(d).Excluded)+len(w.Doubts(d).Beside) > 0 {
				t.Errorf("another receiver: %v", err)
			}
			// What was held back appears: it counts, and its coins are not free.
			if err := n.Call(t.Context(), "sendrawtransaction", nil, kept...); err != nil {
				t.Fatal(err)
			}
			w.sync()
			if got := w.status(first.Tx.TxID()); got != wallet.StatusPending {
				t.Errorf("the first is %s", got)
			}
		})
	}
}

func spendsACoinOf(a, b *types.Tx) bool {
	return slices.ContainsFunc(a.Inputs, func(in types.TxIn) bool {
		return slices.ContainsFunc(b.Inputs, func(other types.TxIn) bool { return other.PreviousOutPoint == in.PreviousOutPoint })
	})
}

// TestRefusedPaymentsHideNoChange: a payment after many that a node refused has its change where
// a restore looks.
func TestRefusedPaymentsHideNoChange(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn(), n.wallet(wordsOf(t, 0)).address()
	for i := range wallet.GapLimit + 2 {
		d, err := w.BuildPaying(t.Context(), n, w.request(to, coin+types.Amount(i), 1000, w.Coins()), wallet.Build)
		if err != nil {
			t.Fatal(err)
		}
		w.signDraft(d)
		if err := w.Send(t.Context(), &stubborn{testNode: n, err: refusal(-26)}, d); err == nil {
			t.Fatal("it was taken")
		}
	}
	if !w.pay(to, coin) {
		t.Fatal("no coins")
	}
	n.mine(1, "")
	if got, want := n.wallet(someWords).sync().Balance(), w.sync().Balance(); got != want {
		t.Errorf("restored, the wallet has %+v, the first %+v", got, want)
	}
}

// TestBackupKeepsDoubts: a wallet of a backup passes on no payment that was given up, and knows of
// it all the same.
func TestBackupKeepsDoubts(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn().earn(), n.wallet(otherWords).address()
	build := func(w *testWallet) *wallet.Draft {
		d, err := w.BuildPaying(t.Context(), n, w.request(to, coin, 1000, w.Coins()), wallet.Build)
		if err != nil {
			t.Fatal(err)
		}
		w.signDraft(d)
		return d
	}
	refused := build(w)
	if err := w.Send(t.Context(), &stubborn{testNode: n, err: refusal(-26)}, refused); err == nil {
		t.Fatal("it was taken")
	}
	data, err := w.Backup("")
	if err != nil {
		t.Fatal(err)
	}
	b, err := wallet.ReadBackup(bytes.NewReader(data), n.params)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := b.Restore(dir, ""); err != nil {
		t.Fatal(err)
	}
	again := n.reopened(dir).sync()
	if got := again.status(refused.Tx.TxID()); got != wallet.StatusConflicted || again.Balance() != w.Balance() {
		t.Errorf("restored, what was given up is %s, and there are %+v", got, again.Balance())
	}
	var pool []types.Hash
	if err := n.Call(t.Context(), "getrawmempool", &pool); err != nil || len(pool) > 0 {
		t.Errorf("the node has %v, %v", pool, err)
	}
	if !spendsACoinOf(build(again).Tx, refused.Tx) {
		t.Error("both payments could be confirmed")
	}
	bystander := n.wallet(wordsOf(t, 2))
	if err := bystander.Send(t.Context(), &stubborn{testNode: n, err: refusal(-26)}, refused); err == nil || len(bystander.History()) > 0 {
		t.Errorf("%v, and who has no part in it has %+v", err, bystander.History())
	}
}

// TestFindOutputOfRefused: of payments with the same output the one that waits is found, and not
// those that nodes refused.
func TestFindOutputOfRefused(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn().earn()
	script := []byte{taproot.OpReturn, 1, 7}
	var waits types.Hash
	for i := range 6 {
		r := w.request(w.address(), coin, types.FeeRate(1000+i), w.Coins())
		r.Outputs = []types.TxOut{{ScriptPubKey: script}}
		d, err := wallet.Build(r)
		if err != nil {
			t.Fatal(err)
		}
		w.signDraft(d)
		var node wallet.Node = n
		if i < 5 {
			node = &stubborn{testNode: n, err: refusal(-26)}
		}
		if err := w.Send(t.Context(), node, d); (err == nil) != (i == 5) {
			t.Fatal(err)
		}
		waits = d.Tx.TxID()
	}
	for range 20 { // the wallet has them in no order
		if got, ok := w.FindOutput(script); !ok || got != waits {
			t.Fatalf("%s, want %s", got, waits)
		}
	}
}
