package wallet_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/wallet"
)

// through is a node that a wallet reaches through somebody, who answers some methods.
type through struct {
	wallet.Node
	asked  map[string]int
	answer map[string]func(params []any) (any, error)
}

func over(node wallet.Node) *through {
	return &through{node, map[string]int{}, map[string]func([]any) (any, error){}}
}

func (n *through) refuse(code int, methods ...string) *through {
	for _, method := range methods {
		n.answer[method] = func([]any) (any, error) { return nil, refusal(code) }
	}
	return n
}

func (n *through) Call(ctx context.Context, method string, result any, params ...any) error {
	n.asked[method]++
	answer := n.answer[method]
	if answer == nil {
		return n.Node.Call(ctx, method, result, params...)
	}
	value, err := answer(params)
	if err != nil || result == nil {
		return err
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, result)
}

func (n *through) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	answer := n.answer[method]
	if answer == nil {
		n.asked[method] += len(params)
		return n.Node.Batch(ctx, method, params, each)
	}
	for i := range params {
		n.asked[method]++
		value, err := answer(params[i])
		b, _ := json.Marshal(value)
		if err := each(i, b, err); err != nil {
			return err
		}
	}
	return nil
}

// hiding is a node whose filters leave out some scripts, and fit together.
func hiding(n *testNode, height int, scripts ...[]byte) *through {
	n.t.Helper()
	liar, filters := over(n), map[string]any{}
	header := types.Hash{}
	for at := range call[int](n, "getblockcount") + 1 {
		hash := call[types.Hash](n, "getblockhash", at)
		true1 := call[struct{ Filter string }](n, "getblockfilter", hash)
		f, _ := hex.DecodeString(true1.Filter)
		if at == height {
			f = without(n, hash, f, scripts)
		}
		header = filter.Header(f, header)
		filters[hash.String()] = map[string]any{"filter": hex.EncodeToString(f), "header": header}
	}
	liar.answer["getblockfilter"] = func(params []any) (any, error) {
		if answer, ok := filters[fmt.Sprint(params[0])]; ok {
			return answer, nil
		}
		return nil, refusal(-5)
	}
	return liar
}

// without makes a block's filter without some scripts.
func without(n *testNode, hash types.Hash, f []byte, scripts [][]byte) []byte {
	n.t.Helper()
	var kept [][]byte
	raw, _ := hex.DecodeString(call[string](n, "getblock", hash, 0))
	block, err := consensus.DecodeBlock(raw)
	if err != nil {
		n.t.Fatal(err)
	}
	add := func(script []byte) {
		if len(script) > 0 && script[0] != taproot.OpReturn && !slices.ContainsFunc(scripts, func(s []byte) bool { return string(s) == string(script) }) {
			kept = append(kept, script)
		}
	}
	for i, tx := range block.Block.Txs {
		for _, out := range tx.Outputs {
			add(out.ScriptPubKey)
		}
		for _, in := range tx.Inputs {
			if i > 0 {
				spent, _ := hex.DecodeString(call[string](n, "getrawtransaction", in.PreviousOutPoint.TxID))
				tx, _ := types.DecodeTx(spent)
				add(tx.Outputs[in.PreviousOutPoint.Index].ScriptPubKey)
			}
		}
	}
	made := filter.OfScripts(hash, kept)
	if string(made) == string(f) {
		n.t.Fatalf("nothing to leave out of block %s", hash)
	}
	return made
}

func (w *testWallet) syncWith(list ...wallet.Named) (*wallet.Nodes, error) {
	nodes := wallet.NewNodes(list...)
	return nodes, w.Sync(w.n.t.Context(), nodes, func(wallet.Progress) {})
}

func (w *testWallet) problems() string {
	w.n.t.Helper()
	view, err := w.View()
	if err != nil {
		w.n.t.Fatal(err)
	}
	var texts []string
	if len(view.Problems) > 0 {
		w.n.t.Errorf("%v", view.Problems)
	}
	for _, p := range view.Nodes {
		texts = append(texts, p.Error())
	}
	return strings.Join(texts, "\n")
}

// story is a chain on which the wallet is paid in block 20, and pays in block 31.
func story(t *testing.T) (n *testNode, paid, spent []byte, want string) {
	t.Helper()
	n = startNode(t)
	w, to := n.wallet(someWords), n.wallet(wordsOf(t, 1))
	n.mine(19, "")
	address := w.address()
	n.mine(1, address)
	n.mine(10, "")
	if !w.sync().pay(to.address(), 500_000_000) {
		t.Fatal("no coins")
	}
	n.mine(1, "")
	n.mine(9, "")
	script, err := taproot.DecodeAddress(n.params.HRP, address)
	if err != nil {
		t.Fatal(err)
	}
	return n, script, script, w.sync().state()
}

// TestLiarAmongNodes: of two nodes that tell different filters, the block itself shows which
// lies. The liar is named, and not asked any more.
func TestLiarAmongNodes(t *testing.T) {
	n, paid, spent, want := story(t)
	for _, c := range []struct {
		name string
		liar *through
		says string
	}{
		{"a payment", hiding(n, 20, paid), "leaves out what the block pays"},
		{"a spend", hiding(n, 31, spent), "filter of block 31"},
	} {
		for first := range 2 {
			honest := over(n)
			list := []wallet.Named{{Name: "honest:1", Node: honest}, {Name: "liar:2", Node: c.liar}}
			if first == 1 {
				slices.Reverse(list)
			}
			w := n.wallet(someWords)
			nodes, err := w.syncWith(list...)
			if got := w.state(); err != nil || got != want {
				t.Errorf("%s is hidden: %v, the wallet shows\n%s\nwant\n%s", c.name, err, got, want)
			}
			if got := w.problems(); !strings.Contains(got, "liar:2") || !strings.Contains(got, c.says) || strings.Contains(got, "honest") || strings.Contains(got, "\n") {
				t.Errorf("%s is hidden: %s", c.name, got)
			}
			before := c.liar.asked["getblockhash"]
			if err := w.Sync(t.Context(), nodes, func(wallet.Progress) {}); err != nil || c.liar.asked["getblockhash"] != before {
				t.Errorf("%v, and it was asked again", err)
			}
		}
	}
}

// TestLiarOfEarlierDays: a wallet that was told false filters by the only node it asked finds
// out when it asks two that do not.
func TestLiarOfEarlierDays(t *testing.T) {
	n, paid, _, want := story(t)
	w := n.wallet(someWords)
	if _, err := w.syncWith(wallet.Named{Name: "liar", Node: hiding(n, 20, paid)}); err != nil || w.state() == want {
		t.Fatalf("%v: it did not hide anything", err)
	}
	n.mine(1, "")
	if _, err := w.syncWith(wallet.Named{Name: "one", Node: over(n)}); !errors.Is(err, wallet.ErrLying) || !strings.Contains(err.Error(), "rescan") {
		t.Errorf("%v", err)
	}
	if _, err := w.syncWith(wallet.Named{Name: "one", Node: over(n)}, wallet.Named{Name: "two", Node: over(n)}); err != nil {
		t.Error(err)
	}
	if got, want := w.state(), n.wallet(someWords).sync().state(); got != want {
		t.Errorf("the wallet shows\n%s\na fresh one\n%s", got, want)
	}
}

// TestLiarsWithoutProof: where no node gives the transactions that a block spends from, most
// of the nodes are believed, and of two that differ none.
func TestLiarsWithoutProof(t *testing.T) {
	n, _, spent, want := story(t)
	honest := func() *through { return over(n).refuse(-5, "getrawtransaction") }
	liar := hiding(n, 31, spent).refuse(-5, "getrawtransaction")
	w := n.wallet(someWords)
	_, err := w.syncWith(wallet.Named{Name: "one", Node: honest()}, wallet.Named{Name: "two", Node: liar})
	if !errors.Is(err, wallet.ErrDisagree) || !strings.Contains(err.Error(), "block 31") || !strings.Contains(err.Error(), "one and two") {
		t.Errorf("%v", err)
	}
	_, err = w.syncWith(wallet.Named{Name: "one", Node: honest()}, wallet.Named{Name: "two", Node: liar}, wallet.Named{Name: "three", Node: honest()})
	if got := w.state(); err != nil || got != want || !strings.Contains(w.problems(), "node two: ") {
		t.Errorf("%v, %s, the wallet shows\n%s\nwant\n%s", err, w.problems(), got, want)
	}
}

// TestNodesThatHelp: nodes that are behind, prune, or do not answer are made up for by others,
// and named.
func TestNodesThatHelp(t *testing.T) {
	n, _, _, want := story(t)
	young := startNode(t)
	pruned := over(n).refuse(-1, "getblock")
	w := n.wallet(someWords)
	_, err := w.syncWith(wallet.Named{Name: "pruned", Node: pruned}, wallet.Named{Name: "young", Node: young}, wallet.Named{Name: "gone", Node: gone{io.EOF}}, wallet.Named{Name: "good", Node: over(n)})
	if got := w.state(); err != nil || got != want {
		t.Errorf("%v, the wallet shows\n%s\nwant\n%s", err, got, want)
	}
	if got := w.problems(); !strings.Contains(got, "node young: the node is behind") || !strings.Contains(got, "node gone: EOF") || strings.Contains(got, "good") || strings.Contains(got, "pruned") {
		t.Errorf("%s", got)
	}
	w = n.wallet(someWords)
	if _, err = w.syncWith(wallet.Named{Name: "a", Node: pruned}, wallet.Named{Name: "b", Node: pruned}); !errors.Is(err, wallet.ErrNoBlock) || !strings.Contains(err.Error(), "block 20") || !strings.Contains(err.Error(), "node a: ") {
		t.Errorf("%v", err)
	}
	if got := w.sync().state(); got != want {
		t.Errorf("the wallet shows\n%s\nwant\n%s", got, want)
	}
	if _, err := w.syncWith(wallet.Named{Name: "a", Node: gone{io.EOF}}, wallet.Named{Name: "b", Node: young}); !errors.Is(err, wallet.ErrUnreachable) || !errors.Is(err, wallet.ErrBehind) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// TestPaymentToAllNodes: a payment goes to every node, and one that takes it is enough. What one
// node hides among the transactions that wait, another tells.
func TestPaymentToAllNodes(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn(), n.wallet(wordsOf(t, 1))
	deaf := over(n).refuse(-26, "sendrawtransaction")
	deaf.answer["getrawmempool"] = func([]any) (any, error) { return []string{}, nil }
	good := over(n)
	both := wallet.NewNodes(wallet.Named{Name: "deaf", Node: deaf}, wallet.Named{Name: "good", Node: good})
	draft := w.sign(500_000_000, 1000)
	if err := w.Send(t.Context(), both, draft); err != nil || deaf.asked["sendrawtransaction"] != 1 || good.asked["sendrawtransaction"] != 1 {
		t.Errorf("%v: %v, %v", err, deaf.asked, good.asked)
	}
	if err := w.Send(t.Context(), wallet.NewNodes(wallet.Named{Name: "deaf", Node: deaf}), draft); err == nil || errors.Is(err, wallet.ErrUnsure) {
		t.Errorf("%v", err)
	}
	if err := w.Send(t.Context(), wallet.NewNodes(wallet.Named{Name: "deaf", Node: deaf}, wallet.Named{Name: "gone", Node: gone{io.EOF}}), draft); !errors.Is(err, wallet.ErrUnsure) {
		t.Errorf("%v", err)
	}
	if !w.pay(to.address(), 100_000_000) {
		t.Fatal("no coins")
	}
	if err := to.Sync(t.Context(), both, func(wallet.Progress) {}); err != nil || to.Balance().Pending == 0 {
		t.Errorf("%v: %+v", err, to.Balance())
	}
	if err := w.Sync(t.Context(), both, func(wallet.Progress) {}); err != nil || w.History()[1].Status != wallet.StatusPending || deaf.asked["sendrawtransaction"] < 3 {
		t.Errorf("%v: %+v, asked %v", err, w.History(), deaf.asked)
	}
}

// TestFeeRateOfMany: one of several nodes cannot make payments dear, nor one of three cheap.
func TestFeeRateOfMany(t *testing.T) {
	says := func(rate string) wallet.Named {
		return wallet.Named{Name: "node " + rate, Node: answers(`{"feerate":` + rate + `}`)}
	}
	for _, c := range []struct {
		nodes []wallet.Named
		want  types.FeeRate
	}{
		{[]wallet.Named{says("0.00002"), says("0.009")}, 2000},
		{[]wallet.Named{says("0.00002"), says("0.009"), says("0.00003")}, 3000},
		{[]wallet.Named{says("0.00002"), says("1"), {Name: "gone", Node: gone{io.EOF}}}, 2000},
		{[]wallet.Named{says("1"), {Name: "gone", Node: gone{io.EOF}}}, -1},
		{nil, -1},
	} {
		got, err := wallet.FeeRate(t.Context(), wallet.NewNodes(c.nodes...), 6)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%v: %d, %v", c.nodes, got, err)
		}
	}
}

// TestInventedConfirmations: a node cannot make a payment look older, or be in a block, by
// saying so.
func TestInventedConfirmations(t *testing.T) {
	n := startNode(t)
	w, to := n.wallet(someWords).earn(), n.wallet(wordsOf(t, 1))
	if !w.pay(to.address(), 500_000_000) {
		t.Fatal("no coins")
	}
	before := to.sync().state()
	for _, inBlock := range []bool{false, true} {
		liar := over(n)
		liar.answer["getblockcount"] = func([]any) (any, error) { return 1000, nil }
		liar.answer["getbestblockhash"] = func([]any) (any, error) { return strings.Repeat("11", 32), nil }
		if inBlock {
			liar.answer["getblockcount"], liar.answer["getbestblockhash"] = nil, nil
			liar.answer["getrawtransaction"] = func([]any) (any, error) {
				return map[string]any{"confirmations": 100, "blockhash": strings.Repeat("11", 32)}, nil
			}
			to = n.wallet(to.words)
		}
		if err := to.Sync(t.Context(), liar, func(wallet.Progress) {}); !errors.Is(err, wallet.ErrLying) {
			t.Errorf("%v", err)
		}
		for _, e := range to.History() {
			if e.Confirmations != 0 {
				t.Errorf("%+v", e)
			}
		}
	}
	if got := to.sync().state(); got != before {
		t.Errorf("the wallet shows\n%s\nbefore\n%s", got, before)
	}
}

// mute is a node that never answers, and for which the time goes by quickly.
type mute struct{}

func (mute) Call(ctx context.Context, _ string, _ any, _ ...any) error {
	if _, limited := ctx.Deadline(); limited && ctx.Err() == nil {
		return context.DeadlineExceeded
	}
	<-ctx.Done()
	return ctx.Err()
}

func (m mute) Batch(ctx context.Context, _ string, _ [][]any, _ func(int, json.RawMessage, error) error) error {
	return m.Call(ctx, "", nil)
}

// TestMuteNode: one of several nodes that says nothing is not waited for for ever, and an
// interrupt is nobody's fault.
func TestMuteNode(t *testing.T) {
	n, _, _, want := story(t)
	w := n.wallet(someWords)
	nodes := wallet.NewNodes(wallet.Named{Name: "mute", Node: mute{}}, wallet.Named{Name: "good", Node: over(n)})
	if err := w.Sync(t.Context(), nodes, func(wallet.Progress) {}); err != nil || w.state() != want || !strings.Contains(w.problems(), "node mute: the node does not answer within 1m0s") {
		t.Errorf("%v, %s", err, w.problems())
	}
	var height int
	if err := nodes.Call(t.Context(), "getblockcount", &height); err != nil || height != 40 {
		t.Errorf("%d, %v", height, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Sync(ctx, nodes, func(wallet.Progress) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// silent is a node that never answers.
type silent struct{ wallet.Node }

// Call implements wallet.Node.
func (silent) Call(ctx context.Context, method string, result any, params ...any) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestSilentNode: the only node that there is may take its time for an answer, but one that does
// not even say of which network it is, is given up.
func TestSilentNode(t *testing.T) {
	w := newOffline(t)
	synctest.Test(t, func(t *testing.T) {
		for _, node := range []wallet.Node{silent{}, wallet.NewNodes(wallet.Named{Name: "a", Node: silent{}})} {
			if err := w.Sync(t.Context(), node, func(wallet.Progress) {}); !errors.Is(err, wallet.ErrUnreachable) {
				t.Errorf("the error is %v", err)
			}
		}
	})
}

// scripted is a node that answers every call in the same way, and counts them.
type scripted struct {
	wallet.Node
	answer func(ctx context.Context) error
	asked  *int
}

// Call implements wallet.Node.
func (s scripted) Call(ctx context.Context, _ string, _ any, _ ...any) error {
	*s.asked++
	return s.answer(ctx)
}

// TestOthersMakeUp: of several nodes, another is asked where one refuses or does not answer. Who
// did not answer is left alone for a while.
func TestOthersMakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refusals, silences, answers int
		refuses := wallet.Named{Name: "refuses", Node: scripted{nil, func(context.Context) error { return refusal(-1) }, &refusals}}
		mute := wallet.Named{Name: "mute", Node: scripted{nil, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, &silences}}
		good := wallet.Named{Name: "good", Node: scripted{nil, func(context.Context) error { return nil }, &answers}}
		ask := func(n *wallet.Nodes) error { return n.Call(t.Context(), "getmempoolinfo", nil) }
		all := wallet.NewNodes(mute, refuses, good)
		for range 3 {
			if err := ask(all); err != nil {
				t.Error(err)
			}
		}
		if silences != 1 || refusals != 3 || answers != 3 {
			t.Errorf("asked %d, %d and %d times", silences, refusals, answers)
		}
		time.Sleep(time.Hour)
		if err := ask(all); err != nil || silences != 2 {
			t.Errorf("later: %v, asked %d times", err, silences)
		}
		if err := ask(wallet.NewNodes(refuses, mute)); err != refusal(-1) {
			t.Errorf("nobody answers: %v", err)
		}
		alone := wallet.NewNodes(mute, mute)
		for range 2 {
			if err := ask(alone); !errors.Is(err, wallet.ErrUnreachable) {
				t.Errorf("all are silent: %v", err)
			}
		}
	})
}
