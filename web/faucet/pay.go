package faucet

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/karatcoin/karat/chain/standard"
	"github.com/karatcoin/karat/chain/types"
	"github.com/karatcoin/karat/internal/keypath"
	"github.com/karatcoin/karat/internal/wholefile"
	"github.com/karatcoin/karat/web/faucetinfo"
)

// available is a coin that can be spent now.
type available struct {
	at  types.OutPoint
	out types.TxOut
}

// spendable returns the coins that can be spent: those of blocks, if they are mature, and
// change of payments that the pool has. soon has it return also change of those that the pool
// does not have yet, or any more since a block does. It assumes mu.
func (f *Faucet) spendable(soon bool) (list []available) {
	next := f.at.Height + 1
	for at, c := range f.coins {
		if c.isCoinbase && c.height > 0 && next < c.height+f.o.Params.CoinbaseMaturity || f.isSpent(at) {
			continue
		}
		list = append(list, available{at, types.TxOut{Value: c.value, ScriptPubKey: f.script}})
	}
	for _, p := range f.payments {
		if !soon && f.o.Pool.Get(p.txid) == nil { // it is sent, or sent again, or a block has it
			continue
		}
		for i := range p.tx.Outputs {
			at := types.OutPoint{TxID: p.txid, Index: uint32(i)}
			if out := &p.tx.Outputs[i]; string(out.ScriptPubKey) == string(f.script) && !f.isSpent(at) {
				list = append(list, available{at, *out})
			}
		}
	}
	return list
}

// isSpent reports whether a payment that waits spends a coin. It assumes mu.
func (f *Faucet) isSpent(at types.OutPoint) bool {
	return f.o.Pool.SpentBy(at) != nil || slices.ContainsFunc(f.payments, func(p *payment) bool { return p.spends(at) })
}

// sumAge is how long the sum of all coins is told again. Anybody may pay the faucet in as many
// coins as he likes, and everybody who opens its page would have them walked through.
const sumAge = time.Second

// has returns what can be spent now or in a moment: who asks while a payment is on its way into
// the pool is not told that its change is not there. It assumes mu.
func (f *Faucet) has() types.Amount {
	if now := time.Now(); f.summed.IsZero() || now.Sub(f.summed) > sumAge {
		f.sum, f.summed = 0, now
		for _, c := range f.spendable(true) {
			f.sum += c.out.Value
		}
	}
	return f.sum
}

// pay pays what waits, in one transaction. What cannot be paid now is tried again, and so is
// what one transaction has no room for. The payment is in the file before it is sent: whoever
// is paid is not paid again, whenever the node ends.
func (f *Faucet) pay(ctx context.Context) {
	p, err := f.prepare()
	if p == nil && err == nil {
		return
	}
	if err == nil {
		if err = f.save(); err == nil {
			_, err = f.o.Pool.Accept(ctx, p.tx, 0)
		}
		if err != nil && f.o.Pool.Get(p.txid) == nil { // nobody has seen it
			f.takeBack(p)
			err = errors.Join(err, f.save())
		}
	}
	if err != nil {
		f.o.Logger.Warn("the faucet could not pay", "err", err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.paid) > maxKnown {
		clear(f.paid)
	}
	for _, script := range p.scripts {
		f.paid[string(script)] = p.txid
	}
	f.o.Logger.Info("the faucet has paid", "requests", len(p.scripts), "txid", p.txid)
}

// prepare makes a payment of what it takes from the queue; nil if nobody waits.
func (f *Faucet) prepare() (*payment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	scripts := f.queue
	if len(scripts) == 0 {
		return nil, nil
	}
	coins := f.spendable(false)
	// The largest first, so that few are needed; then by name, so that the order is one.
	slices.SortFunc(coins, func(a, b available) int {
		return cmp.Or(cmp.Compare(b.out.Value, a.out.Value), slices.Compare(a.at.TxID[:], b.at.TxID[:]), cmp.Compare(a.at.Index, b.at.Index))
	})
	tx, err := f.build(scripts, coins)
	for err != nil && len(scripts) > 1 { // so many coins are too small for all at once
		scripts = scripts[:len(scripts)/2]
		tx, err = f.build(scripts, coins)
	}
	if err != nil {
		return nil, err
	}
	p := &payment{tx, tx.TxID(), slices.Clone(scripts)}
	f.queue = slices.Clone(f.queue[len(scripts):])
	f.payments, f.summed = append(f.payments, p), time.Time{}
	return p, nil
}

// takeBack lets those wait again whom a payment does not pay.
func (f *Faucet) takeBack(p *payment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(p)
	f.queue = append(slices.Clone(p.scripts), f.queue...)
}

// drop forgets a payment. It assumes mu.
func (f *Faucet) drop(p *payment) {
	f.payments, f.summed = slices.DeleteFunc(f.payments, func(other *payment) bool { return other == p }), time.Time{}
}

const (
	confirmIn = 6   // blocks, which a payment may wait
	maxInputs = 100 // of a payment
)

// build makes and signs the payment of the first of the coins. It assumes mu.
func (f *Faucet) build(scripts [][]byte, coins []available) (*types.Tx, error) {
	rate := max(f.o.Pool.Estimate(confirmIn, false).FeeRate, standard.MinRelay)
	tx := &types.Tx{Version: 2}
	for _, script := range scripts {
		tx.Outputs = append(tx.Outputs, types.TxOut{Value: f.o.Amount, ScriptPubKey: script})
	}
	tx.Outputs = append(tx.Outputs, types.TxOut{ScriptPubKey: f.script})
	needed := f.o.Amount * types.Amount(len(scripts))
	have, fee := types.Amount(0), types.Amount(0)
	var spent []types.TxOut
	for _, c := range coins {
		if len(spent) == maxInputs {
			break
		}
		tx.Inputs = append(tx.Inputs, types.TxIn{PreviousOutPoint: c.at, Sequence: 0xfffffffd})
		spent = append(spent, c.out)
		have += c.out.Value
		fee = rate.Fee(keypath.VirtualSize(tx))
		if have >= needed+fee+standard.DustLimit(f.script) {
			tx.Outputs[len(scripts)].Value = have - needed - fee
			return tx, f.sign(tx, spent)
		}
	}
	return nil, faucetinfo.ErrEmpty
}

// sign signs all inputs. The faucet's output key is its key itself: it has no scripts, and
// nobody else has a part in it.
func (f *Faucet) sign(tx *types.Tx, spent []types.TxOut) error {
	return keypath.SignInputs(tx, spent, slices.Repeat([]*btcec.PrivateKey{f.key}, len(spent)))
}

// loadKey reads the key in a file of 64 hexadecimal digits, or makes one.
func loadKey(path string) (*btcec.PrivateKey, error) {
	text, err := wholefile.Read(path, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := btcec.NewPrivateKey()
		if err != nil {
			return nil, err
		}
		return key, wholefile.ReplaceBytes(path, []byte(hex.EncodeToString(key.Serialize())+"\n"))
	}
	if err != nil {
		return nil, err
	}
	raw, _ := hex.DecodeString(strings.TrimSpace(string(text)))
	return parseKey(raw, path)
}

// parseKey reads a key, which what should hold it in hexadecimal may not do.
func parseKey(raw []byte, what string) (*btcec.PrivateKey, error) {
	var scalar btcec.ModNScalar
	if len(raw) != 32 || scalar.SetByteSlice(raw) || scalar.IsZero() {
		return nil, errors.New(what + " is damaged: want 64 hexadecimal digits of a key")
	}
	key, _ := btcec.PrivKeyFromBytes(raw)
	return key, nil
}
