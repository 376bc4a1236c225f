package chain

import (
	"context"
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/internal/chaintest"
)

// A block on top of one that broke a rule is refused for its parent, whether it
// comes as a block or as a header, and the parent as known.
func TestChildOfARefusedBlock(t *testing.T) {
	h := newHarness(t)
	bad := h.Spoiled("bad", h.Genesis, consensus.ReasonCoinbaseAmount, chaintest.Greedy)
	h.add(bad)
	child := h.Block("child", bad)
	err := h.chain.AddBlock(context.Background(), child.Raw)
	if !errors.Is(err, consensus.ReasonParentInvalid) || !errors.Is(err, consensus.ErrInvalid) {
		t.Errorf("the child as a block: %v", err)
	}
	err = h.chain.AddHeaders(headers(child))
	if !errors.Is(err, consensus.ReasonParentInvalid) || !errors.Is(err, consensus.ErrInvalid) {
		t.Errorf("the child as a header: %v", err)
	}
	err = h.chain.AddHeaders(headers(bad))
	if !errors.Is(err, consensus.ReasonDuplicateInvalid) || !errors.Is(err, consensus.ErrInvalid) {
		t.Errorf("the refused block's header: %v", err)
	}
	h.expectTip(h.Genesis)
}
