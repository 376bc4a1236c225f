package rpc

import (
	"encoding/json"

	"github.com/karatcoin/karat/chain/event"
	"github.com/karatcoin/karat/chain/types"
)

// wants reports whether the client is told of an event, and notes what is told of
// later because of it. It assumes the turn.
func (sub *subscription) wants(e *event.Event) (bool, error) {
	if sub.watch == nil {
		return true, nil
	}
	switch e.Kind {
	case event.PoolReset:
		sub.forgetTold(len(sub.told))
		clear(sub.told)
	case event.TxAdded:
		matches, err := sub.matches(e.Entry.Tx, e.Entry.TxID, nil)
		if !matches || err != nil {
			return false, err
		}
		if _, again := sub.told[e.Entry.WTxID]; !again {
			sub.told[e.Entry.WTxID] = struct{}{}
			sub.c.wanted.mu.Lock()
			defer sub.c.wanted.mu.Unlock()
			return true, sub.c.resize(1)
		}
	case event.TxRemoved:
		_, told := sub.told[e.Change.WTxID]
		if told {
			delete(sub.told, e.Change.WTxID)
			sub.forgetTold(1)
		}
		return told, nil
	}
	return true, nil
}

func (sub *subscription) forgetTold(n int) {
	sub.c.wanted.mu.Lock()
	defer sub.c.wanted.mu.Unlock()
	_ = sub.c.resize(-n)
}

// matches reports whether the filter matches a transaction. What spends an output that
// it matched before matches, too; spent are the coins that it spends, if they are known.
func (sub *subscription) matches(tx *types.Tx, txid types.Hash, spent []types.Coin) (matches bool, err error) {
	if sub.watch == nil {
		return true, nil
	}
	for i := range tx.Inputs {
		matches = matches || sub.watch.spends(tx.Inputs[i].PreviousOutPoint)
	}
	for i := range spent {
		_, from := sub.watch.scripts[string(spent[i].ScriptPubKey())]
		matches = matches || from
	}
	sub.c.wanted.mu.Lock()
	defer sub.c.wanted.mu.Unlock()
	paid, err := sub.c.watchOutputs(sub.watch, tx, txid)
	return matches || paid, err
}

func cursorOf(at event.Cursor) cursorJSON {
	j := cursorJSON{Sequence: at.Sequence, Height: &at.Block.Height, Hash: &at.Block.Hash}
	if at.Run != 0 {
		j.Mempool = &poolCursor{at.Run, at.Pool}
	}
	return j
}

// encode makes the notification of an event. A block may be long, so it is written
// without reflection.
func (sub *subscription) encode(e *event.Event) ([]byte, error) {
	w := jsonWriter{}
	sub.begin(&w, string(e.Kind))
	w.raw(`,"sequence":`)
	w.uint(e.Cursor.Sequence)
	w.raw(`,"cursor":`)
	_ = w.value(cursorOf(e.Cursor)) // numbers and a hash
	var err error
	switch e.Kind {
	case event.BlockApplied, event.BlockReverted:
		err = sub.block(&w, e)
	case event.TxAdded:
		w.raw(`,"txid":"`)
		w.hash(e.Entry.TxID)
		w.raw(`","fee":`)
		w.amount(e.Entry.Fee)
		w.raw(`,"hex":"`)
		w.hex(e.Entry.Raw)
		w.raw(`"`)
	case event.TxRemoved:
		w.raw(`,"txid":"`)
		w.hash(e.Change.TxID)
		w.raw(`","reason":"` + string(e.Change.Left) + `"`)
	}
	w.raw(`}],"id":null}`)
	return w.b, err
}

func (sub *subscription) begin(w *jsonWriter, kind string) {
	w.raw(`{"jsonrpc":"1.0","method":"event","params":[{"subscription":`)
	w.uint(sub.id)
	w.raw(`,"event":"` + kind + `"`)
}

// encodeEnd makes the last notification of a subscription that cannot go on.
func (sub *subscription) encodeEnd(why *Error) []byte {
	w := jsonWriter{}
	sub.begin(&w, "end")
	text, _ := json.Marshal(why)
	w.raw(`,"error":` + string(text) + `}],"id":null}`)
	return w.b
}

// block writes a block, and if they are wanted its transactions with the coins that they
// spend: what it takes to go a block forward or back.
func (sub *subscription) block(w *jsonWriter, e *event.Event) error {
	u := e.Block
	h := &u.Block.Block.Header
	w.raw(`,"block":{"hash":"`)
	w.hash(u.Block.Hash)
	w.raw(`","height":`)
	w.uint(uint64(u.Update.Block.Height))
	w.raw(`,"previousblockhash":"`)
	w.hash(h.PrevBlock)
	w.raw(`","time":`)
	w.uint(uint64(h.Timestamp))
	w.raw(`,"header":"`)
	w.hex(h.AppendTo(nil))
	w.raw(`"}`)
	if !sub.txs {
		return nil
	}
	w.raw(`,"transactions":[`)
	spent := u.SpentCoins()
	first := true
	for i := range u.Block.Block.Txs {
		tx, txid := &u.Block.Block.Txs[i], u.Block.TxIDs[i]
		var coins []types.Coin
		if i < len(spent) {
			coins = spent[i]
		}
		matches, err := sub.matches(tx, txid, coins)
		if err != nil {
			return err
		}
		if !matches {
			continue
		}
		if !first {
			w.raw(",")
		}
		first = false
		w.raw(`{"index":`)
		w.uint(uint64(i))
		w.raw(`,"txid":"`)
		w.hash(txid)
		w.raw(`","hex":"`)
		w.hex(tx.AppendTo(nil))
		w.raw(`","spent":[`)
		writeCoins(w, coins)
		w.raw("]}")
	}
	w.raw("]")
	return nil
}

// writeCoins writes what a transaction spends.
func writeCoins(w *jsonWriter, coins []types.Coin) {
	for i := range coins {
		if i > 0 {
			w.raw(",")
		}
		w.raw(`{"value":`)
		w.amount(coins[i].Value)
		w.raw(`,"height":`)
		w.uint(uint64(coins[i].Height))
		w.raw(`,"generated":`)
		w.bool(coins[i].IsCoinbase)
		w.raw(`,"scriptPubKey":"`)
		w.hex(coins[i].ScriptPubKey())
		w.raw(`"}`)
	}
}
