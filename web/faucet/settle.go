package faucet

import (
	"context"
	"slices"
	"time"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/types"
)

// sendAgain is how often payments are sent again that the pool has lost: it was full, or the
// node has been started again.
const sendAgain = time.Minute

// settle finds those payments of an earlier run that blocks have meanwhile.
func (f *Faucet) settle() {
	const atOnce = 8
	f.mu.Lock()
	at, open := f.since, len(f.payments)
	f.mu.Unlock()
	for open > 0 {
		reverted, applied, err := f.o.Chain.UpdatesSince(at, atOnce)
		if err != nil {
			f.o.Logger.Warn("blocks since the faucet's last run cannot be read; what they paid is found out by its coins", "err", err)
			return
		}
		if len(reverted)+len(applied) == 0 {
			return
		}
		if n := len(reverted); n > 0 {
			at = reverted[n-1].Update.Parent
		}
		f.mu.Lock()
		for i := range applied {
			f.confirm(&applied[i])
			at = applied[i].Update.Block
		}
		open = len(f.payments)
		f.mu.Unlock()
	}
}

// confirm takes up what a block did to payments: those that it has are done. Who has the key
// elsewhere may have spent the coins of another: its requests wait again, and so do those of
// payments that spend its change. It assumes mu.
func (f *Faucet) confirm(b *consensus.BlockUpdate) {
	gone := map[types.Hash]bool{}
	var again [][]byte
	for _, p := range slices.Clone(f.payments) { // parents first
		if slices.Contains(b.Block.TxIDs, p.txid) {
			f.drop(p)
			continue
		}
		if slices.ContainsFunc(b.Update.Spent, func(c consensus.CoinEntry) bool { return p.spends(c.OutPoint) }) ||
			slices.ContainsFunc(p.tx.Inputs, func(in types.TxIn) bool { return gone[in.PreviousOutPoint.TxID] }) {
			gone[p.txid] = true
			f.drop(p)
			again = append(again, p.scripts...)
		}
	}
	f.queue = append(again, f.queue...)
}

// send sends the payments that neither the pool nor a block has.
func (f *Faucet) send(ctx context.Context) {
	f.mu.Lock()
	list := slices.Clone(f.payments)
	f.mu.Unlock()
	for _, p := range list {
		if f.o.Pool.Get(p.txid) != nil {
			continue
		}
		_, err := f.o.Pool.Accept(ctx, p.tx, 0)
		if err == nil {
			f.o.Logger.Info("a payment of the faucet is sent again", "txid", p.txid)
			continue
		}
		f.mu.Lock()
		if !f.canBeSpent(p) { // blocks that cannot be read have it
			f.drop(p)
		} else {
			f.o.Logger.Debug("a payment of the faucet waits to be sent again", "txid", p.txid, "err", err)
		}
		f.mu.Unlock()
	}
}

// canBeSpent reports whether what a payment spends is there: on the chain, or as change of
// another one. It assumes mu.
func (f *Faucet) canBeSpent(p *payment) bool {
	for i := range p.tx.Inputs {
		at := p.tx.Inputs[i].PreviousOutPoint
		_, onChain := f.coins[at]
		if !onChain && !slices.ContainsFunc(f.payments, func(other *payment) bool { return other.txid == at.TxID }) {
			return false
		}
	}
	return true
}
