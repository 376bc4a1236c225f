package wallet_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/filter"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
	"github.com/karatcoin/karat/wallet"
)

// TestFilterThatLeavesOut: a filter that holds a payment to the wallet and fits into
// the chain of filters, but leaves out another that the block makes, is found out
// by the block.
func TestFilterThatLeavesOut(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	address := w.address()
	script, err := taproot.DecodeAddress(n.params.HRP, address)
	if err != nil {
		t.Fatal(err)
	}
	n.mine(2, address)
	n.mine(3, "")
	w.sync()
	if !w.pay(n.wallet(wordsOf(t, 1)).address(), 5_000_000) {
		t.Fatal("no coins")
	}
	last := w.Position().Hash
	n.mine(1, address)
	before := w.Position()
	block := types.Hash{}
	if err := block.UnmarshalText([]byte(call[string](n, "getbestblockhash"))); err != nil {
		t.Fatal(err)
	}
	lying, err := filter.Build(&consensus.BlockUpdate{Update: &consensus.Update{}, Block: &consensus.HashedBlock{
		Hash: block, Block: &types.Block{Txs: []types.Tx{{Outputs: []types.TxOut{{ScriptPubKey: script}}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	prev := call[struct{ Header types.Hash }](n, "getblockfilter", last.String()).Header
	n.lie = func(method string, raw json.RawMessage) json.RawMessage {
		if method != "getblockfilter" {
			return raw
		}
		b, _ := json.Marshal(map[string]any{"filter": hex.EncodeToString(lying), "header": filter.Header(lying, prev)})
		return b
	}
	if err := w.trySync(); !errors.Is(err, wallet.ErrLying) || !strings.Contains(err.Error(), "leaves out") || w.Position() != before {
		t.Errorf("%v, at %v", err, w.Position())
	}
	n.lie = nil
	if got, want := w.sync().state(), n.wallet(someWords).sync().state(); got != want {
		t.Errorf("after the lie the wallet shows\n%s\na fresh one\n%s", got, want)
	}
}

// miserly is a node that keeps blocks to itself.
type miserly struct{ *testNode }

func (m miserly) Call(ctx context.Context, method string, result any, params ...any) error {
	if method == "getblock" {
		return refusal(-5)
	}
	return m.testNode.Call(ctx, method, result, params...)
}

// TestWithheldBlock: a block that concerns the wallet is not passed over because
// the node does not give it.
func TestWithheldBlock(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords)
	n.mine(3, w.address())
	err := w.Sync(t.Context(), miserly{n}, func(wallet.Progress) {})
	var coded interface{ RPCCode() int }
	if !errors.As(err, &coded) || w.Position().Height != 0 {
		t.Errorf("%v, at %v", err, w.Position())
	}
	if got := w.sync().Balance().Total(); got != 3_000_000_000 {
		t.Errorf("the wallet has %s", got)
	}
}

// TestBranchOfLessWork: a node that follows another branch of less work takes
// nothing from the wallet, nor are payments given up that it does not know of.
func TestBranchOfLessWork(t *testing.T) {
	n, other := startNode(t), startNode(t)
	w := n.wallet(someWords)
	n.mine(6, w.address())
	w.sync()
	if !w.pay(n.wallet(wordsOf(t, 1)).address(), 5_000_000) {
		t.Fatal("no coins")
	}
	want := w.sync().state()
	for range 2 {
		if err := w.Sync(t.Context(), other, func(wallet.Progress) {}); !errors.Is(err, wallet.ErrBehind) || !strings.Contains(err.Error(), "block 6") {
			t.Fatal(err)
		}
		if got := w.state(); got != want {
			t.Errorf("the wallet shows\n%s\nbefore\n%s", got, want)
		}
		other.mineEmpty(4)
	}
	other.mineEmpty(1) // as many as the wallet has blocks that pay it, and more
	if err := w.Sync(t.Context(), other, func(wallet.Progress) {}); err != nil {
		t.Fatal(err)
	}
	if got := w.Balance().Total(); got != 0 {
		t.Errorf("on the other chain, which has more work, the wallet has %s", got)
	}
	if err := w.trySync(); !errors.Is(err, wallet.ErrBehind) || w.Position().Height != 9 {
		t.Errorf("%v, at %d", err, w.Position().Height)
	}
}

// TestInventedSpends: no transaction that a node makes up, whatever it spends beside a coin of
// the wallet and in whatever order, locks that coin.
func TestInventedSpends(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	before, coins := w.state(), len(w.Coins())
	own, foreign := w.Coins()[0].OutPoint, types.OutPoint{TxID: types.Hash{7}}
	for name, spends := range map[string][]types.OutPoint{
		"own":               {own},
		"own, then foreign": {own, foreign},
		"foreign, then own": {foreign, own},
		"own in the middle": {foreign, own, {TxID: types.Hash{8}}},
	} {
		tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: 1, ScriptPubKey: chaintest.Anchor}}}
		for _, at := range spends {
			tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: at, Sequence: 1, Witness: [][]byte{make([]byte, 64)}})
		}
		n.lie = func(method string, raw json.RawMessage) json.RawMessage {
			if method == "getrawmempool" {
				raw, _ = json.Marshal([]types.Hash{tx.TxID()})
			}
			return raw
		}
		invented := inventing{n, tx}
		if err := w.Sync(t.Context(), invented, func(wallet.Progress) {}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.Coins()) != coins || w.state() != before {
			t.Errorf("%s: the wallet has\n%s\nbefore\n%s", name, w.state(), before)
		}
	}
}

// inventing answers every question for a transaction with its own.
type inventing struct {
	*testNode
	tx *types.Tx
}

// Batch implements wallet.Node.
func (i inventing) Batch(ctx context.Context, method string, params [][]any, each func(int, json.RawMessage, error) error) error {
	if method != "getrawtransaction" {
		return i.testNode.Batch(ctx, method, params, each)
	}
	for at := range params {
		raw, _ := json.Marshal(hex.EncodeToString(i.tx.AppendTo(nil)))
		if err := each(at, raw, nil); err != nil {
			return err
		}
	}
	return nil
}

// TestListsOfNothing: a list whose elements say nothing is a lie. It would take six times its
// bytes.
func TestListsOfNothing(t *testing.T) {
	n := startNode(t)
	w := n.wallet(someWords).earn()
	for _, answer := range []string{`[null]`, `null`, `{}`, `[""]`, `[5]`} {
		for _, method := range []string{"getheaders", "getrawmempool"} {
			n.lie = func(asked string, raw json.RawMessage) json.RawMessage {
				if asked == method {
					return json.RawMessage(answer)
				}
				return raw
			}
			if err := w.trySync(); !errors.Is(err, wallet.ErrLying) {
				t.Errorf("%s of %s: %v", answer, method, err)
			}
		}
	}
}
