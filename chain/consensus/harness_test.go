package consensus

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/karatcoin/karat/chain/secp"
	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
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

// testKey is a key that everybody knows.
func testKey() *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes([]byte("a key that everybody knows......"))
	return key
}

func keyScript() []byte {
	return append([]byte{0x51, 32}, schnorr.SerializePubKey(testKey().PubKey())...)
}

// anyone is a witness program of a version without rules: anyone can spend it,
// with an empty witness.
func anyone(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x52, 4}, uint32(n)|1<<31)
}

// chainTest is a chain of valid blocks, with naive records of what the rules ask
// for, on a network like Bitcoin's regtest whose genesis block allocates coins:
// outputs 0 to 9 to anyone, 10 to 19 to the test key.
type chainTest struct {
	testing.TB
	params  *Params
	state   State
	coins   map[types.OutPoint]types.Coin
	medians []uint32
	blocks  []*HashedBlock
	genesis types.Hash // the id of its coinbase
}

func (c *chainTest) MedianTimePast(height uint32) uint32 { return c.medians[height] }

func newChainTest(t testing.TB, change ...func(*Params)) *chainTest {
	t.Helper()
	params := regtest(t)
	params.Genesis.Outputs = nil
	for i := range 20 {
		script := anyone(i)
		if i >= 10 {
			script = keyScript()
		}
		params.Genesis.Outputs = append(params.Genesis.Outputs, types.TxOut{Value: testAllocation, ScriptPubKey: script})
	}
	for _, f := range change {
		f(params)
	}
	params.Genesis.Nonce = mine(params.GenesisBlock().Block).Header.Nonce
	c := &chainTest{TB: t, params: params, state: params.GenesisState(), coins: map[types.OutPoint]types.Coin{}}
	for _, entry := range params.GenesisCoins() {
		c.coins[entry.OutPoint] = entry.Coin
	}
	c.medians = []uint32{c.state.MedianTimePast()}
	c.genesis = params.GenesisBlock().TxIDs[0]
	return c
}

func (c *chainTest) height() uint32 { return c.state.Index.Height + 1 }

// allocation names an output of the genesis block.
func (c *chainTest) allocation(i uint32) types.OutPoint {
	return types.OutPoint{TxID: c.genesis, Index: i}
}

// spend makes a transaction that moves the coins of the tip's set to one output
// that anyone can spend, less a fee of one coin.
func (c *chainTest) spend(outPoints ...types.OutPoint) types.Tx {
	c.Helper()
	tx := types.Tx{Version: 2}
	total := -coin
	for _, outPoint := range outPoints {
		entry, ok := c.coins[outPoint]
		if !ok {
			c.Fatalf("the test spends %s, which is not there", outPoint)
		}
		total += entry.Value
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: final})
	}
	tx.Outputs = []types.TxOut{{Value: total, ScriptPubKey: anyone(1000)}}
	c.sign(&tx)
	return tx
}

// spendOutput makes a transaction that spends an output of another one.
func spendOutput(tx *types.Tx, index uint32) types.Tx {
	return types.Tx{
		Version: 2,
		Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: tx.TxID(), Index: index}, Sequence: final}},
		Outputs: []types.TxOut{{Value: tx.Outputs[index].Value - coin, ScriptPubKey: anyone(1001)}},
	}
}

// sign signs the inputs that spend the test key's coins.
func (c *chainTest) sign(tx *types.Tx) {
	c.Helper()
	var prevouts []types.TxOut
	for i := range tx.Inputs {
		entry := c.coins[tx.Inputs[i].PreviousOutPoint]
		prevouts = append(prevouts, entry.Output())
	}
	for i := range tx.Inputs {
		if string(prevouts[i].ScriptPubKey) != string(keyScript()) {
			continue
		}
		hash, err := taproot.NewContext(tx, prevouts).SignatureHash(i, 0, nil, nil)
		if err != nil {
			c.Fatal(err)
		}
		signature, err := schnorr.Sign(testKey(), hash[:])
		if err != nil {
			c.Fatal(err)
		}
		tx.Inputs[i].Witness = [][]byte{signature.Serialize()}
	}
}

// heightScript is a coinbase script, with the height as BIP34 wants it.
func heightScript(height uint32) []byte {
	var script []byte
	switch {
	case height <= 16:
		script = []byte{0x50 + byte(height)}
	case height < 0x80:
		script = []byte{1, byte(height)}
	case height < 0x8000:
		script = []byte{2, byte(height), byte(height >> 8)}
	case height < 0x800000:
		script = []byte{3, byte(height), byte(height >> 8), byte(height >> 16)}
	case height < 0x80000000:
		script = []byte{4, byte(height), byte(height >> 8), byte(height >> 16), byte(height >> 24)}
	default:
		script = []byte{5, byte(height), byte(height >> 8), byte(height >> 16), byte(height >> 24), 0}
	}
	return append(script, 0x00) // at least two bytes in all
}

// template makes a valid block on the tip without proof of work. The coinbase's
// output 0 is the reward, output 1 the witness commitment.
func (c *chainTest) template(txs ...types.Tx) *types.Block {
	c.Helper()
	block := &types.Block{Header: types.Header{
		Version: 4, PrevBlock: c.state.Index.Hash, Bits: c.params.NextBits(&c.state), Timestamp: c.state.Header.Timestamp + 600,
	}}
	block.Txs = append([]types.Tx{{
		Version: 2,
		Inputs: []types.TxIn{{
			PreviousOutPoint: types.OutPoint{Index: 0xffffffff}, ScriptSig: heightScript(c.height()), Sequence: final,
			Witness: [][]byte{make([]byte, 32)},
		}},
		Outputs: []types.TxOut{
			{Value: Subsidy(c.params, c.height()) + types.Amount(len(txs))*coin, ScriptPubKey: anyone(2000)},
			{ScriptPubKey: []byte{0x6a}},
		},
	}}, txs...)
	recommit(block)
	return block
}

// recommit sets the witness commitment in the coinbase's output 1 and the
// merkle root.
func recommit(block *types.Block) {
	wtxids := make([]types.Hash, len(block.Txs))
	for i := 1; i < len(block.Txs); i++ {
		wtxids[i] = block.Txs[i].WTxID()
	}
	root, _ := types.MerkleRoot(wtxids)
	commitment := types.DoubleSHA256(append(root[:], make([]byte, 32)...))
	block.Txs[0].Outputs[1].ScriptPubKey = append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, commitment[:]...)
	remerkle(block)
}

func remerkle(block *types.Block) {
	txids := make([]types.Hash, len(block.Txs))
	for i := range block.Txs {
		txids[i] = block.Txs[i].TxID()
	}
	block.Header.MerkleRoot, _ = types.MerkleRoot(txids)
}

// mine finds a nonce for the block's own bits.
func mine(block *types.Block) *types.Block {
	target, _, _ := ExpandBits(block.Header.Bits)
	for Uint256FromHash(block.Hash()).Cmp(target) > 0 {
		block.Header.Nonce++
	}
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
	for _, outPoint := range c.params.CoinsNeeded(c.height(), b) {
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

// replay applies a block to the coins before it in the most naive way and
// compares the result with the coins of the chain.
func (c *chainTest) replay(b *HashedBlock, coins map[types.OutPoint]types.Coin) {
	c.Helper()
	for i := range b.Block.Txs {
		tx := &b.Block.Txs[i]
		for j := range tx.Inputs {
			delete(coins, tx.Inputs[j].PreviousOutPoint)
		}
		txid := tx.TxID()
		for j := range tx.Outputs {
			if op := tx.Outputs[j].ScriptPubKey[0]; op != 0x6a {
				entry, _ := types.NewCoin(&tx.Outputs[j], c.height(), i == 0)
				coins[types.OutPoint{TxID: txid, Index: uint32(j)}] = entry
			}
		}
	}
	if !maps.Equal(coins, c.coins) {
		c.Fatalf("block %d: the update leaves %d coins, a replay %d", c.height(), len(c.coins), len(coins))
	}
}

// grow adds n empty blocks.
func (c *chainTest) grow(n int) {
	c.Helper()
	for range n {
		c.add(mine(c.template()))
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
