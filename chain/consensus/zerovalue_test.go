package consensus

import (
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// TestZeroValueCoins: an output without value makes a coin as any other, which
// can be spent later, in its own block, and alone. Outputs that exist only to be
// spent with a fee from elsewhere (anchors) are such coins.
func TestZeroValueCoins(t *testing.T) {
	c := newChainTest(t)
	parent := c.spend(c.allocation(0))
	parent.Outputs = append(parent.Outputs,
		types.TxOut{ScriptPubKey: chaintest.Anyone(1)}, types.TxOut{ScriptPubKey: chaintest.Anyone(2)})
	at := func(index uint32) types.OutPoint { return types.OutPoint{TxID: parent.TxID(), Index: index} }
	// The template's coinbase takes a coin from each transaction: the payer pays for two.
	sameBlock := pay(0, at(1))
	payer := pay(testAllocation-2*coin, c.allocation(1))
	c.add(chaintest.Mine(c.template(parent, sameBlock, payer)))
	if entry, there := c.coins[at(2)]; !there || entry.Value != 0 {
		t.Fatalf("the output without value made the coin %+v, %t", entry, there)
	}
	if _, there := c.coins[at(1)]; there {
		t.Fatal("a coin that its own block spends is still there")
	}
	alone := pay(0, at(2))
	payer = pay(testAllocation-2*coin, c.allocation(2))
	c.add(chaintest.Mine(c.template(alone, payer)))
	if _, there := c.coins[at(2)]; there {
		t.Fatal("the spent coin is still there")
	}
}
