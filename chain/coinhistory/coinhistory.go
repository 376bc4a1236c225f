// Package coinhistory computes the statistics of the coin set of every block of a chain,
// as Bitcoin Core's coinstatsindex keeps them: what the set is after the block, and where
// the money of the block came from and went to.
//
//	var at coinhistory.State // the empty set below the genesis block
//	record, err := at.Apply(params, &update)
//
// The one idea is that the state moves with the chain, forwards and backwards, so that a
// block costs what it changes and never a walk over all coins. The package reads no
// database and checks no rule.
package coinhistory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/karatcoin/karat/chain/coinstats"
	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// BlockInfo tells where the money of one block came from and went to, as the block_info
// of Bitcoin Core's gettxoutsetinfo does. All amounts are in grains. What came in is the
// subsidy and PrevoutSpent; the others together are as much.
type BlockInfo struct {
	PrevoutSpent types.Amount // of the coins that the inputs spend
	Coinbase     types.Amount // of the coinbase's outputs that can be spent
	NewOutputs   types.Amount // of all others' outputs that can be spent
	Genesis      types.Amount // of the genesis block's outputs that are no coins
	Scripts      types.Amount // of outputs that nobody can spend
	Unclaimed    types.Amount // of the reward, what the miner did not take
}

// Unspendable returns the amount that the block took out of circulation.
func (b *BlockInfo) Unspendable() types.Amount { return b.Genesis + b.Scripts + b.Unclaimed }

// Record is what is kept of a block: the coin set after it, and its own part in that.
type Record struct {
	TxOuts      uint64
	BogoSize    uint64       // see coinstats.Stats
	TotalAmount types.Amount // of all coins
	Unspendable types.Amount // taken out of circulation up to and with this block
	MuHash      types.Hash
	Block       BlockInfo
}

// RecordSize is the length in bytes of an encoded Record.
const RecordSize = 10*8 + types.HashSize

// AppendTo appends the record: its fields in their order, numbers of 64 bits in
// little-endian order.
func (r *Record) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.TxOuts)
	b = binary.LittleEndian.AppendUint64(b, r.BogoSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.TotalAmount))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Unspendable))
	b = append(b, r.MuHash[:]...)
	for _, amount := range r.Block.amounts() {
		b = binary.LittleEndian.AppendUint64(b, uint64(*amount))
	}
	return b
}

// DecodeRecord reads what AppendTo has written. The error is of another length.
func DecodeRecord(b []byte) (r Record, err error) {
	if len(b) != RecordSize {
		return Record{}, fmt.Errorf("a record of coin statistics has %d bytes, not %d", RecordSize, len(b))
	}
	number := func() uint64 {
		n := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return n
	}
	r.TxOuts, r.BogoSize = number(), number()
	r.TotalAmount, r.Unspendable = types.Amount(number()), types.Amount(number())
	b = b[copy(r.MuHash[:], b):]
	for _, amount := range r.Block.amounts() {
		*amount = types.Amount(number())
	}
	return r, nil
}

func (b *BlockInfo) amounts() [6]*types.Amount {
	return [...]*types.Amount{&b.PrevoutSpent, &b.Coinbase, &b.NewOutputs, &b.Genesis, &b.Scripts, &b.Unclaimed}
}

// State is the statistics of the coin set at one block, which can be moved to the
// next block or back. The zero value is the empty set below the genesis block. It is
// for one goroutine.
type State struct {
	txOuts      uint64
	bogoSize    uint64
	total       types.Amount
	unspendable types.Amount
	muhash      coinstats.MuHash
}

// errUpdate is returned for a block and an update that do not belong together.
var errUpdate = errors.New("a block's update does not fit to the block")

// Apply moves to a block from its parent, and returns what is to be kept of the block.
func (r *State) Apply(params *consensus.Params, u *consensus.BlockUpdate) (Record, error) {
	info, err := blockInfo(params, u)
	if err != nil {
		return Record{}, err
	}
	r.move(u.Update.Spent, u.Update.Created)
	r.unspendable += info.Unspendable()
	r.muhash.Divide()
	return Record{
		TxOuts: r.txOuts, BogoSize: r.bogoSize, TotalAmount: r.total, Unspendable: r.unspendable,
		MuHash: r.muhash.Digest(), Block: info,
	}, nil
}

// Revert moves from a block back to its parent.
func (r *State) Revert(params *consensus.Params, u *consensus.BlockUpdate) error {
	info, err := blockInfo(params, u)
	if err != nil {
		return err
	}
	r.move(u.Update.Created, u.Update.Spent)
	r.unspendable -= info.Unspendable()
	return nil
}

// move takes coins out and puts others in.
func (r *State) move(out, in []consensus.CoinEntry) {
	var encoded []byte
	for i := range out {
		coin := &out[i].Coin
		encoded = coinstats.AppendCoin(encoded[:0], out[i].OutPoint, coin)
		r.muhash.Remove(encoded)
		r.txOuts--
		r.bogoSize -= coinstats.BogoSize(coin)
		r.total -= coin.Value
	}
	for i := range in {
		coin := &in[i].Coin
		encoded = coinstats.AppendCoin(encoded[:0], in[i].OutPoint, coin)
		r.muhash.Insert(encoded)
		r.txOuts++
		r.bogoSize += coinstats.BogoSize(coin)
		r.total += coin.Value
	}
}

// blockInfo follows the money of a block. A coin that the block both makes and spends
// counts on both sides, so sums may pass any amount of money: they wrap around, as
// Bitcoin Core's do, and their differences are right.
func blockInfo(params *consensus.Params, u *consensus.BlockUpdate) (info BlockInfo, err error) {
	if u.Update.Block.Height == 0 {
		return genesisInfo(u), nil
	}
	spent := u.SpentCoins()
	if spent == nil {
		return BlockInfo{}, errUpdate
	}
	txs := u.Block.Block.Txs
	for i := range txs {
		for j := range spent[i] {
			info.PrevoutSpent += spent[i][j].Value
		}
		for j := range txs[i].Outputs {
			switch out := &txs[i].Outputs[j]; {
			case !consensus.IsSpendable(out.ScriptPubKey):
				info.Scripts += out.Value
			case i == 0:
				info.Coinbase += out.Value
			default:
				info.NewOutputs += out.Value
			}
		}
	}
	info.Unclaimed = consensus.Subsidy(params, u.Update.Block.Height) + info.PrevoutSpent - info.Coinbase - info.NewOutputs - info.Scripts
	return info, nil
}

// genesisInfo tells of the genesis block: its allocations are coins, and what it has
// besides is not.
func genesisInfo(u *consensus.BlockUpdate) (info BlockInfo) {
	for i := range u.Update.Created {
		info.Coinbase += u.Update.Created[i].Coin.Value
	}
	for i := range u.Block.Block.Txs {
		for _, out := range u.Block.Block.Txs[i].Outputs {
			info.Genesis += out.Value
		}
	}
	info.Genesis -= info.Coinbase
	return info
}

// StateSize is the length in bytes of an encoded State.
const StateSize = 4*8 + coinstats.MuHashSize

// AppendTo appends the state: counts and amounts as in a Record, then the MuHash.
func (r *State) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.txOuts)
	b = binary.LittleEndian.AppendUint64(b, r.bogoSize)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.total))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.unspendable))
	return r.muhash.AppendTo(b)
}

// DecodeState reads what AppendTo has written. The error is of any other bytes.
func DecodeState(b []byte) (r State, err error) {
	if len(b) != StateSize {
		return State{}, fmt.Errorf("a state of coin statistics has %d bytes, not %d", StateSize, len(b))
	}
	r.txOuts, r.bogoSize = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	r.total, r.unspendable = types.Amount(binary.LittleEndian.Uint64(b[16:])), types.Amount(binary.LittleEndian.Uint64(b[24:]))
	r.muhash, err = coinstats.DecodeMuHash(b[32:])
	return r, err
}
