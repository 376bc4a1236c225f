package mempool

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// truc makes a transaction one of version 3.
func (h *harness) truc(tx *types.Tx) *types.Tx {
	h.version(tx, TRUCVersion)
	h.Note(tx)
	return tx
}

// padded makes a transaction of a size in virtual bytes, of version 3.
func (h *harness) padded(vsize int, fee types.Amount, from ...types.OutPoint) *types.Tx {
	tx := h.Pay(fee, 1, from...)
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: dataScript(256)})
	missing := vsize - tx.VirtualSize()
	tx.Outputs[1].ScriptPubKey = dataScript(256 + missing)
	if missing = vsize - tx.VirtualSize(); missing != 0 { // the length needs more bytes
		tx.Outputs[1].ScriptPubKey = dataScript(len(tx.Outputs[1].ScriptPubKey) - 4 + missing)
	}
	if tx.VirtualSize() != vsize {
		h.t.Fatalf("%d virtual bytes, want %d", tx.VirtualSize(), vsize)
	}
	return h.truc(tx)
}

// named is a transaction in the words of Bitcoin Core.
func named(tx *types.Tx) string { return fmt.Sprintf("tx %s (wtxid=%s)", tx.TxID(), tx.WTxID()) }

// Each rule of BIP431 for a transaction that comes alone, in Bitcoin Core's words.
func TestTRUC(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(30)
	old := h.Pay(1000, 3, coins[0]) // version 2
	parent := h.truc(h.Pay(1000, 3, coins[1]))
	lonely := h.truc(h.Pay(1000, 3, coins[2]))
	child := h.truc(h.Pay(1000, 2, chaintest.Output(parent, 0)))
	h.accept(old, parent, lonely, child)
	from := func(parents ...*types.Tx) *types.Tx {
		var outputs []types.OutPoint
		for _, parent := range parents {
			outputs = append(outputs, chaintest.Output(parent, 2))
		}
		return h.Pay(900, 1, outputs...)
	}
	grandchild := h.truc(h.Pay(9000, 1, chaintest.Output(child, 1)))
	two := h.truc(from(lonely, parent))
	mixed, other := h.truc(from(old)), from(lonely)
	large, largeChild := h.padded(MaxTRUCVSize+1, 90_000, coins[3]), h.padded(MaxTRUCChildVSize+1, 90_000, chaintest.Output(lonely, 1))
	for _, tc := range []struct {
		name, want string
		tx         *types.Tx
	}{
		{"large", fmt.Sprintf("version=3 %s is too big: 10001 > 10000 virtual bytes", named(large)), large},
		{"a large child", fmt.Sprintf("version=3 child %s is too big: 1001 > 1000 virtual bytes", named(largeChild)), largeChild},
		{"a grandchild", named(grandchild) + " would have too many ancestors", grandchild},
		{"two parents", named(two) + " would have too many ancestors", two},
		{"3 spends 2", fmt.Sprintf("version=3 %s cannot spend from non-version=3 %s", named(mixed), named(old)), mixed},
		{"2 spends 3", fmt.Sprintf("non-version=3 %s cannot spend from version=3 %s", named(other), named(lonely)), other},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.t = t
			h.refuse(tc.tx, consensus.ErrPolicy, ReasonTRUC)
			_, err := h.pool.Accept(t.Context(), tc.tx, 0)
			if want := "TRUC-violation: " + tc.want; err.Error() != want {
				t.Errorf("%v\nwant %v", err, want)
			}
			if result := h.try(tc.tx)[0]; !errors.Is(result.Err, ReasonTRUC) {
				t.Errorf("tried: %+v", result)
			}
		})
	}
	h.t = t
	h.accept(h.padded(MaxTRUCVSize, 90_000, coins[4]), h.padded(MaxTRUCChildVSize, 90_000, chaintest.Output(lonely, 0)))
	// Replacements may change the version, if nothing else that waits is spent.
	h.accept(h.Pay(200_000, 1, coins[2], coins[5]), h.truc(h.Pay(9000, 1, coins[0])))
	// What is in a block restricts nobody.
	h.mine(h.Pay(100, 1, coins[0]), parent)
	h.accept(h.Pay(9000, 1, chaintest.Output(parent, 1)), h.padded(MaxTRUCVSize, 90_000, chaintest.Output(parent, 2)))
}

// A second child of version 3 takes the place of the first if it pays for that.
func TestSiblingEviction(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(10)
	parent := h.truc(h.Pay(1000, 3, coins[0]))
	first := h.truc(h.Pay(1000, 1, chaintest.Output(parent, 0)))
	h.accept(parent, first)
	poor := h.truc(h.Pay(1000, 1, chaintest.Output(parent, 1)))
	h.refuse(poor, consensus.ErrPolicy, pending.ReasonInsufficientSiblingFee)
	_, err := h.pool.Accept(t.Context(), poor, 0)
	if want := fmt.Sprintf("rejecting replacement %s, not enough additional fees to relay; 0.00 < 0.0000000", poor.TxID()); !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %v", err, want)
	}
	// A list that is only tried evicts nobody, nor does a package.
	rich := h.truc(h.Pay(5000, 1, chaintest.Output(parent, 1)))
	if results := h.try(rich, h.Pay(1000, 1, coins[1])); !errors.Is(results[0].Err, ReasonTRUC) {
		t.Errorf("%+v", results[0])
	}
	if result := h.try(rich)[0]; result.Err != nil {
		t.Errorf("%+v", result)
	}
	h.accept(rich)
	h.expect(parent, rich)
	// One may replace a sibling and another transaction at once.
	stranger := h.Pay(1000, 1, coins[2])
	h.accept(stranger)
	both := h.truc(h.Pay(90_000, 1, chaintest.Output(parent, 2), coins[2]))
	h.accept(both)
	h.expect(parent, both)
	if e := h.pool.Get(both.TxID()); e == nil {
		t.Error("it is not there")
	}
}

// After a reorganisation families of version 3 may be larger. No sibling gives way then,
// but each child can be replaced by one that spends the same.
func TestTRUCAfterReorganisation(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(8)
	coins := h.coins(6)
	fork := h.tip
	parent := h.truc(h.Pay(1000, 4, coins[0]))
	old := h.Pay(1000, 1, coins[1])
	h.mine(parent, old)
	first := h.truc(h.Pay(1000, 1, chaintest.Output(parent, 0)))
	second := h.truc(h.Pay(1000, 1, chaintest.Output(parent, 1)))
	mixed := h.truc(h.Pay(1000, 1, chaintest.Output(old, 0)))
	h.accept(first, second, mixed)
	h.add(h.Blocks("other", fork, 2)...)
	h.expect(parent, old, first, second, mixed)
	third := h.truc(h.Pay(90_000, 1, chaintest.Output(parent, 2)))
	h.refuse(third, consensus.ErrPolicy, ReasonTRUC)
	better := h.truc(h.Pay(90_000, 1, chaintest.Output(parent, 0)))
	h.accept(better)
	h.expect(parent, old, better, second, mixed)
}

// The rules hold among transactions that come together, too.
func TestPackageTRUC(t *testing.T) {
	h := newHarness(t, nil)
	h.mineEmpty(12)
	coins := h.coins(20)
	parent := h.truc(h.Pay(0, 3, coins[0]))
	second := h.truc(h.Pay(0, 3, coins[1]))
	old := h.Pay(0, 3, coins[2])
	spend := func(fee types.Amount, parents ...*types.Tx) *types.Tx {
		var outputs []types.OutPoint
		for _, parent := range parents {
			outputs = append(outputs, chaintest.Output(parent, 1))
		}
		return h.truc(h.Pay(fee, 2, outputs...))
	}
	two := spend(9000, parent, second)
	large := h.padded(MaxTRUCChildVSize+1, 9000, chaintest.Output(parent, 0))
	mixed, mixedBack := spend(9000, old), h.version(spend(9000, parent), 2)
	paying := h.truc(h.Pay(1000, 3, coins[3]))
	child, otherChild := spend(1000, paying), h.truc(h.Pay(1000, 1, chaintest.Output(paying, 0)))
	grandchild := spend(1000, child)
	stranger := h.truc(h.Pay(1000, 1, coins[4]))
	for _, tc := range []struct {
		name, want string
		txs        []*types.Tx
	}{
		{"two parents", named(two) + " would have too many ancestors", []*types.Tx{parent, second, two}},
		{"a large child", fmt.Sprintf("version=3 child %s is too big: 1001 > 1000 virtual bytes", named(large)), []*types.Tx{parent, large}},
		{"3 spends 2", fmt.Sprintf("version=3 %s cannot spend from non-version=3 %s", named(mixed), named(old)), []*types.Tx{old, mixed}},
		{"2 spends 3", fmt.Sprintf("non-version=3 %s cannot spend from version=3 %s", named(mixedBack), named(parent)), []*types.Tx{parent, mixedBack}},
		{"a grandchild", named(grandchild) + " would have too many ancestors", []*types.Tx{paying, child, grandchild}},
		{"two children", named(paying) + " would exceed descendant count limit", []*types.Tx{paying, stranger, child, otherChild}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.t = t
			want := "TRUC-violation: " + tc.want
			_, err := h.pool.AcceptPackage(t.Context(), tc.txs, 0)
			if checkFamily(tc.txs) != nil { // only a list can be so
				err = h.try(tc.txs...)[0].PackageErr
			}
			if err == nil || err.Error() != want {
				t.Errorf("%v\nwant %v", err, want)
			}
			if h.pool.Info().Count > 0 {
				t.Error("one is in")
			}
		})
	}
	h.t = t
	for i, result := range h.try(paying, child, stranger) {
		if result.Entry == nil {
			t.Errorf("%d: %+v", i, result)
		}
	}
	h.acceptPackage(parent, spend(9000, parent))
	// A second family member in the pool is no place for a package: only single ones evict.
	poor := h.truc(h.Pay(0, 1, coins[5]))
	pair := h.truc(h.Pay(90_000, 1, chaintest.Output(poor, 0), chaintest.Output(parent, 2)))
	h.refusePackage(1, consensus.ErrPolicy, ReasonTRUC, poor, pair)
	h.accept(paying)
	for i, result := range h.try(child, otherChild) {
		if !errors.Is(result.PackageErr, ReasonTRUC) {
			t.Errorf("%d: %+v", i, result)
		}
	}
}
