package wallet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/wallet"
)

const otherWords = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above"

// request asks for a payment out of some coins, all of them if there is no value.
func (w *testWallet) request(to string, value types.Amount, rate types.FeeRate, coins []wallet.Coin) *wallet.Request {
	w.n.t.Helper()
	script, err := taproot.DecodeAddress(w.n.params.HRP, to)
	if err != nil {
		w.n.t.Fatal(err)
	}
	change, err := w.ChangeScript(0)
	if err != nil {
		w.n.t.Fatal(err)
	}
	return &wallet.Request{
		Outputs: []types.TxOut{{Value: value, ScriptPubKey: script}}, SendAll: value == 0, FeeRate: rate,
		ChangeScript: change, Coins: coins, LockTime: w.Position().Height,
	}
}

// payAt makes and signs a payment, which is sent unless it is only to be noted.
func (w *testWallet) payAt(to string, value types.Amount, rate types.FeeRate, send bool) types.Hash {
	w.n.t.Helper()
	d, err := wallet.Build(w.request(to, value, rate, w.Coins()))
	if err != nil {
		w.n.t.Fatal(err)
	}
	w.signDraft(d)
	if send {
		err = w.Send(w.n.t.Context(), w.n, d)
	} else {
		err = w.Record(d.Tx)
	}
	if err != nil {
		w.n.t.Fatal(err)
	}
	return d.Tx.TxID()
}

// apply signs and sends a remedy, which has to be one.
func (w *testWallet) apply(m *wallet.Remedy, err error) *wallet.Remedy {
	w.n.t.Helper()
	if err != nil {
		w.n.t.Fatal(err)
	}
	w.signDraft(m.Draft)
	if err := w.SendRemedy(w.n.t.Context(), w.n, m); err != nil {
		w.n.t.Fatal(err)
	}
	return m
}

func (w *testWallet) status(txid types.Hash) wallet.Status {
	for _, e := range w.History() {
		if e.TxID == txid {
			return e.Status
		}
	}
	return "unknown"
}

// expectPool checks which transactions wait, in any order.
func (n *testNode) expectPool(when string, want ...types.Hash) {
	n.t.Helper()
	got := call[[]types.Hash](n, "getrawmempool")
	order := func(a, b types.Hash) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		n.t.Fatalf("%s, the pool has %v, want %v", when, got, want)
	}
}

// valueTo returns what a transaction pays to an address.
func (n *testNode) valueTo(tx *types.Tx, address string) (sum types.Amount) {
	n.t.Helper()
	script, err := taproot.DecodeAddress(n.params.HRP, address)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := range tx.Outputs {
		if string(tx.Outputs[i].ScriptPubKey) == string(script) {
			sum += tx.Outputs[i].Value
		}
	}
	return sum
}

const coin = types.GrainsPerCoin

// TestBump: a payment that waits pays more, twice, and is confirmed; its receiver gets what he
// was to get.
func TestBump(t *testing.T) {
	n := startNode(t)
	w, bob := n.wallet(someWords).earn(), n.wallet(otherWords)
	to := bob.address()
	first := w.payAt(to, coin, 100, true)
	m := w.apply(w.Bump(t.Context(), n, first, 5000, false))
	second := m.Tx.TxID()
	if n.valueTo(m.Tx, to) != coin || m.FeeRate() != 5000 || len(m.Tx.Outputs) != 2 || len(m.Added) != 0 || m.OldFee != types.FeeRate(100).Fee(m.OldSize) {
		t.Errorf("%+v", m)
	}
	n.expectPool("after a bump", second)
	if w.status(first) != wallet.StatusConflicted || w.status(second) != wallet.StatusPending {
		t.Errorf("the first is %s, the second %s", w.status(first), w.status(second))
	}
	// What was replaced stands before what came later, with the balance of then.
	if list := w.History(); len(list) < 3 || list[len(list)-2].TxID != first || list[len(list)-2].Balance != list[len(list)-3].Balance {
		t.Errorf("history: %+v", list)
	}
	if _, err := w.Bump(t.Context(), n, first, 9000, false); !errors.Is(err, wallet.ErrNotWaiting) || !strings.Contains(err.Error(), second.String()) {
		t.Errorf("bumped again: %v", err)
	}
	if _, err := w.Bump(t.Context(), n, second, 5000, false); !errors.Is(err, wallet.ErrFeeTooLow) {
		t.Errorf("for the same feerate: %v", err)
	}
	// More, but too little for its own relay.
	if _, err := w.Bump(t.Context(), n, second, 5001, false); !errors.Is(err, wallet.ErrFeeTooLow) || !strings.Contains(err.Error(), "5.10") {
		t.Errorf("for hardly more: %v", err)
	}
	m = w.apply(w.Bump(t.Context(), n, second, 0, false)) // the least, since blocks are empty
	if m.Fee <= m.OldFee || m.Fee > m.OldFee+types.FeeRate(200).Fee(m.VirtualSize) {
		t.Errorf("the least fee is %s, after %s", m.Fee, m.OldFee)
	}
	n.expectPool("after two", m.Tx.TxID())
	n.mine(1, "")
	if b := bob.sync().Balance(); b.Confirmed != coin {
		t.Errorf("the receiver has %+v", b)
	}
	if got := w.sync().status(m.Tx.TxID()); got != wallet.StatusConfirmed {
		t.Errorf("in the end it is %s", got)
	}
	if _, err := w.Bump(t.Context(), n, m.Tx.TxID(), 90_000, false); !errors.Is(err, wallet.ErrNotWaiting) || !strings.Contains(err.Error(), "confirmed in block") {
		t.Errorf("a confirmed one: %v", err)
	}
	if _, err := w.Bump(t.Context(), n, types.Hash{1}, 0, false); !errors.Is(err, wallet.ErrNotWaiting) {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := bob.Bump(t.Context(), n, bob.received(w, 50_000_000), 5000, false); !errors.Is(err, wallet.ErrOthersPay) {
		t.Errorf("one of others: %v", err)
	}
}

// received lets a wallet have a payment of another, which waits and pays little.
func (w *testWallet) received(from *testWallet, value types.Amount) types.Hash {
	txid := from.payAt(w.address(), value, 100, true)
	w.sync()
	return txid
}

// TestBumpWithoutChange: coins are added, or the receiver pays.
func TestBumpWithoutChange(t *testing.T) {
	for name, subtract := range map[string]bool{"a coin is added": false, "the receiver pays": true} {
		n := startNode(t)
		w := n.wallet(someWords).earn().earn()
		to := n.wallet(otherWords).address()
		d, err := wallet.Build(w.request(to, 0, 100, w.Coins()[:1]))
		if err != nil {
			t.Fatal(err)
		}
		w.signDraft(d)
		if err := w.Send(t.Context(), n, d); err != nil {
			t.Fatal(err)
		}
		before := n.valueTo(d.Tx, to)
		m := w.apply(w.Bump(t.Context(), n, d.Tx.TxID(), 3000, subtract))
		got := n.valueTo(m.Tx, to)
		if subtract {
			if got != before-(m.Fee-d.Fee) || len(m.Added) != 0 || m.ChangeIndex >= 0 {
				t.Errorf("%s: %s instead of %s, fee %s: %+v", name, got, before, m.Fee, m)
			}
		} else if got != before || len(m.Added) != 1 || m.ChangeIndex < 0 {
			t.Errorf("%s: %s instead of %s: %+v", name, got, before, m)
		}
		n.expectPool(name, m.Tx.TxID())
		n.mine(1, "")
		if got := w.sync().status(m.Tx.TxID()); got != wallet.StatusConfirmed {
			t.Errorf("%s: it is %s", name, got)
		}
	}
}

// TestBumpOfAFamily: what spends the payment goes with it, and is paid for.
func TestBumpOfAFamily(t *testing.T) {
	n := startNode(t)
	w, bob := n.wallet(someWords).earn(), n.wallet(otherWords)
	first := w.payAt(bob.address(), coin, 100, true)
	bob.sync()
	theirs := bob.apply(bob.ChildPays(t.Context(), n, first, 2000))
	child := w.payAt(bob.address(), coin, 3000, true)
	m, err := w.Bump(t.Context(), n, first, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Evicted, []types.Hash{child}) || m.EvictedOthers != 1 || m.Fee <= theirs.Fee+m.OldFee {
		t.Errorf("%+v", m)
	}
	w.apply(m, nil)
	n.expectPool("after the bump", m.Tx.TxID())
	w.sync()
	if w.status(child) != wallet.StatusConflicted {
		t.Errorf("the child is %s", w.status(child))
	}
	n.mine(1, "")
	if b := bob.sync().Balance(); b.Total() != coin {
		t.Errorf("the receiver has %+v", b)
	}
}

// TestCancel: all comes back, but for the fee.
func TestCancel(t *testing.T) {
	n := startNode(t)
	w, bob := n.wallet(someWords).earn(), n.wallet(otherWords)
	before := w.Balance().Total()
	first := w.payAt(bob.address(), coin, 1000, true)
	m := w.apply(w.Cancel(t.Context(), n, first, 0))
	if len(m.Tx.Outputs) != 1 || m.ChangeIndex != 0 || m.Fee <= m.OldFee {
		t.Errorf("%+v", m)
	}
	n.expectPool("after it was cancelled", m.Tx.TxID())
	n.mine(1, "")
	if got := w.sync().Balance(); got.Confirmed != before-m.Fee {
		t.Errorf("%+v, want %s", got, before-m.Fee)
	}
	if b := bob.sync().Balance().Total(); b != 0 {
		t.Errorf("the receiver has %s", b)
	}
	// Too late: nothing is signed.
	if _, err := w.Cancel(t.Context(), n, m.Tx.TxID(), 0); !errors.Is(err, wallet.ErrNotWaiting) {
		t.Errorf("%v", err)
	}
}

// TestChildPays: for what was sent and what was received, as much as both together lack.
func TestChildPays(t *testing.T) {
	n := startNode(t)
	w, bob := n.wallet(someWords).earn(), n.wallet(otherWords)
	for _, payer := range []*testWallet{w, bob} {
		first := bob.received(w.sync(), coin)
		own := slices.DeleteFunc(payer.Unspent(), func(c wallet.Coin) bool { return c.TxID != first })
		if err := payer.Lock(own[0].OutPoint, true); err != nil {
			t.Fatal(err)
		}
		if _, err := payer.ChildPays(t.Context(), n, first, 4000); !errors.Is(err, wallet.ErrNothingToSpend) {
			t.Errorf("a locked coin: %v", err)
		}
		if err := payer.Lock(own[0].OutPoint, false); err != nil {
			t.Fatal(err)
		}
		m := payer.apply(payer.ChildPays(t.Context(), n, first, 4000))
		n.expectPool("with a child", first, m.Tx.TxID())
		family := m.VirtualSize + m.Owed.AncestorSize
		if m.OldFee != types.FeeRate(100).Fee(m.OldSize) || m.Fee+m.Owed.AncestorFee != types.FeeRate(4000).Fee(family) || m.Owed.AncestorSize != m.OldSize || len(m.Parents) != 0 {
			t.Errorf("%+v", m)
		}
		if _, err := payer.ChildPays(t.Context(), n, first, 9000); !errors.Is(err, wallet.ErrNothingToSpend) {
			t.Errorf("a second child: %v", err)
		}
		n.mine(1, "")
		if got := payer.sync().status(m.Tx.TxID()); got != wallet.StatusConfirmed || payer.status(first) != wallet.StatusConfirmed {
			t.Errorf("the parent is %s, the child %s", payer.status(first), got)
		}
		if _, err := payer.ChildPays(t.Context(), n, first, 0); !errors.Is(err, wallet.ErrNotWaiting) {
			t.Errorf("a confirmed one: %v", err)
		}
	}
}

// TestPackage: a parent below what the node takes comes in with its child.
func TestPackage(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	first := w.payAt(n.wallet(otherWords).address(), coin, 10, false)
	w.sync()
	n.expectPool("a fee that is too low")
	m := w.apply(w.ChildPays(t.Context(), n, first, 0))
	if len(m.Parents) != 1 || m.Parents[0].TxID() != first {
		t.Errorf("%+v", m)
	}
	n.expectPool("as a package", first, m.Tx.TxID())
	n.mine(1, "")
	if w.sync(); w.status(first) != wallet.StatusConfirmed || w.status(m.Tx.TxID()) != wallet.StatusConfirmed {
		t.Errorf("the parent is %s, the child %s", w.status(first), w.status(m.Tx.TxID()))
	}
}

// TestPackageOfOthers: what was received, and is below what another node takes, comes in there
// with a child, too.
func TestPackageOfOthers(t *testing.T) {
	n := startNode(t)
	dear := startNode(t, func(c *node.Config) { c.Policy.MinRelay = 5000 })
	w, bob := n.wallet(someWords).earn(), n.wallet(otherWords)
	for height := range w.Position().Height {
		hash := call[string](n, "getblockhash", height+1)
		call[any](dear, "submitblock", call[string](n, "getblock", hash, 0))
	}
	first := bob.received(w, coin)
	bob.n = dear
	if bob.sync(); bob.status(first) != wallet.StatusConflicted {
		t.Fatalf("the node takes it, it is %s", bob.status(first))
	}
	m := bob.apply(bob.ChildPays(t.Context(), dear, first, 6000))
	if len(m.Parents) != 1 || m.OldFee != 0 {
		t.Errorf("%+v", m)
	}
	dear.expectPool("as a package", first, m.Tx.TxID())
	dear.mine(1, "")
	if got := bob.sync().Balance().Confirmed; got != coin-m.Fee {
		t.Errorf("the receiver has %s, want %s", got, coin-m.Fee)
	}
}

// TestAbandon: only what the node does not take can be given up; it counts again if it is met.
func TestAbandon(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	to := n.wallet(otherWords).address()
	held := w.payAt(to, coin, 1000, true)
	if err := w.Abandon(t.Context(), n, held); !errors.Is(err, wallet.ErrHeld) {
		t.Errorf("%v", err)
	}
	n.mine(1, "")
	before := w.sync().Balance().Confirmed

	low := w.payAt(to, coin, 10, false)
	child := w.payAt(to, coin, 1000, false)
	w.sync()
	freed, err := w.MayAbandon(t.Context(), n, low)
	if err != nil || len(freed.Coins) != 1 || !slices.Equal(freed.Children, []types.Hash{child}) {
		t.Fatalf("%+v, %v", freed, err)
	}
	if offered, err := w.Rebroadcast(t.Context(), n, nil); err != nil || len(offered) != 2 || offered[0].TxID != low || offered[0].Error == nil {
		t.Errorf("%v, %v", offered, err)
	}
	if err := w.Abandon(t.Context(), n, low); err != nil {
		t.Fatal(err)
	}
	if b := w.Balance(); b.Confirmed != before || b.Pending != 0 || w.status(low) != wallet.StatusConflicted {
		t.Errorf("%+v, want %s; it is %s", b, before, w.status(low))
	}
	n.calls = nil
	if w.sync(); strings.Contains(strings.Join(n.calls, "\n"), "sendrawtransaction") && w.status(low) != wallet.StatusConflicted {
		t.Error("what was given up is passed on")
	}
	if _, err := w.Bump(t.Context(), n, low, 0, false); !errors.Is(err, wallet.ErrNotWaiting) || !strings.Contains(err.Error(), "given up") {
		t.Errorf("%v", err)
	}
	// Its owner wants it after all, and now a node takes it.
	call[any](n, "prioritisetransaction", low, 0, 100_000)
	if offered, err := w.Rebroadcast(t.Context(), n, &low); err != nil || len(offered) != 1 || offered[0].Error != nil {
		t.Errorf("%v, %v", offered, err)
	}
	if w.sync(); w.status(low) != wallet.StatusPending {
		t.Errorf("rebroadcast, it is %s", w.status(low))
	}
	n.mine(1, "")
	if w.sync(); w.status(low) != wallet.StatusConfirmed {
		t.Errorf("in a block, it is %s", w.status(low))
	}
}

// TestLiesAboutThePool: what a node says of fees is bounded before it is used.
func TestLiesAboutThePool(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	txid := w.payAt(n.wallet(otherWords).address(), coin, 100, true)
	entry := func(fields string) string { return `{"` + txid.String() + `":{` + fields + `}}` }
	for name, answer := range map[string]string{
		"no fee":             entry(`"vsize":154`),
		"a fee of all coins": entry(`"vsize":154,"fees":{"base":90000000000}`),
		"a negative fee":     entry(`"vsize":154,"fees":{"base":-1}`),
		"no size":            entry(`"vsize":0,"fees":{"base":1}`),
		"a size of blocks":   entry(`"vsize":2000000000,"fees":{"base":1}`),
		"a dear payment":     entry(`"vsize":154,"fees":{"base":20000000}`),
		"a dear neighbour":   entry(`"vsize":154,"fees":{"base":0.002}`),
	} {
		n.lie = func(method string, result json.RawMessage) json.RawMessage {
			if method == "getrawmempool" && result[0] == '{' {
				return json.RawMessage(answer)
			}
			return result
		}
		if m, err := w.Bump(t.Context(), n, txid, 0, false); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	// Parents that nobody has, each of a size that makes the child pay for it.
	var answer strings.Builder
	previous, depends := txid, ""
	for i := range 200 {
		fmt.Fprintf(&answer, `%q:{"vsize":9000,"fees":{"base":0},"depends":[%s]},`, previous, depends)
		depends, previous = fmt.Sprintf("%q", previous), types.Hash{byte(i), 7}
	}
	for name, text := range map[string]string{
		"many parents":  "{" + strings.TrimSuffix(answer.String(), ",") + "}",
		"large parents": entry(`"vsize":154,"fees":{"base":0},"depends":["` + types.Hash{9}.String() + `"]},"` + types.Hash{9}.String() + `":{"vsize":9000000,"fees":{"base":0}`),
	} {
		n.lie = func(method string, result json.RawMessage) json.RawMessage {
			if method == "getrawmempool" && result[0] == '{' {
				return json.RawMessage(text)
			}
			return result
		}
		m, err := w.ChildPays(t.Context(), n, txid, 2000)
		if err == nil && m.Fee > 2*coin/1000 || err != nil && !errors.Is(err, wallet.ErrLying) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// TestLiesAboutOwnPayments: what the wallet knows of its own payments it does not take from a
// node: their fees, and that nothing else waits before them. A child would pay for it all.
func TestLiesAboutOwnPayments(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	to := n.wallet(otherWords).address()
	txid := w.payAt(to, coin, 100, true)
	other := types.Hash{9}.String()
	n.lie = func(method string, result json.RawMessage) json.RawMessage {
		if method == "getrawmempool" && result[0] == '{' {
			return json.RawMessage(fmt.Sprintf(`{%q:{"vsize":154,"fees":{"base":0},"depends":[%q]},%q:{"vsize":90000,"fees":{"base":0}}}`, txid, other, other))
		}
		return result
	}
	want := wallet.Owed{AncestorSize: 154, AncestorFee: types.FeeRate(100).Fee(154)}
	if m, err := w.ChildPays(t.Context(), n, txid, 2000); err != nil || m.Owed != want {
		t.Errorf("a child: %+v, %v", m, err)
	}
	if d, err := w.BuildPaying(t.Context(), n, w.request(to, coin, 2000, w.Coins()), wallet.Build); err != nil || d.Owed != want {
		t.Errorf("a payment: %+v, %v", d, err)
	}
}

// TestPaymentsPayForWhatTheySpend: change of a payment that pays little is spent at the feerate
// that was asked for, of both together; change of one that pays enough costs nothing more.
func TestPaymentsPayForWhatTheySpend(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	to := n.wallet(otherWords).address()
	for _, before := range []types.FeeRate{100, 9000} {
		first := w.payAt(to, coin, before, true)
		d, err := w.BuildPaying(t.Context(), n, w.request(to, coin, 5000, w.Coins()), wallet.Build)
		if err != nil || len(d.Inputs) != 1 || d.Inputs[0].TxID != first {
			t.Fatalf("%v: %+v", err, d)
		}
		size, fee := d.VirtualSize, d.Fee
		if before < 5000 {
			size, fee = size+154, fee+before.Fee(154)
		}
		if fee != types.FeeRate(5000).Fee(size) || d.FeeRate() != 5000 {
			t.Errorf("after %s: a fee of %s for %d, and %s for all: %+v", before, d.Fee, d.VirtualSize, d.FeeRate(), d.Owed)
		}
		w.signDraft(d)
		if err := w.Send(t.Context(), n, d); err != nil {
			t.Fatal(err)
		}
		n.expectPool("both", first, d.Tx.TxID())
		n.mine(1, "")
		w.sync()
	}
}
