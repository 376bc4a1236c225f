package chain

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// What is counted is what was done: blocks that came in and went out, the one that was
// refused, and the batch that it spoiled.
func TestEffort(t *testing.T) {
	h := newHarness(t)
	before := h.chain.Effort()
	a := h.Blocks("a", h.Genesis, 3)
	lock := h.Block("lock", a[2], h.Spend(1, chaintest.KeyScript(), h.anyCoin(a[2])))
	out := types.OutPoint{TxID: lock.TxIDs[1]}
	bad := h.Spoiled("bad", lock, consensus.ReasonScript, chaintest.BadSignature, h.Spend(1, h.Anyone(), out))
	h.add(slices.Concat(a, []*chaintest.Block{lock, bad})...)
	branch := h.Blocks("branch", a[0], 5)
	h.add(branch...)
	h.expectTip(branch[4])
	if err := h.chain.Flush(); err != nil {
		t.Fatal(err)
	}
	e := h.chain.Effort()
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"connected", e.Connected - before.Connected, 4 + 5}, {"disconnected", e.Disconnected - before.Disconnected, 3},
		{"refused", e.Refused - before.Refused, 1}, {"transactions", e.Transactions - before.Transactions, 4 + 1 + 5}, {"inputs", e.Inputs - before.Inputs, 1},
		{"failed batches", e.FailedBatches - before.FailedBatches, 1}, {"claims", e.Claims - before.Claims, 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
	if e.Flushes == before.Flushes || e.Opening == 0 || e.Coins == 0 || e.Scripts == 0 || e.Checking == 0 || e.Flushing == 0 {
		t.Errorf("something took no time: %+v", e)
	}
}
