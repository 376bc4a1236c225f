package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// FetchedCoin is the answer to a look-up in the coin set.
type FetchedCoin struct {
	Coin  types.Coin
	Found bool
}

// Ancestry answers what the rules ask about headers further down than State
// reaches. Heights are those of ancestors of the block that is checked.
type Ancestry interface {
	// MedianTimePast is that of the ancestor at the height, as State's.
	MedianTimePast(height uint32) uint32
}

// Connection is what a block does, if it keeps the rules and its scripts hold.
type Connection struct {
	Update Update
	// Prevouts are the outputs that the block's inputs spend, in their order, the
	// coinbase's left out. CheckScripts needs them.
	Prevouts []types.TxOut
	Fees     types.Amount
}

// CoinsNeeded returns the outpoints that ConnectBlock must be given an answer
// to, in order: those that the block spends and does not make itself, and where
// BIP30 can be broken at all, those that it makes.
func CoinsNeeded(p *Params, height uint32, b *HashedBlock) []types.OutPoint {
	if !needsBIP30(p, height) {
		return b.External
	}
	needed := append([]types.OutPoint(nil), b.External...)
	for i := range b.Block.Txs {
		for j := range b.Block.Txs[i].Outputs {
			needed = append(needed, types.OutPoint{TxID: b.TxIDs[i], Index: uint32(j)})
		}
	}
	return needed
}

// needsBIP30 reports whether a block at the height could make a coin that
// exists already. Equal outpoints mean equal transactions. Two transactions
// that spend something are equal only if what they spend exists twice, so the
// first pair of equals would be coinbases. Those of blocks begin with their
// height (BIP34) and differ; only the genesis block's begins with any bytes. As
// long as no block can have the height that those bytes happen to spell, nothing
// can be equal.
func needsBIP30(p *Params, height uint32) bool {
	genesis := p.Genesis.coinbaseScript()
	for n := 1; n <= 5; n++ {
		// The encoding of a height has up to six bytes: read each prefix that is
		// one.
		if h, ok := pushedHeight(genesis, n); ok && height >= h {
			return true
		}
	}
	return false
}

// pushedHeight reads the height that a script of which the first push has size
// bytes would stand for under BIP34; size 1 covers OP_1 to OP_16 too.
func pushedHeight(script []byte, size int) (uint32, bool) {
	if len(script) == 0 {
		return 0, false
	}
	if op := script[0]; size == 1 && op >= taproot.Op1 && op <= taproot.Op16 {
		return uint32(op - taproot.Op1 + 1), true
	}
	if int(script[0]) != size || len(script) < 1+size {
		return 0, false
	}
	n := uint64(0)
	for i := range size {
		n |= uint64(script[1+i]) << (8 * i)
	}
	return uint32(min(n, 1<<32-1)), n < 1<<32
}

// Subsidy returns the grains that the coinbase of a block at the height may make
// beyond the fees: the initial subsidy, halved once every interval.
func Subsidy(p *Params, height uint32) types.Amount {
	if height == 0 {
		return 0 // the genesis block's outputs are allocations, listed one by one
	}
	halvings := height / p.HalvingInterval
	if halvings >= 63 {
		return 0
	}
	return p.InitialSubsidy >> halvings
}

// ConnectBlock checks all rules that need coins, but for the scripts, and
// returns what the block does. coins are the answers to CoinsNeeded, in its
// order, and are copied. The parent's state and the coin set must be those below
// the block, for which CheckBlock and ValidateBlock hold.
func ConnectBlock(p *Params, parent *State, b *HashedBlock, coins []FetchedCoin, ancestry Ancestry) (*Connection, error) {
	height := parent.Index.Height + 1
	if len(coins) < len(b.External) {
		return nil, Local(fmt.Errorf("%d coins were given for a block that spends %d", len(coins), len(b.External)))
	}
	for i := len(b.External); i < len(coins); i++ {
		if coins[i].Found {
			return nil, invalid(ReasonDuplicateCoin, "the block makes a coin that exists (made at height %d)", coins[i].Coin.Height)
		}
	}
	c := connector{
		spending: spending{params: p, height: height, sequenceTime: parent.MedianTimePast(), ancestry: ancestry},
		block:    b,
		coins:    coins,
		result: &Connection{
			Update: Update{
				Block: types.Index{Height: height, Hash: b.Hash}, Parent: parent.Index,
				Spent: make([]CoinEntry, 0, len(b.External)),
			},
			Prevouts: make([]types.TxOut, 0, len(b.source)),
		},
	}
	for i := 1; i < len(b.Block.Txs); i++ {
		if err := c.transaction(i); err != nil {
			return nil, inTransaction(err, b.TxIDs[i])
		}
	}
	reward := c.result.Fees + Subsidy(p, height)
	claimed := types.Amount(0)
	for i := range b.Block.Txs[0].Outputs {
		claimed += b.Block.Txs[0].Outputs[i].Value
	}
	if claimed > reward {
		return nil, invalid(ReasonCoinbaseAmount, "the coinbase makes %s, subsidy and fees are %s", claimed, reward)
	}
	c.result.Update.Created = b.created(height)
	return c.result, nil
}

// spending is where coins are spent: in the block at a height on a parent.
type spending struct {
	params       *Params
	height       uint32
	sequenceTime uint32 // the parent's median time past
	ancestry     Ancestry
}

// connector goes through the transactions of one block.
type connector struct {
	spending
	block  *HashedBlock
	coins  []FetchedCoin // of which the first are External's
	result *Connection   // Prevouts and Spent grow with the inputs that were seen
}

func (c *connector) transaction(i int) error {
	tx := &c.block.Block.Txs[i]
	if err := c.missing(tx); err != nil {
		return err
	}
	fee, locked, err := c.fee(tx, func(j int) spentCoin { return c.coin(&tx.Inputs[j].PreviousOutPoint) })
	if err != nil {
		return err
	}
	// A fee is part of a total that is in range, so Bitcoin's check of it alone
	// (bad-txns-fee-outofrange) can never fail.
	if c.result.Fees += fee; c.result.Fees > c.params.MaxMoney {
		return invalid(ReasonAccumulatedFees, "the fees of the block are more than %s", c.params.MaxMoney)
	}
	if locked {
		return invalid(ReasonNonFinal, "an input's relative lock (BIP68) has not ended")
	}
	return nil
}

// fee checks what a transaction spends, and returns what its outputs leave.
// locked says that a relative lock has not ended, which is no error yet: Bitcoin
// finds that last.
func (s *spending) fee(tx *types.Tx, coin func(input int) spentCoin) (fee types.Amount, locked bool, err error) {
	total := types.Amount(0)
	for j := range tx.Inputs {
		coin := coin(j)
		if coin.isCoinbase && s.height-coin.height < s.params.CoinbaseMaturity {
			return 0, false, invalid(ReasonPrematureSpend, "a coinbase of height %d is spent at height %d", coin.height, s.height)
		}
		// Coins of a custom genesis block were never held against MaxMoney by
		// anyone but Params; the check is Bitcoin's and costs nothing.
		if total += coin.value; coin.value < 0 || coin.value > s.params.MaxMoney || total > s.params.MaxMoney {
			return 0, false, invalid(ReasonInputValue, "the inputs have more than %s coins", s.params.MaxMoney)
		}
		if tx.Version >= 2 && tx.Inputs[j].Sequence&types.SequenceLockDisabled == 0 && !s.lockEnded(tx.Inputs[j].Sequence, coin.height) {
			locked = true
		}
	}
	fee = total
	for j := range tx.Outputs {
		fee -= tx.Outputs[j].Value
	}
	if fee < 0 {
		return 0, false, invalid(ReasonInputsBelowOutputs, "inputs of %s for outputs of %s", total, total-fee)
	}
	return fee, locked, nil
}

// missing checks that there is a coin for each input of the next transaction,
// before anything is asked about any of them.
func (c *connector) missing(tx *types.Tx) error {
	external := len(c.result.Update.Spent)
	for j := range tx.Inputs {
		outPoint := &tx.Inputs[j].PreviousOutPoint
		input := len(c.result.Prevouts) + j
		source := c.block.source[input]
		switch {
		case input == c.block.doubleSpend:
			return invalid(ReasonMissingInputs, "output %s is spent twice in the block", outPoint)
		case source < 0:
			if !c.coins[external].Found {
				return invalid(ReasonMissingInputs, "output %s does not exist or is spent", outPoint)
			}
			external++
		default:
			outputs := c.block.Block.Txs[source].Outputs
			if uint64(outPoint.Index) >= uint64(len(outputs)) || !IsSpendable(outputs[outPoint.Index].ScriptPubKey) {
				return invalid(ReasonMissingInputs, "output %s does not exist or holds data", outPoint)
			}
		}
	}
	return nil
}

// spentCoin is what the rules ask of a coin.
type spentCoin struct {
	value      types.Amount
	height     uint32
	isCoinbase bool
}

// coin takes the coin of the next input, which is there, and notes its output as
// a prevout. A coin of the set is noted in Spent, to which its prevout refers.
func (c *connector) coin(outPoint *types.OutPoint) spentCoin {
	source := c.block.source[len(c.result.Prevouts)]
	if source >= 0 {
		out := &c.block.Block.Txs[source].Outputs[outPoint.Index]
		c.result.Prevouts = append(c.result.Prevouts, *out)
		return spentCoin{out.Value, c.height, source == 0}
	}
	n := len(c.result.Update.Spent)
	c.result.Update.Spent = append(c.result.Update.Spent, CoinEntry{OutPoint: *outPoint, Coin: c.coins[n].Coin})
	coin := &c.result.Update.Spent[n].Coin
	c.result.Prevouts = append(c.result.Prevouts, coin.Output())
	return spentCoin{coin.Value, coin.Height, coin.IsCoinbase}
}

// lockEnded reports whether an input's relative lock on a coin has ended
// (BIP68). Times are counted from the median time past of the block before the
// coin's, as that is what the coin's own block was held against.
func (s *spending) lockEnded(sequence, coinHeight uint32) bool {
	if sequence&types.SequenceLockIsTime == 0 {
		return uint64(s.height) >= uint64(coinHeight)+uint64(sequence&types.SequenceLockMask)
	}
	from := s.sequenceTime // of a coin of this very block
	if coinHeight < s.height {
		from = s.ancestry.MedianTimePast(max(coinHeight, 1) - 1)
	}
	return uint64(s.sequenceTime) >= uint64(from)+uint64(sequence&types.SequenceLockMask)<<types.SequenceLockShift
}
