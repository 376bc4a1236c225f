package chain

import (
	"context"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// worthless is a copy of a block without its proof of work.
func worthless(t *testing.T, params *consensus.Params, raw []byte, change func(*types.Block)) []byte {
	t.Helper()
	block, err := types.DecodeBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	change(block)
	for consensus.CheckHeader(params, &block.Header, block.Hash()) == nil {
		block.Header.Nonce++
	}
	return block.AppendTo(nil)
}

// TestPropose: a proposal is judged by all rules but its work, and leaves no trace.
func TestPropose(t *testing.T) {
	h := newHarness(t)
	a := h.Blocks("a", h.Genesis, 3)
	lock := h.Block("lock", a[2], h.Spend(1, chaintest.KeyScript(), h.anyCoin(a[2])))
	h.add(append(a, lock)...)
	out := types.OutPoint{TxID: lock.TxIDs[1]}
	good := h.Block("good", lock, h.Spend(1, h.Anyone(), out))
	forged := h.Spoiled("forged", lock, consensus.ReasonScript, chaintest.BadSignature, h.Spend(1, h.Anyone(), out))
	greedy := h.Spoiled("greedy", lock, consensus.ReasonCoinbaseAmount, chaintest.Greedy)
	params := h.chain.Params()
	same := func(*types.Block) {}
	for _, test := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"good", worthless(t, params, good.Raw, same), nil},
		{"good, once more", worthless(t, params, good.Raw, same), nil},
		{"good, with its work", good.Raw, nil},
		{"a false signature", worthless(t, params, forged.Raw, same), consensus.ReasonScript},
		{"too much for the miner", worthless(t, params, greedy.Raw, same), consensus.ReasonCoinbaseAmount},
		{"another target", worthless(t, params, good.Raw, func(b *types.Block) { b.Header.Bits = 0x1c00ffff }), consensus.ReasonBits},
		{"a time in the past", worthless(t, params, good.Raw, func(b *types.Block) { b.Header.Timestamp = 0 }), consensus.ReasonTimeTooOld},
		{"an old version", worthless(t, params, good.Raw, func(b *types.Block) { b.Header.Version = 1 }), consensus.ReasonVersion},
		{"another root", worthless(t, params, good.Raw, func(b *types.Block) { b.Header.MerkleRoot[0]++ }), consensus.ReasonMerkleRoot},
		{"nothing in it", worthless(t, params, good.Raw, func(b *types.Block) { b.Txs, b.Header.MerkleRoot = nil, types.Hash{} }), consensus.ReasonBlockLength},
		{"a parent below the tip", lock.Raw, ReasonNotOnTip},
		{"a parent that nobody knows", worthless(t, params, good.Raw, func(b *types.Block) { b.Header.PrevBlock[0]++ }), ReasonNotOnTip},
		{"half of it", good.Raw[:len(good.Raw)-7], consensus.ReasonDecode},
		{"nothing at all", nil, consensus.ReasonDecode},
	} {
		err := h.chain.Propose(t.Context(), test.raw)
		if test.want == nil && err != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	h.expectTip(lock)
	h.expectCoins(lock)
	for _, b := range []*chaintest.Block{good, forged, greedy} {
		if _, known := h.chain.Header(b.Hash); known {
			t.Errorf("%s is known", b.Name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = h.chain.turn.Take(t.Context())
	if err := h.chain.Propose(ctx, good.Raw); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it: %v", err)
	}
	h.chain.turn.Give()
	// Core's words for what the reason alone does not say.
	var rule *consensus.RuleError
	if err := h.chain.Propose(t.Context(), forged.Raw); !errors.As(err, &rule) || rule.RejectReason() != "block-script-verify-flag-failed (Invalid Schnorr signature)" {
		t.Errorf("a false signature: %v", err)
	}
	old := worthless(t, params, good.Raw, func(b *types.Block) { b.Header.Version = 1 })
	if err := h.chain.Propose(t.Context(), old); !errors.As(err, &rule) || rule.RejectReason() != "bad-version(0x00000001)" {
		t.Errorf("an old version: %v", err)
	}
}
