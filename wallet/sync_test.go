package wallet_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/internal/nodetest"
	"github.com/karatcoin/karat/miner"
	"github.com/karatcoin/karat/node"
	"github.com/karatcoin/karat/rpc"
	"github.com/karatcoin/karat/wallet"
)

// testNode is a node of the dev network, whose coinbases can be spent after two
// blocks, and what a wallet may be told by somebody who stands between.
type testNode struct {
	t      testing.TB
	params *consensus.Params
	node   *node.Node
	client *rpc.Client

	mu    sync.Mutex
	calls []string // what wallets have asked, with parameters
	lie   func(method string, result json.RawMessage) json.RawMessage
}

func startNode(t testing.TB, changes ...func(*node.Config)) *testNode {
	t.Helper()
	n := nodetest.Dev(t, func(c *node.Config) {
		nodetest.Matures(c)
		for _, change := range changes {
			change(c)
		}
	})
	return &testNode{t: t, params: n.Chain().Params(), node: n.Node, client: rpc.NewCookieClient("http://"+n.RPC, n.CookieFile)}
}

// Call implements wallet.Node.
func (n *testNode) Call(ctx context.Context, method string, result any, params ...any) error {
	var raw json.RawMessage
	n.note(method, params)
	if err := n.client.Call(ctx, method, &raw, params...); err != nil {
		return err
	}
	if raw = n.answer(method, raw); result == nil {
		return nil
	}
	return json.Unmarshal(raw, result)
}

// Batch implements wallet.Node.
func (n *testNode) Batch(ctx context.Context, method string, params [][]any, each func(i int, result json.RawMessage, err error) error) error {
	for _, p := range params {
		n.note(method, p)
	}
	return n.client.Batch(ctx, method, params, func(i int, result json.RawMessage, err error) error {
		return each(i, n.answer(method, result), err)
	})
}

func (n *testNode) note(method string, params []any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, _ := json.Marshal(params)
	n.calls = append(n.calls, method+" "+string(text))
}

func (n *testNode) answer(method string, raw json.RawMessage) json.RawMessage {
	if n.lie != nil {
		return n.lie(method, raw)
	}
	return raw
}

// call calls a method that must succeed, for nobody's wallet.
func call[T any](n *testNode, method string, params ...any) (result T) {
	n.t.Helper()
	if err := n.client.Call(n.t.Context(), method, &result, params...); err != nil {
		n.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// mine makes blocks that pay to an address, or to nobody.
func (n *testNode) mine(count int, address string) []string {
	n.t.Helper()
	if address == "" {
		address = call[struct{ Address string }](n, "decodescript", hex.EncodeToString(chaintest.Anchor)).Address
	}
	return call[[]string](n, "generatetoaddress", count, address)
}

// mineEmpty makes blocks without the transactions that wait.
func (n *testNode) mineEmpty(count int) {
	n.t.Helper()
	m := miner.New(miner.Options{Params: n.params, Chain: n.node.Chain(), Threads: 1, Tag: fmt.Sprint(rand.Uint64())})
	if _, err := m.Generate(n.t.Context(), count, chaintest.Anchor, 1<<20); err != nil {
		n.t.Fatal(err)
	}
}

// testWallet is a wallet that syncs with a node.
type testWallet struct {
	*wallet.Wallet
	n     *testNode
	file  *wallet.File
	words string
}

const someWords = "legal winner thank year wave sausage worth useful legal winner thank yellow"

// contents is a wallet file with nothing but words.
func contents(words string) wallet.Contents {
	return wallet.Contents{Words: wallet.Words{Mnemonic: words}}
}

func (n *testNode) wallet(words string) *testWallet {
	n.t.Helper()
	dir := n.t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, contents(words), "")
	if err != nil {
		n.t.Fatal(err)
	}
	w, err := wallet.Open(dir, f, n.params, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { w.Close() })
	return &testWallet{w, n, f, words}
}

func (w *testWallet) trySync() error {
	return w.Sync(w.n.t.Context(), w.n, func(wallet.Progress) {})
}

// earn mines coins for the wallet, until they can be spent and it knows them.
func (w *testWallet) earn() *testWallet {
	w.n.t.Helper()
	w.n.mine(1, w.address())
	w.n.mine(2, "")
	return w.sync()
}

func (w *testWallet) sync() *testWallet {
	w.n.t.Helper()
	if err := w.trySync(); err != nil {
		w.n.t.Fatal(err)
	}
	return w
}

func (w *testWallet) address() string {
	w.n.t.Helper()
	a, err := w.NextAddress(0)
	if err != nil {
		w.n.t.Fatal(err)
	}
	return a
}

// pay sends coins, or reports that there are not enough.
func (w *testWallet) pay(address string, value types.Amount) (ok bool) {
	w.n.t.Helper()
	script, err := taproot.DecodeAddress(w.n.params.HRP, address)
	if err != nil {
		w.n.t.Fatal(err)
	}
	change, err := w.ChangeScript(0)
	if err != nil {
		w.n.t.Fatal(err)
	}
	draft, err := wallet.Build(&wallet.Request{
		Outputs: []types.TxOut{{Value: value, ScriptPubKey: script}}, Coins: w.Coins(), FeeRate: 1000, ChangeScript: change, LockTime: w.Position().Height,
	})
	if err != nil {
		return false
	}
	w.signDraft(draft)
	if err := w.Send(w.n.t.Context(), w.n, draft); err != nil {
		w.n.t.Fatal(err)
	}
	return true
}

// signDraft signs with the wallet's keys.
func (w *testWallet) signDraft(draft *wallet.Draft) {
	w.n.t.Helper()
	signer, err := w.file.Unlock("")
	if err != nil {
		w.n.t.Fatal(err)
	}
	defer signer.Wipe()
	if err := signer.Sign(draft); err != nil {
		w.n.t.Fatal(err)
	}
}

// state is what a wallet shows, but for the times at which it met what waits and
// for what has been dropped, which a fresh wallet never saw.
func (w *testWallet) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", w.Balance())
	var waiting []string // in the order in which this wallet met them
	for _, e := range w.History() {
		switch {
		case e.Status == wallet.StatusConflicted:
		case e.Height == 0:
			e.Time, e.Balance = 0, 0 // which depend on that order
			waiting = append(waiting, fmt.Sprintf("%+v\n", e))
		default:
			fmt.Fprintf(&b, "%+v\n", e)
		}
	}
	slices.Sort(waiting)
	b.WriteString(strings.Join(waiting, ""))
	coins := w.Unspent()
	slices.SortFunc(coins, func(a, b wallet.Coin) int {
		return strings.Compare(a.OutPoint.String(), b.OutPoint.String())
	})
	fmt.Fprintf(&b, "%+v\n", coins)
	return b.String()
}

// TestAnyHistoryEndsAsAFreshSync: whatever happened between syncs, payments and
// reorganisations, the wallet ends as one that is restored and syncs once.
func TestAnyHistoryEndsAsAFreshSync(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 0))
		n := startNode(t)
		a, b := n.wallet(someWords), n.wallet(wordsOf(t, 2))
		n.mine(3, a.address())
		n.mine(2, b.address())
		n.mine(2, "")
		for range 40 {
			payer, payee := a, b
			if r.IntN(2) == 0 {
				payer, payee = b, a
			}
			switch r.IntN(8) {
			case 0, 1, 2:
				payer.sync()
				payer.pay(payee.address(), types.Amount(1_000_000+r.IntN(300_000_000)))
			case 3:
				n.mine(1+r.IntN(3), "")
			case 4:
				n.mine(1, payee.address())
			case 5:
				payer.sync()
			case 6: // another branch, without the payments of this one
				tip := call[int](n, "getblockcount")
				depth := 1 + r.IntN(min(5, tip-6))
				call[any](n, "invalidateblock", call[string](n, "getblockhash", tip-depth+1))
				n.mineEmpty(depth + 1)
			case 7: // another branch, with them
				tip := call[int](n, "getblockcount")
				depth := 1 + r.IntN(min(5, tip-6))
				call[any](n, "invalidateblock", call[string](n, "getblockhash", tip-depth+1))
				n.mine(depth+1, "")
			}
		}
		for _, w := range []*testWallet{a, b} {
			got := w.sync().state()
			if want := n.wallet(w.words).sync().state(); got != want {
				t.Fatalf("seed %d: the wallet shows\n%s\na fresh one\n%s", seed, got, want)
			}
		}
		n.mine(3, "")
		if a.sync().Balance().Pending != 0 || b.sync().Balance().Pending != 0 {
			t.Errorf("seed %d: something waits for ever: %+v, %+v", seed, a.Balance(), b.Balance())
		}
	}
}

// wordsOf returns words that depend on a number only.
func wordsOf(t *testing.T, n int) string {
	t.Helper()
	return []string{
		"abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
		"letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
		"zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
	}[n]
}

// TestNothingIsToldToTheNode: no call names an address, a script or a transaction
// of the wallet, but for the payment that is sent.
func TestNothingIsToldToTheNode(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	address := w.address()
	n.mine(3, address)
	n.mine(5, "")
	w.sync()
	if !w.pay(address, 500_000_000) {
		t.Fatal("no coins")
	}
	w.sync()
	n.mine(1, "")
	w.sync()
	script, err := taproot.DecodeAddress(n.params.HRP, address)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{address, hex.EncodeToString(script), hex.EncodeToString(script[2:])}
	sent := ""
	for _, e := range w.History() {
		secrets = append(secrets, e.TxID.String())
		if e.Sent {
			sent = e.TxID.String()
		}
	}
	methods := map[string]int{}
	for _, c := range n.calls {
		method, _, _ := strings.Cut(c, " ")
		methods[method]++
		for _, secret := range secrets {
			if strings.Contains(c, secret) && method != "sendrawtransaction" && secret != sent {
				t.Errorf("the node was told %s by %s", secret, c)
			}
		}
	}
	for method := range methods {
		if !slices.Contains([]string{"getblockhash", "getheaders", "getblockfilter", "getblock", "getrawmempool", "getrawtransaction", "sendrawtransaction", "getbestblockhash"}, method) {
			t.Errorf("the wallet calls %s", method)
		}
	}
	if methods["getblock"] > 5 {
		t.Errorf("%d blocks were fetched of which 4 concern the wallet", methods["getblock"])
	}
}

// TestLies: answers that cannot be true are refused, and nothing is lost.
func TestLies(t *testing.T) {
	quoted := func(s string) json.RawMessage { b, _ := json.Marshal(s); return b }
	for _, c := range []struct {
		name, method string
		kind         error
		lie          func(json.RawMessage) json.RawMessage
	}{
		{"another genesis block", "getblockhash", wallet.ErrOtherNetwork, func(json.RawMessage) json.RawMessage { return quoted(strings.Repeat("11", 32)) }},
		{"headers without work", "getheaders", wallet.ErrLying, eachHeader(func(h *types.Header) { h.Nonce += 1 << 20 })},
		{"headers of an easier target", "getheaders", wallet.ErrLying, eachHeader(func(h *types.Header) { h.Bits = 0x207ffffe })},
		{"headers that form no chain", "getheaders", wallet.ErrLying, func(raw json.RawMessage) json.RawMessage {
			var list []string
			_ = json.Unmarshal(raw, &list)
			slices.Reverse(list)
			b, _ := json.Marshal(list)
			return b
		}},
		{"headers that are none", "getheaders", wallet.ErrLying, func(json.RawMessage) json.RawMessage { return json.RawMessage(`["00"]`) }},
		{"a filter that is another", "getblockfilter", wallet.ErrLying, func(raw json.RawMessage) json.RawMessage {
			return json.RawMessage(strings.Replace(string(raw), `"filter":"`, `"filter":"00`, 1))
		}},
		{"a filter that is none", "getblockfilter", wallet.ErrLying, func(json.RawMessage) json.RawMessage { return json.RawMessage(`{"filter":"xy"}`) }},
		{"a filter of another type", "getblockfilter", wallet.ErrLying, func(json.RawMessage) json.RawMessage { return json.RawMessage(`{"filter":[],"header":5}`) }},
		{"another block", "getblock", wallet.ErrLying, func(raw json.RawMessage) json.RawMessage {
			return json.RawMessage(strings.Replace(string(raw), `"0`, `"1`, 1))
		}},
		{"a block without a transaction's end", "getblock", wallet.ErrLying, func(raw json.RawMessage) json.RawMessage {
			return append(append(json.RawMessage{}, raw[:len(raw)-3]...), '"')
		}},
		{"a block that pays more", "getblock", wallet.ErrLying, func(raw json.RawMessage) json.RawMessage {
			return json.RawMessage(strings.Replace(string(raw), "00ca9a3b", "00ca9a3c", 1)) // ten coins
		}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			n := startNode(t)
			w := n.wallet(someWords)
			n.mine(2, w.address())
			n.mine(3, "")
			w.sync()
			before := w.state()
			n.mine(2, w.address())
			n.lie = func(method string, raw json.RawMessage) json.RawMessage {
				if method == c.method {
					return c.lie(raw)
				}
				return raw
			}
			if err := w.trySync(); !errors.Is(err, c.kind) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "json") {
				t.Errorf("the error is %v, want %v", err, c.kind)
			}
			if !strings.HasPrefix(before, fmt.Sprintf("%+v", w.Balance())) && c.method != "getblock" {
				t.Errorf("the balance is %+v, was %s", w.Balance(), before)
			}
			n.lie = nil
			if got, want := w.sync().state(), n.wallet(someWords).sync().state(); got != want {
				t.Errorf("after the lie the wallet shows\n%s\na fresh one\n%s", got, want)
			}
		})
	}
}

// eachHeader changes the headers of an answer.
func eachHeader(change func(*types.Header)) func(json.RawMessage) json.RawMessage {
	return func(raw json.RawMessage) json.RawMessage {
		var list []string
		_ = json.Unmarshal(raw, &list)
		for i, text := range list {
			b, _ := hex.DecodeString(text)
			h, _ := types.DecodeHeader(b)
			change(&h)
			list[i] = hex.EncodeToString(h.AppendTo(nil))
		}
		b, _ := json.Marshal(list)
		return b
	}
}

// TestGap: a restore finds what lies within the gap limit, and what that leads to.
func TestGap(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	var addresses []string
	for range 45 {
		addresses = append(addresses, w.address())
	}
	for _, i := range []int{19, 38} { // each within 20 of the last
		n.mine(1, addresses[i])
	}
	n.mine(3, "")
	again := n.wallet(someWords).sync()
	if got := again.Balance().Confirmed; got != 2*1_000_000_000 {
		t.Errorf("a restored wallet has %s", got)
	}
	if got := again.address(); got != addresses[39] {
		t.Errorf("the next address is %s, want the one behind the last that was paid", got)
	}
}

// TestBirthday: blocks below it are not asked for.
func TestBirthday(t *testing.T) {
	n := startNode(t)
	n.mine(50, "")
	tip := types.Index{Height: 50}
	if err := tip.Hash.UnmarshalText([]byte(call[string](n, "getbestblockhash"))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, wallet.Contents{Words: wallet.Words{Mnemonic: someWords}, Birthday: wallet.Birthday{Index: tip}}, "")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := wallet.Open(dir, f, n.params, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	w := &testWallet{opened, n, f, someWords}
	n.mine(4, w.address())
	w.sync()
	filters := 0
	for _, c := range n.calls {
		if strings.HasPrefix(c, "getblockfilter") {
			filters++
		}
	}
	if filters > 5 || w.Balance().Total() != 4*1_000_000_000 {
		t.Errorf("%d filters were fetched; the wallet has %+v", filters, w.Balance())
	}
	// The birthday's block is undone: the wallet looks from the beginning.
	call[any](n, "invalidateblock", call[string](n, "getblockhash", 40))
	n.mine(30, w.address())
	if got, want := w.sync().state(), n.wallet(someWords).sync().state(); got != want {
		t.Errorf("the wallet shows\n%s\na fresh one\n%s", got, want)
	}
}

// TestReopen: what was synced is there after the wallet was closed, and a damaged
// database is made anew.
func TestReopen(t *testing.T) {
	n := startNode(t)
	dir := t.TempDir()
	f, err := wallet.CreateFile(filepath.Join(dir, wallet.FileName), n.params, contents(someWords), "")
	if err != nil {
		t.Fatal(err)
	}
	open := func() *testWallet {
		t.Helper()
		w, err := wallet.Open(dir, f, n.params, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &testWallet{w, n, f, someWords}
	}
	w := open()
	n.mine(4, w.address())
	state := w.sync().state()
	if _, err := wallet.Open(dir, f, n.params, nil); err == nil || !strings.Contains(err.Error(), "open in another") {
		t.Errorf("opened twice: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open()
	if got := w.state(); got != state {
		t.Errorf("reopened, the wallet shows\n%s\nbefore\n%s", got, state)
	}
	asked := len(n.calls)
	w.sync()
	if more := len(n.calls) - asked; more > 4 {
		t.Errorf("%d calls where there was nothing new: %v", more, n.calls[asked:])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "db", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if err := os.WriteFile(name, []byte("nonsense, and more of it"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w = open()
	if got := w.sync().state(); got != state {
		t.Errorf("after damage the wallet shows\n%s\nbefore\n%s", got, state)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
