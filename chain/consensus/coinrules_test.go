package consensus

import (
	"slices"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// bip30Height is the height that the first push of Bitcoin's genesis coinbase
// spells.
const bip30Height = 0x1d00ffff

// bip30Params are those of a network on which a block can repeat the genesis
// coinbase: its one output is worth no more than the subsidy, which is still
// paid when the height comes that the genesis coinbase begins with.
func bip30Params(p *Params) {
	p.InitialSubsidy = 20 * coin
	p.HalvingInterval = bip30Height + 1
	p.MaxMoney = 1 << 61
	p.Genesis.Outputs = []types.TxOut{{Value: 20 * coin, ScriptPubKey: chaintest.Anyone(1)}}
}

// atBIP30Height puts the chain below the height at which a block can be built
// whose coinbase is the genesis block's.
func (c *chainTest) atBIP30Height() *types.Block {
	c.state.Index.Height = bip30Height - 1
	block := c.template()
	block.Txs[0] = c.params.GenesisBlock().Block.Txs[0]
	chaintest.SetMerkleRoot(block)
	return block
}

// rich makes coins for anyone that no consistent chain has.
func (c *chainTest) rich(values ...types.Amount) []types.OutPoint {
	var outPoints []types.OutPoint
	for i, value := range values {
		outPoint := types.OutPoint{TxID: types.DoubleSHA256([]byte{byte(i)})}
		c.coins[outPoint], _ = types.NewCoin(&types.TxOut{Value: value, ScriptPubKey: chaintest.Anyone(i)}, 0, false)
		outPoints = append(outPoints, outPoint)
	}
	return outPoints
}

// pay makes a transaction that spends any outpoints with one output.
func pay(value types.Amount, outPoints ...types.OutPoint) types.Tx {
	tx := types.Tx{Version: 2, Outputs: []types.TxOut{{Value: value, ScriptPubKey: chaintest.Anyone(3000)}}}
	for _, outPoint := range outPoints {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: outPoint, Sequence: final})
	}
	return tx
}

// missing is a case of a transaction that spends what is not there.
func missing(name string, build func(c *chainTest, broken bool) []types.Tx) ruleCase {
	return ruleCase{
		name: "bad-txns-inputs-missingorspent/" + name, reason: "bad-txns-inputs-missingorspent", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block { return chaintest.Mine(c.template(build(c, broken)...)) },
	}
}

var coinRules = []ruleCase{
	{
		name: "bad-txns-BIP30", reason: "bad-txns-BIP30", kind: ErrInvalid, stage: stageConnect, change: bip30Params,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.atBIP30Height()
			if !broken { // once the coin is spent, it can be made again
				delete(c.coins, c.allocation(0))
			}
			return chaintest.Mine(block)
		},
	},
	missing("unknown", func(c *chainTest, broken bool) []types.Tx {
		outPoint := c.allocation(0)
		outPoint.TxID[0] ^= choose(broken, byte(1), 0)
		return []types.Tx{pay(coin, outPoint)}
	}),
	missing("no-such-output", func(c *chainTest, broken bool) []types.Tx {
		return []types.Tx{pay(coin, c.allocation(choose(broken, uint32(20), 9)))}
	}),
	missing("second-input", func(c *chainTest, broken bool) []types.Tx {
		return []types.Tx{pay(coin, c.allocation(0), c.allocation(choose(broken, uint32(20), 9)))}
	}),
	missing("spent-before", func(c *chainTest, broken bool) []types.Tx {
		tx := c.spend(c.allocation(0))
		c.add(chaintest.Mine(c.template(tx)))
		return []types.Tx{pay(coin, c.allocation(choose(broken, uint32(0), 1)))}
	}),
	missing("twice-in-block", func(c *chainTest, broken bool) []types.Tx {
		return []types.Tx{pay(coin, c.allocation(0)), pay(2*coin, c.allocation(choose(broken, uint32(0), 1)))}
	}),
	missing("child-twice-in-block", func(c *chainTest, broken bool) []types.Tx {
		tx := c.spend(c.allocation(0), c.allocation(1))
		tx.Outputs = []types.TxOut{{Value: coin, ScriptPubKey: chaintest.Anyone(1)}, {Value: coin, ScriptPubKey: chaintest.Anyone(2)}}
		first, second := spendOutput(&tx, 0), spendOutput(&tx, choose(broken, uint32(0), 1))
		second.LockTime = 1 // makes it another transaction
		return []types.Tx{tx, first, second}
	}),
	missing("child-first", func(c *chainTest, broken bool) []types.Tx {
		tx := c.spend(c.allocation(0))
		child := spendOutput(&tx, 0)
		return choose(broken, []types.Tx{child, tx}, []types.Tx{tx, child})
	}),
	missing("child-of-no-output", func(c *chainTest, broken bool) []types.Tx {
		tx := c.spend(c.allocation(0))
		child := spendOutput(&tx, 0)
		child.Inputs[0].PreviousOutPoint.Index = choose(broken, uint32(1), 0)
		return []types.Tx{tx, child}
	}),
	missing("child-of-data", func(c *chainTest, broken bool) []types.Tx {
		tx := c.spend(c.allocation(0))
		if broken {
			tx.Outputs[0].ScriptPubKey = []byte{0x6a, 1, 1}
		}
		return []types.Tx{tx, spendOutput(&tx, 0)}
	}),
	{
		name: "bad-txns-premature-spend-of-coinbase", reason: "bad-txns-premature-spend-of-coinbase", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			first := c.add(chaintest.Mine(c.template())) // height 1 can be spent at 101
			c.grow(choose(broken, 98, 99))
			return chaintest.Mine(c.template(c.spend(types.OutPoint{TxID: first.TxIDs[0]})))
		},
	},
	{
		name: "bad-txns-premature-spend-of-coinbase/same-block", reason: "bad-txns-premature-spend-of-coinbase", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template()
			if broken {
				// A block cannot commit to a spend of its own coinbase's commitment,
				// but without witnesses it needs none.
				block.Txs[0].Inputs[0].Witness = nil
				block.Txs[0].Outputs = block.Txs[0].Outputs[:1]
				block.Txs = append(block.Txs, spendOutput(&block.Txs[0], 0))
				chaintest.SetMerkleRoot(block)
			}
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-txns-inputvalues-outofrange/coin", reason: "bad-txns-inputvalues-outofrange", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return chaintest.Mine(c.template(pay(btcMaxMoney-coin, c.rich(choose(broken, btcMaxMoney+1, btcMaxMoney))...)))
		},
	},
	{
		name: "bad-txns-inputvalues-outofrange/negative", reason: "bad-txns-inputvalues-outofrange", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return chaintest.Mine(c.template(pay(coin, c.rich(choose(broken, -coin, coin), 3*coin)...)))
		},
	},
	{
		name: "bad-txns-inputvalues-outofrange/total", reason: "bad-txns-inputvalues-outofrange", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return chaintest.Mine(c.template(pay(btcMaxMoney-coin, c.rich(btcMaxMoney-1, choose[types.Amount](broken, 2, 1))...)))
		},
	},
	{
		// A sum that would wrap round.
		name: "bad-txns-inputvalues-outofrange/overflow", reason: "bad-txns-inputvalues-outofrange", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return chaintest.Mine(c.template(pay(coin, c.rich(coin, choose[types.Amount](broken, 1<<63-1, coin))...)))
		},
	},
	{
		name: "bad-txns-in-belowout", reason: "bad-txns-in-belowout", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template(pay(testAllocation+choose[types.Amount](broken, 1, 0), c.allocation(0)))
			block.Txs[0].Outputs[0].Value = btcSubsidy // there is no fee
			chaintest.SetMerkleRoot(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-txns-accumulated-fee-outofrange", reason: "bad-txns-accumulated-fee-outofrange", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			coins := c.rich(btcMaxMoney, choose[types.Amount](broken, 2, 1))
			return chaintest.Mine(c.template(pay(0, coins[0]), pay(1, coins[1])))
		},
	},
	{
		// A relative lock of heights: the coin of height 1 can be spent at 1 + 3.
		name: "bad-txns-nonfinal/relative-height", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return c.relative(choose(broken, 1, 2), 3)
		},
	},
	{
		// The coin's own block has the height that a lock of zero asks for.
		name: "bad-txns-nonfinal/relative-same-block", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			tx := c.spend(c.allocation(0))
			child := spendOutput(&tx, 0)
			child.Inputs[0].Sequence = choose(broken, uint32(1), 0)
			return chaintest.Mine(c.template(tx, child))
		},
	},
	{
		name: "bad-txns-nonfinal/relative-same-block-time", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			tx := c.spend(c.allocation(0))
			child := spendOutput(&tx, 0)
			child.Inputs[0].Sequence = 1<<22 | choose(broken, uint32(1), 0)
			return chaintest.Mine(c.template(tx, child))
		},
	},
	{
		// A relative lock of 2 times 512 seconds. With blocks 600 seconds apart the
		// medians after heights 0 to 4 are 0, 600, 600, 1200, 1200 seconds; the
		// coin's lock is counted from the median below its block, 0.
		name: "bad-txns-nonfinal/relative-time", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			return c.relative(choose(broken, 1, 2), 1<<22|2)
		},
	},
	{
		name: "bad-cb-amount", reason: "bad-cb-amount", kind: ErrInvalid, stage: stageConnect,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Outputs[0].Value++
			chaintest.SetMerkleRoot(block)
		}),
	},
	{
		name: "bad-cb-amount/halving", reason: "bad-cb-amount", kind: ErrInvalid, stage: stageConnect,
		build: func(c *chainTest, broken bool) *types.Block {
			c.grow(149)
			block := c.template() // height 150, the first with half the subsidy
			block.Txs[0].Outputs[0].Value = 25*coin + choose[types.Amount](broken, 1, 0)
			chaintest.SetMerkleRoot(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "block-script-verify-flag-failed/signature", reason: "block-script-verify-flag-failed", kind: ErrInvalid, stage: stageScripts,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			witness := slices.Clone(block.Txs[2].Inputs[0].Witness[0])
			witness[63] ^= 1
			block.Txs[2].Inputs[0].Witness = [][]byte{witness}
			chaintest.Commit(block)
		}),
	},
	{
		name: "block-script-verify-flag-failed/scriptsig", reason: "block-script-verify-flag-failed", kind: ErrInvalid, stage: stageScripts,
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Inputs[1].ScriptSig = []byte{0x51} }),
	},
}

// relative makes a block that spends a coin of height 1 under a relative lock,
// after so many more blocks.
func (c *chainTest) relative(blocks int, sequence uint32) *types.Block {
	c.Helper()
	tx := c.spend(c.allocation(0))
	c.add(chaintest.Mine(c.template(tx)))
	c.grow(blocks)
	spend := spendOutput(&tx, 0)
	spend.Inputs[0].Sequence = sequence
	return chaintest.Mine(c.template(spend))
}

// Locks that do not apply: version 1, and the bit that switches them off. The
// version is compared unsigned.
func TestRelativeLocksThatDoNotApply(t *testing.T) {
	for _, test := range []struct {
		name     string
		version  uint32
		sequence uint32
		want     Reason
	}{
		{"version 1", 1, 1000, ""},
		{"version 0", 0, 1000, ""},
		{"bit 31", 2, 1<<31 | 1000, ""},
		{"bits that mean nothing", 2, 0x7fbf0000, ""},
		{"version 2", 2, 1000, "bad-txns-nonfinal"},
		{"version -1", 0xffffffff, 1000, "bad-txns-nonfinal"},
		{"longest height", 2, 0xffff, "bad-txns-nonfinal"},
		{"longest time", 2, 1<<22 | 0xffff, "bad-txns-nonfinal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newChainTest(t)
			tx := c.spend(c.allocation(0))
			tx.Version, tx.Inputs[0].Sequence = test.version, test.sequence
			b := HashBlock(chaintest.Mine(c.template(tx)))
			_, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			expect(t, err, test.want, ErrInvalid)
		})
	}
}

// The order of the rules for one transaction and of transactions is Bitcoin
// Core's: of two faults the one that comes first there is reported.
func TestOrderOfCoinRules(t *testing.T) {
	premature := func(c *chainTest) types.OutPoint {
		outPoint := types.OutPoint{TxID: types.Hash{1}}
		c.coins[outPoint], _ = types.NewCoin(&types.TxOut{Value: coin, ScriptPubKey: chaintest.Anyone(1)}, 0, true)
		return outPoint
	}
	for _, test := range []struct {
		name  string
		build func(c *chainTest) []types.Tx
		want  Reason
	}{
		{"missing before premature", func(c *chainTest) []types.Tx {
			return []types.Tx{pay(coin, premature(c), c.allocation(20))}
		}, "bad-txns-inputs-missingorspent"},
		{"premature before in-belowout", func(c *chainTest) []types.Tx {
			return []types.Tx{pay(9*coin, premature(c))}
		}, "bad-txns-premature-spend-of-coinbase"},
		{"in-belowout before a lock", func(c *chainTest) []types.Tx {
			tx := pay(testAllocation+1, c.allocation(0))
			tx.Inputs[0].Sequence = 1000
			return []types.Tx{tx}
		}, "bad-txns-in-belowout"},
		{"the first transaction's", func(c *chainTest) []types.Tx {
			return []types.Tx{pay(testAllocation+1, c.allocation(0)), pay(coin, c.allocation(0))}
		}, "bad-txns-in-belowout"},
		{"fees before a lock", func(c *chainTest) []types.Tx {
			coins := c.rich(btcMaxMoney, coin)
			tx := pay(0, coins[1])
			tx.Inputs[0].Sequence = 1000
			return []types.Tx{pay(0, coins[0]), tx}
		}, "bad-txns-accumulated-fee-outofrange"},
		{"a lock before the coinbase's amount", func(c *chainTest) []types.Tx {
			tx := pay(testAllocation, c.allocation(0)) // the template takes a fee
			tx.Inputs[0].Sequence = 1000
			return []types.Tx{tx}
		}, "bad-txns-nonfinal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newChainTest(t)
			b := HashBlock(c.template(test.build(c)...))
			_, err := ConnectBlock(c.params, &c.state, b, c.fetch(b), c)
			expect(t, err, test.want, ErrInvalid)
		})
	}
}

// BIP30 is asked about only where it can be broken.
func TestNeedsBIP30(t *testing.T) {
	c := newChainTest(t, bip30Params)
	block := HashBlock(c.template(c.spend(c.allocation(0))))
	for height, want := range map[uint32]bool{
		1: false, 1_000_000: false, bip30Height - 1: false, bip30Height: true, bip30Height + 1: true, 0xffffffff: true,
	} {
		if got := len(CoinsNeeded(c.params, height, block)); (got == 4) != want || got != 4 && got != 1 {
			t.Errorf("height %d: %d coins are asked for; BIP30 matters: %v", height, got, want)
		}
	}
}

// The height that a script spells is read as BIP34 writes it.
func TestPushedHeight(t *testing.T) {
	for _, height := range []uint32{1, 2, 16, 17, 127, 128, 255, 256, 0x7fff, 0x8000, 0x7fffff, 0x800000, 0x7fffffff, 0x80000000, 0xffffffff} {
		script := chaintest.HeightScript(height)
		if got := appendScriptNumber(nil, int64(height)); string(got) != string(script) {
			t.Errorf("height %d is written %x, want %x", height, got, script)
		}
		found := false
		for size := 1; size <= 5; size++ {
			if got, ok := pushedHeight(append(script, 0), size); ok {
				found = got == height
			}
		}
		if !found {
			t.Errorf("height %d is not read back from %x", height, script)
		}
	}
	if string(appendScriptNumber(nil, 0)) != "\x00" {
		t.Error("height 0 is not OP_0")
	}
	for _, script := range []string{"", "\x00", "\x4f", "\x61", "\x02\x01", "\x05\x00\x00\x00\x00\x01"} {
		for size := 1; size <= 5; size++ {
			if height, ok := pushedHeight([]byte(script), size); ok {
				t.Errorf("%x spells height %d", script, height)
			}
		}
	}
}
