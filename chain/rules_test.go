package chain

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// TestUnknownRules: a bit that enough blocks of a period signal activates a period later,
// as BIP9 has it, and the first period counts for nothing.
func TestUnknownRules(t *testing.T) {
	h := newHarness(t)
	tip := h.Genesis
	grow := func(n int, version int32) []*chaintest.Block {
		blocks := make([]*chaintest.Block, n)
		for i := range blocks {
			tip = h.Spoiled("v", tip, nil, func(b *types.Block) { b.Header.Version = version })
			blocks[i] = tip
		}
		return blocks
	}
	const plain, top = 0x20000000, 0x20000000
	expect := func(what string, want ...int) {
		t.Helper()
		h.expectTip(tip)
		for range 2 { // asking changes nothing
			if got := h.chain.UnknownRules(); !slices.Equal(got, want) {
				t.Fatalf("%s, at height %d: %v, want %v", what, tip.Height, got, want)
			}
		}
	}
	add := func(n int, version int32) { h.add(grow(n, version)...) }

	add(143, top|1<<9) // with the genesis block a period
	expect("signals in the first period")
	add(107, top|1<<3)
	add(37, plain)
	expect("too few signals")
	add(108, 0x40000000|1<<5) // of another kind than BIP9's
	add(36, plain)
	add(36, plain)
	add(108, top|1<<3|1<<4|1<<5|1<<28) // only the lowest five are signals
	fork := tip
	expect("locked in")
	add(143, plain)
	expect("one block before it is active")
	add(1, plain)
	expect("active", 3, 4)
	add(300, plain)
	expect("active for good", 3, 4)
	h.open()
	expect("after a restart", 3, 4)

	// On another branch it is another story.
	tip = fork.Parent
	add(146+300, plain)
	expect("a branch with one signal less")
}
