package chain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// randomBlock builds a child of a random block, sometimes with one fault.
func randomBlock(h *harness, r *rand.Rand, blocks []*chaintest.Block, i int) *chaintest.Block {
	parent := blocks[r.IntN(len(blocks))]
	if r.IntN(2) == 0 {
		parent = blocks[len(blocks)-1]
	}
	name := fmt.Sprintf("r%d", i)
	if parent.Coins == nil { // on an invalid chain
		return h.Block(name, parent)
	}
	txs, last := randomSpends(h, r, parent)
	switch r.IntN(12) {
	case 0:
		return h.Spoiled(name, parent, consensus.ReasonCoinbaseAmount, chaintest.Greedy, txs...)
	case 1:
		missing := &types.Tx{
			Version: 2, Inputs: []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{1}}}},
			Outputs: []types.TxOut{{ScriptPubKey: h.Anyone()}},
		}
		return h.Spoiled(name, parent, consensus.ReasonMissingInputs, nil, append(txs, missing)...)
	case 2:
		if last {
			return h.Spoiled(name, parent, consensus.ReasonScript, chaintest.BadSignature, txs...)
		}
	}
	return h.Block(name, parent, txs...)
}

// randomSpends makes a few payments of coins of the parent's set; signed says
// whether the last of them spends the harness's key.
func randomSpends(h *harness, r *rand.Rand, parent *chaintest.Block) (txs []*types.Tx, signed bool) {
	outPoints := parent.Spendable(h.params.CoinbaseMaturity, nil)
	r.Shuffle(len(outPoints), func(i, j int) { outPoints[i], outPoints[j] = outPoints[j], outPoints[i] })
	for _, outPoint := range outPoints[:min(len(outPoints), r.IntN(4))] {
		if parent.Coins[outPoint].Value < 2 {
			continue
		}
		script := h.Anyone()
		if r.IntN(2) == 0 {
			script = chaintest.KeyScript()
		}
		tx := h.Spend(1, script, outPoint)
		signed = len(tx.Inputs[0].Witness) > 0
		txs = append(txs, tx)
	}
	return txs, signed
}

// best returns the greatest height among blocks that are valid to the bottom
// and whose bodies are all there.
func best(blocks []*chaintest.Block, delivered map[*chaintest.Block]bool) uint32 {
	height := uint32(0)
	for _, b := range blocks {
		complete := true
		for a := b; a.Parent != nil; a = a.Parent {
			complete = complete && delivered[a]
		}
		if b.Valid() && complete {
			height = max(height, b.Height)
		}
	}
	return height
}

// TestModel feeds random trees of blocks, invalid ones among them, in random
// order and in streams of random length, with restarts and crashes between,
// and compares with a replay from genesis after each stream.
func TestModel(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { model(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func model(t *testing.T, r *rand.Rand) {
	h := newHarness(t)
	h.store.flushEvery = r.IntN(10)
	blocks := []*chaintest.Block{h.Genesis}
	for i := range 30 + r.IntN(40) {
		blocks = append(blocks, randomBlock(h, r, blocks, i))
	}
	byHash := map[types.Hash]*chaintest.Block{}
	for _, b := range blocks {
		byHash[b.Hash] = b
	}
	// Headers first, parents before children, so that bodies may come anyhow. A
	// header below which a body was refused is refused as well; that is fine.
	for _, b := range blocks {
		if err := h.chain.AddHeaders(headers(b)); err != nil {
			t.Fatalf("header of %s: %v", b.Name, err)
		}
	}
	f := follower{at: h.Genesis.Index(), coins: maps.Clone(h.Genesis.Coins)}
	todo := slices.Clone(blocks[1:])
	r.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	if r.IntN(2) == 0 { // nearly in order
		slices.SortStableFunc(todo, func(a, b *chaintest.Block) int { return int(a.Height/4) - int(b.Height/4) })
	}
	delivered := map[*chaintest.Block]bool{h.Genesis: true}
	for len(todo) > 0 {
		n := min(len(todo), 1+r.IntN(8))
		verdicts := h.add(todo[:n]...)
		for _, b := range todo[:n] {
			delivered[b] = true
			if err := verdicts[b.Hash]; err != nil && b.Parent.Valid() && (b.Valid() || !errors.Is(err, b.Fault)) {
				t.Fatalf("%s was refused: %v; its fault is %v", b.Name, err, b.Fault)
			}
		}
		todo = todo[n:]
		tip := byHash[h.chain.Tip().Hash]
		if want := best(blocks, delivered); !tip.Valid() || tip.Height != want {
			t.Fatalf("tip %s at height %d (valid %v), the best valid chain has height %d", tip.Name, tip.Height, tip.Valid(), want)
		}
		h.expectCoins(tip)
		f.follow(t, h.chain, 1+r.IntN(5))
		if f.at != tip.Index() || !maps.Equal(f.coins, tip.Coins) {
			t.Fatalf("the follower is at %s, the tip at %s, or the coins differ", f.at, tip.Index())
		}
		switch r.IntN(6) {
		case 0:
			if err := h.chain.Flush(); err != nil {
				t.Fatal(err)
			}
			h.open()
		case 1:
			h.store.crash()
			h.open()
			f = follower{at: h.Genesis.Index(), coins: maps.Clone(h.Genesis.Coins)}
		case 2:
			disturb(t, h, blocks[1+r.IntN(len(blocks)-1)])
		}
		if got := h.chain.Tip(); got.Height != tip.Height {
			t.Fatalf("tip moved from height %d to %d without a block", tip.Height, got.Height)
		}
	}
	if _, err := h.chain.Verify(context.Background(), 0, VerifyScripts, func(int, int) {}); err != nil {
		t.Fatalf("verify: %v", err)
	}
}

// disturb rules a block out and in again; the height of the tip must be the
// same afterwards.
func disturb(t *testing.T, h *harness, b *chaintest.Block) {
	t.Helper()
	ctx := context.Background()
	if err := h.chain.Invalidate(ctx, b.Hash); err != nil {
		t.Fatal(err)
	}
	if err := h.chain.Reconsider(ctx, b.Hash); err != nil {
		t.Fatal(err)
	}
}
