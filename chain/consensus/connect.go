package consensus

import (
	"fmt"

	"github.com/karatcoin/karat/chain/taproot"
	"github.com/karatcoin/karat/chain/types"
)

// FetchedCoin is the answer to a look-up in the coin set. That there is no coin is an
// answer too: under BIP30 it is the one that is wanted.
type FetchedCoin struct {
	Coin  types.Coin
	Found bool
}

// Ancestry answers what the rules ask about headers further down than State reaches.
// Only relative locks by time ask (BIP68), so almost no block needs it, and State
// stays small.
type Ancestry interface {
	// MedianTimePast is State's, of the ancestor at the height, in seconds since 1970.
	MedianTimePast(height uint32) uint32
}

// Connection is what a block does, provided that its scripts hold.
type Connection struct {
	Update Update
	// Prevouts are the outputs that the block's inputs spend, in the order of the
	// inputs, without the coinbase's. CheckScripts needs them.
	Prevouts []types.TxOut
	Fees     types.Amount // of all transactions
}

// CoinsNeeded returns the outpoints that ConnectBlock needs answers to, in this order:
// those that the block spends and does not make itself, and then, only where BIP30
// can be broken at all, those that it makes. All are known before the first answer,
// so that the caller can look them up in one go.
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

// needsBIP30 reports whether a block at the height could make a coin that exists
// already. To look up every coin before it is made would cost as much as all the
// spending does, and it can almost never matter.
//
// Equal outpoints mean equal transactions. Two transactions that spend something are
// equal only if what they spend exists twice. So the first equal pair would be
// coinbases. A block's coinbase begins with its height (BIP34), and heights differ.
// Only the genesis block's begins with other bytes. Nothing can be equal, then,
// before a block has the height that these bytes happen to spell.
func needsBIP30(p *Params, height uint32) bool {
	genesis := p.Genesis.coinbaseScript()
	for n := 1; n <= 5; n++ {
		// A height's push has up to six bytes. Each beginning of the genesis script
		// that is such a push spells a height.
		if h, ok := pushedHeight(genesis, n); ok && height >= h {
			return true
		}
	}
	return false
}

// pushedHeight reads the height that a script begins with under BIP34, if its first
// push has the given size in bytes. OP_1 to OP_16 count as size 1.
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
// beyond the fees: the initial subsidy, halved after each interval of blocks.
func Subsidy(p *Params, height uint32) types.Amount {
	if height == 0 {
		return 0 // the genesis block's outputs are allocations, listed one by one
	}
	halvings := height / p.HalvingInterval
	if halvings >= 63 { // an Amount has 63 bits besides its sign
		return 0
	}
	return p.InitialSubsidy >> halvings
}

// ConnectBlock checks all rules that need coins except the scripts, and returns what
// the block does. The coins are the answers to CoinsNeeded, in its order; they are
// copied. The parent's state and the coins must be those below the block. CheckBlock
// and ValidateBlock hold.
//
// Scripts are left to CheckScripts because they take nearly all of the time. Coins
// must be looked at in the order of the chain, scripts need not, so the next block
// can be connected while this one's scripts run.
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

// spending is the place in the chain at which coins are spent. It serves a block and
// a single transaction alike, so that the pool and the blocks cannot disagree.
type spending struct {
	params       *Params
	height       uint32
	sequenceTime uint32 // the parent's median time past
	ancestry     Ancestry
}

// connector goes through the transactions of one block, in their order.
type connector struct {
	spending
	block  *HashedBlock
	coins  []FetchedCoin // of which the first are External's
	result *Connection   // Prevouts and Spent grow with the inputs that were seen
}

// transaction checks the next transaction. The order of the checks is Bitcoin's, so
// that a block with two faults is refused for the same one.
func (c *connector) transaction(i int) error {
	tx := &c.block.Block.Txs[i]
	if err := c.missing(tx); err != nil {
		return err
	}
	fee, locked, err := c.fee(tx, func(j int) spentCoin { return c.coin(&tx.Inputs[j].PreviousOutPoint) })
	if err != nil {
		return err
	}
	// Bitcoin checks the fee alone as well (bad-txns-fee-outofrange). That can never
	// fail: the fee is part of a total that is in range.
	if c.result.Fees += fee; c.result.Fees > c.params.MaxMoney {
		return invalid(ReasonAccumulatedFees, "the fees of the block are more than %s", c.params.MaxMoney)
	}
	if locked {
		return invalid(ReasonNonFinal, "an input's relative lock (BIP68) has not ended")
	}
	return nil
}

// fee checks what a transaction spends, and returns what its outputs leave of it in
// grains. locked says that a relative lock has not ended. It is no error here: a
// block is refused for it only after its other faults, and the pool treats it as a
// transaction that comes too early.
func (s *spending) fee(tx *types.Tx, coin func(input int) spentCoin) (fee types.Amount, locked bool, err error) {
	total := types.Amount(0)
	for j := range tx.Inputs {
		coin := coin(j)
		if coin.isCoinbase && s.height-coin.height < s.params.CoinbaseMaturity {
			return 0, false, invalid(ReasonPrematureSpend, "a coinbase of height %d is spent at height %d", coin.height, s.height)
		}
		// On a network that package network has checked, all coins together are within
		// MaxMoney and this cannot fail. The rule is Bitcoin's (CVE-2010-5139), and
		// costs nothing. MaxMoney is at most 2^61, so the total cannot overflow.
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

// missing checks that each input of the next transaction has a coin. Nothing is asked
// about any coin before all of them are there.
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

// coin takes the coin of the next input, which is there, and notes its output as a
// prevout. A coin of the set is copied to Spent, and its prevout refers to the copy:
// the caller's memory is free again when ConnectBlock returns.
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

// lockEnded reports whether an input's relative lock on a coin has ended (BIP68). A
// lock by time counts from the median time past of the block before the coin's,
// because the coin's own block was held against that one.
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
