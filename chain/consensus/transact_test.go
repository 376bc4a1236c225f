package consensus

import (
	"errors"
	"testing"

	"github.com/karatcoin/karat/chain/types"
)

// pastTimes is an Ancestry whose median times grow by 100 seconds a block.
type pastTimes struct{}

func (pastTimes) MedianTimePast(height uint32) uint32 { return 1_600_000_000 + 100*height }

// TestConnectTransaction: one valid transaction, and each rule broken alone.
func TestConnectTransaction(t *testing.T) {
	params := newChainTest(t).params
	const tip = 200
	parent := NewState(types.Index{Height: tip, Hash: types.Hash{1}}, types.Header{}, Uint256{1},
		[]uint32{pastTimes{}.MedianTimePast(tip)})
	script := append([]byte{0x51, 0x20}, make([]byte, 32)...)
	coin, _ := types.NewCoin(&types.TxOut{Value: 1000, ScriptPubKey: script}, 100, false)
	for _, c := range []struct {
		name   string
		spoil  func(tx *types.Tx, coins *[]types.Coin)
		kind   error
		reason Reason
	}{
		{"valid", func(*types.Tx, *[]types.Coin) {}, nil, ""},
		{"coinbase", func(tx *types.Tx, _ *[]types.Coin) {
			tx.Inputs[0].PreviousOutPoint = types.OutPoint{Index: types.NullIndex}
		}, ErrInvalid, ReasonCoinbaseTransaction},
		{"lock by height", func(tx *types.Tx, _ *[]types.Coin) { tx.LockTime = tip + 1 }, ErrNotYet, ReasonNonFinalTransaction},
		{"lock by height that ends", func(tx *types.Tx, _ *[]types.Coin) { tx.LockTime = tip }, nil, ""},
		{"lock by time", func(tx *types.Tx, _ *[]types.Coin) { tx.LockTime = pastTimes{}.MedianTimePast(tip) }, ErrNotYet, ReasonNonFinalTransaction},
		{"lock by time that ends", func(tx *types.Tx, _ *[]types.Coin) { tx.LockTime = pastTimes{}.MedianTimePast(tip) - 1 }, nil, ""},
		{"relative lock", func(tx *types.Tx, _ *[]types.Coin) { tx.Inputs[0].Sequence = 102 }, ErrNotYet, ReasonNonFinalSequence},
		{"relative lock that ends", func(tx *types.Tx, _ *[]types.Coin) { tx.Inputs[0].Sequence = 101 }, nil, ""},
		{"relative lock by time", func(tx *types.Tx, _ *[]types.Coin) { tx.Inputs[0].Sequence = types.SequenceLockIsTime | 20 }, ErrNotYet, ReasonNonFinalSequence},
		{"relative lock by time that ends", func(tx *types.Tx, _ *[]types.Coin) { tx.Inputs[0].Sequence = types.SequenceLockIsTime | 19 }, nil, ""},
		{"young coinbase", func(_ *types.Tx, coins *[]types.Coin) {
			(*coins)[0].IsCoinbase, (*coins)[0].Height = true, tip+2-params.CoinbaseMaturity
		}, ErrInvalid, ReasonPrematureSpend},
		{"grown coinbase", func(_ *types.Tx, coins *[]types.Coin) {
			(*coins)[0].IsCoinbase, (*coins)[0].Height = true, tip+1-params.CoinbaseMaturity
		}, nil, ""},
		{"more out than in", func(tx *types.Tx, _ *[]types.Coin) { tx.Outputs[0].Value = 1001 }, ErrInvalid, ReasonInputsBelowOutputs},
		{"impossible coin", func(_ *types.Tx, coins *[]types.Coin) { (*coins)[0].Value = params.MaxMoney + 1 }, ErrInvalid, ReasonInputValue},
		{"a coin is lacking", func(_ *types.Tx, coins *[]types.Coin) { *coins = nil }, ErrLocal, ""},
	} {
		tx := &types.Tx{
			Version: 2,
			Inputs:  []types.TxIn{{PreviousOutPoint: types.OutPoint{TxID: types.Hash{2}}, Sequence: 0}},
			Outputs: []types.TxOut{{Value: 900, ScriptPubKey: script}},
		}
		coins := []types.Coin{coin}
		c.spoil(tx, &coins)
		fee, err := ConnectTransaction(params, &parent, tx, coins, pastTimes{})
		if !errors.Is(err, c.kind) || c.reason != "" && !errors.Is(err, c.reason) || err == nil && fee != 100 {
			t.Errorf("%s: fee %d, %v", c.name, fee, err)
		}
	}
}
