package wallet

import "github.com/karatcoin/karat/chain/types"

// outputs are those of all transactions that the wallet has met, those that do not count among
// them: what a payment has spent is known even when its coin is gone, because the block that
// made it was undone.
type outputs struct {
	ours   map[types.OutPoint]Coin
	others map[string][]types.OutPoint // by script: one may come under watch
}

func newOutputs() outputs {
	return outputs{ours: map[types.OutPoint]Coin{}, others: map[string][]types.OutPoint{}}
}

// put takes a transaction in, or one that has changed in the place of the old. The ledger is
// made anew when it is asked for: a sync takes in many before anybody looks. It assumes mu.
func (w *Wallet) put(t *Transaction) {
	known := w.transactions[t.TxID] != nil
	w.transactions[t.TxID] = t
	w.sums = nil
	for i := range t.Tx.Outputs {
		out := &t.Tx.Outputs[i]
		at := types.OutPoint{TxID: t.TxID, Index: uint32(i)}
		if key, ours := w.keys[string(out.ScriptPubKey)]; ours {
			w.outputs.ours[at] = coinOf(t, i, key)
		} else if !known {
			w.outputs.others[string(out.ScriptPubKey)] = append(w.outputs.others[string(out.ScriptPubKey)], at)
		}
	}
}

// claim takes over the outputs to a script that has come under watch. It assumes mu.
func (w *Wallet) claim(script []byte, key KeyID) {
	for _, at := range w.outputs.others[string(script)] {
		w.outputs.ours[at] = coinOf(w.transactions[at.TxID], int(at.Index), key)
		w.sums = nil
	}
	delete(w.outputs.others, string(script))
}

// ledger returns what the transactions amount to. It assumes mu.
func (w *Wallet) ledger() *ledger {
	if w.sums == nil {
		w.sums = newLedger(w.transactions, w.keys, w.outputs.ours)
	}
	return w.sums
}
