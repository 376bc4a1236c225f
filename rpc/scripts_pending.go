package rpc

import (
	"context"
	"sync"

	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// pendingScripts remembers of each waiting transaction which scripts it pays to and
// spends from. A taproot input does not tell its script: the coin does, and coins are not
// looked up for every question.
type pendingScripts struct {
	mu  sync.Mutex
	txs map[types.Hash]*pendingTx // by txid
}

// pendingTx is a waiting transaction.
type pendingTx struct {
	*pending.Entry
	touches []scriptTouch
	partly  bool // a coin that it spends was not found
}

// scriptTouch is an output to a script, or an input that spends one.
type scriptTouch struct {
	script   indexed.ScriptHash
	value    types.Amount
	outPoint types.OutPoint // the output
	spends   bool
}

// coinsAtOnce is how many coins are looked up in one go: others wait for them.
const coinsAtOnce = 10_000

// pendingTxs returns all waiting transactions with what they touch.
func (s *Server) pendingTxs(ctx context.Context) ([]*pendingTx, error) {
	entries, _ := s.Pool.Listing()
	txs := make([]*pendingTx, len(entries))
	p := &s.waiting
	p.mu.Lock()
	for i, e := range entries {
		if known := p.txs[e.TxID]; known != nil && known.WTxID == e.WTxID {
			txs[i] = known
		}
	}
	p.mu.Unlock()
	if err := s.resolve(ctx, entries, txs); err != nil {
		return nil, err
	}
	now := make(map[types.Hash]*pendingTx, len(txs))
	for _, tx := range txs {
		if !tx.partly {
			now[tx.TxID] = tx
		}
	}
	p.mu.Lock()
	p.txs = now
	p.mu.Unlock()
	return txs, nil
}

// resolve fills in the transactions that were not known. An input whose coin is not there
// was confirmed meanwhile, as its transaction was or was made impossible.
func (s *Server) resolve(ctx context.Context, entries []*pending.Entry, txs []*pendingTx) error {
	parents := map[types.Hash]*types.Tx{}
	var unknown []int
	for i := range txs {
		if txs[i] == nil {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 {
		for _, e := range entries {
			parents[e.TxID] = e.Tx
		}
	}
	for len(unknown) > 0 {
		var some []int // of unknown, whose coins are looked up together
		var outPoints []types.OutPoint
		for len(unknown) > 0 && len(outPoints) < coinsAtOnce {
			for _, in := range entries[unknown[0]].Tx.Inputs {
				if parents[in.PreviousOutPoint.TxID] == nil {
					outPoints = append(outPoints, in.PreviousOutPoint)
				}
			}
			some, unknown = append(some, unknown[0]), unknown[1:]
		}
		coins, _, err := s.Blocks.Coins(ctx, outPoints)
		if err != nil {
			return err
		}
		spent := make(map[types.OutPoint]types.TxOut, len(coins))
		for i := range coins {
			if coins[i].Found {
				spent[outPoints[i]] = types.TxOut{Value: coins[i].Coin.Value, ScriptPubKey: coins[i].Coin.ScriptPubKey()}
			}
		}
		for _, i := range some {
			txs[i] = touchesOf(entries[i], func(o types.OutPoint) (types.TxOut, bool) {
				if parent := parents[o.TxID]; parent != nil && uint64(o.Index) < uint64(len(parent.Outputs)) {
					return parent.Outputs[o.Index], true
				}
				out, ok := spent[o]
				return out, ok
			})
		}
	}
	return nil
}

func touchesOf(e *pending.Entry, output func(o types.OutPoint) (types.TxOut, bool)) *pendingTx {
	tx := &pendingTx{Entry: e}
	for i := range e.Tx.Inputs {
		o := e.Tx.Inputs[i].PreviousOutPoint
		if out, ok := output(o); ok {
			tx.touches = append(tx.touches, scriptTouch{indexed.HashScript(out.ScriptPubKey), out.Value, o, true})
		} else {
			tx.partly = true
		}
	}
	for i := range e.Tx.Outputs {
		out := &e.Tx.Outputs[i]
		o := types.OutPoint{TxID: e.TxID, Index: uint32(i)}
		tx.touches = append(tx.touches, scriptTouch{indexed.HashScript(out.ScriptPubKey), out.Value, o, false})
	}
	return tx
}

// of returns what the transaction does to scripts: stats of one transaction, nil if it
// does nothing to them.
func (tx *pendingTx) of(set *scriptSet) (stats *indexed.ScriptStats) {
	for i := range tx.touches {
		t := &tx.touches[i]
		if _, wanted := set.scripts[t.script]; !wanted {
			continue
		}
		if stats == nil {
			stats = &indexed.ScriptStats{Txs: 1}
		}
		if t.spends {
			stats.Spent++
			stats.SpentSum += t.value
		} else {
			stats.Funded++
			stats.FundedSum += t.value
		}
	}
	return stats
}
