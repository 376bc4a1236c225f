package chain

import (
	"reflect"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// TestLatest: the block that was connected last is told from memory, and is the same as
// what the store has.
func TestLatest(t *testing.T) {
	h := newHarness(t)
	blocks := h.Blocks("a", h.Genesis, 105)
	h.add(blocks...)
	tip := blocks[len(blocks)-1]
	first := h.Spend(1000, h.Anyone(), chaintest.Output(&blocks[0].Txs[0], 0))
	second := h.Spend(1000, h.Anyone(), types.OutPoint{TxID: first.TxID()}) // a coin of the same block
	payments := h.Block("payments", tip, first, second)
	h.add(payments)
	fast, err := h.chain.BlockUpdate(payments.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := h.chain.BlockUpdate(payments.Hash); again.Block != fast.Block {
		t.Error("the block was read again")
	}
	h.add(h.Block("another", payments))
	slow, err := h.chain.BlockUpdate(payments.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if slow.Block == fast.Block {
		t.Fatal("the block before the last is in memory as well")
	}
	if !reflect.DeepEqual(fast, slow) {
		t.Errorf("from memory:\n%+v\nfrom the store:\n%+v", fast.Update, slow.Update)
	}
}
