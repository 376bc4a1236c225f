package consensus

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/chaintest"
)

// ruleCase is a block that breaks one rule and keeps all others. build makes it,
// and without broken the nearest block that is valid, on the same chain.
type ruleCase struct {
	name   string // the reason, and what distinguishes cases of the same
	reason Reason
	kind   error
	stage  string
	// also are later steps that no such block can pass; last is the last step
	// that can be asked about one at all. Both are empty if nothing else breaks.
	also []string
	last string
	// neighbour is the step that the block without the fault fails, if it cannot
	// be valid.
	neighbour string
	change    func(*Params)
	build     func(c *chainTest, broken bool) *types.Block
}

// inTx is a case whose block has one transaction that is spoiled.
func inTx(spoil func(c *chainTest, tx *types.Tx)) func(*chainTest, bool) *types.Block {
	return func(c *chainTest, broken bool) *types.Block {
		tx := c.spend(c.allocation(0), c.allocation(1))
		if broken {
			spoil(c, &tx)
		}
		return chaintest.Mine(c.template(tx))
	}
}

// inBlock is a case whose block is spoiled after it was made.
func inBlock(spoil func(c *chainTest, block *types.Block)) func(*chainTest, bool) *types.Block {
	return func(c *chainTest, broken bool) *types.Block {
		block := c.template(c.spend(c.allocation(0)), c.spend(c.allocation(10)))
		if broken {
			spoil(c, block)
		}
		return chaintest.Mine(block)
	}
}

// choose returns one of two values.
func choose[T any](broken bool, bad, good T) T {
	if broken {
		return bad
	}
	return good
}

func data(size int) []byte {
	script := []byte{0x6a, 0x4e, byte(size), byte(size >> 8), byte(size >> 16), byte(size >> 24)}
	return append(script, make([]byte, size)...)
}

var headerRules = []ruleCase{
	{
		name: "high-hash", reason: "high-hash", kind: ErrInvalid, stage: stageHash,
		build: func(c *chainTest, broken bool) *types.Block {
			block := chaintest.Mine(c.template())
			target, _, _ := ExpandBits(block.Header.Bits)
			for broken && Uint256FromHash(block.Hash()).Cmp(target) <= 0 {
				block.Header.Nonce++
			}
			return block
		},
	},
	{
		name: "bad-diffbits", reason: "bad-diffbits", kind: ErrInvalid, stage: stageHeader,
		build: inBlock(func(_ *chainTest, block *types.Block) { block.Header.Bits = 0x207ffffe }),
	},
	{
		name: "time-too-old", reason: "time-too-old", kind: ErrInvalid, stage: stageHeader,
		build: func(c *chainTest, broken bool) *types.Block {
			c.grow(12)
			block := c.template()
			// Of eleven times 600 seconds apart the median is the sixth.
			median := c.state.Header.Timestamp - 5*600
			block.Header.Timestamp = choose(broken, median, median+1)
			return chaintest.Mine(block)
		},
	},
	{
		name: "time-too-new", reason: "time-too-new", kind: ErrNotYet, stage: stageHeader,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template()
			block.Header.Timestamp = uint32(choose(broken, testNow+7201, testNow+7200))
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-version", reason: "bad-version", kind: ErrInvalid, stage: stageHeader,
		build: inBlock(func(_ *chainTest, block *types.Block) { block.Header.Version = 3 }),
	},
	{
		name: "bad-version/negative", reason: "bad-version", kind: ErrInvalid, stage: stageHeader,
		build: inBlock(func(_ *chainTest, block *types.Block) { block.Header.Version = -1 }),
	},
}

var bodyRules = []ruleCase{
	{
		name: "bad-txnmrklroot", reason: "bad-txnmrklroot", kind: ErrMutated, stage: stageBody,
		build: inBlock(func(_ *chainTest, block *types.Block) { block.Header.MerkleRoot[31] ^= 1 }),
	},
	{
		name: "bad-txns-duplicate", reason: "bad-txns-duplicate", kind: ErrMutated, stage: stageBody,
		also: []string{stageConnect}, // the repeated transaction spends its coins twice
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs = append(block.Txs, block.Txs[2]) // three leaves have the root of four
		}),
	},
	{
		name: "bad-blk-length", reason: "bad-blk-length", kind: ErrInvalid, stage: stageBody,
		also: []string{stageContext}, // what is too long is too heavy
		build: func(c *chainTest, broken bool) *types.Block {
			return c.sized(choose(broken, 1_000_001, 1_000_000), 0)
		},
	},
	{
		name: "bad-blk-length/empty", reason: "bad-blk-length", kind: ErrInvalid, stage: stageBody, last: stageBody,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs = nil
			block.Header.MerkleRoot = types.Hash{}
		}),
	},
	{
		name: "bad-cb-missing", reason: "bad-cb-missing", kind: ErrMutated, stage: stageBody, last: stageBody,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs = block.Txs[1:]
			chaintest.SetMerkleRoot(block)
		}),
	},
	{
		name: "bad-cb-multiple", reason: "bad-cb-multiple", kind: ErrInvalid, stage: stageBody,
		also: []string{stageConnect}, // its input has no coin
		build: inBlock(func(_ *chainTest, block *types.Block) {
			second := types.Tx{
				Version: 2, Inputs: slices.Clone(block.Txs[0].Inputs), Outputs: []types.TxOut{{ScriptPubKey: chaintest.Anyone(7)}},
			}
			second.Inputs[0].Witness = nil
			block.Txs = append(block.Txs, second)
			chaintest.Commit(block)
		}),
	},
	{
		name: "bad-cb-multiple/next", reason: "bad-cb-multiple", kind: ErrInvalid, stage: stageBody,
		also: []string{stageConnect}, // its input has no coin
		build: inBlock(func(_ *chainTest, block *types.Block) {
			second := types.Tx{Inputs: slices.Clone(block.Txs[0].Inputs), Outputs: []types.TxOut{{ScriptPubKey: chaintest.Anyone(7)}}}
			second.Inputs[0].Witness = nil
			block.Txs = slices.Insert(block.Txs, 1, second)
			chaintest.Commit(block)
		}),
	},
	{
		name: "bad-txns-vin-empty", reason: "bad-txns-vin-empty", kind: ErrInvalid, stage: stageBody,
		also:  []string{stageConnect}, // it makes coins of nothing
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Inputs = nil }),
	},
	{
		name: "bad-txns-vout-empty", reason: "bad-txns-vout-empty", kind: ErrInvalid, stage: stageBody,
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Outputs = nil }),
	},
	{
		name: "bad-txns-vout-negative", reason: "bad-txns-vout-negative", kind: ErrInvalid, stage: stageBody,
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Outputs[0].Value = -1 }),
	},
	{
		name: "bad-txns-vout-toolarge", reason: "bad-txns-vout-toolarge", kind: ErrInvalid, stage: stageBody,
		also:  []string{stageConnect}, // no inputs have as much
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Outputs[0].Value = btcMaxMoney + 1 }),
	},
	{
		name: "bad-txns-txouttotal-toolarge", reason: "bad-txns-txouttotal-toolarge", kind: ErrInvalid, stage: stageBody,
		also: []string{stageConnect}, // no inputs have as much
		build: inTx(func(_ *chainTest, tx *types.Tx) {
			tx.Outputs = []types.TxOut{{Value: btcMaxMoney, ScriptPubKey: chaintest.Anyone(7)}, {Value: 1, ScriptPubKey: chaintest.Anyone(7)}}
		}),
	},
	{
		name: "bad-txns-inputs-duplicate", reason: "bad-txns-inputs-duplicate", kind: ErrInvalid, stage: stageBody,
		also:  []string{stageConnect}, // the second time there is no coin
		build: inTx(func(_ *chainTest, tx *types.Tx) { tx.Inputs[1] = tx.Inputs[0] }),
	},
	{
		name: "bad-cb-length/short", reason: "bad-cb-length", kind: ErrInvalid, stage: stageBody,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Inputs[0].ScriptSig = []byte{0x51} // the height is 1
			chaintest.Commit(block)
		}),
	},
	{
		name: "bad-cb-length/long", reason: "bad-cb-length", kind: ErrInvalid, stage: stageBody,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template()
			block.Txs[0].Inputs[0].ScriptSig = append([]byte{0x51}, make([]byte, choose(broken, 100, 99))...)
			chaintest.Commit(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-txns-prevout-null", reason: "bad-txns-prevout-null", kind: ErrInvalid, stage: stageBody,
		also: []string{stageConnect}, // there is no such coin
		build: inTx(func(_ *chainTest, tx *types.Tx) {
			tx.Inputs[1].PreviousOutPoint = types.OutPoint{Index: 0xffffffff}
		}),
	},
	{
		name: "bad-txns-vout-script", reason: "bad-txns-vout-script", kind: ErrInvalid, stage: stageBody,
		build: inTx(func(_ *chainTest, tx *types.Tx) {
			tx.Outputs[0].ScriptPubKey = append([]byte{0x00, 0x14}, make([]byte, 20)...) // P2WPKH
		}),
	},
	{
		name: "bad-txns-vout-script/coinbase", reason: "bad-txns-vout-script", kind: ErrInvalid, stage: stageBody,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Outputs[0].ScriptPubKey = []byte{0x51} // OP_TRUE alone
			chaintest.Commit(block)
		}),
	},
	{
		// Only scriptSigs that no witness program allows can hold so many.
		name: "bad-blk-sigops", reason: "bad-blk-sigops", kind: ErrInvalid, stage: stageBody,
		also: []string{stageScripts}, neighbour: stageScripts,
		build: func(c *chainTest, broken bool) *types.Block {
			tx := c.spend(c.allocation(0))
			// 1000 OP_CHECKMULTISIG count twenty each, one OP_CHECKSIG once.
			tx.Inputs[0].ScriptSig = append(bytes.Repeat([]byte{0xae}, 1000), choose(broken, []byte{0xac}, nil)...)
			return chaintest.Mine(c.template(tx))
		},
	},
}

// sized makes a block of exactly these many bytes without witnesses, and of
// exactly this weight unless that is zero; then it has no witnesses at all.
func (c *chainTest) sized(stripped, weight int) *types.Block {
	c.Helper()
	tx := c.spend(c.allocation(0))
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: data(70_000)})
	build := func(padding, witness int) *types.Block {
		tx.Outputs[1].ScriptPubKey = data(70_000 + padding)
		tx.Inputs[0].Witness = nil
		if weight != 0 {
			tx.Inputs[0].Witness = [][]byte{make([]byte, 70_000+witness)}
		}
		block := c.template(tx)
		if weight == 0 {
			block.Txs[0].Inputs[0].Witness = nil
			block.Txs[0].Outputs = block.Txs[0].Outputs[:1]
			chaintest.SetMerkleRoot(block)
		}
		return block
	}
	padding := stripped - build(0, 0).StrippedSize()
	block := build(padding, 0)
	if weight != 0 {
		block = build(padding, weight-block.Weight())
	}
	if block.StrippedSize() != stripped || weight != 0 && block.Weight() != weight {
		c.Fatalf("the test made a block of %d bytes and weight %d, wanted %d and %d",
			block.StrippedSize(), block.Weight(), stripped, weight)
	}
	return chaintest.Mine(block)
}

var contextRules = []ruleCase{
	{
		name: "bad-txns-nonfinal/height", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			c.grow(5)
			tx := c.spend(c.allocation(0))
			tx.Inputs[0].Sequence = final - 1
			tx.LockTime = choose(broken, uint32(6), 5) // the block has height 6
			return chaintest.Mine(c.template(tx))
		},
	},
	{
		name: "bad-txns-nonfinal/time", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			c.grow(12)
			tx := c.spend(c.allocation(0))
			tx.Inputs[0].Sequence = final - 1
			median := c.state.Header.Timestamp - 5*600 // as in time-too-old
			tx.LockTime = choose(broken, median, median-1)
			return chaintest.Mine(c.template(tx))
		},
	},
	{
		// From 500,000,000 on a lock time is a time, here one long past.
		name: "bad-txns-nonfinal/threshold", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			tx := c.spend(c.allocation(0))
			tx.Inputs[0].Sequence = final - 1
			tx.LockTime = choose(broken, uint32(499_999_999), 500_000_000)
			return chaintest.Mine(c.template(tx))
		},
	},
	{
		name: "bad-txns-nonfinal/coinbase", reason: "bad-txns-nonfinal", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template()
			block.Txs[0].LockTime = 499_999_999 // a height
			block.Txs[0].Inputs[0].Sequence = choose(broken, final-1, final)
			chaintest.Commit(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-cb-height", reason: "bad-cb-height", kind: ErrInvalid, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Inputs[0].ScriptSig = []byte{0x52, 0} // the height is 1
			chaintest.Commit(block)
		}),
	},
	{
		name: "bad-cb-height/longer-push", reason: "bad-cb-height", kind: ErrInvalid, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Inputs[0].ScriptSig = []byte{1, 1} // 1, but not as OP_1
			chaintest.Commit(block)
		}),
	},
	{
		name: "bad-cb-height/two-bytes", reason: "bad-cb-height", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			c.grow(127)
			block := c.template() // 128 needs a second byte for the sign
			block.Txs[0].Inputs[0].ScriptSig = choose(broken, []byte{1, 128}, []byte{2, 128, 0})
			chaintest.Commit(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "unexpected-witness", reason: "unexpected-witness", kind: ErrMutated, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			tx := c.spend(c.allocation(0))
			tx.Inputs[0].Witness = choose(broken, [][]byte{{1}}, nil)
			block := c.template(tx)
			block.Txs[0].Inputs[0].Witness = nil
			block.Txs[0].Outputs = block.Txs[0].Outputs[:1] // without the commitment
			chaintest.SetMerkleRoot(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "unexpected-witness/coinbase", reason: "unexpected-witness", kind: ErrMutated, stage: stageContext,
		build: inBlock(func(c *chainTest, block *types.Block) {
			block.Txs = block.Txs[:2]                                            // the other one has a signature
			block.Txs[0].Outputs = block.Txs[0].Outputs[:1]                      // the commitment
			block.Txs[0].Outputs[0].Value = Subsidy(c.params, c.height()) + coin // one fee less
			chaintest.SetMerkleRoot(block)
		}),
	},
	{
		name: "bad-witness-nonce-size/31", reason: "bad-witness-nonce-size", kind: ErrMutated, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Inputs[0].Witness = [][]byte{make([]byte, 31)}
		}),
	},
	{
		name: "bad-witness-nonce-size/two", reason: "bad-witness-nonce-size", kind: ErrMutated, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Inputs[0].Witness = [][]byte{make([]byte, 32), {}}
		}),
	},
	{
		name: "bad-witness-nonce-size/none", reason: "bad-witness-nonce-size", kind: ErrMutated, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) { block.Txs[0].Inputs[0].Witness = nil }),
	},
	{
		name: "bad-witness-merkle-match", reason: "bad-witness-merkle-match", kind: ErrMutated, stage: stageContext,
		build: inBlock(func(_ *chainTest, block *types.Block) {
			block.Txs[0].Outputs[1].ScriptPubKey[37] ^= 1
			chaintest.SetMerkleRoot(block)
		}),
	},
	{
		// Of two commitments the last one counts.
		name: "bad-witness-merkle-match/last", reason: "bad-witness-merkle-match", kind: ErrMutated, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			block := c.template()
			outputs := block.Txs[0].Outputs
			wrong := types.TxOut{ScriptPubKey: slices.Clone(outputs[1].ScriptPubKey)}
			wrong.ScriptPubKey[37] ^= 1
			right := outputs[1]
			right.ScriptPubKey = append(right.ScriptPubKey, 1, 0xff) // what follows does not count
			block.Txs[0].Outputs = choose(broken, []types.TxOut{outputs[0], right, wrong}, []types.TxOut{outputs[0], wrong, right})
			chaintest.SetMerkleRoot(block)
			return chaintest.Mine(block)
		},
	},
	{
		name: "bad-blk-weight", reason: "bad-blk-weight", kind: ErrInvalid, stage: stageContext,
		build: func(c *chainTest, broken bool) *types.Block {
			return c.sized(900_000, choose(broken, 4_000_001, 4_000_000))
		},
	},
}

// ruleCases are all cases of TestRules.
func ruleCases() []ruleCase {
	return slices.Concat(headerRules, bodyRules, contextRules, coinRules)
}

// TestRules breaks one rule at a time. The block that breaks it passes every
// other step, and the nearest block that does not break it is valid.
func TestRules(t *testing.T) {
	for _, test := range ruleCases() {
		t.Run(test.name, func(t *testing.T) {
			t.Run("valid", func(t *testing.T) {
				c := newChainTest(t, test.changes()...)
				b := HashBlock(test.build(c, false))
				if test.neighbour == "" {
					c.addHashed(b)
					return
				}
				faults, _ := c.check(b, "")
				if faults[test.neighbour] == nil || len(faults) != 1 {
					t.Fatalf("the neighbour fails %v, want a fault in %s alone", faults, test.neighbour)
				}
			})
			c := newChainTest(t, test.changes()...)
			b := HashBlock(test.build(c, true))
			faults, _ := c.check(b, test.last)
			expect(t, faults[test.stage], test.reason, test.kind)
			delete(faults, test.stage)
			for _, stage := range test.also {
				if faults[stage] == nil {
					t.Errorf("%s was expected to fail as well", stage)
				}
				delete(faults, stage)
			}
			for stage, err := range faults {
				t.Errorf("%s fails too: %v", stage, err)
			}
		})
	}
}

func (r *ruleCase) changes() []func(*Params) {
	if r.change == nil {
		return nil
	}
	return []func(*Params){r.change}
}

// Every fault names the transaction that it is in.
func TestFaultsNameTheirTransaction(t *testing.T) {
	c := newChainTest(t)
	tx := c.spend(c.allocation(0))
	tx.Outputs[0].ScriptPubKey = nil
	err := CheckBlock(c.params, HashBlock(c.template(tx)))
	if err == nil || !strings.Contains(err.Error(), tx.TxID().String()) {
		t.Errorf("got %v, want the id %s", err, tx.TxID())
	}
}
