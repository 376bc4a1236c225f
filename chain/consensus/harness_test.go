package consensus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// Bitcoin's constants, typed again so that a changed rule fails a test.
const (
	coin           = types.Amount(100_000_000)
	btcMaxMoney    = 21_000_000 * coin
	btcSubsidy     = 50 * coin
	final          = uint32(0xffffffff)
	testAllocation = 1000 * coin
	testNow        = int64(1_900_000_000)
)

// regtest returns Bitcoin's regtest parameters.
func regtest(t testing.TB) *Params {
	t.Helper()
	script, err := hex.DecodeString("4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac")
	if err != nil {
		t.Fatal(err)
	}
	return &Params{
		Name: "regtest",
		Genesis: Genesis{
			Timestamp: 1296688602, Bits: 0x207fffff, Nonce: 2, Version: 1,
			Message: "The Times 03/Jan/2009 Chancellor on brink of second bailout for banks",
			Outputs: []types.TxOut{{Value: 50 * coin, ScriptPubKey: script}},
		},
		TargetSpacing:    600,
		Difficulty:       Difficulty{Algorithm: DifficultyFixed},
		PowLimit:         Uint256{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<63 - 1},
		InitialSubsidy:   btcSubsidy,
		HalvingInterval:  150,
		MaxMoney:         btcMaxMoney,
		CoinbaseMaturity: 100,
		MaxBlockWeight:   4_000_000,
	}
}

// mainNetwork returns the parameters of karat's main network.
func mainNetwork() *Params {
	return &Params{
		Name: "main",
		Genesis: Genesis{
			Timestamp: 1795392000, Bits: 0x1e0fffff, Nonce: 439513, Version: 1,
			Message: "karat 23/Nov/2026: read all of it in a weekend, then run it",
			Outputs: []types.TxOut{{ScriptPubKey: []byte{0x6a}}},
		},
		TargetSpacing:    60,
		Difficulty:       Difficulty{Algorithm: DifficultyASERT, HalfLife: 43200},
		PowLimit:         Uint256{0, 0, 0, 0x00000fffff000000},
		InitialSubsidy:   10 * coin,
		HalvingInterval:  2_100_000,
		MaxMoney:         42_000_000 * coin,
		CoinbaseMaturity: 100,
		MaxBlockWeight:   4_000_000,
	}
}

// chainTest is a chain of valid blocks, with naive records of what the rules ask
// for, on a network like Bitcoin's regtest whose genesis block allocates coins:
// outputs 0 to 9 to anyone, 10 to 19 to the test key.
type chainTest struct {
	testing.TB
	params  *Params
	state   State
	coins   chaintest.Coins
	medians []uint32
	blocks  []*HashedBlock
	made    chaintest.Outputs
	genesis types.Hash // the id of its coinbase
}

func (c *chainTest) MedianTimePast(height uint32) uint32 { return c.medians[height] }

func newChainTest(t testing.TB, change ...func(*Params)) *chainTest {
	t.Helper()
	params := regtest(t)
	params.Genesis.Outputs = nil
	for i := range 20 {
		script := chaintest.Anyone(i)
		if i >= 10 {
			script = chaintest.KeyScript()
		}
		params.Genesis.Outputs = append(params.Genesis.Outputs, types.TxOut{Value: testAllocation, ScriptPubKey: script})
	}
	for _, f := range change {
		f(params)
	}
	params.Genesis.Nonce = chaintest.Mine(params.GenesisBlock().Block).Header.Nonce
	c := chainOf(t, params)
	for _, entry := range params.GenesisCoins() {
		c.coins[entry.OutPoint] = entry.Coin
	}
	c.made.Note(&params.GenesisBlock().Block.Txs[0])
	c.genesis = params.GenesisBlock().TxIDs[0]
	return c
}

// chainOf is a chain of the genesis block, which makes no coins.
func chainOf(t testing.TB, params *Params) *chainTest {
	c := &chainTest{TB: t, params: params, state: params.GenesisState()}
	c.coins, c.made = chaintest.Coins{}, chaintest.Outputs{}
	c.medians = []uint32{c.state.MedianTimePast()}
	return c
}

func (c *chainTest) height() uint32 { return c.state.Index.Height + 1 }

// allocation names an output of the genesis block.
func (c *chainTest) allocation(i uint32) types.OutPoint {
	return types.OutPoint{TxID: c.genesis, Index: i}
}

// spend makes a transaction that moves coins to one output that anyone can spend,
// less a fee of one coin.
func (c *chainTest) spend(outPoints ...types.OutPoint) types.Tx {
	return *c.made.Spend(coin, chaintest.Anyone(1000), outPoints...)
}

// spendOutput makes a transaction that spends an output of another one.
func spendOutput(tx *types.Tx, index uint32) types.Tx {
	return types.Tx{
		Version: 2,
		Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: tx.TxID(), Index: index}, Sequence: final}},
		Outputs: []types.TxOut{{Value: tx.Outputs[index].Value - coin, ScriptPubKey: chaintest.Anyone(1001)}},
	}
}

// template makes a valid block on the tip without proof of work. The coinbase's
// output 0 is the reward, output 1 the witness commitment.
func (c *chainTest) template(txs ...types.Tx) *types.Block {
	reward := types.TxOut{
		Value: Subsidy(c.params, c.height()) + types.Amount(len(txs))*coin, ScriptPubKey: chaintest.Anyone(2000),
	}
	block := chaintest.NewBlock(&c.state.Header, chaintest.Coinbase(c.height(), []byte{0}, reward))
	block.Header.Timestamp = c.state.Header.Timestamp + 600
	block.Txs = append(block.Txs, txs...)
	chaintest.Commit(block)
	return block
}

// The steps of a check, in their order.
const (
	stageHash    = "CheckHeader"
	stageHeader  = "ValidateHeader"
	stageBody    = "CheckBlock"
	stageContext = "ValidateBlock"
	stageConnect = "ConnectBlock"
	stageScripts = "CheckScripts"
)

var stages = []string{stageHash, stageHeader, stageBody, stageContext, stageConnect, stageScripts}

func (c *chainTest) fetch(b *HashedBlock) []FetchedCoin {
	var fetched []FetchedCoin
	for _, outPoint := range CoinsNeeded(c.params, c.height(), b) {
		entry, found := c.coins[outPoint]
		fetched = append(fetched, FetchedCoin{Coin: entry, Found: found})
	}
	return fetched
}

// check runs all steps on a block, even those behind a failure up to and with
// the step named last, and returns the errors of each.
func (c *chainTest) check(b *HashedBlock, last string) (map[string]error, *Connection) {
	c.Helper()
	faults := map[string]error{}
	note := func(stage string, err error) {
		if err != nil {
			faults[stage] = err
		}
	}
	var connection *Connection
	for _, stage := range stages {
		switch stage {
		case stageHash:
			note(stage, CheckHeader(c.params, &b.Block.Header, b.Hash))
		case stageHeader:
			note(stage, ValidateHeader(c.params, &c.state, &b.Block.Header, testNow))
		case stageBody:
			note(stage, CheckBlock(c.params, b))
		case stageContext:
			note(stage, ValidateBlock(c.params, &c.state, b))
		case stageConnect:
			var err error
			connection, err = ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
			note(stage, err)
		case stageScripts:
			if connection == nil {
				return faults, nil
			}
			err := CheckScripts(b, connection.Prevouts, 0, len(b.Block.Txs), nil, nil)
			note(stage, err)
			// Deferred claims must give the same verdict.
			var batch secp.Batch
			deferred := CheckScripts(b, connection.Prevouts, 0, len(b.Block.Txs), &batch, nil) == nil && batch.Verify()
			if deferred != (err == nil) {
				c.Errorf("scripts at once: %v, in a batch: %v", err, deferred)
			}
			if judged := JudgeScripts(b, connection.Prevouts); fmt.Sprint(judged) != fmt.Sprint(err) {
				c.Errorf("scripts at once: %v, judged: %v", err, judged)
			}
		}
		if stage == last {
			break
		}
	}
	return faults, connection
}

// add connects a block that must be valid.
func (c *chainTest) add(block *types.Block) *HashedBlock {
	c.Helper()
	return c.addHashed(HashBlock(block))
}

func (c *chainTest) addHashed(b *HashedBlock) *HashedBlock {
	c.Helper()
	faults, connection := c.check(b, "")
	for _, stage := range stages {
		if err := faults[stage]; err != nil {
			c.Fatalf("block %d: %s: %v", c.height(), stage, err)
		}
	}
	before := maps.Clone(c.coins)
	c.apply(&connection.Update)
	again, err := RevertUpdate(b, c.state.Index, c.height(), connection.Update.SpentCoins())
	if err != nil {
		c.Fatal(err)
	}
	if again.Block != connection.Update.Block || again.Parent != connection.Update.Parent ||
		!slices.Equal(again.Spent, connection.Update.Spent) || !slices.Equal(again.Created, connection.Update.Created) {
		c.Fatalf("block %d: RevertUpdate does not make the update of ConnectBlock", c.height())
	}
	c.replay(b, before)
	c.state = c.state.Extend(&b.Block.Header, b.Hash)
	c.medians = append(c.medians, c.state.MedianTimePast())
	c.blocks = append(c.blocks, b)
	for i := range b.Block.Txs {
		c.made.Note(&b.Block.Txs[i])
	}
	return b
}

func (c *chainTest) apply(u *Update) {
	c.Helper()
	for _, entry := range u.Spent {
		if c.coins[entry.OutPoint] != entry.Coin {
			c.Fatalf("the update spends %s, which is not there", entry.OutPoint)
		}
		delete(c.coins, entry.OutPoint)
	}
	for _, entry := range u.Created {
		if _, there := c.coins[entry.OutPoint]; there {
			c.Fatalf("the update makes %s, which is there", entry.OutPoint)
		}
		c.coins[entry.OutPoint] = entry.Coin
	}
}

// replay compares what a block leaves of the coins before it, in the most naive
// way, with the coins of the chain.
func (c *chainTest) replay(b *HashedBlock, before chaintest.Coins) {
	c.Helper()
	if want := before.After(b.Block, c.height()); !maps.Equal(want, c.coins) {
		c.Fatalf("block %d: the update leaves %d coins, a replay %d", c.height(), len(c.coins), len(want))
	}
}

// grow adds n empty blocks.
func (c *chainTest) grow(n int) {
	c.Helper()
	for range n {
		c.add(chaintest.Mine(c.template()))
	}
}

// expect demands an error of exactly this reason and kind.
func expect(t testing.TB, err error, reason Reason, kind error) {
	t.Helper()
	var rule *RuleError
	if !errors.As(err, &rule) {
		t.Fatalf("got %v, want %s", err, reason)
	}
	if rule.Reason != reason || rule.Kind != kind || !errors.Is(err, reason) || !errors.Is(err, kind) {
		t.Fatalf("got %v of kind %v, want %s of kind %v", err, rule.Kind, reason, kind)
	}
}
