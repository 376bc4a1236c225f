package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/keypath"
	"github.com/karatcoin/karat/rpc/devinfo"
)

// errBehind says that it is not known yet who has what.
var errBehind = errors.New("the index of addresses has not come as far as the chain: ask again in a moment")

// balances returns what scripts have in blocks.
func (b *Bench) balances(ctx context.Context, scripts ...[]byte) ([]types.Amount, error) {
	hashes := make([]indexed.ScriptHash, len(scripts))
	for i := range scripts {
		hashes[i] = indexed.HashScript(scripts[i])
	}
	if !b.o.Index.Wait(ctx, indexed.Scripts) {
		return nil, errBehind
	}
	found, err := b.o.Index.ScriptBalances(hashes)
	if err != nil {
		return nil, err
	}
	has := make([]types.Amount, len(scripts))
	for i := range has {
		has[i] = found.Stats[i].Balance()
	}
	return has, nil
}

// coin is one that a key can spend now.
type coin struct {
	at    types.OutPoint
	value types.Amount
	owner *key
}

// coinsOf returns the coins in blocks that a key can spend in the next one, the largest
// first.
func (b *Bench) coinsOf(ctx context.Context, k *key) (list []coin, err error) {
	if !b.o.Index.Wait(ctx, indexed.Scripts) {
		return nil, errBehind
	}
	page := indexed.Page{Limit: 1000}
	for {
		found, err := b.o.Index.ScriptCoins([]indexed.ScriptHash{indexed.HashScript(k.Script)}, page)
		if err != nil {
			return nil, err
		}
		for _, c := range found.Coins {
			if !c.IsCoinbase || c.Height == 0 || c.Height+b.o.Params.CoinbaseMaturity <= found.At.Height+1 {
				list = append(list, coin{c.OutPoint, c.Value, k})
			}
		}
		if page.After = found.Next; page.After == nil {
			break
		}
	}
	slices.SortFunc(list, func(x, y coin) int {
		return cmp.Or(cmp.Compare(y.value, x.value), slices.Compare(x.at.TxID[:], y.at.TxID[:]), cmp.Compare(x.at.Index, y.at.Index))
	})
	return list, nil
}

// free leaves out the coins that something which waits spends.
func (b *Bench) free(list []coin) []coin {
	return slices.DeleteFunc(list, func(c coin) bool { return b.o.Pool.SpentBy(c.at) != nil })
}

// waitingCoins returns the coins of a key that are not in a block yet.
func (b *Bench) waitingCoins(k *key) (list []coin) {
	entries, _ := b.o.Pool.Snapshot()
	for _, e := range entries {
		for i := range e.Tx.Outputs {
			if out := &e.Tx.Outputs[i]; string(out.ScriptPubKey) == string(k.Script) {
				list = append(list, coin{types.OutPoint{TxID: e.TxID, Index: uint32(i)}, out.Value, k})
			}
		}
	}
	return list
}

const maxInputs = 1_000 // of a payment

// build makes and signs a transaction that pays an amount to a script, and the rest to who
// spends the first coin. It takes maxInputs coins at most. Without a fee it is for a block that
// is mined for it, where dust does no harm.
func build(coins []coin, script []byte, amount types.Amount, rate types.FeeRate) (*types.Tx, error) {
	if len(coins) == 0 {
		return nil, errNoCoins
	}
	change := coins[0].owner.Script
	tx := &types.Tx{Version: 2, Outputs: []types.TxOut{{Value: amount, ScriptPubKey: script}, {ScriptPubKey: change}}}
	have := types.Amount(0)
	for i, c := range coins[:min(len(coins), maxInputs)] {
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: c.at, Sequence: 0xfffffffd})
		have += c.value
		tx.Outputs = tx.Outputs[:2]
		fee := rate.Fee(keypath.VirtualSize(tx))
		switch rest := have - amount - fee; {
		case rest < 0:
			continue
		case rest == 0 || rate > 0 && rest < standard.DustLimit(change):
			tx.Outputs = tx.Outputs[:1] // the rest is for the miner
		default:
			tx.Outputs[1].Value = rest
		}
		return tx, sign(tx, coins[:i+1])
	}
	return nil, fmt.Errorf("%w: %s can be spent now, not %s and the fee", errNoCoins, have, amount)
}

var errNoCoins = errors.New("there are not enough coins")

// sign signs all inputs.
func sign(tx *types.Tx, coins []coin) error {
	spent := make([]types.TxOut, len(coins))
	keys := make([]*btcec.PrivateKey, len(coins))
	for i, c := range coins {
		spent[i], keys[i] = types.TxOut{Value: c.value, ScriptPubKey: c.owner.Script}, c.owner.secret
	}
	return keypath.SignInputs(tx, spent, keys)
}

// Send pays from an account, by its number, and a fee of so much. Coins that wait for a block
// are spent too.
func (b *Bench) Send(ctx context.Context, account int, script []byte, amount types.Amount, rate types.FeeRate) (types.Hash, error) {
	if err := b.turn.Take(ctx); err != nil {
		return types.Hash{}, err
	}
	defer b.turn.Give()
	if account < 0 || account >= len(b.o.Keys.accounts) {
		return types.Hash{}, fmt.Errorf("there is no account %d: they are 0 to %d", account, len(b.o.Keys.accounts)-1)
	}
	from := &b.o.Keys.accounts[account]
	if err := b.o.Pool.CatchUp(ctx); err != nil {
		return types.Hash{}, err
	}
	coins, err := b.coinsOf(ctx, from)
	if err != nil {
		return types.Hash{}, err
	}
	tx, err := build(b.free(append(coins, b.waitingCoins(from)...)), script, amount, rate)
	if err != nil {
		return types.Hash{}, err
	}
	entry, err := b.o.Pool.Accept(ctx, tx, 0)
	if err != nil {
		return types.Hash{}, err
	}
	if b.mining.Mode == devinfo.ByTransaction {
		err = b.mineNew(ctx)
	}
	return entry.TxID, err
}

// SetBalance mines a block with one transaction, after which a script has this amount in
// blocks. The bank pays what is missing. What is too much only an account can give back, which
// may take coins from under payments that wait.
func (b *Bench) SetBalance(ctx context.Context, script []byte, amount types.Amount) (p devinfo.Payment, err error) {
	if err := b.turn.Take(ctx); err != nil {
		return p, err
	}
	defer b.turn.Give()
	bank := &b.o.Keys.bank
	if string(script) == string(bank.Script) {
		return p, errors.New("this is the bank's address: the bank pays the others")
	}
	if err := b.o.Pool.CatchUp(ctx); err != nil {
		return p, err
	}
	balance, err := b.balances(ctx, script)
	if err != nil {
		return p, err
	}
	var tx *types.Tx
	switch has := balance[0]; {
	case has == amount:
		return p, nil
	case has < amount:
		coins, err := b.coinsOf(ctx, bank)
		if err != nil {
			return p, err
		}
		if tx, err = build(b.free(coins), script, amount-has, 0); err != nil {
			return p, fmt.Errorf("the bank pays what is set, and cannot: %w", err)
		}
	default:
		if tx, err = b.takeAway(ctx, script, has-amount); err != nil {
			return p, err
		}
	}
	payTo := b.o.PayTo
	if string(payTo) == string(script) {
		payTo = bank.Script // the block's coins would come on top
	}
	p.TxID = tx.TxID()
	p.Block, err = b.generateOf(ctx, []*pending.Entry{{Tx: tx, Raw: tx.AppendTo(nil), TxID: p.TxID, WTxID: tx.WTxID(), Weight: tx.Weight()}}, payTo)
	return p, err
}

// takeAway returns a transaction that pays from an account to the bank.
func (b *Bench) takeAway(ctx context.Context, script []byte, amount types.Amount) (*types.Tx, error) {
	for _, k := range b.o.Keys.all() {
		if string(k.Script) != string(script) {
			continue
		}
		coins, err := b.coinsOf(ctx, k)
		if err != nil {
			return nil, err
		}
		return build(coins, b.o.Keys.bank.Script, amount, 0)
	}
	return nil, errors.New("the address has more than that, and only who has its key can spend it: take a new address, or an account's")
}
