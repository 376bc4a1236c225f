package consensus_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/karatcoin/karat"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// checkBlock is the whole order in which a block is checked: from the bytes that a
// peer has sent to what the block does to the coins. Each step needs more than the one
// before it, so a bad block is found out as cheaply as can be. Package chain takes the
// same steps, those of many blocks at once.
func checkBlock(p *consensus.Params, parent *consensus.State, coins chaintest.Coins, raw []byte) (*consensus.Update, error) {
	// The bytes alone. OpenBlock takes three steps, the cheapest first, because a
	// stranger's bytes deserve no work before there is proof of work behind them:
	//
	//	CheckHeader  the first 80 bytes: the hash is not above the target
	//	DecodeBlock  all bytes: each thing has one encoding, nothing is left over
	//	CheckBlock   the body: its merkle root, each transaction's form, and R1
	//
	// They need no parent, so blocks can come in any order and be opened on any core.
	block, err := consensus.OpenBlock(p, raw)
	if err != nil {
		return nil, err
	}

	// The header and the chain below it: difficulty and times. The rules have no
	// clock; the caller says what time it is. Headers come before their blocks as a
	// rule, and these two checks of them are then all that is needed to choose a chain.
	if err := consensus.ValidateHeader(p, parent, &block.Block.Header, time.Now().Unix()); err != nil {
		return nil, err
	}

	// The body and the chain below it: height, lock times, witness commitment.
	if err := consensus.ValidateBlock(p, parent, block); err != nil {
		return nil, err
	}

	// The coins. The rules say which ones they need, and the caller looks them up, all
	// at once and in this order. Then amounts, maturity and relative locks are checked.
	needed := consensus.CoinsNeeded(p, parent.Index.Height+1, block)
	fetched := make([]consensus.FetchedCoin, len(needed))
	for i, outPoint := range needed {
		fetched[i].Coin, fetched[i].Found = coins[outPoint]
	}
	connection, err := consensus.ConnectBlock(p, parent, block, fetched, ancestors{parent})
	if err != nil {
		return nil, err
	}

	// The scripts, which cost the most and therefore come last. Every signature in them
	// becomes a claim, and claims of any number of transactions and blocks are checked
	// in one multiplication. If that fails, the scripts run again without claims (nil),
	// which finds the one at fault.
	var claims secp.Batch
	err = consensus.CheckScripts(block, connection.Prevouts, 1, len(block.Block.Txs), &claims, nil)
	if err == nil && !claims.Verify() {
		err = consensus.CheckScripts(block, connection.Prevouts, 1, len(block.Block.Txs), nil, nil)
	}
	if err != nil {
		return nil, err
	}
	return &connection.Update, nil // the block is valid
}

// ancestors answers for the chain below block 1, which is the genesis block.
type ancestors struct{ genesis *consensus.State }

func (a ancestors) MedianTimePast(uint32) uint32 { return a.genesis.MedianTimePast() }

// Example checks a block, and the same block with one fault in it, which stops at
// another step each time.
func Example() {
	params, err := karat.LoadNetwork("../../testdata/bitcoin-regtest.json")
	if err != nil {
		panic(err)
	}
	// In the beginning one output exists, of a key that everybody knows.
	params.Genesis.Outputs = []types.TxOut{{Value: 1000_00000000, ScriptPubKey: chaintest.KeyScript()}}
	genesis, parent := params.GenesisBlock().Block, params.GenesisState()

	tree := chaintest.NewTree(genesis)
	payment := tree.Spend(5000, chaintest.Anyone(1), chaintest.Output(&genesis.Txs[0], 0))
	good := tree.Block("good", tree.Genesis, payment)
	greedy := tree.Spoiled("greedy", tree.Genesis, consensus.ReasonCoinbaseAmount, chaintest.Greedy, payment)
	forged := tree.Spoiled("forged", tree.Genesis, consensus.ReasonScript, chaintest.BadSignature, payment)

	check := func(name string, raw []byte) {
		update, err := checkBlock(params, &parent, tree.Genesis.Coins, raw)
		var rule *consensus.RuleError
		if errors.As(err, &rule) {
			fmt.Printf("%s: %v, %s\n", name, rule.Kind, rule.Reason)
			return
		}
		fmt.Printf("%s: spends %d coin, makes %d\n", name, len(update.Spent), len(update.Created))
	}
	check("a good block", good.Raw)
	check("cut short", good.Raw[:len(good.Raw)-1])
	check("a coinbase that takes too much", greedy.Raw)
	check("a forged signature", forged.Raw)
	// Output:
	// a good block: spends 1 coin, makes 2
	// cut short: invalid: mutated, block-decode-failed
	// a coinbase that takes too much: invalid, bad-cb-amount
	// a forged signature: invalid, block-script-verify-flag-failed
}
