package wallet_test

import (
	"path/filepath"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestPaymentOfAnUndoneCoinbase: what was paid with coins that are gone stays a payment, of
// the same amount, also when the wallet is opened again.
func TestPaymentOfAnUndoneCoinbase(t *testing.T) {
	n := startNode(t)
	dir := t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, contents(someWords), "")
	must(t, err)
	open := func() *testWallet {
		w, err := wallet.Open(dir, f, n.params, nil)
		must(t, err)
		return &testWallet{w, n, f, someWords}
	}
	w, other := open(), n.wallet(wordsOf(t, 1))
	block := n.mine(1, w.address())[0]
	n.mine(2, "")
	w.sync()
	if !w.pay(other.address(), 5*types.GrainsPerCoin) {
		t.Fatal("not paid")
	}
	n.mine(1, "")
	before := w.sync().History()
	paid := before[len(before)-1]
	if !paid.Sent || paid.Amount != -5*types.GrainsPerCoin-paid.Fee || paid.Fee == 0 || paid.Status != wallet.StatusConfirmed {
		t.Fatalf("paid: %+v", paid)
	}
	call[any](n, "invalidateblock", block)
	n.mineEmpty(6)
	after := func() wallet.Entry {
		t.Helper()
		for _, e := range w.History() {
			if e.TxID == paid.TxID {
				return e
			}
		}
		t.Fatal("the payment is gone")
		return wallet.Entry{}
	}
	w.sync()
	for range 2 {
		if e := after(); !e.Sent || e.Amount != paid.Amount || e.Fee != paid.Fee || e.Status != wallet.StatusConflicted {
			t.Errorf("after its coin was undone: %+v, before: %+v", e, paid)
		}
		if b := w.Balance(); b.Total() != 0 {
			t.Errorf("balance %+v", b)
		}
		must(t, w.Close())
		w = open()
	}
	must(t, w.Close())
}
