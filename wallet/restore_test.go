package wallet_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// TestPaymentsThatComeToNothingHideNoChange: a payment after many that were not
// made has its change where a restore looks.
func TestPaymentsThatComeToNothingHideNoChange(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	for range 2 * wallet.GapLimit {
		if _, err := w.ChangeScript(0); err != nil {
			t.Fatal(err)
		}
	}
	to := n.wallet(wordsOf(t, 0)).address()
	for range 3 {
		if !w.pay(to, 1_000_000) {
			t.Fatal("no coins")
		}
	}
	change, err := w.Addresses(0, wallet.Change)
	if err != nil || len(change) != 3 {
		t.Errorf("three payments have the change %+v, %v", change, err)
	}
	n.mine(1, "")
	if got, want := n.wallet(someWords).sync().state(), w.sync().state(); got != want {
		t.Errorf("restored, the wallet shows\n%s\nthe first\n%s", got, want)
	}
}

// TestUnpaid counts the addresses that nobody has paid.
func TestUnpaid(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	for range 4 {
		w.address()
	}
	if got := w.Unpaid(0); got != 4 {
		t.Errorf("%d unpaid, want 4", got)
	}
	n.mine(1, w.address())
	w.address()
	if got := w.sync().Unpaid(0); got != 1 {
		t.Errorf("%d unpaid, want 1", got)
	}
}

// TestRestoreInAnyOrder: addresses are not paid in the order in which they were
// given out, and a restore finds them all the same.
func TestRestoreInAnyOrder(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	var addresses []string
	for range 70 {
		addresses = append(addresses, w.address())
	}
	for _, i := range []int{60, 55, 37, 45, 25, 18} { // the last shows the way to the first, in four steps
		n.mine(1, addresses[i])
	}
	n.mine(2, "")
	w.sync()
	if !w.pay(addresses[65], 1_500_000_000) { // spends what is found late
		t.Fatal("no coins")
	}
	n.mine(1, addresses[38])
	n.mine(3, "")
	want := w.sync().state()
	if got := n.wallet(someWords).sync().state(); got != want {
		t.Errorf("restored, the wallet shows\n%s\nthe first\n%s", got, want)
	}
}

// TestRestoreGoesOn: a restore that is cut off while it looks again does so the
// next time.
func TestRestoreGoesOn(t *testing.T) {
	n := startNode(t)
	first := n.wallet(someWords)
	var addresses []string
	for range 26 {
		addresses = append(addresses, first.address())
	}
	n.mine(1, addresses[25])
	n.mine(1, addresses[15])
	n.mine(3, "")
	want := first.sync().state()

	dir := t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, contents(someWords), "")
	if err != nil {
		t.Fatal(err)
	}
	open := func() *testWallet {
		w, err := wallet.Open(dir, f, n.params, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &testWallet{w, n, f, someWords}
	}
	w := open()
	n.lie = func(method string, raw json.RawMessage) json.RawMessage {
		if method == "getblockfilter" && w.Position().Height == 5 {
			return json.RawMessage(`"cut off"`)
		}
		return raw
	}
	if err := w.trySync(); err == nil {
		t.Fatal("nothing was looked for again")
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w = open()
	}
	n.lie = nil
	defer w.Close()
	if got := w.sync().state(); got != want {
		t.Errorf("restored, the wallet shows\n%s\nthe first\n%s", got, want)
	}
	asked := len(n.calls)
	if w.sync(); strings.Contains(strings.Join(n.calls[asked:], "\n"), "getblockfilter") {
		t.Errorf("it looks again and again: %v", n.calls[asked:])
	}
}

// TestRestoreReopened: what a restore found is there after the wallet was closed, in
// whatever order its transactions are read. Each of them leads to the next only.
func TestRestoreReopened(t *testing.T) {
	n := startNode(t)
	first := n.wallet(someWords)
	var addresses []string
	for range 70 {
		addresses = append(addresses, first.address())
	}
	for _, i := range []int{60, 45, 30, 15} {
		n.mine(1, addresses[i])
	}
	n.mine(3, "")

	dir := t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, contents(someWords), "")
	if err != nil {
		t.Fatal(err)
	}
	var state, next string
	for i := range 8 {
		w, err := wallet.Open(dir, f, n.params, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			(&testWallet{w, n, f, someWords}).sync()
		}
		list, err := w.Addresses(0, wallet.Receive)
		if err != nil {
			t.Fatal(err)
		}
		got, given := (&testWallet{w, n, f, someWords}).state(), list[len(list)-1].Address
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			state, next = got, given
		}
		if got != state || given != next || given != addresses[60] {
			t.Fatalf("reopened, the wallet shows\n%s\nand ends with %s, before\n%s\nand %s", got, given, state, next)
		}
	}
}

// TestRescan: what a lying node hid, with filters that fit together, a rescan with
// another finds.
func TestRescan(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	n.mine(3, w.address())
	n.mine(2, "")
	last := call[struct{ Header types.Hash }](n, "getblockfilter", n.params.GenesisBlock().Hash).Header
	n.lie = func(method string, raw json.RawMessage) json.RawMessage {
		if method != "getblockfilter" {
			return raw
		}
		last = filter.Header([]byte{0}, last)
		b, _ := json.Marshal(map[string]any{"filter": "00", "header": last})
		return b
	}
	if got := w.sync().Balance().Total(); got != 0 {
		t.Fatalf("the wallet has %s", got)
	}
	n.lie = nil
	if err := w.Rescan(); err != nil {
		t.Fatal(err)
	}
	want := n.wallet(someWords).sync().state()
	if got := w.sync().state(); got != want {
		t.Errorf("after a rescan the wallet shows\n%s\na fresh one\n%s", got, want)
	}
	if err := w.Rescan(); err != nil {
		t.Fatal(err)
	}
	if got := w.sync().state(); got != want {
		t.Errorf("after another the wallet shows\n%s\na fresh one\n%s", got, want)
	}
}

// TestLittleWork: a chain that has less work than the network's is known to have
// is not looked through.
func TestLittleWork(t *testing.T) {
	n := startNode(t)
	n.mine(5, "")
	params := *n.params
	params.MinimumChainWork = consensus.Uint256{14} // two for each block; the genesis block is one
	n.params = &params
	w := n.wallet(someWords)
	if err := w.trySync(); !errors.Is(err, wallet.ErrLittleWork) || w.Position().Height != 0 {
		t.Errorf("%v, at %d", err, w.Position().Height)
	}
	n.mine(1, "")
	if err := w.trySync(); err != nil || w.Position().Height != 6 {
		t.Errorf("%v, at %d", err, w.Position().Height)
	}
}

// TestBlocksOfTheFuture: where difficulty is fixed, the node's clock counts. Elsewhere
// a node is not said to lie because a clock is wrong.
func TestBlocksOfTheFuture(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	n.mine(1, "")
	call[any](n, "setmocktime", time.Now().Add(24*time.Hour).Unix())
	n.mine(3, w.address())
	if err := w.trySync(); err != nil || w.Balance().Total() != 3_000_000_000 {
		t.Errorf("%v, %s", err, w.Balance().Total())
	}
	n.params = asert(n.params)
	err := n.wallet(someWords).trySync()
	if err == nil || errors.Is(err, wallet.ErrLying) || !errors.Is(err, consensus.ErrNotYet) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("%v", err)
	}
}

// asert returns the parameters of a network like another, whose difficulty is
// adjusted and so slowly that it stays what it is.
func asert(p *consensus.Params) *consensus.Params {
	changed := *p
	changed.Difficulty = consensus.Difficulty{Algorithm: consensus.DifficultyASERT, HalfLife: 1 << 31}
	return &changed
}

// TestFeeRate: what a node says a payment costs is not believed without bound.
func TestFeeRate(t *testing.T) {
	for text, want := range map[string]types.FeeRate{
		"0": 100, "0.00000099": 100, "0.00001000": 1000, "0.00999999": 999_999, "0.01": 1_000_000, "0.01000001": -1, "1": -1, "-0.00001": -1, "1e-5": -1, `"x"`: -1, "null": -1,
	} {
		n := answers(`{"feerate":` + text + `,"blocks":6}`)
		if got, err := wallet.FeeRate(t.Context(), n, 6); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

// answers is a node that answers each call with a text.
type answers string

func (a answers) Call(_ context.Context, _ string, result any, _ ...any) error {
	return json.Unmarshal([]byte(a), result)
}

func (a answers) Batch(context.Context, string, [][]any, func(int, json.RawMessage, error) error) error {
	return errors.New("not asked for")
}

// refusal is an error of a method.
type refusal int

func (r refusal) Error() string { return "refused" }
func (r refusal) RPCCode() int  { return int(r) }

// stubborn is a node that has lost its pool and takes no transactions. If it is
// behind, a block came before it was asked to take one.
type stubborn struct {
	*testNode
	err    error
	behind bool
	asked  bool // to take a transaction
}

func (s *stubborn) Call(ctx context.Context, method string, result any, params ...any) error {
	switch method {
	case "sendrawtransaction":
		s.asked = true
		return s.err
	case "getrawmempool":
		return json.Unmarshal([]byte("[]"), result)
	case "getbestblockhash":
		if s.behind && s.asked {
			return json.Unmarshal([]byte(`"`+strings.Repeat("11", 32)+`"`), result)
		}
	}
	return s.testNode.Call(ctx, method, result, params...)
}

// TestRefusedAgain: a payment of the wallet waits whatever a node says, since the
// wallet knows its coins; what others sent is given up if a node that is not behind
// says that it cannot be confirmed.
func TestRefusedAgain(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn(), n.wallet(wordsOf(t, 0))
	if !w.pay(to.address(), 100_000_000) {
		t.Fatal("no coins")
	}
	to.sync()
	sent := func() wallet.Status { return w.History()[1].Status }
	received := func() wallet.Status { return to.History()[0].Status }
	for _, c := range []struct {
		what   string
		code   refusal
		behind bool
		want   wallet.Status // of what was received
	}{
		{"as this user may not", -2, false, wallet.StatusPending},
		{"by a node that starts", -28, false, wallet.StatusPending},
		{"as a block has it", -27, false, wallet.StatusPending},
		{"by a node that lacks its coins still", -25, true, wallet.StatusPending},
		{"for its feerate, by a node that is behind", -26, true, wallet.StatusPending},
		{"as its coins are gone", -25, false, wallet.StatusConflicted},
		{"as it is invalid", -26, false, wallet.StatusConflicted},
	} {
		for _, wallets := range []*testWallet{w, to} {
			if err := wallets.Sync(t.Context(), &stubborn{testNode: n, err: c.code, behind: c.behind}, func(wallet.Progress) {}); err != nil {
				t.Error(err)
			}
		}
		if sent() != wallet.StatusPending || received() != c.want {
			t.Errorf("refused %s, it is %s and %s, want %s", c.what, sent(), received(), c.want)
		}
		if to.sync(); received() != wallet.StatusPending {
			t.Errorf("taken again, it is %s", received())
		}
	}
	cut := errors.New("cut off")
	if err := w.Sync(t.Context(), &stubborn{testNode: n, err: cut}, func(wallet.Progress) {}); !errors.Is(err, cut) {
		t.Errorf("%v", err)
	}
}

// sign signs a payment of the wallet to itself.
func (w *testWallet) sign(value types.Amount, rate types.FeeRate) *wallet.Draft {
	w.n.t.Helper()
	change, err := w.ChangeScript(0)
	if err != nil {
		w.n.t.Fatal(err)
	}
	draft, err := wallet.Build(&wallet.Request{Outputs: []types.TxOut{{Value: value, ScriptPubKey: change}}, Coins: w.Coins(), FeeRate: rate, ChangeScript: change})
	if err != nil {
		w.n.t.Fatal(err)
	}
	w.signDraft(draft)
	return draft
}

// TestReplaced: of two payments with the same coin the one counts that the node has,
// or that was made last, and the other is not passed on again, where it could undo
// it.
func TestReplaced(t *testing.T) {
	n := startNode(t)
	w, twin := n.wallet(someWords).earn(), n.wallet(someWords) // two programs with one set of keys
	twin.sync()
	first, second := w.sign(100_000_000, 1000), twin.sign(200_000_000, 3000)
	if err := w.Send(t.Context(), n, first); err != nil {
		t.Fatal(err)
	}
	if err := twin.Send(t.Context(), n, second); err != nil {
		t.Fatal(err)
	}
	status := func(w *testWallet, d *wallet.Draft) wallet.Status {
		for _, e := range w.History() {
			if e.TxID == d.Tx.TxID() {
				return e.Status
			}
		}
		return "unknown"
	}
	w.sync()
	if status(w, first) != wallet.StatusConflicted || status(w, second) != wallet.StatusPending {
		t.Errorf("the first is %s, the second %s", status(w, first), status(w, second))
	}
	sent := []string{}
	if err := w.Sync(t.Context(), &recording{&stubborn{testNode: n, err: nil, behind: false}, &sent}, func(wallet.Progress) {}); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 || sent[0] != second.Tx.TxID().String() {
		t.Errorf("passed on: %v", sent)
	}
	if err := w.Record(first.Tx); err != nil { // made again, as the last
		t.Fatal(err)
	}
	if status(w, first) != wallet.StatusPending || status(w, second) != wallet.StatusConflicted {
		t.Errorf("recorded again, the first is %s, the second %s", status(w, first), status(w, second))
	}
	n.mine(1, "")
	w.sync()
	if status(w, first) != wallet.StatusConflicted || status(w, second) != wallet.StatusConfirmed {
		t.Errorf("in the end the first is %s, the second %s", status(w, first), status(w, second))
	}
}

// TestForgedSpend: a node cannot lock coins by a transaction that the wallet has not
// signed.
func TestForgedSpend(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	before := w.state()
	forged := w.sign(100_000_000, 1000).Tx
	forged.Inputs[0].Witness[0][7]++
	for _, change := range []func(){func() {}, func() { forged.Inputs = append(forged.Inputs, types.TxIn{}) }} {
		change()
		if err := w.Sync(t.Context(), &forger{n, forged}, func(wallet.Progress) {}); err != nil {
			t.Fatal(err)
		}
		if got := w.state(); got != before {
			t.Errorf("the wallet shows\n%s\nbefore\n%s", got, before)
		}
	}
	payment := &types.Tx{Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}}, Outputs: forged.Outputs}
	if err := w.Sync(t.Context(), &forger{n, payment}, func(wallet.Progress) {}); err != nil || w.Balance().Pending == 0 {
		t.Errorf("a payment of others is not seen: %+v, %v", w.Balance(), err) // nor counted on: only its block tells
	}
	if got := w.sync().Balance(); got.Pending != 0 || len(w.Coins()) != 1 {
		t.Errorf("it stays: %+v", got)
	}
}

// forger is a node that has nothing in its pool but what it made up.
type forger struct {
	*testNode
	tx *types.Tx
}

func (f *forger) Call(ctx context.Context, method string, result any, params ...any) error {
	if method == "getrawmempool" {
		return json.Unmarshal([]byte(`["`+f.tx.TxID().String()+`"]`), result)
	}
	return f.testNode.Call(ctx, method, result, params...)
}

func (f *forger) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	if method == "getrawtransaction" {
		b, _ := json.Marshal(hex.EncodeToString(f.tx.AppendTo(nil)))
		return each(0, b, nil)
	}
	return f.testNode.Batch(ctx, method, params, each)
}

// recording notes which transactions it is given.
type recording struct {
	*stubborn
	sent *[]string
}

func (r *recording) Call(ctx context.Context, method string, result any, params ...any) error {
	if method == "sendrawtransaction" {
		raw, err := hex.DecodeString(params[0].(string))
		if err != nil {
			return err
		}
		tx, err := types.DecodeTx(raw)
		if err != nil {
			return err
		}
		*r.sent = append(*r.sent, tx.TxID().String())
	}
	return r.stubborn.Call(ctx, method, result, params...)
}

// TestUnsure: if the node's answer is lost, nothing is said to be refused.
func TestUnsure(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	draft, before := w.sign(1_000_000, 1000), w.Balance()
	cut := errors.New("cut off")
	err := w.Send(t.Context(), &stubborn{testNode: n, err: cut}, draft)
	if !errors.Is(err, wallet.ErrUnsure) || !errors.Is(err, cut) || !strings.Contains(err.Error(), draft.Tx.TxID().String()) {
		t.Errorf("%v", err)
	}
	err = w.Send(t.Context(), &stubborn{testNode: n, err: refusal(-26), behind: false}, draft)
	if errors.Is(err, wallet.ErrUnsure) || err == nil {
		t.Errorf("%v", err)
	}
	if list := w.History(); len(list) != 2 || w.status(draft.Tx.TxID()) != wallet.StatusConflicted || w.Balance() != before {
		t.Errorf("%+v, %+v", list, w.Balance())
	}
}

// TestPoolInAnyOrder: a payment without change that spends another of the pool is seen, whatever
// comes first.
func TestPoolInAnyOrder(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn(), n.wallet(wordsOf(t, 0))
	if !w.pay(to.address(), 100_000_000) || !w.pay(to.address(), 899_999_846-111) {
		t.Fatal("no coins")
	}
	want := w.sync().state()
	turned := false
	n.lie = func(method string, raw json.RawMessage) json.RawMessage {
		var txids []string
		if method == "getrawmempool" && turned && json.Unmarshal(raw, &txids) == nil && len(txids) == 2 {
			b, _ := json.Marshal([]string{txids[1], txids[0]})
			return b
		}
		return raw
	}
	for range 2 {
		if got := n.wallet(someWords).sync().state(); got != want {
			t.Errorf("another order %v: the wallet shows\n%s\nthe first\n%s", turned, got, want)
		}
		turned = true
	}
}
