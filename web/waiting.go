package web

import (
	"context"
	"slices"
	"sync"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/indexed"
	"github.com/karatcoin/karat/chain/pending"
	"github.com/karatcoin/karat/chain/types"
)

// waitingScripts knows which transactions of the pool concern a script. A taproot input does
// not tell its script, so what each spends is looked up once, when it has come, and kept for
// as long as the transaction waits.
type waitingScripts struct {
	journal Journal
	pool    Pool
	blocks  Blocks

	turn     chan struct{} // held while changes are followed, which may wait for coins
	began    bool
	position uint64

	mu sync.Mutex
	// Guarded by mu:
	scripts map[indexed.ScriptHash][]types.Hash          // the transactions of each, by id
	touches map[types.Hash]map[indexed.ScriptHash]*touch // the scripts of each
}

// touch is what a transaction does with a script.
type touch struct {
	stats indexed.ScriptStats
	pays  []uint32 // its outputs to the script
}

// waitingTx is a transaction that waits, and what it does with one script.
type waitingTx struct {
	entry *pending.Entry
	touch
}

func newWaitingScripts(o *Options) *waitingScripts {
	return &waitingScripts{journal: o.Journal, pool: o.Pool, blocks: o.Blocks, turn: make(chan struct{}, 1), scripts: map[indexed.ScriptHash][]types.Hash{}, touches: map[types.Hash]map[indexed.ScriptHash]*touch{}}
}

// of returns the transactions that wait and concern a script, as the pool is now.
func (w *waitingScripts) of(ctx context.Context, script indexed.ScriptHash) (list []waitingTx, err error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = w.follow(ctx)
	<-w.turn
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	txids := slices.Clone(w.scripts[script])
	touches := make([]touch, len(txids))
	for i, txid := range txids {
		touches[i] = *w.touches[txid][script]
	}
	w.mu.Unlock()
	for i, txid := range txids {
		if e := w.pool.Get(txid); e != nil {
			list = append(list, waitingTx{e, touches[i]})
		}
	}
	return list, nil
}

// follow takes up what has come and gone since it was called last. It assumes turn.
func (w *waitingScripts) follow(ctx context.Context) error {
	const atOnce = 500
	for {
		changes, next, ok := w.journal.ChangesSince(w.position, atOnce)
		if !w.began || !ok {
			return w.begin(ctx)
		}
		var came []*pending.Entry
		for i := range changes {
			switch c := &changes[i]; {
			case c.Block != nil:
			case !c.Added:
				w.drop(c.TxID)
			default:
				if e := w.pool.Get(c.TxID); e != nil {
					came = append(came, e)
				}
			}
		}
		if err := w.add(ctx, came); err != nil {
			return err
		}
		if w.position = next; len(changes) == 0 {
			return nil
		}
	}
}

// begin takes up the whole pool.
func (w *waitingScripts) begin(ctx context.Context) error {
	entries, position := w.journal.Snapshot()
	w.mu.Lock()
	clear(w.scripts)
	clear(w.touches)
	w.mu.Unlock()
	const atOnce = 2000
	for part := range slices.Chunk(entries, atOnce) {
		if err := w.add(ctx, part); err != nil {
			return err
		}
	}
	w.position, w.began = position, true
	return nil
}

func (w *waitingScripts) drop(txid types.Hash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for script := range w.touches[txid] {
		rest := slices.DeleteFunc(w.scripts[script], func(id types.Hash) bool { return id == txid })
		if w.scripts[script] = rest; len(rest) == 0 {
			delete(w.scripts, script)
		}
	}
	delete(w.touches, txid)
}

// add takes up transactions. Parents come before their children.
func (w *waitingScripts) add(ctx context.Context, entries []*pending.Entry) error {
	var outPoints []types.OutPoint
	for _, e := range entries {
		for i := range e.Tx.Inputs {
			outPoints = append(outPoints, e.Tx.Inputs[i].PreviousOutPoint)
		}
	}
	if len(outPoints) == 0 {
		return nil
	}
	coins, _, err := w.blocks.Coins(ctx, outPoints)
	if err != nil {
		return err
	}
	at := 0
	for _, e := range entries {
		spent := make([]*types.TxOut, len(e.Tx.Inputs))
		for i := range spent {
			spent[i] = w.output(&outPoints[at], &coins[at])
			at++
		}
		w.take(e, spent)
	}
	return nil
}

// output returns what an input spends: a coin, or an output of a transaction that waits. It
// is nil if neither is there any more, since a block has just taken it.
func (w *waitingScripts) output(o *types.OutPoint, coin *consensus.FetchedCoin) *types.TxOut {
	if coin.Found {
		out := coin.Coin.Output()
		return &out
	}
	if parent := w.pool.Get(o.TxID); parent != nil && int64(o.Index) < int64(len(parent.Tx.Outputs)) {
		return &parent.Tx.Outputs[o.Index]
	}
	return nil
}

func (w *waitingScripts) take(e *pending.Entry, spent []*types.TxOut) {
	touches := map[indexed.ScriptHash]*touch{}
	of := func(script []byte) *touch {
		hash := indexed.HashScript(script)
		if touches[hash] == nil {
			touches[hash] = &touch{stats: indexed.ScriptStats{Txs: 1}}
		}
		return touches[hash]
	}
	for _, out := range spent {
		if out != nil {
			t := of(out.ScriptPubKey)
			t.stats.Spent++
			t.stats.SpentSum += out.Value
		}
	}
	for i := range e.Tx.Outputs {
		out := &e.Tx.Outputs[i]
		if !consensus.IsSpendable(out.ScriptPubKey) {
			continue
		}
		t := of(out.ScriptPubKey)
		t.stats.Funded++
		t.stats.FundedSum += out.Value
		t.pays = append(t.pays, uint32(i))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.touches[e.TxID] != nil {
		return // it was there already
	}
	w.touches[e.TxID] = touches
	for script := range touches {
		w.scripts[script] = append(w.scripts[script], e.TxID)
	}
}
